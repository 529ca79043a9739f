"""Proof that an allocation is right: every use reads the value that the program over virtual registers reads.

Symbolic execution of both programs side by side, over all ways through the function: for each machine register and spill slot,
the names (original registers, as bits) it stands for; where ways meet, what all agree on. It shares no code with the allocator.
"""

from __future__ import annotations

from operator import attrgetter

from purebpf.compiler.target.machine import ALLOCATABLE, FIRST_VIRTUAL, FRAME_POINTER, Inst, MBlock, MFunction, Reg

STORE, LOAD = 0x7B, 0x79  # *(u64 *)(r10 + slot) = rX, and back
FIXED: dict[Reg | None, Reg | None] = {None: None, **{r: r for r in range(FIRST_VIRTUAL)}}  # operands that stay as they are
Names = int
State = dict[object, Names]  # by machine register or spill slot
Snapshot = dict[MBlock, list[tuple[Inst, Inst]]]  # each instruction, and what it was
fields_of = attrgetter(*Inst.__match_args__)
value_of = attrgetter("opcode", "offset", "imm", "symbol", "pseudo", "slot", "lea")
kept_of = attrgetter("opcode", "offset", "imm", "symbol", "pseudo", "slot", "lea", "target", "clobbers")


class AllocationError(AssertionError):
    """The register allocator made a mistake, or was asked the impossible: a bug in the compiler."""


def snapshot(fn: MFunction) -> Snapshot:
    """What `check` compares with; to be taken before `allocate`."""
    return {block: [(inst, Inst(*fields_of(inst))) for inst in block.insts] for block in fn.blocks}


def check(before: Snapshot, fn: MFunction) -> None:
    """Raises AllocationError, naming block and instruction, where an instruction may read a wrong value."""
    proof = _Proof([was for row in before.values() for _, was in row])
    known: dict[MBlock, State] = {fn.blocks[0]: {argument: 1 << argument for argument in range(1, 6)}}
    work = [fn.blocks[0]]
    while work:
        block = work.pop()
        try:
            state = proof.after(block, before[block], dict(known[block]))
        except AllocationError as error:
            raise AllocationError(f"{fn.name}, block {block.name}: {error}") from None
        for successor in block.successors:
            old = known.get(successor)
            new = state if old is None else {place: names & state.get(place, 0) for place, names in old.items()}
            if new != old:
                known[successor] = new
                work.append(successor)


class _Proof:
    def __init__(self, originals: list[Inst]) -> None:
        self.slots = {None, *(inst.slot for inst in originals)}  # not for spilling
        makers: dict[Reg, list[Inst]] = {}
        for inst in originals:
            for register in inst.defs:
                makers.setdefault(register, []).append(inst)
        top = max((r for inst in originals for r in inst.defs + inst.uses), default=0) + 1
        self.values: dict[object, Names] = {}  # what can be made anywhere has a name of its own
        self.same: dict[Reg, Names] = {}  # for registers that only ever hold such a value, its name
        for register, made in makers.items():
            if register >= FIRST_VIRTUAL and len(made) == 1 and made[0].remat and not made[0].uses:
                self.same[register] = self.values.setdefault(value_of(made[0]), 1 << top + len(self.values))

    def after(self, block: MBlock, originals: list[tuple[Inst, Inst]], state: State) -> State:
        """Run a block on both sides; `state` is what holds before it, and becomes what holds after it."""
        position = {id(inst): i for i, (inst, _) in enumerate(originals)}
        at = 0
        for inst in block.insts:
            index = position.get(id(inst))
            if index is None:
                self._added(inst, state)
                continue
            if index < at:
                raise AllocationError(f"instructions changed places: {inst}")
            for _, was in originals[at:index]:
                self._vanished(was, state)
            self._kept(inst, originals[index][1], state)
            at = index + 1
        for _, was in originals[at:]:
            self._vanished(was, state)
        return state

    def _added(self, inst: Inst, state: State) -> None:
        """Spill code, or a value made again."""
        register, base = (inst.src, inst.dst) if inst.opcode == STORE else (inst.dst, inst.src)
        again = inst.remat and not inst.uses
        spills = inst.opcode in (STORE, LOAD) and base == FRAME_POINTER and inst.slot not in self.slots and not inst.offset
        if register not in ALLOCATABLE or not (again or spills):
            raise AllocationError(f"an instruction that is no spill code was added: {inst}")
        to, source = (inst.slot, register) if inst.opcode == STORE else (register, inst.slot)
        state[to] = self.values.get(value_of(inst), 0) if again else state.get(source, 0)
        if not state[to]:
            raise AllocationError(f"spill code reads what has no known value: {inst}")

    def _vanished(self, was: Inst, state: State) -> None:
        """Only a move, which gives its source another name, or what is made elsewhere may vanish."""
        if was.move and was.dst is not None and was.src is not None:
            source, name = 1 << was.src | self.same.get(was.src, 0), 1 << was.dst
            state.update({place: held | name if held & source else held & ~name for place, held in state.items()})
        elif not was.defs or was.defs[0] not in self.same:
            raise AllocationError(f"an instruction was lost: {was}")

    def _kept(self, inst: Inst, was: Inst, state: State) -> None:
        if kept_of(inst) != kept_of(was):
            raise AllocationError(f"more than registers changed: {inst} was {was}")
        given = dict(FIXED)
        wanted = (*was.uses, *was.defs, was.dst, was.src)
        for name, register in zip(wanted, (*inst.uses, *inst.defs, inst.dst, inst.src), strict=True):
            if given.setdefault(name, register) != register or (name not in FIXED and register not in ALLOCATABLE):
                raise AllocationError(f"operand {name} became {register} in {inst}")
        for name in was.uses:
            if name != FRAME_POINTER and not state.get(given[name], 0) & (1 << name | self.same.get(name, 0)):
                raise AllocationError(f"r{given[name]} does not hold value {name} for {inst}")
        copied = state.get(inst.src, 0) if inst.move else 0
        over = ~sum(1 << name for name in {*was.defs, *was.clobbers})
        state.update({place: names & over for place, names in state.items()})
        state.update(dict.fromkeys(inst.clobbers, 0))
        for name, register in zip(was.defs, inst.defs, strict=True):
            state[register] = 1 << name | copied & over
