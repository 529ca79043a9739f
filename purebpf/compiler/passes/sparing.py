"""A program in which the verifier has less to follow, for one that it found too complex.

    before:  c = ult x, 7; br c                after:  y = xor x, 0; c = ult y, 7; br c
    before:  b2(x: i64): ...                   after:  b2(x: i64): z = add x, zero; ...
    before:  q = add p, x                      after:  c = ule x, 7; br c, b2(x), b1   b1: jump b2(0)   b2(y): q = add p, y

From a comparison the verifier learns a range for each outcome, and where ways join it keeps what each of them brings: in a
loop the ways of one trip multiply with those of the next. A copy is compared instead, which it does not connect with the
number; and to a number in which ways join a zero is added that it does not know. Behind both, the ways are alike and one is
enough.

What is left in the stack frame has its own pass, behind the allocation of registers (`target/forget.py`).

Requires: ssa, and is the last pass. Left alone are numbers that the verifier has to know, since an address or a call rests on
them, and those that only choose between ways: all of their values are constants.
"""

from __future__ import annotations

from purebpf.compiler.ir.analysis import enclosing_loops, reverse_postorder
from purebpf.compiler.ir.ops import BOOL, I32, I64, VOID, Block, Flag, Function, Op, Ptr, Target, Type
from purebpf.compiler.ir.ranges import highest
from purebpf.isa.instruction import SourceLine

LARGEST = (1 << 29) - 1  # the verifier takes no distance beyond
SIZES: dict[Type, int] = {I32: 4, I64: 8}
SLOT, ROOM = 8, 400  # bytes of a stack slot, and of all that these pieces may take


def spare_the_verifier(fn: Function, zero: str, zeros: int) -> None:
    """`zero` is the name of a map whose only value has so many eight-byte zeros."""
    _write_whole(fn)
    proofs = _prove_again(fn)
    known = _proven(fn, set(proofs.values()))
    _hide_joined(fn, known | set(proofs.values()), zero, zeros)
    for block in fn.blocks:
        last = block.terminator
        if last is None or last.kind != "br":
            continue
        test = last.args[0]
        if (
            test in proofs
            or not test.info.flags & Flag.COMPARE
            or any(isinstance(arg.type, Ptr) or arg in known for arg in test.args)
        ):
            continue
        copies = [arg if arg.is_const else _copy(block, arg, last.loc) for arg in test.args]
        last.args[0] = Op(test.kind, test.type, copies, test.imm, test.loc, None, block)
        block.ops.insert(-1, last.args[0])


def _write_whole(fn: Function) -> None:
    """Small pieces of stack, such as keys of maps, get eight bytes of their own, all of which are written before the piece is:
    of a slot that is written in part the verifier keeps what was there before, though nobody reads it."""
    pieces = [op for op in fn.entry.ops if op.kind == "alloca"]
    small = {op: op.imm[0] for op in pieces if op.imm[0] <= SLOT}
    if sum(max(SLOT, op.imm[0]) for op in pieces) > ROOM:
        return
    for op in small:
        op.imm = (SLOT, SLOT, op.imm[2])
    for block in fn.blocks:
        for first in _fills(block, small):
            nothing = Op("const", I64, [], (0,), first.loc, None, block)
            at = block.ops.index(first)
            block.ops[at:at] = [nothing, Op("store", VOID, [first.args[0], nothing], (SLOT, 0), first.loc, None, block)]


def _fills(block: Block, sizes: dict[Op, int]) -> list[Op]:
    """The first of the stores that together write all of a piece, one or several in a row, before anything else touches it."""
    found: list[Op] = []
    started: dict[Op, tuple[Op, int]] = {}  # by piece: the first of the stores, and a bit for each byte that they write
    for op in block.ops:
        piece = op.args[0] if op.kind == "store" and op.args[1] not in sizes else None
        if piece in sizes:
            size, offset = op.imm
            first, written = started.get(piece, (op, 0))
            started[piece] = first, written | ((1 << size) - 1) << offset
            if started[piece][1] == (1 << sizes[piece]) - 1:
                found.append(started.pop(piece)[0])
        else:
            for operand in op.operands():
                started.pop(operand, None)
    return found


def _zero(type: Type, zero: str, slot: int, loc: SourceLine | None, block: Block) -> list[Op]:
    """The ops that load a zero which the verifier does not know."""
    at = Op("map_value", Ptr("map_value"), [], (zero, 0), loc, None, block)
    return [at, Op("load", type, [at], (SIZES[type], 0, SLOT * slot), loc, None, block)]


def _replace(op: Op, others: dict[Op, Op]) -> None:
    """Have an op read others instead."""
    op.args = [others.get(arg, arg) for arg in op.args]
    for target in op.targets:
        target.args = [others.get(arg, arg) for arg in target.args]


def _prove_again(fn: Function) -> dict[Op, Op]:
    """In a loop, before a number becomes part of an address, the comparison of a copy that cannot fail tells its range: what
    others told the verifier may have forgotten, and here they tell nothing. Gives these, and the numbers behind them."""
    proofs: dict[Op, Op] = {}
    loops = enclosing_loops(fn)
    for block in [block for block in fn.blocks if loops.get(block)]:
        for op in [op for op in block.ops if op.kind == "add" and isinstance(op.type, Ptr) and not op.args[1].is_const]:
            number, here = op.args[1], op.block
            high = highest(number)
            if high > LARGEST or here is None:
                continue
            never, rest = Block(f"{here.name}.{len(fn.blocks)}"), Block(f"{here.name}.{len(fn.blocks) + 1}")
            at = here.ops.index(op)
            rest.ops, here.ops[at:] = here.ops[at:], []
            for moved in rest.ops:
                moved.block = rest
            copy = _copy(here, number, op.loc)
            again = Op("param", number.type, [], (), op.loc, None, rest)
            rest.params, op.args = [again], [op.args[0], again]
            limit = Op("const", number.type, [], (high,), op.loc, None, here)
            small = Op("ule", BOOL, [copy, limit], (), op.loc, None, here)
            here.ops += [limit, small, Op("br", VOID, [small], (), op.loc, [Target(rest, [copy]), Target(never)], here)]
            nothing = Op("const", number.type, [], (0,), op.loc, None, never)
            never.ops = [nothing, Op("jump", VOID, [], (), op.loc, [Target(rest, [nothing])], never)]
            place = fn.blocks.index(here) + 1
            fn.blocks[place:place] = [never, rest]
            proofs[small] = again
    return proofs


def _copy(block: Block, number: Op, loc: SourceLine | None) -> Op:
    """The number again, at the block's end, before the op that ends it."""
    nothing = Op("const", number.type, [], (0,), loc, None, block)
    made = Op("xor", number.type, [number, nothing], (), loc, None, block)
    place = len(block.ops) - (block.terminator is not None)
    block.ops[place:place] = [nothing, made]
    return made


def _hide_joined(fn: Function, known: set[Op], zero: str, zeros: int) -> None:
    """Add the zeros where ways join. Not at the head of a loop: what comes back there is taken in by what came first."""
    edges, loops = fn.predecessors(), enclosing_loops(fn)
    hidden: dict[Op, Op] = {}
    for block in fn.blocks:
        if block is fn.entry or block in loops.get(block, ()):
            continue
        sums: list[Op] = []
        for place, param in enumerate(block.params):
            only_chooses = all(target.args[place].is_const for _, target in edges[block])
            if param.type not in SIZES or param in known or only_chooses:
                continue
            unknown = _zero(param.type, zero, len(hidden) % zeros, block.ops[0].loc, block)
            hidden[param] = Op("add", param.type, [unknown[-1], param], (), block.ops[0].loc, None, block)
            sums += [*unknown, hidden[param]]
        block.ops[:0] = sums
    added = set(hidden.values())
    for op in fn.ops():
        if op not in added:
            _replace(op, hidden)


def _proven(fn: Function, told: set[Op]) -> set[Op]:
    """Numbers whose range the verifier has to know: what addresses and arguments of helpers are made of, up to where a mask
    gives it, or where it is `told`."""
    sources: dict[Op, list[Op]] = {}
    work: list[Op] = []
    for block in reverse_postorder(fn):
        for target in block.terminator.targets if block.terminator is not None else ():
            for param, arg in zip(target.block.params, target.args, strict=True):
                sources.setdefault(param, []).append(arg)
        for op in block.ops:
            if isinstance(op.type, Ptr) or op.kind in ("call", "kfunc"):
                work += [arg for arg in op.args if arg not in told]
    found: set[Op] = set()
    while work:
        op = work.pop()
        if op in found or op.is_const or isinstance(op.type, Ptr):
            continue
        found.add(op)
        masked = op.kind == "and" and op.args[1].is_const and op.args[1].value >= 0
        if not masked and (op.pure or op.kind in ("guard", "param")):
            work += [*op.args, *sources.get(op, ())]
    return found
