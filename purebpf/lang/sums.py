"""Checksums and hashes for programs and for user space: the same numbers on both sides.

The Internet checksum is RFC 1071's, its update RFC 1624's; `jhash` is Bob Jenkins' lookup3 as the kernel has it
(include/linux/jhash.h), of little-endian machines.
"""

from __future__ import annotations

from typing import Any

LOW32 = 0xFFFF_FFFF
JHASH_INITIAL = 0xDEADBEEF


def checksum(data: Any, start: int = 0) -> int:
    """The Internet checksum of a record, an array or bytes, as a number for a `be16` field. What lies in the checksum field
    counts too: set it to 0 before; over a whole intact header it is 0. `start` is added as numbers in network order, for
    example the fields of a pseudo header. In a program at most 512 bytes."""
    octets = _bytes(data)
    total = start + sum(octets[0::2]) * 256 + sum(octets[1::2])
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def checksum_update(check: int, old: int, new: int) -> int:
    """The checksum of a packet in which a field of 16 or 32 bits changed from `old` to `new`, at an even offset."""
    total = (~check & 0xFFFF) + (~old & 0xFFFF) + ((~old >> 16) & 0xFFFF) + (new & 0xFFFF) + ((new >> 16) & 0xFFFF)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def jhash(data: Any, seed: int = 0) -> int:
    """The kernel's jhash: of a record, an array or bytes (as `jhash`), or of a tuple of 32-bit numbers (as `jhash2`). A u32;
    take some bits of it, `jhash(...) % n`. In a program at most 256 bytes."""
    octets = b"".join((n & LOW32).to_bytes(4, "little") for n in data) if isinstance(data, tuple) else _bytes(data)
    words = [int.from_bytes(octets[i : i + 4], "little") for i in range(0, len(octets), 4)]
    a = b = c = (JHASH_INITIAL + len(octets) + seed) & LOW32
    while len(octets) > 12:
        a, b, c = _mix((a + words[0]) & LOW32, (b + words[1]) & LOW32, (c + words[2]) & LOW32)
        words, octets = words[3:], octets[12:]
    if not words:
        return c
    tail = [*words, 0, 0]
    return _final((a + tail[0]) & LOW32, (b + tail[1]) & LOW32, (c + tail[2]) & LOW32)


MIX = ((0, 2, 4), (1, 0, 6), (2, 1, 8), (0, 2, 16), (1, 0, 19), (2, 1, 4))
"""(x, y, n) of `x -= y; x ^= rol(y, n); y += z`, where z is the third of a, b, c."""
FINAL = ((2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24))
"""(x, y, n) of `x ^= y; x -= rol(y, n)`."""


def _mix(*start: int) -> tuple[int, ...]:
    s = list(start)
    for x, y, n in MIX:
        z = 3 - x - y
        s[x] = (s[x] - s[y]) & LOW32 ^ _rotated(s[y], n)
        s[y] = (s[y] + s[z]) & LOW32
    return tuple(s)


def _final(*start: int) -> int:
    s = list(start)
    for x, y, n in FINAL:
        s[x] = ((s[x] ^ s[y]) - _rotated(s[y], n)) & LOW32
    return s[2]


def _rotated(x: int, n: int) -> int:
    return (x << n | x >> (32 - n)) & LOW32


def _bytes(data: Any) -> bytes:
    """What lies in memory: of a record its bytes with padding, of an array or bytes as they are."""
    return data.to_bytes() if hasattr(type(data), "__bpf_type__") else bytes(data)
