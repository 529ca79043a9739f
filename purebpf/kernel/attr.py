"""Packs and reads the structures of bpf(2) and perf_event_open(2) by the generated layouts in `tables/attr.py`."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from purebpf.tables.attr import ARRAYS, BITS, COMMANDS, INTEGERS, SIZES


def pack(name: str, fields: Mapping[str, int | bytes]) -> tuple[bytearray, int]:
    """A structure with these members set and all else zero, for a command of bpf(2) or a structure by its own name.

    Gives the whole structure, for the kernel may write into any of it, and how many bytes of it to announce: up to the last
    member that is not zero, since a kernel that does not know a member refuses it (E2BIG). Raises KeyError for a member
    that the structure does not have, OverflowError for a value that does not fit.
    """
    layout = COMMANDS.get(name, name)
    buffer = bytearray(SIZES[layout])
    ends = [_put(buffer, layout, member, value) for member, value in fields.items()]
    return buffer, max(ends, default=0)


def _put(buffer: bytearray, layout: str, member: str, value: int | bytes) -> int:
    """Write one member; the offset behind it. A zero is there already and needs no room."""
    if isinstance(value, bytes):
        offset, size = ARRAYS[layout][member]
        if len(value) > size:
            raise OverflowError(f"{layout}.{member} has {size} bytes; {value!r} has {len(value)}")
        buffer[offset : offset + len(value)] = value
    elif place := INTEGERS[layout].get(member):
        offset, size = place
        buffer[offset : offset + size] = int(value).to_bytes(size, sys.byteorder, signed=value < 0)
    else:
        offset, size, bit, width = _bits(layout, member)
        if not 0 <= value < 1 << width:
            raise OverflowError(f"{layout}.{member} has {width} bits; {value} does not fit")
        unit = int.from_bytes(buffer[offset : offset + size], sys.byteorder) | int(value) << _shift(size, bit, width)
        buffer[offset : offset + size] = unit.to_bytes(size, sys.byteorder)
    return offset + size if value else 0


def _bits(layout: str, member: str) -> tuple[int, int, int, int]:
    place = BITS.get(layout, {}).get(member)
    if place is None:
        raise KeyError(f"{layout} has no member {member!r}; it has {', '.join(members(layout))}")
    return place


def _shift(size: int, bit: int, width: int) -> int:
    """Compilers place bit fields from the low end in little-endian byte order and from the high end in big-endian."""
    return bit if sys.byteorder == "little" else size * 8 - bit - width


def members(layout: str) -> list[str]:
    """The names of all members of a structure."""
    return [*INTEGERS[layout], *ARRAYS.get(layout, ()), *BITS.get(layout, ())]


def read(layout: str, data: bytes | bytearray, member: str) -> int:
    """An integer member out of a structure's bytes."""
    if place := INTEGERS[layout].get(member):
        offset, size = place
        return int.from_bytes(data[offset : offset + size], sys.byteorder)
    offset, size, bit, width = _bits(layout, member)
    unit = int.from_bytes(data[offset : offset + size], sys.byteorder)
    return unit >> _shift(size, bit, width) & (1 << width) - 1


def read_bytes(layout: str, data: bytes | bytearray, member: str) -> bytes:
    """A member that is an array of bytes, whole."""
    offset, size = ARRAYS[layout][member]
    return bytes(data[offset : offset + size])


def read_name(layout: str, data: bytes | bytearray, member: str) -> str:
    """A member that is a NUL-terminated string."""
    return read_bytes(layout, data, member).split(b"\0", 1)[0].decode("utf-8", "replace")
