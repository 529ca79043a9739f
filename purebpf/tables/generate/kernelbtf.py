"""What the generator takes out of the running kernel's BTF (`/sys/kernel/btf/vmlinux`): enums, and the layout of structs.

The format is Documentation/bpf/btf.rst. One pass over the type section notes where each type is; types are decoded when asked for.
"""

from __future__ import annotations

import struct
from functools import cached_property
from pathlib import Path

VMLINUX = Path("/sys/kernel/btf/vmlinux")
INT, PTR, ARRAY, STRUCT, UNION, ENUM, FUNC_PROTO, VAR, DATASEC, DECL_TAG, ENUM64 = 1, 2, 3, 4, 5, 6, 13, 14, 15, 17, 19
FIXED = {INT: 4, ARRAY: 12, VAR: 4, DECL_TAG: 4}
PER_MEMBER = {STRUCT: 12, UNION: 12, ENUM: 8, FUNC_PROTO: 8, DATASEC: 12, ENUM64: 12}


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
        found = {}
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
