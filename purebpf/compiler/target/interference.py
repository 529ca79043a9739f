"""The interference graph: which registers hold wanted values at the same time, and so cannot be one machine register.

A register interferes with what is alive where it is written; the source of a move does not, both hold the same value there.
"""

from __future__ import annotations

from purebpf.compiler.target.liveness import Bits, bits, each, liveness
from purebpf.compiler.target.machine import FRAME_POINTER, MBlock, MFunction, Reg
from purebpf.data import data

CHEAP_AGAIN = 0.3  # a value that can be made again costs this much of one that is stored and loaded
LAST_RESORT = 1e20  # the cost of spilling what the verifier tracks


@data
class Move:
    """A copy that may vanish, with how often it runs, about."""

    dst: Reg
    src: Reg
    weight: float


@data
class Interference:
    nodes: Bits  # all registers that occur
    near: list[Bits]  # by register: those it interferes with
    cost: list[float]  # by register: of having it in memory
    moves: list[Move]


def interference(fn: MFunction, depth: dict[MBlock, int]) -> Interference:
    """The graph, with costs: each loop around an instruction is taken to run ten times."""
    near: list[Bits] = [0] * fn.next_virtual
    cost = [0.0] * fn.next_virtual
    makers = [0] * fn.next_virtual
    moves: list[Move] = []
    nodes = again = 0
    for block, alive in liveness(fn)[1].items():
        weight = 10.0 ** min(depth[block], 6)
        for inst in reversed(block.insts):
            read, written = bits(inst.uses), bits(inst.defs)
            nodes |= read | written
            beside = alive | written
            if inst.move and inst.dst is not None and inst.src is not None and inst.src != FRAME_POINTER:
                moves.append(Move(inst.dst, inst.src, weight))
                beside &= ~(1 << inst.src)
            for register in inst.defs + inst.clobbers:
                near[register] |= beside
            for register in inst.defs:
                cost[register] += weight
                makers[register] += 1
                again |= inst.remat << register
            for register in inst.uses:
                cost[register] += weight
            alive = alive & ~written | read
    for register, others in enumerate(near[:]):
        for other in each(others):
            near[other] |= 1 << register
    for register in each(nodes):
        near[register] &= ~(1 << register)
        if makers[register] == 1 and again >> register & 1:
            cost[register] *= CHEAP_AGAIN
        elif register in fn.spill_last:
            cost[register] += LAST_RESORT
    return Interference(nodes, near, cost, moves)
