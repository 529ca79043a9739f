"""What an op means on constants, and the identities that hold for any operand.

The one table of arithmetic: the builder folds with it, the interpreter runs with it.
"""

from __future__ import annotations

from collections.abc import Callable

from purebpf.compiler.ir.ops import I32, I64, Int, Type, signed64

M32, M64 = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _sdiv(a: int, b: int, bits: int) -> int:
    x, y = _signed(a, bits), _signed(b, bits)
    if y == 0:
        return 0
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


def _smod(a: int, b: int, bits: int) -> int:
    x, y = _signed(a, bits), _signed(b, bits)
    if y == 0:
        return x
    return abs(x) % abs(y) * (-1 if x < 0 else 1)


ARITHMETIC: dict[str, Callable[[int, int, int], int]] = {  # (a, b, bits), operands already cut to `bits`, unsigned
    "add": lambda a, b, n: a + b,
    "sub": lambda a, b, n: a - b,
    "mul": lambda a, b, n: a * b,
    "udiv": lambda a, b, n: a // b if b else 0,
    "umod": lambda a, b, n: a % b if b else a,
    "sdiv": _sdiv,
    "smod": _smod,
    "and": lambda a, b, n: a & b,
    "or": lambda a, b, n: a | b,
    "xor": lambda a, b, n: a ^ b,
    "shl": lambda a, b, n: a << (b % n),
    "lshr": lambda a, b, n: a >> (b % n),
    "ashr": lambda a, b, n: _signed(a, n) >> (b % n),
}

COMPARE: dict[str, Callable[[int, int], bool]] = {  # operands unsigned 64-bit
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "ult": lambda a, b: a < b,
    "ule": lambda a, b: a <= b,
    "slt": lambda a, b: signed64(a) < signed64(b),
    "sle": lambda a, b: signed64(a) <= signed64(b),
}


def swap_bytes(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return int.from_bytes(value.to_bytes(bits // 8, "little"), "big")


def evaluate(kind: str, type: Type, args: list[int], imm: tuple[int, ...], big_endian: bool = False) -> int | None:
    """The value of a pure integer op on integers, as signed 64-bit; None if it is no such op."""
    if kind in ARITHMETIC and isinstance(type, Int):
        bits = 32 if type == I32 else 64
        mask = M32 if type == I32 else M64
        return signed64(ARITHMETIC[kind](args[0] & mask, args[1] & mask, bits) & mask)
    if kind in COMPARE:
        return int(COMPARE[kind](args[0] & M64, args[1] & M64))
    if kind == "low32":
        return args[0] & M32
    if kind == "sext":
        return _signed(args[0], imm[0])
    if kind == "tobe":
        return signed64(args[0] & ((1 << imm[0]) - 1) if big_endian else swap_bytes(args[0], imm[0]))
    return None


def identity(kind: str, type: Type, constant: int) -> str:
    """What `x kind constant` is without computing: "x", "0", or "" when it has to be computed.

    "x" only holds in full width: a 32-bit op also clears the upper half.
    """
    if constant == 0:
        if kind in ("add", "sub", "or", "xor", "shl", "lshr", "ashr"):
            return "x" if type != I32 else ""
        if kind in ("mul", "and", "udiv", "sdiv"):
            return "0"
        if kind in ("umod", "smod"):
            return "x" if type != I32 else ""
    if constant == 1 and kind in ("mul", "udiv"):
        return "x" if type != I32 else ""
    if constant == 1 and kind == "umod":
        return "0"
    if constant == -1 and kind == "and" and type == I64:
        return "x"
    return ""
