"""Register allocation by graph colouring with iterated coalescing (Chaitin; Briggs; George and Appel, TOPLAS 1996).

Nodes of small degree are taken off the interference graph, moves are coalesced where that leaves it colourable, and nodes are
coloured last to first; what finds no colour is spilled, and all starts over. Calls clobber r0 to r5, so what lives across one
lands in r6 to r9; for the rest the lowest free register is right. Sets of registers are bits of an integer.
"""

from __future__ import annotations

from heapq import heappop, heappush

from purebpf.compiler.target.allocation_check import AllocationError
from purebpf.compiler.target.interference import interference
from purebpf.compiler.target.liveness import Bits, bits, each, liveness, loop_depths
from purebpf.compiler.target.machine import ALLOCATABLE, FIRST_VIRTUAL, MBlock, MFunction, Reg, Slot
from purebpf.compiler.target.spill import homes_for, rename, share_slots, spill
from purebpf.compiler.target.split import helps, split_at_calls

COLOURS = len(ALLOCATABLE)
MACHINE: Bits = (1 << FIRST_VIRTUAL) - 1


def allocate(fn: MFunction) -> None:
    """Replace all virtual registers by machine registers, in place. Moves that became superfluous vanish.

    Raises AllocationError where an instruction wants more registers at once than there are.
    """
    depth = loop_depths(fn)
    known = len(fn.slots)
    short: Bits = 0  # made by spilling: nothing is won by spilling them again
    split: dict[Reg, Slot] = {}
    while True:
        graph = Graph(fn, depth, short)
        graph.simplify()
        failed = graph.colour()
        if not failed:
            break
        if not all(graph.group[node] & ~short for node in failed):
            raise AllocationError(f"{fn.name}: an instruction needs more registers at once than there are")
        groups = [graph.group[node] for node in failed]
        alive = liveness(fn)[1]
        whole = [g for g in groups if g & (short | bits(split)) or not helps(fn, g, alive)]
        split |= dict(split_at_calls(fn, group) for group in groups if group not in whole)
        short |= spill(fn, homes_for(fn, whole, split))
    to = graph.assignment()
    for block in fn.blocks:
        for inst in block.insts:
            rename(inst, to)
        block.insts = [inst for inst in block.insts if not (inst.move and inst.dst == inst.src)]
    share_slots(fn, fn.slots[known:])


class Graph:
    """The interference graph, being taken apart and put together again. A node is a register, with all coalesced into it."""

    def __init__(self, fn: MFunction, depth: dict[MBlock, int], short: Bits) -> None:
        made = interference(fn, depth)
        self.near, self.cost, self.moves = made.near, made.cost, made.moves
        self.short = short
        self.present = made.nodes & ~MACHINE
        self.group: list[Bits] = [1 << register for register in range(len(made.near))]
        self.alias: dict[Reg, Reg] = {}
        self.stack: list[Reg] = []
        self.wearing: list[Bits] = [1 << colour for colour in ALLOCATABLE]  # for each colour, the nodes that have it
        self.moves_of: list[set[int]] = [set() for _ in made.near]  # those that may still be coalesced
        for i, move in enumerate(made.moves):
            self.moves_of[move.dst].add(i)
            self.moves_of[move.src].add(i)
        self.partners = [frozenset(moves) for moves in self.moves_of]
        self.related: Bits = bits(register for register in each(self.present) if self.moves_of[register])
        self.waiting = sorted((-move.weight, i) for i, move in enumerate(made.moves))
        self.degree = [near.bit_count() for near in made.near]
        self.ranks: list[tuple[float, Reg]] = []  # what to spill first; a rank may be out of date
        self.high: Bits = bits(register for register in each(self.present) if self.degree[register] >= COLOURS)

    def find(self, register: Reg) -> Reg:
        """The node that a register was coalesced into."""
        while register in self.alias:
            register = self.alias[register]
        return register

    def _ends(self, i: int) -> tuple[Reg, Reg]:
        return self.find(self.moves[i].dst), self.find(self.moves[i].src)

    # Taking the graph apart: easy nodes first, then moves, then giving up a move, then giving up a node.

    def simplify(self) -> None:
        while self.present:
            low = self.present & ~self.high
            if easy := low & ~self.related:
                for node in each(easy):
                    self._remove(node)
            elif self.waiting:
                self._try_move(heappop(self.waiting)[1])
            elif low:
                self._freeze(min(each(low), key=lambda n: (sum(self.moves[i].weight for i in self.moves_of[n]), n)))
            else:
                node = self._cheapest()
                self._freeze(node)
                self._remove(node)

    def _remove(self, node: Reg) -> None:
        self.present &= ~(1 << node)
        self.stack.append(node)
        for other in each(self.near[node] & self.present):
            self._less(other)

    def _less(self, node: Reg) -> None:
        """A node lost a neighbour. When that makes it easy, moves around it get another chance."""
        self.degree[node] -= 1
        if self.degree[node] == COLOURS - 1:
            self.high &= ~(1 << node)
            for other in each((self.near[node] | 1 << node) & self.related):
                for i in self.moves_of[other]:
                    heappush(self.waiting, (-self.moves[i].weight, i))

    def _settle(self, moves: set[int], *ends: Reg) -> None:
        """These moves are decided."""
        for end in ends:
            self.moves_of[end] -= moves
            if not self.moves_of[end]:
                self.related &= ~(1 << end)

    def _freeze(self, node: Reg) -> None:
        """Give up the moves of a node."""
        for i in [*self.moves_of[node]]:
            self._settle({i}, *self._ends(i))

    def _try_move(self, i: int) -> None:
        a, b = sorted(self._ends(i))  # a machine register comes first
        if i not in self.moves_of[b]:
            return
        if a == b or b < FIRST_VIRTUAL or self.near[a] >> b & 1:
            self._settle({i}, a, b)
        elif self._safe(a, b):
            self._merge(a, b)

    def _safe(self, a: Reg, b: Reg) -> bool:
        """Whether the node of both is no harder to colour than the two."""
        near, theirs = self.near[a], self.near[b]
        hard = (self.high & self.present) | (0 if a < FIRST_VIRTUAL else MACHINE)
        if not theirs & hard & ~near:  # George: what makes b hard is beside a already
            return True
        if a < FIRST_VIRTUAL or not near & hard & ~theirs:
            return a >= FIRST_VIRTUAL
        crowd = (near | theirs) & hard  # Briggs: fewer hard neighbours than colours
        many = crowd.bit_count()
        return many < COLOURS or many - sum(self.degree[n] == COLOURS for n in each(crowd & near & theirs & ~MACHINE)) < COLOURS

    def _merge(self, a: Reg, b: Reg) -> None:
        self.alias[b] = a
        self.group[a] |= self.group[b]
        self.cost[a] += self.cost[b]
        self.present &= ~(1 << b)
        self.high &= ~(1 << b)
        self.related &= ~(1 << b)
        near, theirs = self.near[a], self.near[b]
        self.near[a] = near | theirs
        for other in each(theirs & ~near):
            self.near[other] |= 1 << a
        self.moves_of[a] ^= self.moves_of[b]  # without those between the two
        self.partners[a] |= self.partners[b]
        for i in self.moves_of[b]:
            heappush(self.waiting, (-self.moves[i].weight, i))
        if a >= FIRST_VIRTUAL:
            self.degree[a] = (self.near[a] & (self.present | MACHINE)).bit_count()
            self.high = self.high & ~(1 << a) | (self.degree[a] >= COLOURS) << a
            self.related = self.related & ~(1 << a) | bool(self.moves_of[a]) << a
        for other in each(near & theirs & self.present):
            self._less(other)

    def _rank(self, node: Reg) -> float:
        """What spilling costs for each neighbour it frees; infinite if spilling made the node, which is short then."""
        return self.cost[node] / self.degree[node] if self.group[node] & ~self.short else float("inf")

    def _cheapest(self) -> Reg:
        """The node to spill first, if no register is left for it."""
        while True:
            self.ranks = self.ranks or sorted((self._rank(node), node) for node in each(self.present))
            rank, node = heappop(self.ranks)
            if self.present >> node & 1:
                now = self._rank(node)
                if now <= rank:
                    return node
                heappush(self.ranks, (now, node))  # it lost neighbours meanwhile

    # Putting it together again

    def colour(self) -> list[Reg]:
        """Give every node a machine register. Returns the nodes that found none."""
        failed = []
        for node in reversed(self.stack):
            free = [c for c in ALLOCATABLE if not self.near[node] & self.wearing[c]]
            if free:
                self.wearing[self._favourite(node, free)] |= 1 << node
            else:
                failed.append(node)
        return failed

    def _favourite(self, node: Reg, free: list[Reg]) -> Reg:
        """The register that makes most moves superfluous: those from and to nodes that have it, or may still get it."""
        score = dict.fromkeys(free, 0.0)
        for i in self.partners[node]:
            x, y = self._ends(i)
            other = y if x == node else x
            for c in free:
                if self.wearing[c] >> other & 1:
                    score[c] += self.moves[i].weight
                elif self.near[other] & self.wearing[c]:
                    score[c] -= self.moves[i].weight / 2
        return max(free, key=lambda c: (score[c], -c))

    def assignment(self) -> dict[Reg, Reg]:
        """The machine register of each virtual one."""
        worn = {node: c for c in ALLOCATABLE for node in each(self.wearing[c] & ~MACHINE)}
        worn.update({c: c for c in ALLOCATABLE})
        return {register: worn[self.find(register)] for register in (*worn, *self.alias)}
