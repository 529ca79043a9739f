"""Order of blocks, the stack frame, and the way from machine blocks to instructions.

Blocks follow one another where that saves a jump; a jump to a lone `exit` becomes the exit; stack slots get offsets, each
function's frame at most 512 bytes.
"""

from __future__ import annotations

from purebpf.compiler.target.machine import FRAME_POINTER, Core, Inst, MBlock, MFunction, Slot
from purebpf.compiler.target.tails import share_tails
from purebpf.data import data, made, replace
from purebpf.errors import CompileError
from purebpf.isa.instruction import WIDE_LOAD, Instruction
from purebpf.isa.opcodes import (
    ADD,
    ALU64,
    EXIT_OPCODE,
    GOTO_OPCODE,
    JEQ,
    JGE,
    JGT,
    JLE,
    JLT,
    JNE,
    JSGE,
    JSGT,
    JSLE,
    JSLT,
    MAY_GOTO_OPCODE,
    K,
)

STACK_LIMIT = 512
INVERSE = {JEQ: JNE, JNE: JEQ, JGT: JLE, JLE: JGT, JGE: JLT, JLT: JGE, JSGT: JSLE, JSLE: JSGT, JSGE: JSLT, JSLT: JSGE}


class StackTooSmall(CompileError):
    """A function, or a chain of calls, needs more stack than there is."""

    def __init__(self, message: str, label: str = "", hint: str = "") -> None:
        super().__init__(f"error: {message}")
        self.message, self.label, self.hint = message, label, hint


@data(frozen=False)
class Emitted:
    """A function's instructions, its stack in bytes, and the relocations with the slots they belong to."""

    name: str
    instructions: list[Instruction]
    stack: int
    cores: list[tuple[int, Core]] = made(list)


def frame(fn: MFunction) -> int:
    """Give every slot its offset; returns the frame's size in bytes."""
    used = {inst.slot for block in fn.blocks for inst in block.insts if inst.slot is not None}
    placed: list[Slot] = []
    for slot in sorted(used, key=lambda s: (-s.align, -s.size, fn.slots.index(s))):
        taken = [other for other in placed if slot not in fn.apart or other not in fn.apart or other in fn.apart[slot]]
        bottom = slot.size  # distance of the slot's first byte below r10
        while True:
            bottom = -(-bottom // slot.align) * slot.align
            clash = [
                other
                for other in taken
                if other.offset is not None and -bottom < other.offset + other.size and other.offset < slot.size - bottom
            ]
            if not clash:
                break
            bottom = max(-other.offset for other in clash if other.offset is not None) + slot.size
        slot.offset = -bottom
        placed.append(slot)
    depth = max((-slot.offset for slot in placed if slot.offset is not None), default=0)
    depth = -(-depth // 8) * 8
    if depth > STACK_LIMIT:
        big = max(fn.slots, key=lambda s: s.size)
        raise StackTooSmall(
            f"`{fn.name}` needs {depth} bytes of stack, the kernel gives {STACK_LIMIT}",
            f"the largest piece is `{big.name or 'a spill'}` with {big.size} bytes",
        )
    return depth


def thread_jumps(fn: MFunction) -> None:
    """Go straight to where an empty block leads."""

    def final(block: MBlock) -> MBlock:
        seen = {block}
        while not block.insts and block.next is not None and block.next not in seen:
            block = block.next
            seen.add(block)
        return block

    for block in fn.blocks:
        if block.next is not None:
            block.next = final(block.next)
        if block.insts and block.insts[-1].target is not None:
            block.insts[-1].target = final(block.insts[-1].target)


def order(fn: MFunction) -> list[MBlock]:
    """Chains of blocks that fall into one another, the entry's first. After a branch the side comes that fewer others
    still lead to:
    a shared end, such as the common return, so lands behind the last block that reaches it."""
    waiting: dict[MBlock, int] = {}
    for block in fn.blocks:
        for successor in block.successors:
            waiting[successor] = waiting.get(successor, 0) + 1
    placed: list[MBlock] = []
    seen: set[MBlock] = set()
    work = [fn.blocks[0]]
    while work:
        here: MBlock | None = work.pop()
        while here is not None and here not in seen:
            seen.add(here)
            placed.append(here)
            for successor in here.successors:
                waiting[successor] -= 1
            branch = here.insts[-1].target if here.insts else None
            following = here.next
            if branch is not None:
                work.append(branch)
                if following is not None:
                    work.append(following)
                turn = branch not in seen and following is not None and _invertible(here.insts[-1])
                if turn and following is not None and (following in seen or waiting[branch] < waiting[following]):
                    following = branch
            here = following
    return placed


def _invertible(inst: Inst | None) -> bool:
    return inst is not None and inst.opcode != MAY_GOTO_OPCODE and (inst.opcode & 0xF0) in INVERSE


def emit(fn: MFunction) -> Emitted:
    """The function as instructions, jumps resolved; local calls keep their function's name in `symbol`."""
    stack = frame(fn)
    share_tails(fn, thread_jumps)
    blocks = order(fn)
    flat: list[tuple[Inst, MBlock | None]] = []
    starts: dict[MBlock, int] = {}
    position = 0
    for i, block in enumerate(blocks):
        starts[block] = position
        following = blocks[i + 1] if i + 1 < len(blocks) else None
        for inst in _with_jumps(block, following):
            flat.append((inst, inst.target))
            position += _slots(inst)
    instructions: list[Instruction] = []
    cores: list[tuple[int, Core]] = []
    at = 0
    for inst, target in flat:
        if inst.core is not None:
            cores.append((at, inst.core))
        new = list(_instruction(inst))
        at += sum(i.slots for i in new)
        if target is not None:
            last = new[-1]
            new[-1] = Instruction(last.opcode, last.dst, last.src, starts[target] - at, last.imm, last.symbol, last.source)
        instructions += new
    return Emitted(fn.name, instructions, stack, cores)


def _with_jumps(block: MBlock, following: MBlock | None) -> list[Inst]:
    """The block's instructions, its conditional jump turned round if the other side follows, and a jump on where one is
    needed."""
    insts = list(block.insts)
    last = insts[-1] if insts else None
    onward = block.next
    if onward is None or onward is following:
        return insts[:-1] if last is not None and last.target is not None and last.target is following else insts
    if last is not None and last.target is not None and last.target is following and _invertible(last):
        flipped = replace(last)
        flipped.opcode = last.opcode & 0x0F | INVERSE[last.opcode & 0xF0]
        flipped.target = onward
        return [*insts[:-1], flipped]
    loc = last.loc if last is not None else None
    if len(onward.insts) == 1 and onward.insts[0].opcode == EXIT_OPCODE:
        return [*insts, Inst(EXIT_OPCODE, loc=onward.insts[0].loc)]
    return [*insts, Inst(GOTO_OPCODE, target=onward, loc=loc)]


def _slots(inst: Inst) -> int:
    if inst.lea:
        return 1 + (_lea_offset(inst) != 0)
    return 2 if inst.opcode == WIDE_LOAD else 1


def _lea_offset(inst: Inst) -> int:
    assert inst.slot is not None and inst.slot.offset is not None
    return inst.slot.offset + inst.imm


def _instruction(inst: Inst) -> list[Instruction]:
    if inst.lea:
        assert inst.dst is not None
        moved = Instruction(inst.opcode, inst.dst, FRAME_POINTER, source=inst.loc)
        return [moved, Instruction(ALU64 | ADD | K, inst.dst, imm=_lea_offset(inst), source=inst.loc)]
    offset = inst.offset
    if inst.slot is not None:
        assert inst.slot.offset is not None
        offset += inst.slot.offset
    source = inst.pseudo or (inst.src or 0)
    return [Instruction(inst.opcode, inst.dst or 0, source, offset, inst.imm, inst.symbol, inst.loc)]
