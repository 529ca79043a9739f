"""Which registers hold a value that is still wanted, and how deep in loops a block is. Sets of registers are integers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from purebpf.compiler.target.machine import FRAME_POINTER, Inst, MBlock, MFunction, Reg

Bits = int  # bit r is set for register r
Effect = Callable[[Inst], tuple[Bits, Bits]]  # what an instruction reads, and what it writes


def bits(registers: Iterable[Reg]) -> Bits:
    """A set of registers, the frame pointer left out: it is always there."""
    total = 0
    for register in registers:
        total |= 1 << register
    return total & ~(1 << FRAME_POINTER)


def each(members: Bits) -> Iterator[Reg]:
    """The members of a set, smallest first."""
    while members:
        low = members & -members
        members ^= low
        yield low.bit_length() - 1


def registers(inst: Inst) -> tuple[Bits, Bits]:
    """The effect on registers; clobbers are no writes of a value."""
    return bits(inst.uses), bits(inst.defs)


def liveness(fn: MFunction, effect: Effect = registers) -> tuple[dict[MBlock, Bits], dict[MBlock, Bits]]:
    """For each block, what is read from its start on before it is written (live-in), and the same from its end on (live-out).

    `effect` says what is followed: the registers, or for instance the spill slots.
    """
    reads: dict[MBlock, Bits] = {}
    writes: dict[MBlock, Bits] = {}
    for block in fn.blocks:
        read = written = 0
        for inst in block.insts:
            used, made = effect(inst)
            read |= used & ~written
            written |= made
        reads[block], writes[block] = read, written
    before = _predecessors(fn)
    into, out = dict(reads), dict.fromkeys(fn.blocks, 0)
    work = list(fn.blocks)
    while work:
        block = work.pop()
        into[block] = live = reads[block] | (out[block] & ~writes[block])
        for predecessor in before[block]:
            if live & ~out[predecessor]:
                out[predecessor] |= live
                work.append(predecessor)
    return into, out


def loop_depths(fn: MFunction) -> dict[MBlock, int]:
    """In how many loops a block is, by the ways back that a depth-first walk finds. Ways back to one block are one loop."""
    before = _predecessors(fn)
    depth = dict.fromkeys(fn.blocks, 0)
    for header, sources in _ways_back(fn).items():
        inside, work = {header}, sources
        while work:
            block = work.pop()
            if block not in inside:
                inside.add(block)
                work += before[block]
        for block in inside:
            depth[block] += 1
    return depth


def _ways_back(fn: MFunction) -> dict[MBlock, list[MBlock]]:
    """The blocks that loops begin with, each with the blocks that go back to it."""
    entry = fn.blocks[0]
    back: dict[MBlock, list[MBlock]] = {}
    active, seen = {entry}, {entry}
    stack = [(entry, iter(entry.successors))]
    while stack:
        block, rest = stack[-1]
        for successor in rest:
            if successor in active:
                back.setdefault(successor, []).append(block)
            elif successor not in seen:
                seen.add(successor)
                active.add(successor)
                stack.append((successor, iter(successor.successors)))
                break
        else:
            active.discard(block)
            stack.pop()
    return back


def _predecessors(fn: MFunction) -> dict[MBlock, list[MBlock]]:
    before: dict[MBlock, list[MBlock]] = {block: [] for block in fn.blocks}
    for block in fn.blocks:
        for successor in block.successors:
            before[successor].append(block)
    return before
