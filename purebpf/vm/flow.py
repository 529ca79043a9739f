"""What a program's control and data flow looks like: successors, functions, and which registers are live where.

Liveness serves two ends: a function's parameters are the argument registers it reads, and a register that a call destroyed but
that is read afterwards is made unknown there, so that reading it is an error as it is for the kernel's verifier (`!read_ok`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from purebpf.data import data, made
from purebpf.isa import opcodes as op
from purebpf.isa.codec import signed32
from purebpf.isa.instruction import WIDE_LOAD, Instruction
from purebpf.vm import kfuncs

CALLER_SAVED = 0b111110  # r1 to r5, as a set of bits
PACKET_LOADS = (op.MODE_ABS, op.MODE_IND)


@data(frozen=False)
class Function:
    """The part of a program that can be reached from `entry` without a call. Sets of registers are bits."""

    entry: int
    slots: list[int]
    labels: list[int]
    live: dict[int, int] = made(dict)
    parameters: int = 0


@data(frozen=False)
class Flow:
    """`code` has an entry for every slot, None for the second one of a wide load; `functions` by entry, 0 is the program."""

    code: list[Instruction | None]
    functions: dict[int, Function] = made(dict)


def by_slot(instructions: tuple[Instruction, ...]) -> list[Instruction | None]:
    code: list[Instruction | None] = []
    for instruction in instructions:
        code.append(instruction)
        if instruction.slots == 2:
            code.append(None)
    return code


def target(instruction: Instruction, slot: int) -> int | None:
    """Where an instruction at `slot` jumps to, or None when it does not jump."""
    cls, code = instruction.opcode & op.CLASS_MASK, instruction.opcode & 0xF0
    if cls not in (op.JMP, op.JMP32) or (cls == op.JMP and code in (op.CALL, op.EXIT)) or instruction.opcode == op.GOTOX_OPCODE:
        return None
    return slot + 1 + (instruction.imm if instruction.opcode == op.GOTOL_OPCODE else instruction.offset)


ENDS = frozenset({op.EXIT_OPCODE, op.GOTO_OPCODE, op.GOTOL_OPCODE, op.GOTOX_OPCODE})
"""After these the next instruction does not follow."""


def successors(instruction: Instruction, slot: int) -> tuple[int, ...]:
    follow = () if instruction.opcode in ENDS else (slot + instruction.slots,)
    jump = target(instruction, slot)
    return follow if jump is None else (*follow, jump)


def called(instruction: Instruction, slot: int) -> int | None:
    """The entry of the function that an instruction calls or takes the address of, or None."""
    if instruction.opcode == op.CALL_OPCODE and instruction.src == op.CALL_LOCAL:
        return slot + 1 + instruction.imm
    if instruction.opcode == WIDE_LOAD and instruction.src == op.PSEUDO_FUNC:
        return slot + 1 + signed32(instruction.imm)
    return None


@cache
def helper_registers(number: int) -> int:
    """The registers that a helper reads."""
    from purebpf.tables.helpers import helper_by_id

    found = helper_by_id(number)
    return (2 << len(found.args)) - 2 if found else 0


def reads(instruction: Instruction, parameters: int = 0) -> int:
    """The registers an instruction reads; `parameters` are those of the function it calls, if it calls one."""
    opcode, dst, src = instruction.opcode, 1 << instruction.dst, 1 << instruction.src
    match opcode & op.CLASS_MASK:
        case op.LD:
            mode = opcode & 0xE0
            return 1 << 6 | (src if mode == op.MODE_IND else 0) if mode in PACKET_LOADS else 0
        case op.LDX:
            return src
        case op.ST:
            return dst
        case op.STX if opcode & 0xE0 == op.MODE_ATOMIC and instruction.imm == op.LOAD_ACQUIRE:
            return src
        case op.STX:
            return dst | src | (1 if opcode & 0xE0 == op.MODE_ATOMIC and instruction.imm == op.CMPXCHG else 0)
        case op.ALU | op.ALU64:
            code = opcode & 0xF0
            second = src if opcode & op.X and code != op.END else 0
            return second | (0 if code == op.MOV else dst)
    if opcode == op.EXIT_OPCODE:
        return 1
    if opcode == op.CALL_OPCODE:
        name = kfuncs.called(instruction)
        if name is not None:
            return (2 << kfuncs.registers(name)) - 2
        return helper_registers(instruction.imm) if instruction.src == op.CALL_HELPER else parameters
    if opcode in (op.CALLX_OPCODE, op.GOTOX_OPCODE):
        return dst
    if opcode & 0xF0 in (op.JA, op.JCOND):
        return 0
    return dst | (src if opcode & op.X else 0)


def writes(instruction: Instruction) -> int:
    """The registers an instruction sets. Those a call destroys are not among them."""
    opcode, dst = instruction.opcode, 1 << instruction.dst
    match opcode & op.CLASS_MASK:
        case op.LD:
            return 1 if opcode & 0xE0 in PACKET_LOADS else dst
        case op.LDX | op.ALU | op.ALU64:
            return dst
        case op.STX if opcode & 0xE0 == op.MODE_ATOMIC:
            if instruction.imm in (op.LOAD_ACQUIRE, op.CMPXCHG):
                return dst if instruction.imm == op.LOAD_ACQUIRE else 1
            return 1 << instruction.src if instruction.imm & op.FETCH and instruction.imm != op.STORE_RELEASE else 0
        case op.JMP if opcode in (op.CALL_OPCODE, op.CALLX_OPCODE):
            return 1
    return 0


def destroys(instruction: Instruction) -> int:
    """The registers whose content is lost."""
    is_call = instruction.opcode in (op.CALL_OPCODE, op.CALLX_OPCODE)
    is_packet_load = instruction.opcode & op.CLASS_MASK == op.LD and instruction.opcode & 0xE0 in PACKET_LOADS
    return CALLER_SAVED if is_call or is_packet_load else 0


def entries(code: list[Instruction | None]) -> Iterator[int]:
    """Where functions begin, the program itself first."""
    yield 0
    for slot, instruction in enumerate(code):
        if instruction is not None:
            function = called(instruction, slot)
            if function is not None:
                yield function


def analyse(code: list[Instruction | None]) -> Flow:
    """The functions of a program that has been checked, with their parameters."""
    flow = Flow(code)
    for entry in sorted(set(entries(code))):
        flow.functions[entry] = reach(code, entry)
    changed = True
    while changed:
        changed = False
        for function in flow.functions.values():
            find_live(flow, function)
            parameters = function.live[function.entry] & CALLER_SAVED
            changed |= parameters != function.parameters
            function.parameters = parameters
    return flow


def reach(code: list[Instruction | None], entry: int) -> Function:
    found: set[int] = set()
    labels = {entry}
    work = [entry]
    while work:
        slot = work.pop()
        while slot not in found:
            instruction = code[slot]
            assert instruction is not None
            found.add(slot)
            jump = target(instruction, slot)
            if jump is not None:
                labels.add(jump)
                work.append(jump)
            if instruction.opcode in ENDS:
                break
            slot += instruction.slots
    return Function(entry, sorted(found), sorted(labels))


def find_live(flow: Flow, function: Function) -> None:
    """The registers that are read before they are set, at every slot."""
    live = dict.fromkeys(function.slots, 0)
    changed = True
    while changed:
        changed = False
        for slot in reversed(function.slots):
            instruction = flow.code[slot]
            assert instruction is not None
            after = 0
            for following in successors(instruction, slot):
                after |= live[following]
            callee = called(instruction, slot)
            parameters = flow.functions[callee].parameters if callee is not None else 0
            before = reads(instruction, parameters) | after & ~(writes(instruction) | destroys(instruction))
            if before != live[slot]:
                live[slot] = before
                changed = True
    function.live = live
