"""Reads raw BTF bytes (Documentation/bpf/btf.rst): one pass finds where each type is, a type is decoded when it is asked for.

Both byte orders. Nothing is trusted: whatever is not well-formed is a `BtfError` that names the type. Does not look for BTF
inside object files.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

from purebpf.btf.types import (
    Array,
    DataSec,
    DeclTag,
    Enum,
    Float,
    Func,
    FuncProto,
    Fwd,
    Int,
    Kind,
    Linkage,
    Member,
    Parameter,
    Ptr,
    Qualifier,
    Section,
    Struct,
    Type,
    Typedef,
    TypeTag,
    Var,
    Void,
)
from purebpf.errors import Error, Unsupported

MAGIC = 0xEB9F
HEADER = 24
VMLINUX = Path("/sys/kernel/btf/vmlinux")
LONGEST_CHAIN = 64  # typedefs and qualifiers in a row; the kernel itself stops at 32
INFO_MASK = 0x9F00FFFF  # kind flag, kind and count; the rest must be zero

# How many 32-bit words a type of each kind takes: fixed, and for each of its members.
FIXED_WORDS = (3, 4, 3, 6, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 3, 3, 4, 3, 3)
MEMBER_WORDS = (0, 0, 0, 0, 3, 3, 2, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 3)
UNKNOWN_WORDS = 1 << 40  # moves the scan behind the end, where it is noticed

TRANSPARENT = frozenset({Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG})
SIZED = frozenset({Kind.INT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FLOAT, Kind.DATASEC})


class BtfError(Error):
    """BTF bytes that are not well-formed, or a type that is not there."""


class Btf:
    """The types of one BTF, by number from 1; 0 is void.

    `base` is the BTF that a split BTF (a kernel module's) builds on: its types and strings come first. `origin` names the
    bytes in errors. Raises BtfError. Decoding is safe from several threads.
    """

    def __init__(self, raw: bytes, *, base: Btf | None = None, origin: str = "BTF") -> None:
        self.origin = origin
        self.base = base
        self.byteorder, types, strings = _sections(raw, origin)
        self._strings = strings
        self._first_string = base.strings_size if base else 0
        if not base and strings[:1] != b"\0":
            raise BtfError(f"{origin}: the string section does not begin with the empty string, as BTF requires")
        if strings and strings[-1] != 0:
            raise BtfError(f"{origin}: the string section does not end with a NUL; the bytes are damaged or cut off")
        self._words = array("I", types)
        if self.byteorder != sys.byteorder:
            self._words.byteswap()
        self.first = len(base) if base else 1
        self._offsets = self._scan()

    def __len__(self) -> int:
        """One more than the highest type number: `range(len(btf))` are all numbers, void included."""
        return self.first + len(self._offsets)

    @property
    def strings_size(self) -> int:
        return self._first_string + len(self._strings)

    def _scan(self) -> array[int]:
        """Where each type begins, in words."""
        words, end = self._words, len(self._words)
        fixed = FIXED_WORDS + (UNKNOWN_WORDS,) * (32 - len(FIXED_WORDS))
        each = MEMBER_WORDS + (0,) * (32 - len(MEMBER_WORDS))
        offsets: list[int] = []
        note = offsets.append
        position = 0
        try:
            while position < end:
                note(position)
                info = words[position + 1]
                kind = info >> 24 & 31
                position += fixed[kind] + (info & 0xFFFF) * each[kind]
        except IndexError:
            position = end + 1
        if position != end:
            number, start = self.first + len(offsets) - 1, offsets[-1]
            kind = words[start + 1] >> 24 & 31 if start + 1 < end else 0
            if kind >= len(FIXED_WORDS):
                raise BtfError(f"{self.origin}: type {number} is of kind {kind}, which is not known here (0 to {Kind.ENUM64})")
            raise BtfError(f"{self.origin}: type {number} reaches beyond the end of the type section; the bytes are cut off")
        return array("I", offsets)

    def string(self, offset: int) -> str:
        """The string at a byte offset of the string section (of the base's, then of its own)."""
        if self.base and offset < self._first_string:
            return self.base.string(offset)
        start = offset - self._first_string
        if not 0 <= start < len(self._strings):
            raise BtfError(f"{self.origin}: no string at offset {offset}; the section has {self.strings_size} bytes")
        return self._strings[start : self._strings.index(b"\0", start)].decode("utf-8", "replace")

    def _place(self, number: int) -> int:
        if not self.first <= number < len(self):
            raise BtfError(f"{self.origin}: there is no type {number}; numbers go from 0 to {len(self) - 1}")
        return self._offsets[number - self.first]

    def kind(self, number: int) -> Kind:
        """A type's kind, without decoding it."""
        if self.base and 0 <= number < self.first:
            return self.base.kind(number)
        if number == 0:
            return Kind.VOID
        return Kind(self._words[self._place(number) + 1] >> 24 & 31)

    def type(self, number: int) -> Type:
        """Decode a type. Raises BtfError when it is not there or not well-formed."""
        if self.base and 0 <= number < self.first:
            return self.base.type(number)
        if number == 0:
            return Void()
        place = self._place(number)
        info = self._words[place + 1]
        kind = info >> 24 & 31
        decode = DECODERS.get(kind)
        if decode is None or info & ~INFO_MASK:
            raise BtfError(f"{self.origin}: type {number} has the info word {info:#x}, which no kind of type has")
        return decode(Words(self, number, place, Kind(kind)))

    def __iter__(self) -> Iterator[tuple[int, Type]]:
        """All types of this BTF itself, without the base's and without void: (number, type)."""
        for number in range(self.first, len(self)):
            yield number, self.type(number)

    @cached_property
    def _by_name(self) -> dict[int, list[int]]:
        """String offset of a name -> the numbers of the types that have it."""
        found: dict[int, list[int]] = {}
        words = self._words
        for number, place in enumerate(self._offsets, self.first):
            name = words[place]
            if name:
                found.setdefault(name, []).append(number)
        return found

    def _name_offsets(self, name: str) -> Iterator[int]:
        """Every offset at which this very name can be read. A name may be the tail of a longer string."""
        if self.base:
            yield from self.base._name_offsets(name)
        sought = name.encode() + b"\0"
        start = self._strings.find(sought)
        while start >= 0:
            yield start + self._first_string
            start = self._strings.find(sought, start + 1)

    def find_all(self, name: str, *kinds: Kind) -> list[int]:
        """The numbers of all types with this name (and of one of these kinds, if any are given), lowest first."""
        if not name or "\0" in name:
            return []
        found = self.base.find_all(name, *kinds) if self.base else []
        own = [number for offset in self._name_offsets(name) for number in self._by_name.get(offset, ())]
        return found + sorted(number for number in own if not kinds or self.kind(number) in kinds)

    def find(self, name: str, *kinds: Kind) -> int:
        """The number of the first type with this name. Raises BtfError when there is none."""
        numbers = self.find_all(name, *kinds)
        if not numbers:
            wanted = " or ".join(kind.name.lower() for kind in kinds) or "type"
            raise BtfError(f"{self.origin} has no {wanted} named {name!r}")
        return numbers[0]

    def resolve(self, number: int) -> int:
        """The type behind typedefs, qualifiers and type tags."""
        start = number
        for _ in range(LONGEST_CHAIN):
            if self.kind(number) not in TRANSPARENT:
                return number
            number = self._third(number)
        raise BtfError(f"{self.origin}: type {start} is a chain of more than {LONGEST_CHAIN} typedefs; it refers to itself")

    def _third(self, number: int) -> int:
        """The size of a type, or the number of the type it refers to."""
        if self.base and number < self.first:
            return self.base._third(number)
        return self._words[self._place(number) + 2]

    @cached_property
    def pointer_size(self) -> int:
        """Bytes of a pointer: as many as a `long` has, 8 where the BTF knows no long."""
        for name in ("long unsigned int", "unsigned long", "long int", "long"):
            for number in self.find_all(name, Kind.INT):
                return self._third(number)
        return 8

    def size_of(self, number: int) -> int:
        """Bytes that a value of the type takes. Raises BtfError for void, functions and types that are only declared."""
        count = 1
        start = number
        for _ in range(LONGEST_CHAIN):
            number = self.resolve(number)
            kind = self.kind(number)
            if kind in SIZED:
                return count * self._third(number)
            if kind == Kind.PTR:
                return count * self.pointer_size
            decoded = self.type(number)
            if isinstance(decoded, Array):
                count *= decoded.length
            elif not isinstance(decoded, Var):
                raise BtfError(f"{self.origin}: type {start} has no size: it is a {kind.name.lower()}")
            number = decoded.type
        raise BtfError(f"{self.origin}: type {start} is an array of more than {LONGEST_CHAIN} dimensions; it refers to itself")


class Words:
    """One type's words, with the checks every kind shares. What decoders read from."""

    __slots__ = ("btf", "count", "flag", "kind", "number", "place", "words")

    def __init__(self, btf: Btf, number: int, place: int, kind: Kind) -> None:
        self.btf, self.number, self.place, self.kind = btf, number, place, kind
        self.words = btf._words
        info = self.words[place + 1]
        self.count, self.flag = info & 0xFFFF, info >> 31 == 1

    def fail(self, what: str) -> BtfError:
        return BtfError(f"{self.btf.origin}: type {self.number} ({self.kind.name.lower()}) {what}")

    def word(self, index: int) -> int:
        return self.words[self.place + index]

    def name(self) -> str:
        return self.btf.string(self.words[self.place])

    def third(self) -> int:
        return self.words[self.place + 2]

    def reference(self, number: int) -> int:
        """A type number that must exist."""
        if number >= len(self.btf):
            raise self.fail(f"refers to type {number}, but the highest number is {len(self.btf) - 1}")
        return number

    def members(self, each: int) -> Iterator[tuple[str, int, int]]:
        """(name, second word, third word or 0) of every member; `each` words apart."""
        start = self.place + 3
        for at in range(start, start + each * self.count, each):
            yield self.btf.string(self.words[at]), self.words[at + 1], self.words[at + 2] if each > 2 else 0

    def linkage(self, value: int) -> Linkage:
        if value not in (0, 1, 2):
            raise self.fail(f"has the linkage {value}; there are static (0), global (1) and extern (2)")
        return Linkage(value)


def _int(w: Words) -> Type:
    size, word = w.third(), w.word(3)
    encoding, offset, bits = word >> 24 & 15, word >> 16 & 0xFF, word & 0xFF
    if size not in (1, 2, 4, 8, 16) or not 0 < offset + bits <= size * 8:
        raise w.fail(f"has {bits} bits at bit {offset} in {size} bytes")
    return Int(w.name(), size, bits, offset, bool(encoding & 1), bool(encoding & 2), bool(encoding & 4))


def _array(w: Words) -> Type:
    return Array(w.reference(w.word(3)), w.reference(w.word(4)), w.word(5))


def _struct(w: Words) -> Type:
    size, members = w.third(), []
    for name, type, position in w.members(3):
        bits, offset = (position >> 24, position & 0xFFFFFF) if w.flag else (0, position)
        if offset + bits > size * 8:
            raise w.fail(f"has the member {name!r} at bit {offset}, outside of its {size} bytes")
        members.append(Member(name, w.reference(type), offset, bits))
    return Struct(w.kind, w.name(), size, tuple(members))


def _enum(w: Words) -> Type:
    wide = w.kind == Kind.ENUM64
    bits = 64 if wide else 32
    values = []
    for name, low, high in w.members(3 if wide else 2):
        value = high << 32 | low
        values.append((name, value - (1 << bits) if w.flag and value >> (bits - 1) else value))
    if w.third() not in (1, 2, 4, 8):
        raise w.fail(f"has {w.third()} bytes; an enum has 1, 2, 4 or 8")
    return Enum(w.kind, w.name(), w.third(), w.flag, tuple(values))


def _func_proto(w: Words) -> Type:
    parameters = tuple(Parameter(name, w.reference(type)) for name, type, _ in w.members(2))
    return FuncProto(w.reference(w.third()), parameters)


def _func(w: Words) -> Type:
    # The linkage of a function is where other kinds have the number of their members.
    return Func(w.name(), w.reference(w.third()), w.linkage(w.count))


def _datasec(w: Words) -> Type:
    start = w.place + 3
    rows = (w.words[at : at + 3] for at in range(start, start + 3 * w.count, 3))
    return DataSec(w.name(), w.third(), tuple(Section(w.reference(type), offset, size) for type, offset, size in rows))


def _decl_tag(w: Words) -> Type:
    component = w.word(3)
    return DeclTag(w.name(), w.reference(w.third()), component - (component >> 31 << 32), w.flag)


DECODERS: dict[int, Callable[[Words], Type]] = {
    Kind.INT: _int,
    Kind.PTR: lambda w: Ptr(w.reference(w.third())),
    Kind.ARRAY: _array,
    Kind.STRUCT: _struct,
    Kind.UNION: _struct,
    Kind.ENUM: _enum,
    Kind.FWD: lambda w: Fwd(w.name(), w.flag),
    Kind.TYPEDEF: lambda w: Typedef(w.name(), w.reference(w.third())),
    Kind.VOLATILE: lambda w: Qualifier(w.kind, w.reference(w.third())),
    Kind.CONST: lambda w: Qualifier(w.kind, w.reference(w.third())),
    Kind.RESTRICT: lambda w: Qualifier(w.kind, w.reference(w.third())),
    Kind.FUNC: _func,
    Kind.FUNC_PROTO: _func_proto,
    Kind.VAR: lambda w: Var(w.name(), w.reference(w.third()), w.linkage(w.word(3))),
    Kind.DATASEC: _datasec,
    Kind.FLOAT: lambda w: Float(w.name(), w.third()),
    Kind.DECL_TAG: _decl_tag,
    Kind.TYPE_TAG: lambda w: TypeTag(w.name(), w.reference(w.third()), w.flag),
    Kind.ENUM64: _enum,
}


def _sections(raw: bytes, origin: str) -> tuple[Literal["little", "big"], bytes, bytes]:
    """Byte order, type section and string section."""
    if len(raw) < HEADER:
        raise BtfError(f"{origin}: {len(raw)} bytes are no BTF; its header alone has {HEADER}")
    order: Literal["little", "big"] = "little" if raw[0] == MAGIC & 0xFF else "big"
    if int.from_bytes(raw[:2], order) != MAGIC:
        raise BtfError(f"{origin}: the bytes are no BTF: they begin with {raw[:2].hex()}, not with 9feb (or eb9f, big-endian)")
    version = raw[2]
    if version != 1:
        raise BtfError(f"{origin}: this is BTF version {version}; only version 1 is known")
    header, type_at, type_size, string_at, string_size = (int.from_bytes(raw[i : i + 4], order) for i in range(4, 24, 4))
    if header < HEADER or type_at % 4 or type_size % 4 or header % 4:
        raise BtfError(f"{origin}: the header gives sizes that cannot be (header {header}, types {type_size} at {type_at})")
    for what, at, size in (("type", type_at, type_size), ("string", string_at, string_size)):
        if header + at + size > len(raw):
            raise BtfError(f"{origin}: the {what} section ends at byte {header + at + size}, but there are {len(raw)}; cut off")
    if type_at < string_at + string_size and string_at < type_at + type_size:
        raise BtfError(f"{origin}: the type section and the string section overlap")
    types = raw[header + type_at : header + type_at + type_size]
    return order, types, raw[header + string_at : header + string_at + string_size]


@lru_cache(maxsize=1)
def kernel_btf() -> Btf:
    """The running kernel's BTF, read once. Raises Unsupported when the kernel offers none.

    Needs Linux 5.4 built with CONFIG_DEBUG_INFO_BTF.
    """
    try:
        raw = VMLINUX.read_bytes()
    except OSError as error:
        raise Unsupported(
            f"This kernel offers no BTF: {VMLINUX} cannot be read ({error.strerror}). "
            "It takes Linux 5.4 or later, built with CONFIG_DEBUG_INFO_BTF=y."
        ) from error
    return Btf(raw, origin=str(VMLINUX))
