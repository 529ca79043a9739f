"""Whether the two halves of a pair do the same: same result, packet, context and maps on the same inputs.

Runs on the virtual machine always, and by the kernel's test-run where it has one for the type. Programs that ask for the time
or for random numbers run on the virtual machine only, where both get the same clock and the same numbers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest import mock

from bench.size.inputs import inputs
from bench.size.pairs import hook
from purebpf.engine import Engine, EngineMap
from purebpf.lang.maps import PerfEventArray
from purebpf.program import Program
from purebpf.spec import CollectionSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType
from purebpf.vm.engine import VmEngine

TIME_AND_CHANCE = {5: "ktime_get_ns", 7: "get_prandom_u32", 125: "ktime_get_boot_ns", 160: "ktime_get_coarse_ns"}
TEST_RUN = frozenset({ProgramType.XDP, ProgramType.SCHED_CLS, ProgramType.SOCKET_FILTER})
CALL = 0x85


class Different(Exception):
    """The halves of a pair differ, on which input and in what."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that one run leaves to be seen."""

    value: int
    packet: bytes
    context: bytes
    maps: dict[str, Any]
    redirect: object = None


def depends_on_chance(program: ProgramSpec) -> bool:
    return any(i.opcode == CALL and i.src == 0 and i.imm in TIME_AND_CHANCE for i in program.instructions)


@contextmanager
def clock(start: int = 10**12) -> Iterator[None]:
    """Let the virtual machine's time go on by itself: each question 1 µs to 0.4 s after the one before."""
    rng, now = Random(7), start

    def monotonic_ns() -> int:
        nonlocal now
        now += rng.choice([1_000, 50_000, 3_000_000, 400_000_000])
        return now

    with mock.patch("purebpf.vm.system_helpers.time", SimpleNamespace(monotonic_ns=monotonic_ns)):
        yield


def contents(maps: dict[str, EngineMap]) -> dict[str, Any]:
    """What is in the maps: (key, value) pairs by name."""
    found: dict[str, Any] = {}
    for name, each in maps.items():
        if each.spec.frozen or each.spec.type in (MapType.PERF_EVENT_ARRAY, MapType.DEVMAP):
            continue
        rows, key = {}, each.next_key(None)
        while key is not None:
            value = each.lookup(key)
            if value is not None and (any(value) or each.spec.type not in (MapType.ARRAY, MapType.PERCPU_ARRAY)):
                rows[key] = value
            key = each.next_key(key)
        found[name] = rows
    return found


def outcomes(engine: Engine, spec: CollectionSpec, program: Program, seed: int, count: int) -> Iterator[Outcome]:
    """Run a collection's program on all inputs, with maps filled as the pair says. Map contents are in every tenth outcome."""
    (mine,) = spec.programs.values()
    declarations = program.compiled().declarations
    maps = {name: engine.create_map(each) for name, each in spec.maps.items()}
    missing = {n: engine.create_map(d.describe(n)) for n, d in declarations.items() if n not in maps}
    readers = {n: engine.open_events(m) for n, m in maps.items() if m.spec.type == MapType.PERF_EVENT_ARRAY}
    loaded = None
    try:
        fill = hook(program, "fill")
        if fill:
            for name, declaration in declarations.items():
                if not isinstance(declaration, PerfEventArray):
                    declaration.bind(maps.get(name) or missing[name], engine)
            fill(Random(seed))
        loaded = engine.load_program(mine, maps)
        given = inputs(program, seed, count)
        for n, (packet, context) in enumerate(given):
            result = loaded.run(data=packet, context=context)
            seen = contents(maps) if n % 10 == 9 or n + 1 == len(given) else {}
            for name, reader in readers.items():
                seen[name] = [event.data for event in reader.read(0)]
            yield Outcome(result.value, result.data, result.context, seen, getattr(loaded, "redirect", None))
    finally:
        for declaration in declarations.values():
            if not isinstance(declaration, PerfEventArray):
                declaration.bind(None, None)
        for resource in (*readers.values(), *([loaded] if loaded else []), *maps.values(), *missing.values()):
            resource.close()


def on_vm(spec: CollectionSpec, program: Program, seed: int, count: int) -> list[Outcome]:
    with clock():
        return list(outcomes(VmEngine(seed=5), spec, program, seed, count))


def on_kernel(spec: CollectionSpec, program: Program, seed: int, count: int) -> list[Outcome]:
    """On one CPU, so that per-CPU values land in the same place."""
    from purebpf.kernel.engine import KernelEngine

    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        return list(outcomes(KernelEngine(), spec, program, seed, count))
    finally:
        os.sched_setaffinity(0, before)


def check(
    program: Program, ours: CollectionSpec, theirs: CollectionSpec, *, kernel: bool, seed: int = 1, count: int = 300
) -> int:
    """Raise Different unless both do the same. Gives the number of runs compared."""
    (mine,) = ours.programs.values()
    places = [("the virtual machine", on_vm)]
    if kernel and mine.type in TEST_RUN and not depends_on_chance(mine):
        places.append(("the kernel", on_kernel))
    compared = 0
    expected: list[Outcome] = []
    for where, go in places:
        left, right = go(ours, program, seed, count), go(theirs, program, seed, count)
        if len(left) != len(right):
            raise Different(f"on {where}: {len(left)} and {len(right)} runs")
        for n, (a, b) in enumerate(zip(left, right, strict=True)):
            same_maps = a.maps.keys() & b.maps.keys()
            difference = [
                name for name in ("value", "packet", "context", "redirect") if getattr(a, name) != getattr(b, name)
            ] + [f"map {name}" for name in same_maps if a.maps[name] != b.maps[name]]
            if difference:
                packet, context = inputs(program, seed, count)[n]
                shown = (packet or context or b"").hex()
                raise Different(f"on {where}, input {n} ({shown}): {', '.join(difference)} differ\n  ours:  {a}\n  clang: {b}")
        if expected and [o.value for o in expected] != [o.value for o in left]:
            raise Different("the virtual machine and the kernel give different results")
        expected = left
        compared += len(left)
    return compared
