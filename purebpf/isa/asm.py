"""Constructors to write eBPF assembly in Python: `Mov.imm(R2, 123)`, `LoadMapPtr(R2, "events")`, `JEq.imm(R0, 0, "exit")`.

Each returns an `Instruction`; `assemble()` turns a list of them and of `Label`s into a program. Operands come in the order of
the assembler text: destination first, an address as register and offset. Every constructor raises AssemblerError at once for
an operand that cannot be encoded. Meaning of the instructions: RFC 9669; which there are: `forms.py`.
"""

from __future__ import annotations

from purebpf.errors import AssemblerError
from purebpf.isa import opcodes as op
from purebpf.isa.codec import UNRESOLVED, signed32
from purebpf.isa.forms import check_label, form_of
from purebpf.isa.helpers import Fn
from purebpf.isa.instruction import WIDE_LOAD, Instruction
from purebpf.isa.labels import Label, assemble
from purebpf.isa.opcodes import DW, B, H, Size, W

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 = range(11)
FP = R10
"""The frame pointer: read-only, one past the 512 bytes of stack."""


def checked(opcode: int, dst: int = 0, src: int = 0, offset: int = 0, imm: int = 0, symbol: str | None = None) -> Instruction:
    """The instruction, if it is a valid one."""
    instruction = Instruction(opcode, dst, src, offset, imm, symbol)
    form_of(instruction)
    return instruction


def constant(value: int, bits: int) -> int:
    """`value` as a 32-bit immediate of an operation on `bits` bits; a narrow one may also be written unsigned."""
    if -0x8000_0000 <= value <= 0x7FFF_FFFF:
        return value
    if bits <= 32 and value <= 0xFFFF_FFFF:
        return signed32(value)
    wide = "; a 64-bit operation extends its sign: load it with LoadImm64" if bits == 64 else ""
    raise AssemblerError(f"the constant {value} does not fit in 32 bits, signed{wide}")


def sized(size: Size) -> Size:
    if not isinstance(size, Size):
        raise AssemblerError(f"{size!r} is no size; it is B (1 byte), H (2), W (4) or DW (8)")
    return size


class Arithmetic:
    """A two-operand operation: `dst = dst op operand` (for Mov: `dst = operand`).

    The 64-bit ones extend the sign of a constant. The 32-bit ones (cpu v3) clear the upper half of the destination.
    """

    __slots__ = ("bits", "offset", "opcode")

    def __init__(self, code: int, bits: int, offset: int = 0) -> None:
        self.opcode = code | (op.ALU64 if bits == 64 else op.ALU)
        self.bits = bits
        self.offset = offset

    def imm(self, dst: int, value: int) -> Instruction:
        return checked(self.opcode | op.K, dst, 0, self.offset, constant(value, self.bits))

    def reg(self, dst: int, src: int) -> Instruction:
        return checked(self.opcode | op.X, dst, src, self.offset)


Mov, Mov32 = Arithmetic(op.MOV, 64), Arithmetic(op.MOV, 32)
Add, Add32 = Arithmetic(op.ADD, 64), Arithmetic(op.ADD, 32)
Sub, Sub32 = Arithmetic(op.SUB, 64), Arithmetic(op.SUB, 32)
Mul, Mul32 = Arithmetic(op.MUL, 64), Arithmetic(op.MUL, 32)
Div, Div32 = Arithmetic(op.DIV, 64), Arithmetic(op.DIV, 32)
SDiv, SDiv32 = Arithmetic(op.DIV, 64, op.SIGNED), Arithmetic(op.DIV, 32, op.SIGNED)
Mod, Mod32 = Arithmetic(op.MOD, 64), Arithmetic(op.MOD, 32)
SMod, SMod32 = Arithmetic(op.MOD, 64, op.SIGNED), Arithmetic(op.MOD, 32, op.SIGNED)
And, And32 = Arithmetic(op.AND, 64), Arithmetic(op.AND, 32)
Or, Or32 = Arithmetic(op.OR, 64), Arithmetic(op.OR, 32)
Xor, Xor32 = Arithmetic(op.XOR, 64), Arithmetic(op.XOR, 32)
Lsh, Lsh32 = Arithmetic(op.LSH, 64), Arithmetic(op.LSH, 32)
Rsh, Rsh32 = Arithmetic(op.RSH, 64), Arithmetic(op.RSH, 32)
Arsh, Arsh32 = Arithmetic(op.ARSH, 64), Arithmetic(op.ARSH, 32)


def Neg(dst: int) -> Instruction:
    return checked(op.ALU64 | op.NEG, dst)


def Neg32(dst: int) -> Instruction:
    return checked(op.ALU | op.NEG, dst)


def MovSx(dst: int, src: int, bits: int) -> Instruction:
    """dst = the lowest `bits` (8, 16, 32) of src with their sign extended to 64 bits. cpu v4."""
    return checked(op.ALU64 | op.MOV | op.X, dst, src, extension(bits, (8, 16, 32)))


def MovSx32(dst: int, src: int, bits: int) -> Instruction:
    """dst = the lowest `bits` (8, 16) of src with their sign extended to 32 bits; the upper half is cleared. cpu v4."""
    return checked(op.ALU | op.MOV | op.X, dst, src, extension(bits, (8, 16)))


def extension(bits: int, widths: tuple[int, ...]) -> int:
    if bits not in widths:
        raise AssemblerError(f"a sign extension of {bits} bits does not exist; there are {', '.join(map(str, widths))}")
    return bits


def AddrSpaceCast(dst: int, src: int, to_space: int, from_space: int) -> Instruction:
    """dst = the pointer src, of address space `from_space`, as one of `to_space` (0 the kernel's, 1 an arena's). Linux 6.9."""
    for space in (to_space, from_space):
        if not 0 <= space <= 0xFFFF:
            raise AssemblerError(f"{space} is no address space; it is 0 to 65535")
    return checked(op.ALU64 | op.MOV | op.X, dst, src, op.ADDR_SPACE_CAST, signed32(to_space << 16 | from_space))


def ToLe(dst: int, bits: int) -> Instruction:
    """The lowest `bits` (16, 32, 64) of dst from the host's byte order to little endian or back; the rest is cleared."""
    return checked(op.ALU | op.END | op.TO_LE, dst, imm=bits)


def ToBe(dst: int, bits: int) -> Instruction:
    """The lowest `bits` (16, 32, 64) of dst from the host's byte order to big endian or back; the rest is cleared."""
    return checked(op.ALU | op.END | op.TO_BE, dst, imm=bits)


def Bswap(dst: int, bits: int) -> Instruction:
    """Reverse the bytes in the lowest `bits` (16, 32, 64) of dst; the rest is cleared. cpu v4."""
    return checked(op.ALU64 | op.END, dst, imm=bits)


def LoadMem(dst: int, src: int, offset: int, size: Size) -> Instruction:
    """dst = the value of `size` at src + offset, zero-extended."""
    return checked(op.LDX | op.MODE_MEM | sized(size), dst, src, offset)


def LoadMemSx(dst: int, src: int, offset: int, size: Size) -> Instruction:
    """dst = the value of `size` (B, H, W) at src + offset with its sign extended to 64 bits. cpu v4."""
    return checked(op.LDX | op.MODE_MEMSX | sized(size), dst, src, offset)


def StoreMem(dst: int, offset: int, src: int, size: Size) -> Instruction:
    """Store the lowest bytes of src at dst + offset."""
    return checked(op.STX | op.MODE_MEM | sized(size), dst, src, offset)


def StoreImm(dst: int, offset: int, value: int, size: Size) -> Instruction:
    """Store a constant at dst + offset; with DW its 32 bits are sign-extended."""
    bits = sized(size).bytes * 8
    if bits < 32 and not -(1 << bits - 1) <= value < 1 << bits:
        raise AssemblerError(f"the constant {value} does not fit in {bits} bits; only those would be stored")
    return checked(op.ST | op.MODE_MEM | size, dst, 0, offset, constant(value, bits))


def LoadAbs(offset: int, size: Size) -> Instruction:
    """r0 = the big-endian value of `size` (B, H, W) in the packet at `offset`; ends the program if it is outside.

    A classic BPF load: r6 must hold the context of a socket filter or tc program; r1 to r5 are lost.
    """
    return checked(op.LD | op.MODE_ABS | sized(size), imm=offset)


def LoadInd(src: int, offset: int, size: Size) -> Instruction:
    """Like LoadAbs, at src + offset."""
    return checked(op.LD | op.MODE_IND | sized(size), src=src, imm=offset)


def LoadImm64(dst: int, value: int) -> Instruction:
    """dst = any 64-bit constant, signed or unsigned. Takes two slots."""
    if not -(2**63) <= value < 2**64:
        raise AssemblerError(f"the constant {value} does not fit in 64 bits")
    return checked(WIDE_LOAD, dst, imm=value & 0xFFFF_FFFF_FFFF_FFFF)


def referring(dst: int, kind: int, target: str | int, high: int = 0, unresolved: int = 0) -> Instruction:
    """A wide load of something by name, or by the number that goes into its lower half."""
    if not 0 <= high <= 0xFFFF_FFFF:
        raise AssemblerError(f"{high} does not fit in 32 bits, unsigned")
    if isinstance(target, str):
        return checked(WIDE_LOAD, dst, kind, imm=high << 32 | unresolved, symbol=target)
    return checked(WIDE_LOAD, dst, kind, imm=high << 32 | constant(target, 32) & 0xFFFF_FFFF)


def LoadMapPtr(dst: int, map: str | int) -> Instruction:
    """dst = the map of that name, or of that file descriptor."""
    return referring(dst, op.PSEUDO_MAP_FD, map)


def LoadMapValue(dst: int, map: str | int, offset: int = 0) -> Instruction:
    """dst = the address of byte `offset` in the value of an array map with one element. Linux 5.2."""
    return referring(dst, op.PSEUDO_MAP_VALUE, map, offset)


def LoadMapIdx(dst: int, index: int) -> Instruction:
    """dst = the map at `index` of the descriptors that are passed with the program (fd_array). Linux 5.14."""
    return referring(dst, op.PSEUDO_MAP_IDX, index)


def LoadMapIdxValue(dst: int, index: int, offset: int = 0) -> Instruction:
    """dst = an address in the value of the map at `index` of fd_array. Linux 5.14."""
    return referring(dst, op.PSEUDO_MAP_IDX_VALUE, index, offset)


def LoadKsym(dst: int, symbol: str | int, module: int = 0) -> Instruction:
    """dst = the address of a kernel variable, by name or by BTF id (in `module`, a BTF descriptor). Linux 5.10."""
    return referring(dst, op.PSEUDO_BTF_ID, symbol, module)


def LoadFunc(dst: int, function: str | int) -> Instruction:
    """dst = a function of this program, to be called back: its label, or the distance in slots. Linux 5.13."""
    return referring(dst, op.PSEUDO_FUNC, function, unresolved=UNRESOLVED)


class AtomicOperations:
    """`Atomic`: operations on memory at dst + offset that no other CPU sees half done. Sizes W and DW unless told.

    With `fetch` the old value ends up in src. All but a plain `add` need cpu v3 (Linux 5.12).
    """

    __slots__ = ()

    def add(self, dst: int, offset: int, src: int, size: Size, *, fetch: bool = False) -> Instruction:
        return atomic(dst, offset, src, size, op.ADD | fetch)

    def or_(self, dst: int, offset: int, src: int, size: Size, *, fetch: bool = False) -> Instruction:
        return atomic(dst, offset, src, size, op.OR | fetch)

    def and_(self, dst: int, offset: int, src: int, size: Size, *, fetch: bool = False) -> Instruction:
        return atomic(dst, offset, src, size, op.AND | fetch)

    def xor(self, dst: int, offset: int, src: int, size: Size, *, fetch: bool = False) -> Instruction:
        return atomic(dst, offset, src, size, op.XOR | fetch)

    def xchg(self, dst: int, offset: int, src: int, size: Size) -> Instruction:
        """Exchange src and the memory."""
        return atomic(dst, offset, src, size, op.XCHG)

    def cmpxchg(self, dst: int, offset: int, src: int, size: Size) -> Instruction:
        """Store src if the memory equals r0; r0 = the old value either way."""
        return atomic(dst, offset, src, size, op.CMPXCHG)

    def load_acquire(self, dst: int, src: int, offset: int, size: Size) -> Instruction:
        """dst = the value at src + offset; later accesses stay later. Any size. cpu v4, Linux 6.15."""
        return atomic(dst, offset, src, size, op.LOAD_ACQUIRE)

    def store_release(self, dst: int, offset: int, src: int, size: Size) -> Instruction:
        """Store src at dst + offset; earlier accesses stay earlier. Any size. cpu v4, Linux 6.15."""
        return atomic(dst, offset, src, size, op.STORE_RELEASE)


def atomic(dst: int, offset: int, src: int, size: Size, imm: int) -> Instruction:
    return checked(op.STX | op.MODE_ATOMIC | sized(size), dst, src, offset, imm)


Atomic = AtomicOperations()

Target = str | int
"""Where a jump goes: a label, or a distance in slots from the next instruction."""


def jump(opcode: int, target: Target, dst: int = 0, src: int = 0, imm: int = 0) -> Instruction:
    if isinstance(target, str):
        check_label(target)
        return checked(opcode, dst, src, 0, imm, target)
    return checked(opcode, dst, src, target, imm)


class Condition:
    """A conditional jump: `if dst op operand goto target`. A 64-bit one extends the sign of a constant; 32-bit is cpu v3."""

    __slots__ = ("bits", "opcode")

    def __init__(self, code: int, bits: int) -> None:
        self.opcode = code | (op.JMP if bits == 64 else op.JMP32)
        self.bits = bits

    def imm(self, dst: int, value: int, target: Target) -> Instruction:
        return jump(self.opcode | op.K, target, dst, imm=constant(value, self.bits))

    def reg(self, dst: int, src: int, target: Target) -> Instruction:
        return jump(self.opcode | op.X, target, dst, src)


JEq, JEq32 = Condition(op.JEQ, 64), Condition(op.JEQ, 32)
JNe, JNe32 = Condition(op.JNE, 64), Condition(op.JNE, 32)
JGt, JGt32 = Condition(op.JGT, 64), Condition(op.JGT, 32)
JGe, JGe32 = Condition(op.JGE, 64), Condition(op.JGE, 32)
JLt, JLt32 = Condition(op.JLT, 64), Condition(op.JLT, 32)
JLe, JLe32 = Condition(op.JLE, 64), Condition(op.JLE, 32)
JSGt, JSGt32 = Condition(op.JSGT, 64), Condition(op.JSGT, 32)
JSGe, JSGe32 = Condition(op.JSGE, 64), Condition(op.JSGE, 32)
JSLt, JSLt32 = Condition(op.JSLT, 64), Condition(op.JSLT, 32)
JSLe, JSLe32 = Condition(op.JSLE, 64), Condition(op.JSLE, 32)
JSet, JSet32 = Condition(op.JSET, 64), Condition(op.JSET, 32)


def Jump(target: Target) -> Instruction:
    """Go to `target`. To a label that is out of 16 bits' reach, `assemble()` makes it a JumpLong."""
    return jump(op.GOTO_OPCODE, target)


def JumpLong(target: Target) -> Instruction:
    """Go to `target` with a distance of 32 bits. cpu v4 (Linux 6.6)."""
    if isinstance(target, str):
        return jump(op.GOTOL_OPCODE, target)
    return checked(op.GOTOL_OPCODE, imm=target)


def JumpReg(dst: int) -> Instruction:
    """Go to the address in a register, read from an instruction array map. cpu v4 (Linux 6.19)."""
    return checked(op.GOTOX_OPCODE, dst)


def MayGoto(target: Target) -> Instruction:
    """Go to `target` when the loop has run long enough: bounds a loop for the verifier. cpu v4 (Linux 6.9)."""
    return jump(op.MAY_GOTO_OPCODE, target)


class Calls:
    """`Call`: r1 to r5 are the arguments and are lost, r0 is the result. Helpers by name are called by `Fn.name.call()`."""

    __slots__ = ()

    def helper(self, id: int) -> Instruction:
        """A helper by its number."""
        return checked(op.CALL_OPCODE, src=op.CALL_HELPER, imm=id)

    def local(self, function: str | int) -> Instruction:
        """A function of this program: its label, or the distance in slots. Linux 4.16."""
        if isinstance(function, str):
            check_label(function)
            return checked(op.CALL_OPCODE, src=op.CALL_LOCAL, imm=signed32(UNRESOLVED), symbol=function)
        return checked(op.CALL_OPCODE, src=op.CALL_LOCAL, imm=function)

    def kfunc(self, function: str | int, module: int = 0) -> Instruction:
        """A kernel function by name, or by BTF id (in the module at index `module` of fd_array). Linux 5.13."""
        if isinstance(function, str):
            return checked(op.CALL_OPCODE, src=op.CALL_KFUNC, offset=module, symbol=function)
        return checked(op.CALL_OPCODE, src=op.CALL_KFUNC, offset=module, imm=function)

    def reg(self, dst: int) -> Instruction:
        """The function whose address is in a register. No released kernel takes it; the embedded VM does."""
        return checked(op.CALLX_OPCODE, dst)


Call = Calls()


def Exit() -> Instruction:
    """Return r0 from the function or the program."""
    return checked(op.EXIT_OPCODE)


__all__ = [
    "DW",
    "FP",
    "R0",
    "R1",
    "R2",
    "R3",
    "R4",
    "R5",
    "R6",
    "R7",
    "R8",
    "R9",
    "R10",
    "Add",
    "Add32",
    "AddrSpaceCast",
    "And",
    "And32",
    "Arsh",
    "Arsh32",
    "Atomic",
    "B",
    "Bswap",
    "Call",
    "Div",
    "Div32",
    "Exit",
    "Fn",
    "H",
    "JEq",
    "JEq32",
    "JGe",
    "JGe32",
    "JGt",
    "JGt32",
    "JLe",
    "JLe32",
    "JLt",
    "JLt32",
    "JNe",
    "JNe32",
    "JSGe",
    "JSGe32",
    "JSGt",
    "JSGt32",
    "JSLe",
    "JSLe32",
    "JSLt",
    "JSLt32",
    "JSet",
    "JSet32",
    "Jump",
    "JumpLong",
    "JumpReg",
    "Label",
    "LoadAbs",
    "LoadFunc",
    "LoadImm64",
    "LoadInd",
    "LoadKsym",
    "LoadMapIdx",
    "LoadMapIdxValue",
    "LoadMapPtr",
    "LoadMapValue",
    "LoadMem",
    "LoadMemSx",
    "Lsh",
    "Lsh32",
    "MayGoto",
    "Mod",
    "Mod32",
    "Mov",
    "Mov32",
    "MovSx",
    "MovSx32",
    "Mul",
    "Mul32",
    "Neg",
    "Neg32",
    "Or",
    "Or32",
    "Rsh",
    "Rsh32",
    "SDiv",
    "SDiv32",
    "SMod",
    "SMod32",
    "Size",
    "StoreImm",
    "StoreMem",
    "Sub",
    "Sub32",
    "ToBe",
    "ToLe",
    "W",
    "Xor",
    "Xor32",
    "assemble",
]
