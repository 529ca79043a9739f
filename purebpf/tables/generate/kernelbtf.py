"""What the generator takes out of the running kernel's BTF (`/sys/kernel/btf/vmlinux`): enums, and the layout of structs.

The format is Documentation/bpf/btf.rst. One pass over the type section notes
where each type is; types are decoded when asked for.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

VMLINUX = Path("/sys/kernel/btf/vmlinux")
INT, PTR, ARRAY, STRUCT, UNION, ENUM, TYPEDEF, VOLATILE, CONST, RESTRICT = 1, 2, 3, 4, 5, 6, 8, 9, 10, 11
FUNC, FUNC_PROTO, VAR, DATASEC, DECL_TAG, TYPE_TAG, ENUM64 = 12, 13, 14, 15, 17, 18, 19
FIXED = {INT: 4, ARRAY: 12, VAR: 4, DECL_TAG: 4}
PER_MEMBER = {STRUCT: 12, UNION: 12, ENUM: 8, FUNC_PROTO: 8, DATASEC: 12, ENUM64: 12}


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct, those of anonymous members among them: byte offset, size in bytes, and what is there.

    `count` is the length of an array (0: no array) whose elements have `element` bytes; `target` is what a pointer points to
    ("": no pointer). `bits` is the width of a bit field (0: none), `bit` its first bit in the struct."""

    name: str
    offset: int
    size: int
    signed: bool = False
    count: int = 0
    element: int = 0
    target: str = ""
    bit: int = 0
    bits: int = 0


class KernelBtf:
    """Raises OSError when the kernel offers no BTF, ValueError when the bytes are not BTF."""

    def __init__(self, path: Path = VMLINUX) -> None:
        self.raw = path.read_bytes()
        magic, _version, _flags, header, type_off, type_len, string_off, _string_len = struct.unpack_from("<HBBIIIII", self.raw)
        if magic != 0xEB9F:
            raise ValueError(f"{path} is not little-endian BTF: its magic is {magic:#x}, not 0xeb9f")
        self._types = (header + type_off, header + type_off + type_len)
        self._strings = header + string_off

    def string(self, offset: int) -> str:
        start = self._strings + offset
        return self.raw[start : self.raw.index(b"\0", start)].decode()

    @cached_property
    def offsets(self) -> list[int]:
        """Where type number i starts; entry 0 is `void`."""
        offset, end = self._types
        found = [0]
        unpack = struct.Struct("<II").unpack_from
        while offset < end:
            found.append(offset)
            _name, info = unpack(self.raw, offset)
            kind, count = info >> 24 & 31, info & 0xFFFF
            offset += 12 + (PER_MEMBER[kind] * count if kind in PER_MEMBER else FIXED.get(kind, 0))
        return found

    @cached_property
    def enums(self) -> dict[str, list[tuple[str, int]]]:
        """Every named enum as (enumerator, value) pairs in the kernel's order."""
        found: dict[str, list[tuple[str, int]]] = {}
        for offset in self.offsets[1:]:
            name, info, _size = struct.unpack_from("<III", self.raw, offset)
            kind, count, signed = info >> 24 & 31, info & 0xFFFF, info >> 31
            if kind not in (ENUM, ENUM64):
                continue
            members = []
            for index in range(count):
                if kind == ENUM:
                    label, value = struct.unpack_from("<Ii" if signed else "<II", self.raw, offset + 12 + index * 8)
                else:
                    label, low, high = struct.unpack_from("<III", self.raw, offset + 12 + index * 12)
                    value = high << 32 | low
                    if signed and value >> 63:
                        value -= 1 << 64
                members.append((self.string(label), value))
            found.setdefault(self.string(name) or f"anonymous {offset}", members)
        return found

    @cached_property
    def names(self) -> dict[tuple[int, str], int]:
        """The number of each named type, by kind and name; of several with one name the first."""
        found: dict[tuple[int, str], int] = {}
        for number, offset in enumerate(self.offsets[1:], 1):
            name, info = struct.unpack_from("<II", self.raw, offset)
            if name:
                found.setdefault((info >> 24 & 31, self.string(name)), number)
        return found

    def _head(self, number: int) -> tuple[int, int, int, int]:
        """Name offset, kind, info and the third word of a type, seen through typedefs and qualifiers."""
        while True:
            name, info, third = struct.unpack_from("<III", self.raw, self.offsets[number])
            kind = info >> 24 & 31
            if kind not in (TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG):
                return name, kind, info, number
            number = third

    def _third(self, number: int) -> int:
        return int(struct.unpack_from("<I", self.raw, self.offsets[number] + 8)[0])

    def size(self, number: int) -> int:
        """Bytes of a type; raises ValueError for a function or void."""
        _name, kind, _info, real = self._head(number)
        if kind == PTR:
            return 8
        if kind == ARRAY:
            element, _index, count = struct.unpack_from("<III", self.raw, self.offsets[real] + 12)
            return self.size(element) * int(count)
        if kind in (INT, STRUCT, UNION, ENUM, ENUM64):
            return self._third(real)
        raise ValueError(f"BTF type {number} has no size: its kind is {kind}")

    def _signed(self, number: int) -> bool:
        _name, kind, info, real = self._head(number)
        if kind == INT:
            return bool(struct.unpack_from("<I", self.raw, self.offsets[real] + 12)[0] >> 24 & 1)
        return kind in (ENUM, ENUM64) and bool(info >> 31)

    def _target(self, number: int) -> str:
        """What a pointer points to, by name ("void" where it has none)."""
        _name, kind, _info, real = self._head(number)
        if kind != PTR:
            return ""
        target = self._third(real)
        if target == 0:
            return "void"
        return self.string(self._head(target)[0]) or "void"

    def struct_number(self, name: str) -> int:
        """Raises KeyError when the kernel has no such struct."""
        number = self.names.get((STRUCT, name)) or self.names.get((UNION, name))
        if number is None:
            raise KeyError(f"this kernel's BTF has no struct {name}")
        return number

    def members(self, number: int, base: int = 0) -> list[Member]:
        """The named members in order, those of anonymous structs and unions in their place. `base` is a bit offset."""
        _name, _kind, info, real = self._head(number)
        found = []
        for index in range(info & 0xFFFF):
            name, type, position = struct.unpack_from("<III", self.raw, self.offsets[real] + 12 + index * 12)
            bits, bit = (position >> 24, position & 0xFFFFFF) if info >> 31 else (0, position)
            _, kind, _, inner = self._head(type)
            if not name and kind in (STRUCT, UNION):
                found += self.members(inner, base + bit)
                continue
            count = element = 0
            scalar = type
            if kind == ARRAY:
                scalar, _index, count = struct.unpack_from("<III", self.raw, self.offsets[inner] + 12)
                element = self.size(scalar)
            found.append(
                Member(
                    self.string(name),
                    (base + bit) // 8,
                    self.size(type),
                    self._signed(scalar),
                    count,
                    element,
                    self._target(type),
                    base + bit,
                    bits,
                )
            )
        return found

    def attribute(self, first: str) -> dict[str, tuple[int, int]]:
        """Offset and size of each member of that anonymous struct in `union bpf_attr` which begins with the member `first`."""
        _name, _kind, info, real = self._head(self.struct_number("bpf_attr"))
        for index in range(info & 0xFFFF):
            name, type, _position = struct.unpack_from("<III", self.raw, self.offsets[real] + 12 + index * 12)
            if name:
                continue
            members = self.members(type)
            if members[0].name == first:
                return {member.name: (member.offset, member.size) for member in members}
        raise KeyError(f"no part of union bpf_attr begins with {first}")
