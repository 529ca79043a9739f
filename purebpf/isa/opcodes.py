"""The numbers of the instruction encoding: classes, sizes, modes, operations, pseudo sources.

From RFC 9669 sections 3-5 and `include/uapi/linux/bpf.h`. Which combinations are instructions is told in `forms.py`.
"""

from __future__ import annotations

from enum import IntEnum

# The low three bits: instruction class.
LD, LDX, ST, STX, ALU, JMP, JMP32, ALU64 = range(8)
CLASS_MASK = 0x07

# Loads and stores: size (bits 3-4) and mode (bits 5-7).
MODE_IMM, MODE_ABS, MODE_IND, MODE_MEM, MODE_MEMSX, MODE_ATOMIC = 0x00, 0x20, 0x40, 0x60, 0x80, 0xC0


class Size(IntEnum):
    """Width of a memory access, as encoded: byte, half word (2), word (4), double word (8)."""

    W = 0x00
    H = 0x08
    B = 0x10
    DW = 0x18

    @property
    def bytes(self) -> int:
        return SIZE_BYTES[self]


SIZE_BYTES = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
B, H, W, DW = Size.B, Size.H, Size.W, Size.DW

# Arithmetic and jumps: bit 3 says whether the second operand is a constant (K) or a register (X).
K, X = 0x00, 0x08

ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR, MOV, ARSH, END = range(0x00, 0xE0, 0x10)
TO_LE, TO_BE = K, X  # for END in class ALU; END in class ALU64 swaps without condition

JA, JEQ, JGT, JGE, JSET, JNE, JSGT, JSGE, CALL, EXIT, JLT, JLE, JSLT, JSLE, JCOND = range(0x00, 0xF0, 0x10)

# What `src` says in a wide load (LD | IMM | DW); 0 is a plain 64-bit constant.
PSEUDO_MAP_FD, PSEUDO_MAP_VALUE, PSEUDO_BTF_ID, PSEUDO_FUNC, PSEUDO_MAP_IDX, PSEUDO_MAP_IDX_VALUE = range(1, 7)

# What `src` says in a call.
CALL_HELPER, CALL_LOCAL, CALL_KFUNC = 0, 1, 2

# `imm` of an atomic instruction (STX | ATOMIC).
FETCH = 0x01
XCHG, CMPXCHG = 0xE0 | FETCH, 0xF0 | FETCH
LOAD_ACQUIRE, STORE_RELEASE = 0x100, 0x110

# `offset` that turns a division or modulo into the signed one, a register move into an address space cast.
SIGNED = 1
ADDR_SPACE_CAST = 1

EXIT_OPCODE = JMP | EXIT
CALL_OPCODE = JMP | CALL
CALLX_OPCODE = JMP | CALL | X
GOTO_OPCODE = JMP | JA
GOTOL_OPCODE = JMP32 | JA
GOTOX_OPCODE = JMP | JA | X
MAY_GOTO_OPCODE = JMP | JCOND

LAST_REGISTER = 10  # r10, the frame pointer

# One name for one number: operators as the kernel's log writes them.
ALU_SYMBOLS = {
    ADD: "+=",
    SUB: "-=",
    MUL: "*=",
    DIV: "/=",
    OR: "|=",
    AND: "&=",
    LSH: "<<=",
    RSH: ">>=",
    MOD: "%=",
    XOR: "^=",
    MOV: "=",
    ARSH: "s>>=",
}
JUMP_SYMBOLS = {
    JEQ: "==",
    JGT: ">",
    JGE: ">=",
    JSET: "&",
    JNE: "!=",
    JSGT: "s>",
    JSGE: "s>=",
    JLT: "<",
    JLE: "<=",
    JSLT: "s<",
    JSLE: "s<=",
}
ATOMIC_SYMBOLS = {ADD: "+=", OR: "|=", AND: "&=", XOR: "^="}
ATOMIC_NAMES = {ADD: "add", OR: "or", AND: "and", XOR: "xor"}
SIZE_NAMES = {W: "u32", H: "u16", B: "u8", DW: "u64"}
SIGNED_SIZE_NAMES = {W: "s32", H: "s16", B: "s8"}
