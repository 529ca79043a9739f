"""Writes BTF bytes for the tests, straight from the format's description (Documentation/bpf/btf.rst), in either byte order."""

from __future__ import annotations

import struct
from typing import Literal

Order = Literal["little", "big"]
NAMES = ("", "int", "first", "second", "thing", "choice", "A", "B", "main", "long unsigned int", "section")


class Writer:
    """Collects types; `bytes` gives the whole BTF. Strings are those of NAMES, by name."""

    def __init__(self, order: Order = "little") -> None:
        self.mark = "<" if order == "little" else ">"
        self.types = b""
        self.count = 0
        self.strings = b"\0".join(name.encode() for name in NAMES) + b"\0"

    def at(self, name: str) -> int:
        return self.strings.index(b"\0" + name.encode() + b"\0") + 1 if name else 0

    def words(self, *values: int) -> bytes:
        return b"".join(struct.pack(self.mark + "I", value & 0xFFFF_FFFF) for value in values)

    def add(self, kind: int, name: str = "", third: int = 0, *rest: int, count: int = 0, flag: bool = False) -> int:
        """Add a type; its number."""
        self.types += self.words(self.at(name), flag << 31 | kind << 24 | count, third, *rest)
        self.count += 1
        return self.count

    def bytes(self) -> bytes:
        sizes = self.words(24, 0, len(self.types), len(self.types), len(self.strings))
        return struct.pack(self.mark + "HBB", 0xEB9F, 1, 0) + sizes + self.types + self.strings


def everything(order: Order) -> Writer:
    """One type of each kind; the numbers are in the order of the kinds, 1 to 19."""
    w = Writer(order)
    int_, signed = 1, 1 << 24
    w.add(1, "int", 4, signed | 32)
    w.add(2, "", int_)
    w.add(3, "", 0, int_, int_, 7)
    w.add(4, "thing", 8, w.at("first"), int_, 0, w.at("second"), int_, 3 << 24 | 32, count=2, flag=True)
    w.add(5, "thing", 4, w.at("first"), int_, 0, count=1)
    w.add(6, "choice", 4, w.at("A"), -1, w.at("B"), 2, count=2, flag=True)
    w.add(7, "thing", 0, flag=True)
    w.add(8, "first", int_)
    w.add(9, "", 8)
    w.add(10, "", 9)
    w.add(11, "", 2)
    w.add(12, "main", 13, count=1)
    w.add(13, "", int_, w.at("first"), 2, 0, 0, count=2)
    w.add(14, "second", 10, 2)
    w.add(15, "section", 4, 14, 0, 4, count=1)
    w.add(16, "first", 8)
    w.add(17, "A", 4, -1)
    w.add(18, "B", 10)
    w.add(19, "choice", 8, w.at("A"), 0xFFFF_FFFF, 0x7FFF_FFFF, count=1)
    return w
