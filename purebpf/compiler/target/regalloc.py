"""Register allocation by graph colouring (Chaitin; Briggs; George and Appel).

Registers that are alive together interfere. Moves are coalesced while the graph stays colourable, nodes of small degree are
taken off and coloured last to first; what finds no colour is spilled, or made again where it is wanted if that takes one
instruction without operands, and all starts over. Calls clobber r0 to r5, so what lives across one lands in r6 to r9.
"""

from __future__ import annotations

from collections.abc import Iterable

from purebpf.compiler.target.liveness import bits, live_out, loop_depths
from purebpf.compiler.target.machine import ALLOCATABLE, FIRST_VIRTUAL, FRAME_POINTER, Inst, MBlock, MFunction, Reg, Slot

COLOURS = len(ALLOCATABLE)
STORE, LOAD = 0x7B, 0x79  # *(u64 *)(r10 + slot) = rX, and back
NEVER = 1e30


def allocate(fn: MFunction) -> None:
    """Replace all virtual registers by machine registers, in place. Moves that became superfluous vanish."""
    depth = loop_depths(fn)
    short: set[Reg] = set()  # made by spilling: too short to be spilled again
    while True:
        graph = Graph(fn, depth, short)
        graph.coalesce()
        failed = graph.colour()
        if not failed:
            break
        for register in failed:
            members = graph.members(register)
            source = _repeatable(fn, members)
            if source is not None:
                short |= _repeat(fn, members, source)
            else:
                short |= _spill(fn, members, graph.slot_for(register))
    for block in fn.blocks:
        for inst in block.insts:
            _rename(inst, graph.colours_of(inst))
        block.insts = [inst for inst in block.insts if not (inst.move and inst.dst == inst.src)]


def _rename(inst: Inst, to: dict[Reg, Reg]) -> None:
    inst.dst = to.get(inst.dst, inst.dst) if inst.dst is not None else None
    inst.src = to.get(inst.src, inst.src) if inst.src is not None else None
    inst.defs = tuple(to.get(r, r) for r in inst.defs)
    inst.uses = tuple(to.get(r, r) for r in inst.uses)


class Graph:
    """The interference graph of a function, with its moves."""

    def __init__(self, fn: MFunction, depth: dict[MBlock, int], short: set[Reg]) -> None:
        self.near: dict[Reg, set[Reg]] = {}
        self.alias: dict[Reg, Reg] = {}
        self.colour_of: dict[Reg, Reg] = {register: register for register in ALLOCATABLE}
        self.moves: list[tuple[float, Reg, Reg]] = []
        self.cost: dict[Reg, float] = {}
        self.slots: list[tuple[Slot, set[Reg]]] = []
        self.fn = fn
        for block, alive in live_out(fn).items():
            weight = 10.0 ** min(depth[block], 6)
            for inst in reversed(block.insts):
                self._add(inst, alive, weight)
                alive = alive & ~bits(inst.defs) | bits(inst.uses)
        for register in self.cost:
            if register in short:
                self.cost[register] = NEVER
            elif register in fn.spill_last:
                self.cost[register] += NEVER / 1e10

    def _add(self, inst: Inst, alive: int, weight: float) -> None:
        for register in (*inst.defs, *inst.uses):
            if register != FRAME_POINTER:
                self.near.setdefault(register, set())
                self.cost[register] = self.cost.get(register, 0.0) + weight
        if inst.move and inst.dst is not None and inst.src is not None and inst.src != FRAME_POINTER:
            self.moves.append((weight, inst.dst, inst.src))
            alive &= ~(1 << inst.src)
        written = (*inst.defs, *inst.clobbers)
        beside = alive | bits(inst.defs)
        others = [r for r in range(beside.bit_length()) if beside >> r & 1] if written else []
        for register in written:
            mine = self.near.setdefault(register, set())
            for other in others:
                if other != register:
                    mine.add(other)
                    self.near.setdefault(other, set()).add(register)

    def find(self, register: Reg) -> Reg:
        """The node that a register was coalesced into."""
        while register in self.alias:
            register = self.alias[register]
        return register

    def members(self, node: Reg) -> set[Reg]:
        return {node, *(r for r in self.alias if self.find(r) == node)}

    # -- coalescing

    def coalesce(self) -> None:
        """Make both ends of a move one node where that leaves the graph colourable; the dearest moves first."""
        waiting = sorted(self.moves, key=lambda move: -move[0])
        changed = True
        while changed:
            changed = False
            rest = []
            for move in waiting:
                a, b = self.find(move[1]), self.find(move[2])
                if a > b:
                    a, b = b, a  # a machine register stays
                if a == b or b < FIRST_VIRTUAL or b in self.near[a]:
                    continue
                if self._safe(a, b):
                    self._merge(a, b)
                    changed = True
                else:
                    rest.append(move)
            waiting = rest

    def _safe(self, a: Reg, b: Reg) -> bool:
        near, theirs = self.near[a], self.near[b]
        if a < FIRST_VIRTUAL:  # George: each neighbour is harmless, or one of the machine register's already
            return all(n < FIRST_VIRTUAL or n in near or len(self.near[n]) < COLOURS for n in theirs)
        many = 0  # Briggs: fewer than K neighbours of high degree
        for n in near | theirs:
            degree = len(self.near[n]) - (n in near and n in theirs)
            many += n < FIRST_VIRTUAL or degree >= COLOURS
        return many < COLOURS

    def _merge(self, a: Reg, b: Reg) -> None:
        self.alias[b] = a
        for n in self.near.pop(b):
            self.near[n].discard(b)
            self.near[n].add(a)
            self.near[a].add(n)
        self.cost[a] = self.cost.get(a, 0.0) + self.cost.pop(b, 0.0)

    # -- colouring

    def colour(self) -> list[Reg]:
        """Give every node a machine register; the nodes that found none."""
        degree = {node: len(near) for node, near in self.near.items() if node >= FIRST_VIRTUAL}
        easy = [node for node, d in degree.items() if d < COLOURS]
        hard = {node for node, d in degree.items() if d >= COLOURS}
        stack: list[Reg] = []
        gone: set[Reg] = set()
        while easy or hard:
            if easy:
                node = easy.pop()
            else:
                node = min(hard, key=lambda n: (self.cost.get(n, 0.0) / max(degree[n], 1), n))
                hard.discard(node)
            stack.append(node)
            gone.add(node)
            for n in self.near[node]:
                if n in degree and n not in gone:
                    degree[n] -= 1
                    if degree[n] < COLOURS and n in hard:
                        hard.discard(n)
                        easy.append(n)
        partners = self._partners()
        failed = []
        for node in reversed(stack):
            taken = {self.colour_of[n] for n in self.near[node] if n in self.colour_of}
            free = [c for c in ALLOCATABLE if c not in taken]
            if not free:
                failed.append(node)
                continue
            wanted = [self.colour_of[p] for p in partners.get(node, ()) if p in self.colour_of]
            self.colour_of[node] = next((c for c in wanted if c in free), free[0])
        return failed

    def _partners(self) -> dict[Reg, list[Reg]]:
        """The nodes that a node would like to share its register with: the other ends of moves that could not be coalesced."""
        partners: dict[Reg, list[Reg]] = {}
        for _, a, b in sorted(self.moves, key=lambda move: -move[0]):
            a, b = self.find(a), self.find(b)
            if a != b:
                partners.setdefault(a, []).append(b)
                partners.setdefault(b, []).append(a)
        return partners

    def colours_of(self, inst: Inst) -> dict[Reg, Reg]:
        registers = {*inst.defs, *inst.uses} - {FRAME_POINTER}
        return {register: self.colour_of[self.find(register)] for register in registers}

    def slot_for(self, node: Reg) -> Slot:
        """A spill slot, shared with others that are never alive at the same time."""
        for slot, users in self.slots:
            if not users & self.near[node]:
                users.add(node)
                return slot
        slot = Slot(8, 8, "spill")
        self.fn.slots.append(slot)
        self.slots.append((slot, {node}))
        return slot


def _repeatable(fn: MFunction, members: set[Reg]) -> Inst | None:
    """The one instruction that makes the value, if it can be made again anywhere."""
    makers = [inst for block in fn.blocks for inst in block.insts if members & set(inst.defs)]
    return makers[0] if len(makers) == 1 and makers[0].remat else None


def _repeat(fn: MFunction, members: set[Reg], source: Inst) -> set[Reg]:
    """Make the value again before each use, and nowhere else."""
    fresh: set[Reg] = set()
    for block in fn.blocks:
        out: list[Inst] = []
        for inst in block.insts:
            if inst is source:
                continue
            if members & set(inst.uses):
                register = fn.virtual()
                fresh.add(register)
                out.append(_copy(source, register, inst))
                _rename(inst, dict.fromkeys(members, register))
            out.append(inst)
        block.insts = out
    return fresh


def _copy(source: Inst, register: Reg, at: Inst) -> Inst:
    made = Inst(**{name: getattr(source, name) for name in Inst.__slots__})
    made.dst, made.defs, made.loc = register, (register,), at.loc
    return made


def _spill(fn: MFunction, members: Iterable[Reg], slot: Slot) -> set[Reg]:
    """Keep the value in memory: load it before each use, store it after each definition."""
    group, fresh = set(members), set[Reg]()
    for block in fn.blocks:
        out: list[Inst] = []
        for inst in block.insts:
            read, written = bool(group & set(inst.uses)), bool(group & set(inst.defs))
            if not read and not written:
                out.append(inst)
                continue
            register = fn.virtual()
            fresh.add(register)
            if read:
                out.append(
                    Inst(LOAD, register, FRAME_POINTER, loc=inst.loc, defs=(register,), uses=(FRAME_POINTER,), slot=slot)
                )
            _rename(inst, dict.fromkeys(group, register))
            out.append(inst)
            if written:
                out.append(Inst(STORE, FRAME_POINTER, register, loc=inst.loc, uses=(FRAME_POINTER, register), slot=slot))
        block.insts = out
    return fresh
