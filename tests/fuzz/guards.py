"""Takes a check out of a compiled program: a branch that leads to a guarded value always goes there.

The verifier must refuse what is left, or the check was not needed: then the program does no harm on the virtual machine either,
whatever the packet, and gives the same there as in the kernel.
"""

from __future__ import annotations

import random
import traceback
from dataclasses import dataclass

from purebpf.compiler.ir.ops import VOID, Block, Function, Op, Target
from purebpf.compiler.options import Options
from purebpf.compiler.passes.cfg import remove_unreachable
from purebpf.compiler.pipeline import Compiled, compile_ir, compile_program, generate, link
from purebpf.data import replace
from purebpf.engine import Engine
from purebpf.errors import CompileError, VerifierError, VmError
from purebpf.spec import FunctionSpec
from tests.fuzz.machines import compare, load_module, run_engine
from tests.fuzz.oracles import Failure, level_of
from tests.fuzz.spoil import ENDLESS, HOSTILE


@dataclass(frozen=True, slots=True)
class Removal:
    """`verdict`: "refused" by the verifier, "harmless", "none" where the program has no such check, or a failure."""

    verdict: str
    failure: Failure | None = None


def guarded_edges(fn: Function) -> list[tuple[Block, Target]]:
    """Branches to a block that is reached in this way only and begins with what the branch has shown."""
    edges = fn.predecessors()
    found = []
    for block in fn.blocks:
        if len(edges[block]) == 1 and any(op.kind == "guard" for op in block.ops):
            before, target = edges[block][0]
            if before.ops[-1].kind == "br":
                found.append((before, target))
    return found


def without(edge: tuple[Block, Target], fn: Function) -> None:
    """Always take the edge."""
    block, target = edge
    block.ops[-1] = Op("jump", VOID, [], (), block.ops[-1].loc, [target], block)
    remove_unreachable(fn)


def mutant(source: str, seed: int, options: Options) -> Compiled | None:
    """The program without one of its checks; None where it has none."""
    program = load_module(source).program
    made = compile_program(program.function, program.kind, options=options)
    _, functions = compile_ir(program.function, program.kind, "", "GPL", options)
    edges = [(edge, fn) for fn in functions for edge in guarded_edges(fn)]
    if not edges:
        return None
    without(*random.Random(seed).choice(edges))
    emitted = [generate(fn, options) for fn in functions]
    instructions, starts = link(emitted)
    named = tuple(FunctionSpec(e.name, starts[e.name]) for e in emitted)
    return replace(made, program=replace(made.program, instructions=tuple(instructions), functions=named))


def examine_unguarded(source: str, seed: int, vm: Engine, kernel: Engine | None) -> Removal:
    """Take one check out and see whether anybody notices."""
    level = level_of(seed)

    def failed(kind: str, engine: str, detail: str) -> Removal:
        return Removal(kind, Failure(kind, f"{engine}, cpu v{level}", detail, source, seed, "a guard less"))

    try:
        made = mutant(source, seed, Options(cpu=level))
    except CompileError:
        return Removal("none")  # an atomic operation that this level lacks
    except Exception:
        return failed("traceback", "", traceback.format_exc(limit=-4))
    if made is None:
        return Removal("none")
    rng = random.Random(seed)
    inputs = [rng.randbytes(size) for size in HOSTILE]
    try:
        expected = run_engine(made, kernel, inputs) if kernel is not None else None
    except VerifierError:
        return Removal("refused")
    try:
        got = run_engine(made, vm, inputs)
    except VmError as error:
        if ENDLESS in str(error):
            return Removal("harmless")
        return failed("wrong", "kernel", f"the verifier accepts it, but {error}") if expected else Removal("refused")
    difference = compare(got, expected) if expected else ""
    return failed("wrong", "vm", difference) if difference else Removal("harmless")
