"""The codes of IR ops in the encoding, and small questions about values, for the selection of instructions."""

from __future__ import annotations

from purebpf.compiler.ir.ops import Op, Ptr
from purebpf.isa.opcodes import (
    ADD,
    AND,
    ARSH,
    ATOMIC_NAMES,
    DIV,
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
    LSH,
    MOD,
    MUL,
    OR,
    RSH,
    SIZE_BYTES,
    SUB,
    XCHG,
    XOR,
)  # fmt: skip

SIZES = {size: code for code, size in SIZE_BYTES.items()}
ALU_OPS = {
    "add": ADD, "sub": SUB, "mul": MUL, "udiv": DIV, "umod": MOD, "sdiv": DIV, "smod": MOD, "and": AND, "or": OR, "xor": XOR,
    "shl": LSH, "lshr": RSH, "ashr": ARSH,
}  # fmt: skip
ATOMIC_OPS = {name: code for code, name in ATOMIC_NAMES.items()} | {"xchg": XCHG}
JUMPS = {"eq": JEQ, "ne": JNE, "ult": JLT, "ule": JLE, "slt": JSLT, "sle": JSLE}
MIRRORED = {"eq": JEQ, "ne": JNE, "ult": JGT, "ule": JGE, "slt": JSGT, "sle": JSGE}  # operands exchanged


def fits(value: int) -> bool:
    return -(1 << 31) <= value < 1 << 31


def signed32(value: int) -> int:
    value &= 0xFFFF_FFFF
    return value - (1 << 32) if value >> 31 else value


def in_frame(op: Op) -> tuple[Op, int] | None:
    """(stack memory, offset) of a pointer at a constant distance from its start."""
    offset = 0
    while op.kind == "guard" or (op.kind == "add" and isinstance(op.type, Ptr) and op.args[1].is_const):
        offset += op.args[1].value if op.kind == "add" else 0
        op = op.args[0]
    return (op, offset) if op.kind == "alloca" else None
