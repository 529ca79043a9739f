"""Runs a program everywhere and compares: CPython as the model, the IR interpreter, the virtual machine, the kernel."""

from __future__ import annotations

import linecache
import random
import traceback
from dataclasses import dataclass, field
from types import ModuleType

from purebpf.compiler.ir.check import check
from purebpf.compiler.ir.environment import Environment
from purebpf.compiler.ir.interp import Interpreter
from purebpf.compiler.ir.memory import IrRuntimeError, Pointer
from purebpf.compiler.ir.ops import Module
from purebpf.compiler.options import Options
from purebpf.compiler.pipeline import Compiled, compile_ir, compile_program
from purebpf.engine import Engine
from purebpf.errors import CompileError, Error, VerifierError
from purebpf.spec import MapSpec
from tests.fuzz.model import Model

RUNS = 4
KINDS = ("wrong", "rejected", "tracebacks", "refused", "large")
XDP_POINTERS: dict[int, str | Pointer] = {0: "packet", 4: "packet_end", 8: "packet_meta"}
INTERESTING = (0, 1, 2, 3, 7, 8, 127, 128, 255)

Outcome = tuple[list[tuple[int, bytes]], dict[str, dict[bytes, bytes]]]


@dataclass(frozen=True, slots=True)
class Failure:
    """`kind` is one of wrong, rejected, traceback, refused, large. A refused program is one that the compiler should have
    taken; a large one goes beyond the million instructions (or thousands of jumps) that the verifier walks through."""

    kind: str
    engine: str
    detail: str
    source: str
    seed: int

    def __str__(self) -> str:
        return f"== seed {self.seed}: {self.kind} ({self.engine}): {self.detail}\n{self.source}"


@dataclass(slots=True)
class Tally:
    programs: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    failures: list[Failure] = field(default_factory=list)

    def add(self, failure: Failure | None) -> None:
        self.programs += 1
        if failure is not None:
            self.counts["tracebacks" if failure.kind == "traceback" else failure.kind] += 1
            if failure.kind != "large":
                self.failures.append(failure)

    def line(self) -> str:
        """A legal program that the compiler refuses is as wrong as one that it translates wrongly."""
        told = {**self.counts, "wrong": self.counts["wrong"] + self.counts["refused"]}
        shown = [f"{kind}={told[kind]}" for kind in KINDS if kind != "refused"]
        return " ".join([f"programs={self.programs}", *shown])


def packets(seed: int, size: int) -> list[bytes]:
    """Inputs: plain noise, and bytes at the edges of types."""
    rng = random.Random(seed)
    made = []
    for i in range(RUNS):
        mixed = bytes(rng.choice(INTERESTING) if rng.random() < 0.6 else rng.getrandbits(8) for _ in range(size))
        made.append((bytes(size), mixed, b"\xff" * size, rng.randbytes(size))[i] if i != 2 else mixed[::-1])
    return made


def examine(
    source: str, seed: int, engines: list[Engine], cpu: int | None = None, strict: bool = False, interpret: bool = True
) -> Failure | None:
    """Compile and run one program on every oracle; the first thing that is not as it should be. `strict` raises Overflow where
    a program's meaning rests on ranges that the model does not know."""
    level = cpu or random.Random(seed).choice((1, 2, 3, 3, 4))

    def failed(kind: str, engine: str, detail: str) -> Failure:
        return Failure(kind, f"{engine}, cpu v{level}" if engine else f"cpu v{level}", detail, source, seed)

    model = Model(source, strict)
    size = max(64, model.names["In"].size + random.Random(seed).choice((0, 1, 64)))
    inputs = packets(seed, size)
    expected: Outcome = [model.run(packet) for packet in inputs], model.contents()
    try:
        program = load_module(source).program
        made = compile_program(program.function, program.kind, options=Options(cpu=level))
        for fn in made.functions:
            check(fn)
    except CompileError as error:
        if level < 3 and "needs cpu level 3" in str(error):  # an atomic operation: what it says
            return examine(source, seed, engines, 3, strict, interpret)
        return failed("refused", "", str(error))
    except Exception:
        return failed("traceback", "", traceback.format_exc(limit=-4))
    unit, functions = compile_ir(program.function, program.kind, "", "GPL", Options(cpu=level))
    for engine in (*(("ir",) if interpret else ()), *engines):
        name = engine if isinstance(engine, str) else engine.name
        try:
            got = (
                run_ir(Module(functions), unit.map_specs(), inputs)
                if isinstance(engine, str)
                else run_engine(made, engine, inputs)
            )
        except VerifierError as error:
            large = "too large" in error.log or "too complex" in error.log
            return failed("large" if large else "rejected", name, error.log[-1500:])
        except (Error, IrRuntimeError) as error:
            return failed("wrong", name, f"{type(error).__name__}: {error}")
        except Exception:
            return failed("traceback", name, traceback.format_exc(limit=-4))
        difference = compare(got, expected)
        if difference:
            return failed("wrong", name, difference)
    return None


def run_engine(made: Compiled, engine: Engine, inputs: list[bytes]) -> Outcome:
    maps = {name: engine.create_map(spec) for name, spec in made.maps.items()}
    loaded = None
    try:
        loaded = engine.load_program(made.program, maps)
        results = []
        for packet in inputs:
            result = loaded.run(data=packet)
            results.append((result.value, bytes(result.data)))
        contents: dict[str, dict[bytes, bytes]] = {}
        for name, live in maps.items():
            entries, key = contents.setdefault(name, {}), live.next_key(None)
            while key is not None:
                entries[key] = live.lookup(key) or b""
                key = live.next_key(key)
        return results, contents
    finally:
        for resource in (loaded, *maps.values()):
            if resource is not None:
                resource.close()


def run_ir(module: Module, specs: dict[str, MapSpec], inputs: list[bytes]) -> Outcome:
    results = []
    maps = Environment(specs.values()).maps
    for packet in inputs:
        env = Environment(context=bytes(24), pointers=XDP_POINTERS, packet=packet)
        env.maps = maps  # they keep what runs put into them
        value = Interpreter(module, env).run()
        results.append(((value or 0) & 0xFFFF_FFFF, env.packet_bytes()))
    return results, {name: {k: bytes(m.data) for k, m in place.entries.items()} for name, place in maps.items()}


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
            if mine != theirs and (mine or bytes(len(theirs or b""))) != theirs:
                shown = [value.hex() if value is not None else "nothing" for value in (mine, theirs)]
                return f"`{name}` holds {shown[0]} at {key.hex()}, not {shown[1]}"
    return ""


def load_module(source: str) -> ModuleType:
    """The program's source as a module whose lines Python knows, without a file."""
    name = "<fuzzed>"
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    module = ModuleType("fuzzed")
    exec(compile(source, name, "exec", dont_inherit=True), vars(module))
    return module
