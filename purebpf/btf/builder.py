"""Builds BTF: types in, bytes out (Documentation/bpf/btf.rst). All kinds.

`add` gives a type its number; one that is there already keeps its own. Types that refer to each other in a circle are made with
`reserve` and `define`. Whole graphs that are equal become one by `deduplicate` (dedup.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from purebpf.btf.encode import blob, words_of
from purebpf.btf.errors import BtfError
from purebpf.btf.reader import Btf
from purebpf.btf.types import Type, Void


def encoded(types: Iterable[Type], byteorder: Literal["little", "big"]) -> bytes:
    """Types from the number 1 on as bytes, each at its place even if there are equal ones."""
    builder = BtfBuilder(byteorder)
    for type in types:
        builder.define(builder.reserve(), type)
    return builder.encode()


class BtfBuilder:
    """Types by number from `first` on, which follows those of the `base` if there is one; 0 is void."""

    def __init__(self, byteorder: Literal["little", "big"], *, base: Btf | None = None) -> None:
        self.byteorder = byteorder
        self.first = len(base) if base else 1
        self._base = base
        self._types: list[Type | None] = []
        self._numbers: dict[Type, int] = {}
        self._strings = bytearray() if base else bytearray(b"\0")
        self._first_string = base.strings_size if base else 0
        self._offsets: dict[str, int] = {"": 0}

    def __len__(self) -> int:
        """One more than the highest number."""
        return self.first + len(self._types)

    def add(self, type: Type) -> int:
        """The number of a type; those it refers to come first. Raises BtfError for what the format has no room for."""
        if isinstance(type, Void):
            return 0
        if type not in self._numbers:
            words_of(type, self.string)
            self._numbers[type] = len(self)
            self._types.append(type)
        return self._numbers[type]

    def reserve(self) -> int:
        """A number for a type that is told later, by `define`."""
        self._types.append(None)
        return len(self) - 1

    def define(self, number: int, type: Type) -> None:
        """What a reserved number stands for."""
        if not self.first <= number < len(self) or self._types[number - self.first] is not None:
            raise BtfError(f"the number {number} is not reserved, or was defined before")
        words_of(type, self.string)
        self._types[number - self.first] = type
        self._numbers.setdefault(type, number)

    def types(self) -> list[Type]:
        """All types, the first one first. Raises BtfError while a reserved number is not defined."""
        found = [type for type in self._types if type is not None]
        if len(found) < len(self._types):
            raise BtfError(f"the number {self._types.index(None) + self.first} is reserved, but was not defined")
        return found

    def string(self, text: str) -> int:
        """Where a name lies in the string section."""
        if text not in self._offsets:
            if "\0" in text:
                raise BtfError(f"the name {text!r} has a NUL, which ends a string in BTF")
            self._offsets[text] = self._first_string + len(self._strings)
            self._strings += text.encode() + b"\0"
        return self._offsets[text]

    def encode(self) -> bytes:
        """The whole of it, for BPF_BTF_LOAD (Linux 4.18)."""
        words = [word for type in self.types() for word in words_of(type, self.string)]
        return blob(words, bytes(self._strings), self.byteorder)
