"""Proof that an allocation is right: every use reads the value that the program over virtual registers reads.

Symbolic execution over all ways through the function: for each machine register and spill slot, which of the original program's
registers it stands for; where ways meet, what all of them agree on. It shares no code with the allocator and always runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from purebpf.compiler.target.machine import FRAME_POINTER, Inst, MBlock, MFunction, Reg, Slot

Place = Reg | Slot
Held = frozenset[object]  # original registers, or the text of a value that can be made anywhere
State = dict[Place, Held]


class AllocationError(AssertionError):
    """The register allocator made a mistake: a bug in the compiler."""


@dataclass(frozen=True, slots=True)
class Original:
    """An instruction as it was before allocation."""

    inst: Inst
    dst: Reg | None
    src: Reg | None
    defs: tuple[Reg, ...]
    uses: tuple[Reg, ...]


Snapshot = dict[MBlock, list[Original]]


def snapshot(fn: MFunction) -> Snapshot:
    """What `check` compares with; to be taken before `allocate`."""
    return {block: [Original(i, i.dst, i.src, i.defs, i.uses) for i in block.insts] for block in fn.blocks}


def check(before: Snapshot, fn: MFunction) -> None:
    """Raises AllocationError where an instruction may read a wrong value."""
    values = _repeatable(before)
    entry: State = {register: frozenset([register]) for register in range(FRAME_POINTER)}
    known: dict[MBlock, State] = {fn.blocks[0]: entry}
    work = [fn.blocks[0]]
    while work:
        block = work.pop()
        state = dict(known[block])
        _block(fn, block, before[block], state, values)
        for successor in block.successors:
            old = known.get(successor)
            new = dict(state) if old is None else {p: held & state[p] for p, held in old.items() if p in state}
            if new != old:
                known[successor] = new
                work.append(successor)


def _repeatable(before: Snapshot) -> dict[Reg, object]:
    """Registers whose only definition can be made again anywhere, with a key for their value."""
    makers: dict[Reg, list[Inst]] = {}
    for originals in before.values():
        for original in originals:
            for register in original.defs:
                makers.setdefault(register, []).append(original.inst)
    return {register: _value(insts[0]) for register, insts in makers.items() if len(insts) == 1 and insts[0].remat}


def _value(inst: Inst) -> object:
    return ("value", inst.opcode, inst.imm, inst.symbol, inst.pseudo, id(inst.slot), inst.lea)


def _block(fn: MFunction, block: MBlock, originals: list[Original], state: State, values: dict[Reg, object]) -> None:
    """Run the allocated block beside the original one; originals that are gone must have been moves or repeatable values."""
    position = {id(original.inst): i for i, original in enumerate(originals)}
    at = 0
    for inst in block.insts:
        index = position.get(id(inst))
        if index is None:
            _added(inst, state)
            continue
        for original in originals[at:index]:
            _vanished(fn, block, original, state, values)
        at = index + 1
        _kept(fn, block, inst, originals[index], state, values)
    for original in originals[at:]:
        _vanished(fn, block, original, state, values)


def _added(inst: Inst, state: State) -> None:
    """Spill code, or a value made again."""
    if inst.remat and inst.dst is not None:
        state[inst.dst] = frozenset([_value(inst)])
    elif inst.slot is not None and inst.defs and inst.dst is not None:
        state[inst.dst] = state.get(inst.slot, frozenset())
    elif inst.slot is not None and inst.src is not None:
        state[inst.slot] = state.get(inst.src, frozenset())
    else:
        raise AllocationError(f"an instruction that is no spill code was added: {inst}")


def _vanished(fn: MFunction, block: MBlock, original: Original, state: State, values: dict[Reg, object]) -> None:
    if original.inst.move and original.dst is not None and original.src is not None:
        _same(state, original.dst, original.src, values)
    elif not (original.inst.remat and original.defs and original.defs[0] in values):
        raise AllocationError(f"{fn.name}/{block.name}: an instruction was lost: {original}")


def _same(state: State, register: Reg, source: Reg, values: dict[Reg, object]) -> None:
    """From now on `register` is another name of what `source` is."""
    for place, held in state.items():
        if source in held or (source in values and values[source] in held):
            state[place] = held | {register}
        elif register in held:
            state[place] = held - {register}


def _kept(fn: MFunction, block: MBlock, inst: Inst, original: Original, state: State, values: dict[Reg, object]) -> None:
    for wanted, register in zip(original.uses, inst.uses, strict=True):
        if register == FRAME_POINTER and wanted == FRAME_POINTER:
            continue
        held = state.get(register, frozenset())
        if wanted not in held and (wanted not in values or values[wanted] not in held):
            raise AllocationError(f"{fn.name}/{block.name}: r{register} does not hold value {wanted} for {inst}")
    named = {*zip(original.uses, inst.uses, strict=True), *zip(original.defs, inst.defs, strict=True)}
    for before, after in ((original.dst, inst.dst), (original.src, inst.src)):
        if before is not None and (before, after) not in named:
            raise AllocationError(f"{fn.name}/{block.name}: the fields of {inst} do not match its operands")
    moved = state.get(inst.src, frozenset()) if inst.move and inst.src is not None else frozenset()
    for register in inst.clobbers:
        state[register] = frozenset()
    for wanted in original.defs:
        for place, held in state.items():
            if wanted in held:
                state[place] = held - {wanted}
    for wanted, register in zip(original.defs, inst.defs, strict=True):
        state[register] = frozenset([wanted]) | (moved - {wanted})
