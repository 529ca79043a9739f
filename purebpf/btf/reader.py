"""Reads raw BTF bytes (Documentation/bpf/btf.rst): one pass finds where each type is, a type is decoded when it is asked for.

Both byte orders. Nothing is trusted: whatever is not well-formed is a `BtfError` that names the type and the byte. BTF in
files, and the running kernel's, is opened by `files.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from purebpf.btf.decode import decode
from purebpf.btf.errors import BtfError
from purebpf.btf.header import Index, header_of, scan, words_of
from purebpf.btf.layout import Layout
from purebpf.btf.names import Names
from purebpf.btf.types import DeclTag, Kind, Type, Void

if TYPE_CHECKING:
    from purebpf.btf.values import Value

__all__ = ["Btf", "BtfError"]

LONGEST_CHAIN = 64  # typedefs and qualifiers in a row; the kernel itself stops at 32
LONGEST_NAME = 4096  # bytes; the kernel's symbols have at most 511
KEPT = 4096  # decoded types that are kept for the next time
ALL_KINDS = tuple(Kind)  # by number: calling an enumeration takes ten times as long
TRANSPARENT = frozenset({Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG})


class Btf:
    """The types of one BTF, by number from 1; 0 is void.

    `base` is the BTF that a split BTF (a kernel module's) builds on: its types and strings come first. `origin` names the
    bytes in errors. `raw` must not change while it is in use. Raises BtfError. May be used from several threads.
    """

    def __init__(
        self,
        raw: bytes | bytearray | memoryview,
        *,
        base: Btf | None = None,
        origin: str = "BTF",
        index: Index | None = None,
        pointer_size: int = 0,
    ) -> None:
        """`index` is what an earlier scan of these very bytes found, `pointer_size` that of their machine where it is known."""
        view = memoryview(raw).toreadonly()
        self.origin, self.base, self.raw = origin, base, view
        self.header = header_of(view, origin, split=base is not None)
        self.byteorder = self.header.byteorder
        if base and base.byteorder != self.byteorder:
            raise BtfError(f"{origin}: the bytes are {self.byteorder}-endian, but those of its base are not", 0)
        self.words: Sequence[int] = words_of(view, self.header)
        self.strings = bytes(view[self.header.strings])
        self.first = len(base) if base else 1
        self.first_string: int = base.strings_size if base else 0
        self.index = index or scan(self.words, self.header, self.first, origin)
        self._length = self.first + len(self.index.places)
        self._names: Names = Names(self.index, self.strings, self.first, self.first_string, base._names if base else None)
        self._kept: dict[int, Type] = {}
        self._tags: dict[int, list[DeclTag]] | None = None
        self._layout = Layout(self, pointer_size)

    def __len__(self) -> int:
        """One more than the highest type number: `range(len(btf))` are all numbers, void included."""
        return self._length

    @property
    def strings_size(self) -> int:
        return self.first_string + len(self.strings)

    def string(self, offset: int) -> str:
        """The string at a byte offset of the string section (of the base's, then of its own)."""
        if self.base and offset < self.first_string:
            return self.base.string(offset)
        start = offset - self.first_string
        if not 0 <= start < len(self.strings):
            raise BtfError(f"{self.origin}: no string at offset {offset}; the section has {self.strings_size} bytes")
        end = self.strings.find(0, start, start + LONGEST_NAME)
        if end < 0:
            raise BtfError(f"{self.origin}: the string at offset {offset} is longer than {LONGEST_NAME} bytes")
        try:
            return self.strings[start:end].decode()
        except UnicodeDecodeError:
            raise BtfError(f"{self.origin}: the string at offset {offset} is not UTF-8") from None

    def _place(self, number: int) -> int:
        """The word that a type of this BTF itself begins at."""
        if not self.first <= number < self._length:
            raise BtfError(f"{self.origin}: there is no type {number}; numbers go from 0 to {self._length - 1}")
        return self.index.places[number - self.first]

    def kind(self, number: int) -> Kind:
        """A type's kind, without decoding it."""
        if self.base and 0 <= number < self.first:
            return self.base.kind(number)
        if number == 0:
            return Kind.VOID
        return ALL_KINDS[self.words[self._place(number) + 1] >> 24 & 31]

    def name(self, number: int) -> str:
        """A type's name, without decoding it; "" if it has none."""
        if self.base and 0 <= number < self.first:
            return self.base.name(number)
        return self.string(self.words[self._place(number)]) if number else ""

    def type(self, number: int) -> Type:
        """Decode a type. Raises BtfError when it is not there or not well-formed."""
        if self.base and 0 <= number < self.first:
            return self.base.type(number)
        found = self._kept.get(number)
        if found is None:
            found = decode(self, number, self._place(number)) if number else Void()
            if len(self._kept) >= KEPT:
                self._kept = {}
            self._kept[number] = found
        return found

    def __iter__(self) -> Iterator[tuple[int, Type]]:
        """All types of this BTF itself, without the base's and without void: (number, type)."""
        for number, place in enumerate(self.index.places, self.first):
            yield number, decode(self, number, place)

    def numbers(self, *kinds: Kind) -> Iterator[int]:
        """The numbers of all types of these kinds, the base's first, lowest first."""
        if self.base:
            yield from self.base.numbers(*kinds)
        yield from self._own(*kinds)

    def _own(self, *kinds: Kind) -> Iterator[int]:
        wanted, words = {int(kind) for kind in kinds}, self.words
        for number, place in enumerate(self.index.places, self.first):
            if words[place + 1] >> 24 & 31 in wanted:
                yield number

    def types_named(self, name: str, kinds: Kind | Collection[Kind] = ()) -> list[int]:
        """The numbers of all types with this name, of one of these kinds if any are given; lowest first."""
        if isinstance(kinds, Kind):
            kinds = (kinds,)
        return [number for number in self._names.find(name) if not kinds or self.kind(number) in kinds]

    def keep_names(self, keep: Callable[[Index], None]) -> None:
        """Have `keep` called with an index that has the names sorted, when it is worth making. Not for a split BTF."""
        assert self.base is None
        if not self.index.sums:
            self._names.keep = keep

    def flavours(self, name: str) -> list[str]:
        """The names among its strings that are this one with a flavour: `task_struct___old` of `task_struct`."""
        return self._names.flavoured(name)

    def find(self, name: str, kinds: Kind | Collection[Kind] = ()) -> int:
        """The number of the first type with this name. Raises BtfError when there is none."""
        numbers = self.types_named(name, kinds)
        if not numbers:
            some = (kinds,) if isinstance(kinds, Kind) else kinds
            wanted = " or ".join(kind.name.lower() for kind in some) or "type"
            raise BtfError(f"{self.origin} has no {wanted} named {name!r}")
        return numbers[0]

    def resolve(self, number: int) -> int:
        """The type behind typedefs, qualifiers and type tags."""
        start = number
        for _ in range(LONGEST_CHAIN):
            if self.kind(number) not in TRANSPARENT:
                return number
            number = self.third_word(number)
        raise BtfError(f"{self.origin}: type {start} is a chain of more than {LONGEST_CHAIN} typedefs; it refers to itself")

    def third_word(self, number: int) -> int:
        """The size of a type, or the number of the type it refers to; which of them, and if any, the kind tells."""
        if self.base and number < self.first:
            return self.base.third_word(number)
        return self.words[self._place(number) + 2]

    @property
    def pointer_size(self) -> int:
        """Bytes of a pointer: as many as a `long` has, 8 where the BTF knows no long."""
        return self._layout.pointer_size

    def size_of(self, number: int) -> int:
        """Bytes that a value of the type takes. Raises BtfError for void, functions and types that are only declared."""
        return self._layout.size_of(number)

    def align_of(self, number: int) -> int:
        """What the address of a value of the type is a multiple of; 1 for a struct with members at places C does not give."""
        return self._layout.align_of(number)

    def is_packed(self, number: int) -> bool:
        """Whether a struct or union has a layout that C gives only with the attribute `packed`."""
        return self._layout.is_packed(number)

    def value(self, number: int, data: bytes, *, network: bool = True) -> Value:
        """A value of the type as Python data (values.py), those of `__be16` and the like as the network means them, or without
        `network` as this machine would. Raises BtfError."""
        from purebpf.btf.values import value_of

        return value_of(self, number, data, network=network)

    def format(self, number: int, data: bytes, *, elements: int = 64, zeros: bool = True) -> str:
        """A value of the type as text (values.py). Raises BtfError."""
        from purebpf.btf.values import format_value

        return format_value(self, number, data, elements=elements, zeros=zeros)

    def decl_tags(self, target: int, component: int = -1) -> tuple[str, ...]:
        """The declaration tags on a type; with `component`, those on its member or parameter of that index."""
        found = self.base.decl_tags(target, component) if self.base and target < self.first else ()
        if self._tags is None:
            tags: dict[int, list[DeclTag]] = {}
            for number in self._own(Kind.DECL_TAG):
                tag = self.type(number)
                assert isinstance(tag, DeclTag)
                tags.setdefault(tag.type, []).append(tag)
            self._tags = tags
        return found + tuple(tag.name for tag in self._tags.get(target, ()) if tag.component == component)
