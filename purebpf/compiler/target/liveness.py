"""Which registers hold a value that is still wanted, and how deep in loops a block is."""

from __future__ import annotations

from purebpf.compiler.target.machine import FRAME_POINTER, MBlock, MFunction

Bits = int  # bit r is set for register r


def bits(registers: tuple[int, ...]) -> Bits:
    """A set of registers, the frame pointer left out: it is always there."""
    total = 0
    for register in registers:
        if register != FRAME_POINTER:
            total |= 1 << register
    return total


def live_out(fn: MFunction) -> dict[MBlock, Bits]:
    """For each block, the registers that are read behind it before they are written."""
    reads: dict[MBlock, Bits] = {}
    writes: dict[MBlock, Bits] = {}
    for block in fn.blocks:
        read = written = 0
        for inst in block.insts:
            read |= bits(inst.uses) & ~written
            written |= bits(inst.defs)
        reads[block], writes[block] = read, written
    predecessors: dict[MBlock, list[MBlock]] = {block: [] for block in fn.blocks}
    for block in fn.blocks:
        for successor in block.successors:
            predecessors[successor].append(block)
    out = dict.fromkeys(fn.blocks, 0)
    work = list(fn.blocks)
    while work:
        block = work.pop()
        live = reads[block] | (out[block] & ~writes[block])
        for before in predecessors[block]:
            if live & ~out[before]:
                out[before] |= live
                work.append(before)
    return out


def loop_depths(fn: MFunction) -> dict[MBlock, int]:
    """In how many loops a block is, by the ways back that a depth-first walk finds."""
    depth = dict.fromkeys(fn.blocks, 0)
    predecessors: dict[MBlock, list[MBlock]] = {block: [] for block in fn.blocks}
    for block in fn.blocks:
        for successor in block.successors:
            predecessors[successor].append(block)
    state: dict[MBlock, int] = {}
    back: list[tuple[MBlock, MBlock]] = []
    stack = [(fn.blocks[0], iter(fn.blocks[0].successors))]
    state[fn.blocks[0]] = 1
    while stack:
        block, rest = stack[-1]
        for successor in rest:
            if successor not in state:
                state[successor] = 1
                stack.append((successor, iter(successor.successors)))
                break
            if state[successor] == 1:
                back.append((block, successor))
        else:
            state[block] = 2
            stack.pop()
    for source, header in back:
        inside = {header}
        work = [source]
        while work:
            block = work.pop()
            if block not in inside:
                inside.add(block)
                work += predecessors[block]
        for block in inside:
            depth[block] += 1
    return depth
