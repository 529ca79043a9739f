"""The Internet checksum (RFC 1071) and its update in place (RFC 1624), as the kernel computes them (include/net/checksum.h).

A sum is a 32-bit number in ones' complement that folds to 16 bits. It is made of 16-bit words as a machine of little byte
order reads them; a swap of all bytes gives the other order's sum.
"""

from __future__ import annotations

from struct import unpack

WORD = 0xFFFF
LONG = 0xFFFF_FFFF
MANGLED_ZERO = 0xFFFF  # what UDP sends for a checksum of 0, which stands for "none"


def add(left: int, right: int) -> int:
    """Ones' complement addition of 32 bits."""
    total = left + right
    return (total & LONG) + (total >> 32)


def sub(left: int, right: int) -> int:
    return add(left, ~right & LONG)


def partial(data: bytes, start: int = 0) -> int:
    """The sum of the 32-bit words of `data`, filled up with zeros, and `start`. It is 0 only when all of them are."""
    whole = data + bytes(-len(data) % 4)
    words: tuple[int, ...] = unpack(f"<{len(whole) // 4}I", whole)
    total = sum(words) + start
    while total >> 32:
        total = (total & LONG) + (total >> 32)
    return total


def fold(total: int) -> int:
    """A sum in 16 bits."""
    while total >> 16:
        total = (total & WORD) + (total >> 16)
    return total


def finish(total: int) -> int:
    """The checksum of a sum: its complement in 16 bits."""
    return ~fold(total) & WORD


def replace4(checksum: int, old: int, new: int) -> int:
    """The checksum after a 32-bit field changed."""
    return finish(add(sub(~checksum & LONG, old), new))


def replace2(checksum: int, old: int, new: int) -> int:
    """The checksum after a 16-bit field changed."""
    total = (~checksum & WORD) + (~old & WORD)
    total = fold(total) + new
    return ~fold(total) & WORD


def replace_by_difference(checksum: int, difference: int) -> int:
    """The checksum after a change whose sum is `difference` (`bpf_csum_diff`)."""
    return finish(add(difference, ~checksum & LONG))
