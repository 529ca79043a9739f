"""Runs one compiled program everywhere (IR interpreter, virtual machine, kernel, `Program.python`); compares what is left."""

from __future__ import annotations

import linecache
from types import ModuleType

from purebpf.collection import Collection
from purebpf.compiler.frontend import functions
from purebpf.compiler.frontend.bounds import forget_bounds
from purebpf.compiler.frontend.lower import Unit
from purebpf.compiler.ir.check import check
from purebpf.compiler.ir.environment import FULL_ARRAYS, Environment
from purebpf.compiler.ir.interp import Interpreter
from purebpf.compiler.ir.memory import IrRuntimeError, Pointer
from purebpf.compiler.ir.ops import Module
from purebpf.compiler.loadable import Loadable
from purebpf.compiler.options import Options
from purebpf.compiler.passes.cfg import remove_unreachable
from purebpf.compiler.pipeline import PASSES
from purebpf.engine import Engine, EngineMap
from purebpf.program import Program
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType
from purebpf.vm.engine import VmEngine

XDP_POINTERS: dict[int, str | Pointer] = {0: "packet", 4: "packet_end", 8: "packet_meta"}

Contents = dict[str, dict[bytes, bytes]]
"""Maps by name: their entries; a ring's records by their number, 4 bytes."""

Outcome = tuple[list[tuple[int, bytes]], Contents]
"""For each run its result and the packet afterwards; then the maps."""

SCRATCH = ".scratch"  # memory for large locals: each CPU has its own, and what is left there means nothing


def load_module(source: str) -> ModuleType:
    """The program's source as a module whose lines Python knows, without a file."""
    name = "<fuzzed>"
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    module = ModuleType("fuzzed")
    exec(compile(source, name, "exec", dont_inherit=True), vars(module))
    return module


def numbered(records: list[bytes]) -> dict[bytes, bytes]:
    return {i.to_bytes(4, "little"): record for i, record in enumerate(records)}


def read_map(engine: Engine, live: EngineMap) -> dict[bytes, bytes]:
    if live.spec.type == MapType.RINGBUF:
        reader = engine.open_events(live)
        try:
            return numbered([event.data for event in reader.read(0)])
        finally:
            reader.close()
    entries, key = {}, live.next_key(None)
    while key is not None:
        entries[key] = live.lookup(key) or b""
        key = live.next_key(key)
    return entries


def run_engine(made: Loadable, engine: Engine, inputs: list[bytes]) -> Outcome:
    maps: dict[str, EngineMap] = {}
    loaded = None
    try:
        for name, spec in made.maps.items():
            maps[name] = engine.create_map(spec)
        loaded = engine.load_program(made.program, maps)
        ran = [loaded.run(data=packet) for packet in inputs]
        kept = {name: live for name, live in maps.items() if not name.endswith(SCRATCH)}
        return [(r.value, bytes(r.data)) for r in ran], {name: read_map(engine, live) for name, live in kept.items()}
    finally:
        for resource in (loaded, *maps.values()):
            if resource is not None:
                resource.close()


def run_ir(module: Module, specs: dict[str, MapSpec], inputs: list[bytes]) -> Outcome:
    results = []
    maps = Environment(specs.values()).maps
    sent: dict[str, list[bytes]] = {name: [] for name, spec in specs.items() if spec.type == MapType.RINGBUF}
    for packet in inputs:
        env = Environment(context=bytes(24), pointers=XDP_POINTERS, packet=packet)
        env.maps = maps  # they keep what runs put into them
        value = Interpreter(module, env).run()
        results.append(((value or 0) & 0xFFFF_FFFF, env.packet_bytes()))
        for name, _, record in env.events:
            sent[name].append(record)
    contents = {
        name: {k: bytes(m.data) for k, m in (place.walk() if place.spec.type in FULL_ARRAYS else place.entries.items())}
        for name, place in maps.items()
    }
    return results, contents | {name: numbered(records) for name, records in sent.items()}


def run_python(program: Program, inputs: list[bytes]) -> Outcome:
    """By `Program.python`: the very function, on the virtual machine's maps."""
    engine = VmEngine()
    with Collection([program], engine, debugging=True).load() as collection:
        ran = [program.python(packet=packet) for packet in inputs]
        live = [declaration.live for declaration in collection.declarations]
        return [(r.value, bytes(r.data)) for r in ran], {m.spec.name: read_map(engine, m) for m in live}


def after_each_pass(program: Program, options: Options, inputs: list[bytes], expected: Outcome) -> tuple[str, str]:
    """The first pass after which the IR gives something else, and the difference; ("", "") when none does."""
    unit = Unit(program.function.__name__, program.kind, "", options, "GPL", {})
    functions.lower_program(unit, program.function)
    module = Module(list(unit.functions.values()))
    for fn in module.functions:
        forget_bounds(fn)
    for name, apply in (("unreachable", remove_unreachable), *PASSES):
        for fn in module.functions:
            apply(fn)
            check(fn)
        try:
            difference = compare(run_ir(module, unit.map_specs(), inputs), expected)
        except IrRuntimeError as error:
            if "is not valid any more" not in str(error) or "`jump" not in str(error):
                raise
            continue  # a name that nobody reads is still handed on: `dce` will see
        if difference:
            return name, difference
    return "", ""


def compare(got: Outcome, expected: Outcome) -> str:
    """The first difference in words; "" when there is none. Maps that a program does not use are not in `got`."""
    for i, (a, b) in enumerate(zip(got[0], expected[0], strict=True)):
        if a[0] != b[0]:
            return f"run {i} gives {a[0]:#x}, not {b[0]:#x}"
        if a[1] != b[1]:
            at = next((n for n, (x, y) in enumerate(zip(a[1], b[1], strict=False)) if x != y), min(len(a[1]), len(b[1])))
            return f"run {i} leaves {a[1][at : at + 8].hex()} in the packet at {at}, not {b[1][at : at + 8].hex()}"
    for name, entries in expected[1].items():
        for key in sorted({*entries, *got[1][name]}) if name in got[1] else ():
            mine, theirs = got[1][name].get(key), entries.get(key)
            if mine != theirs:
                shown = [value.hex() if value is not None else "nothing" for value in (mine, theirs)]
                return f"`{name}` holds {shown[0]} at {key.hex()}, not {shown[1]}"
    return ""
