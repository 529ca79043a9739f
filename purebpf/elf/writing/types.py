"""The object's `.BTF`: one for what the programs and maps of a spec have each for themselves.

First all of it is collected, then equal types become one (`settle`); only then does a type have its number in the object, and
types that the object itself needs are added.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.dedup import deduplicate
from purebpf.btf.graph import renumbered
from purebpf.btf.reader import Btf
from purebpf.btf.types import Array, DataSec, DeclTag, Int, Ptr, Type, Var

INT = Int("int", 4, 32, signed=True)
INDEX = Int("unsigned int", 4, 32)
Numbers = Callable[[int], int]


class Types:
    """Types being collected, then settled."""

    def __init__(self) -> None:
        self._collected: list[Type] = []
        self._known: dict[object, Numbers] = {}
        self._kept: list[Type] = []
        self._final: dict[int, int] = {0: 0}
        self._builder = BtfBuilder(sys.byteorder)

    def merge(self, types: Sequence[Type]) -> Numbers:
        """Take types, numbered from 1. The result gives each one's number in the object, once they are settled.

        Data sections and their variables are left out: the object has its own.
        """
        key = tuple(types)
        if key not in self._known:
            places: dict[int, int] = {}
            kept = []
            for old, type in enumerate(types, 1):
                left_out = isinstance(type, Var | DataSec) or (
                    isinstance(type, DeclTag) and isinstance(types[type.type - 1], Var)
                )
                if not left_out:
                    kept.append(type)
                    places[old] = len(self._collected) + len(kept)
            self._collected += [renumbered(type, lambda old: places.get(old, 0)) for type in kept]
            self._known[key] = lambda old: self._final[places.get(old, 0)]
        return self._known[key]

    def merge_btf(self, raw: bytes) -> Numbers:
        """The same for encoded BTF."""
        if raw not in self._known:
            self._known[raw] = self.merge([type for _, type in Btf(raw)])
        return self._known[raw]

    def settle(self) -> None:
        """Nothing more is collected."""
        self._kept, final = deduplicate(self._collected)
        self._final |= final
        for type in self._kept:
            self._builder.define(self._builder.reserve(), type)

    def collected(self, number: int) -> Type:
        """A type that was collected, by its number in the object."""
        return self._kept[number - 1]

    def add(self, type: Type) -> int:
        """The number of a type of the object's own; there is only one of equal ones."""
        return self._builder.add(type)

    def pointer(self, number: int) -> int:
        return self.add(Ptr(number))

    def array(self, element: int, length: int) -> int:
        return self.add(Array(element, self.add(INDEX), length))

    def string(self, text: str) -> int:
        return self._builder.string(text)

    def encode(self) -> bytes:
        return self._builder.encode()
