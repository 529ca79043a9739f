"""What a pair's halves cost: instructions the verifier goes through, instructions executed, nanoseconds of a test-run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from bench.size.equality import TEST_RUN, clock
from bench.size.inputs import inputs
from bench.size.pairs import hook
from purebpf.engine import Engine, EngineProgram
from purebpf.isa.asm import R0, Exit, Mov
from purebpf.lang.maps import PerfEventArray
from purebpf.program import Program
from purebpf.spec import CollectionSpec, ProgramSpec
from purebpf.vm.engine import VmEngine

ROUNDS = 9
REPEAT = 100_000
PATHS = 6  # how many different inputs are timed
LEAST_NS = 3.0  # below this the difference to an empty program says nothing

Side = tuple[CollectionSpec, Program]


@contextmanager
def loaded(engine: Engine, side: Side) -> Iterator[EngineProgram]:
    """A collection's program with its maps filled as the pair says."""
    spec, program = side
    (mine,) = spec.programs.values()
    declarations = program.compiled().declarations
    described = {name: each.describe(name) for name, each in declarations.items()} | dict(spec.maps)
    maps = {name: engine.create_map(each) for name, each in described.items()}
    live = None
    try:
        fill = hook(program, "fill")
        if fill:
            for name, declaration in declarations.items():
                if not isinstance(declaration, PerfEventArray):
                    declaration.bind(maps[name], engine)
            fill(Random(1))
        live = engine.load_program(mine, maps)
        yield live
    finally:
        for declaration in declarations.values():
            if not isinstance(declaration, PerfEventArray):
                declaration.bind(None, None)
        for resource in (*([live] if live else []), *maps.values()):
            resource.close()


def verified(side: Side) -> int:
    """Instructions the kernel's verifier went through, over all paths."""
    from purebpf.kernel.engine import KernelEngine
    from purebpf.kernel.program import KernelProgram

    with loaded(KernelEngine(), side) as program:
        assert isinstance(program, KernelProgram)
        return program.verified_instructions


def executed(side: Side) -> list[int]:
    """Instructions the virtual machine takes for each input."""
    counts = []
    with clock(), loaded(VmEngine(seed=5), side) as program:
        for packet, context in inputs(side[1], 1, 300):
            program.run(data=packet, context=context)
            counts.append(program.executed)  # type: ignore[attr-defined]
    return counts


def nanoseconds(ours: Side, theirs: Side, counts: list[int]) -> tuple[float, float] | None:
    """Time of both, interleaved, over the inputs on which most is done (`counts`: instructions for each input), less an empty
    program's. None where the kernel has no test-run for the type, or where there is too little to measure."""
    (mine,) = ours[0].programs.values()
    if mine.type not in TEST_RUN:
        return None
    from purebpf.kernel.engine import KernelEngine

    given = inputs(ours[1], 1, 300)
    busiest: dict[int, int] = {}
    for n in sorted(range(len(counts)), key=lambda n: -counts[n]):
        busiest.setdefault(counts[n], n)
    packets = [given[n][0] for n in list(busiest.values())[:PATHS]]
    empty = CollectionSpec({mine.name: ProgramSpec(mine.name, mine.type, (Mov.imm(R0, 0), Exit()))}, {})
    engine = KernelEngine()
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        with loaded(engine, ours) as a, loaded(engine, theirs) as b, loaded(engine, (empty, ours[1])) as c:
            seen: list[tuple[list[int], ...]] = [([], [], []) for _ in packets]
            for _ in range(ROUNDS):
                for times, packet in zip(seen, packets, strict=True):
                    for program, taken in zip((a, b, c), times, strict=True):
                        taken.append(program.run(data=packet, repeat=REPEAT).duration_ns)
    finally:
        os.sched_setaffinity(0, before)
    one, two, base = (sum(typical(times[i]) for times in seen) / len(seen) for i in range(3))
    return (one - base, two - base) if min(one, two) - base >= LEAST_NS else None


def typical(times: list[int]) -> float:
    """The mean of the faster half: the kernel tells whole nanoseconds, and slow rounds are other people's work."""
    fast = sorted(times)[: (len(times) + 1) // 2]
    return sum(fast) / len(fast)
