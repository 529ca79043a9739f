"""Each instruction as a line of Python: the meaning of the instruction set (RFC 9669 sections 4 and 5) in tables.

Registers are the local variables `r0` to `r10`, always in 0 .. 2**64 - 1. In the templates `{d}` is the destination's
number, `{b}`
the second operand (a register or an unsigned constant), `{w}` the same cut to 32 bits. The names that the lines use besides
(`load32`, `swap16`, `sdiv64` ...) come from `runtime.py`; jumps, calls and exits are put together in `translate.py`.
"""

from __future__ import annotations

from purebpf.isa import opcodes as op
from purebpf.isa.instruction import Instruction
from purebpf.vm.memory import OFFSET_MASK, SHIFT

TYPE_CHECKING = False  # the checker takes it as true; importing it from typing would cost milliseconds
if TYPE_CHECKING:
    from purebpf.isa.codec import ByteOrder

M = "0xFFFFFFFFFFFFFFFF"
W = "0xFFFFFFFF"
S = "0x8000000000000000"  # the sign bit: x ^ S orders signed numbers as unsigned ones, (x ^ S) - S is the signed value
T = "0x80000000"

ALU64 = {
    op.ADD: f"r{{d}} = r{{d}} + {{b}} & {M}",
    op.SUB: f"r{{d}} = r{{d}} - {{b}} & {M}",
    op.MUL: f"r{{d}} = r{{d}} * {{b}} & {M}",
    op.DIV: "r{d} = r{d} // {b} if {b} else 0",
    op.OR: "r{d} |= {b}",
    op.AND: "r{d} &= {b}",
    op.LSH: f"r{{d}} = r{{d}} << ({{b}} & 63) & {M}",
    op.RSH: "r{d} >>= {b} & 63",
    op.NEG: f"r{{d}} = -r{{d}} & {M}",
    op.MOD: "r{d} = r{d} % {b} if {b} else r{d}",
    op.XOR: "r{d} ^= {b}",
    op.MOV: "r{d} = {b}",
    op.ARSH: f"r{{d}} = (r{{d}} ^ {S}) - {S} >> ({{b}} & 63) & {M}",
}
ALU32 = {
    op.ADD: f"r{{d}} = r{{d}} + {{b}} & {W}",
    op.SUB: f"r{{d}} = r{{d}} - {{b}} & {W}",
    op.MUL: f"r{{d}} = r{{d}} * {{b}} & {W}",
    op.DIV: f"r{{d}} = (r{{d}} & {W}) // {{w}} if {{w}} else 0",
    op.OR: f"r{{d}} = (r{{d}} | {{b}}) & {W}",
    op.AND: f"r{{d}} = r{{d}} & {{b}} & {W}",
    op.LSH: f"r{{d}} = r{{d}} << ({{b}} & 31) & {W}",
    op.RSH: f"r{{d}} = (r{{d}} & {W}) >> ({{b}} & 31)",
    op.NEG: f"r{{d}} = -r{{d}} & {W}",
    op.MOD: f"r{{d}} = (r{{d}} & {W}) % {{w}} if {{w}} else r{{d}} & {W}",
    op.XOR: f"r{{d}} = (r{{d}} ^ {{b}}) & {W}",
    op.MOV: f"r{{d}} = {{b}} & {W}",
    op.ARSH: f"r{{d}} = (r{{d}} & {W} ^ {T}) - {T} >> ({{b}} & 31) & {W}",
}
SIGNED_DIVISION = {op.DIV: "sdiv", op.MOD: "smod"}

UNSIGNED_JUMPS = {op.JEQ: "==", op.JNE: "!=", op.JGT: ">", op.JGE: ">=", op.JLT: "<", op.JLE: "<=", op.JSET: "&"}
SIGNED_JUMPS = {op.JSGT: ">", op.JSGE: ">=", op.JSLT: "<", op.JSLE: "<="}

FETCHED = {
    op.ADD: "old + r{s}",
    op.OR: "old | r{s}",
    op.AND: "old & r{s}",
    op.XOR: "old ^ r{s}",
}
"""What an atomic operation stores, from the old value and the register; cut to the access's width afterwards."""

REGION = f"[a >> {SHIFT}]"
OFFSET = f"a & {OFFSET_MASK:#x}"


def unsigned(imm: int, bits: int = 64) -> str:
    """A constant, sign-extended by the encoding, as Python source of an unsigned number."""
    return str(imm & (1 << bits) - 1)


def source(instruction: Instruction, bits: int) -> str:
    """The second operand of an arithmetic instruction or jump."""
    return f"r{instruction.src}" if instruction.opcode & op.X else unsigned(instruction.imm, bits)


def arithmetic(instruction: Instruction, byteorder: ByteOrder) -> str:
    code, wide = instruction.opcode & 0xF0, instruction.opcode & op.CLASS_MASK == op.ALU64
    bits = 64 if wide else 32
    d, b = instruction.dst, source(instruction, bits)
    if code == op.END:
        return swap(instruction, wide, byteorder)
    if code in SIGNED_DIVISION and instruction.offset == op.SIGNED:
        return f"r{d} = {SIGNED_DIVISION[code]}{bits}(r{d}, {b})"
    if code == op.MOV and instruction.opcode & op.X and instruction.offset:
        if instruction.offset == op.ADDR_SPACE_CAST:
            return "no_arena()"
        sign = 1 << instruction.offset - 1
        return f"r{d} = ({b} & {2 * sign - 1:#x} ^ {sign:#x}) - {sign:#x} & {M if wide else W}"
    cut = f"({b} & {W})" if instruction.opcode & op.X else b
    return (ALU64 if wide else ALU32)[code].format(d=d, b=b, w=cut)


def swap(instruction: Instruction, always: bool, byteorder: ByteOrder) -> str:
    """A byte swap. Those "to" a byte order do nothing but cut where it is the machine's own."""
    own = op.TO_LE if byteorder == "little" else op.TO_BE
    if not always and instruction.opcode & op.X == own:
        return f"r{instruction.dst} &= {(1 << instruction.imm) - 1:#x}"
    return f"r{instruction.dst} = swap{instruction.imm}(r{instruction.dst})"


def address(register: int, offset: int) -> str:
    """The address of an access as a statement. It is not cut to 64 bits: what is beyond them is in no region."""
    return f"a = r{register}{f' {offset:+d}' if offset else ''}"


def load(register: str, bits: int, signed: bool = False) -> str:
    """Read memory at `a` into a variable."""
    if signed:
        return f"{register} = signed{bits}(readable{REGION}, {OFFSET})[0] & {M}"
    if bits == 8:
        return f"{register} = readable{REGION}[{OFFSET}]"
    return f"{register}, = load{bits}(readable{REGION}, {OFFSET})"


def store(value: str, bits: int) -> str:
    """Write a value, which fits, to memory at `a`."""
    if bits == 8:
        return f"writable{REGION}[{OFFSET}] = {value}"
    return f"store{bits}(writable{REGION}, {OFFSET}, {value})"


def cut(value: str, bits: int) -> str:
    """The lowest bits of a register."""
    return value if bits == 64 else f"{value} & {(1 << bits) - 1:#x}"


def width(instruction: Instruction) -> int:
    """How many bits a load or store moves."""
    return op.SIZE_BYTES[instruction.opcode & 0x18] * 8


def memory_load(instruction: Instruction) -> str:
    signed = instruction.opcode & 0xE0 == op.MODE_MEMSX
    return f"{address(instruction.src, instruction.offset)}; {load(f'r{instruction.dst}', width(instruction), signed)}"


def memory_store(instruction: Instruction, checked: bool) -> list[str]:
    """A store. `checked`: the program's context has fields of which only some can be written; it is not in `writable`."""
    bits = width(instruction)
    constant = instruction.opcode & op.CLASS_MASK == op.ST
    value = unsigned(instruction.imm, bits) if constant else cut(f"r{instruction.src}", bits)
    place = address(instruction.dst, instruction.offset)
    if not checked:
        return [f"{place}; {store(value, bits)}"]
    return [place, f"try: {store(value, bits)}", f"except KeyError: store_context(a, {bits // 8}, {value})"]


def atomic(instruction: Instruction) -> str:
    """A read-modify-write, acquire or release. Only one program runs at a time, so each is whole by itself."""
    bits, s, d, imm = width(instruction), instruction.src, instruction.dst, instruction.imm
    if imm == op.LOAD_ACQUIRE:
        return f"{address(s, instruction.offset)}; aligned(a, {bits}); {load(f'r{d}', bits)}"
    place = f"{address(d, instruction.offset)}; aligned(a, {bits})"
    if imm == op.STORE_RELEASE:
        return f"{place}; {store(cut(f'r{s}', bits), bits)}"
    old = f"{place}; {load('old', bits)}"
    if imm == op.XCHG:
        return f"{old}; {store(cut(f'r{s}', bits), bits)}; r{s} = old"
    if imm == op.CMPXCHG:
        expected = cut("r0", bits)
        new = f"r{s} if old == ({expected}) else old"
        return f"{old}; new = {new}; {store(cut('new', bits), bits)}; r0 = old"
    new = f"({FETCHED[imm & ~op.FETCH].format(s=s)}) & {M if bits == 64 else W}"
    return f"{old}; {store(new, bits)}" + (f"; r{s} = old" if imm & op.FETCH else "")


def condition(instruction: Instruction) -> str:
    """A conditional jump's condition as an expression."""
    code, narrow = instruction.opcode & 0xF0, instruction.opcode & op.CLASS_MASK == op.JMP32
    left = f"(r{instruction.dst} & {W})" if narrow else f"r{instruction.dst}"
    bits, sign = (32, T) if narrow else (64, S)
    register = instruction.opcode & op.X
    right = source(instruction, bits)
    if narrow and register:
        right = f"({right} & {W})"
    if code in UNSIGNED_JUMPS:
        return f"{left} {UNSIGNED_JUMPS[code]} {right}"
    right = f"({right} ^ {sign})" if register else str(int(right) ^ int(sign, 16))
    return f"({left} ^ {sign}) {SIGNED_JUMPS[code]} {right}"
