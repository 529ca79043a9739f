"""What generated code calls besides helpers: byte swaps, signed division, loads and stores of each width (RFC 9669 section
4)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from struct import Struct

from purebpf.vm.memory import Fault

TYPE_CHECKING = False  # the checker takes it as true; importing it from typing would cost milliseconds
if TYPE_CHECKING:
    from purebpf.isa.codec import ByteOrder


def signed(value: int, bits: int) -> int:
    """The lowest bits of a number, read as a signed one."""
    sign = 1 << bits - 1
    return (value & 2 * sign - 1 ^ sign) - sign


def truncating_quotient(dividend: int, divisor: int) -> int:
    """Division that rounds towards zero, as the hardware's does; Python's rounds down."""
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def signed_divide(bits: int) -> Callable[[int, int], int]:
    """By 0 the result is 0; the least number by -1 gives itself, since the result is cut."""
    mask = (1 << bits) - 1

    def divide(dividend: int, divisor: int) -> int:
        right = signed(divisor, bits)
        return truncating_quotient(signed(dividend, bits), right) & mask if right else 0

    return divide


def signed_modulo(bits: int) -> Callable[[int, int], int]:
    """The rest has the sign of the dividend; modulo 0 the result is the dividend."""
    mask = (1 << bits) - 1

    def modulo(dividend: int, divisor: int) -> int:
        left, right = signed(dividend, bits), signed(divisor, bits)
        return (left - right * truncating_quotient(left, right) if right else left) & mask

    return modulo


def byte_swap(bits: int) -> Callable[[int], int]:
    size, mask = bits // 8, (1 << bits) - 1
    return lambda value: int.from_bytes((value & mask).to_bytes(size, "little"), "big")


def check_alignment(address: int, bits: int) -> None:
    """Atomic operations need an address that is a multiple of their width, as in the kernel."""
    if address & bits // 8 - 1:
        shown = address & 0xFFFF_FFFF_FFFF_FFFF
        raise Fault(f"accesses {bits // 8} bytes at {shown:#x} atomically, but the address is no multiple of {bits // 8}")


def no_arena() -> None:
    raise Fault("casts a pointer between address spaces, which needs an arena map; the virtual machine has none")


@cache
def names(byteorder: ByteOrder) -> dict[str, Callable[..., object]]:
    """The functions by the names that the generated code uses."""
    order = "<" if byteorder == "little" else ">"
    found: dict[str, Callable[..., object]] = {"aligned": check_alignment, "no_arena": no_arena}
    for bits, letter in ((16, "H"), (32, "I"), (64, "Q")):
        found[f"load{bits}"] = Struct(order + letter).unpack_from
        found[f"store{bits}"] = Struct(order + letter).pack_into
        found[f"swap{bits}"] = byte_swap(bits)
    for bits, letter in ((8, "b"), (16, "h"), (32, "i")):
        found[f"signed{bits}"] = Struct(order + letter).unpack_from
    for bits in (32, 64):
        found[f"sdiv{bits}"] = signed_divide(bits)
        found[f"smod{bits}"] = signed_modulo(bits)
    return found
