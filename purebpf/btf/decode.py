"""From a type's words to its object. What is not well-formed by itself is a `BtfError` that names type, byte and reason.

That the types which it refers to are of the right kind is for `check.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from purebpf.btf.encoding import BOOL, CHAR, COUNTED, FLAG, FLAGGED, INFO_MASK, NAMELESS, SIGNED
from purebpf.btf.errors import BtfError
from purebpf.btf.types import (
    CLASSES,
    Array,
    Const,
    DataSec,
    DeclTag,
    Enum,
    Enum64,
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
    Restrict,
    Section,
    Struct,
    Type,
    Typedef,
    TypeTag,
    Union,
    Var,
    Volatile,
)

if TYPE_CHECKING:
    from purebpf.btf.reader import Btf


def decode(btf: Btf, number: int, place: int) -> Type:
    """The type that begins at the word `place`. Raises BtfError."""
    w = Words(btf, number, place)
    kind = w.kind
    if w.info & ~INFO_MASK or (w.info & FLAG and kind not in FLAGGED) or (w.count and kind not in COUNTED):
        raise w.fail(f"has the info word {w.info:#x}, which no type of this kind has", 1)
    if kind in NAMELESS and w.words[place]:
        raise w.fail("has a name, which no type of this kind has", 0)
    return DECODERS[kind](w)


class Words:
    """One type's words, with the checks that kinds share."""

    __slots__ = ("btf", "count", "flag", "info", "kind", "number", "place", "words")

    def __init__(self, btf: Btf, number: int, place: int) -> None:
        self.btf, self.number, self.place = btf, number, place
        self.words = btf.words
        self.info = self.words[place + 1]
        self.kind = self.info >> 24 & 31
        self.count, self.flag = self.info & 0xFFFF, self.info & FLAG != 0

    def fail(self, what: str, index: int = 2) -> BtfError:
        """The error that `what` is wrong at the type's word number `index`."""
        kind = Kind(self.kind).name.lower()
        offset = self.btf.header.types.start + 4 * (self.place + index)
        return BtfError(f"{self.btf.origin}: type {self.number} ({kind}) {what}", offset)

    def word(self, index: int) -> int:
        return self.words[self.place + index]

    def name(self) -> str:
        return self.string(0)

    def string(self, index: int) -> str:
        """The string that a word says the offset of."""
        try:
            return self.btf.string(self.words[self.place + index])
        except BtfError as error:
            raise self.fail(f"names something badly: {error}", index) from None

    def third(self) -> int:
        return self.words[self.place + 2]

    def reference(self, index: int = 2) -> int:
        """A type number that must exist."""
        number = self.words[self.place + index]
        if number >= len(self.btf):
            raise self.fail(f"refers to type {number}, but the highest number is {len(self.btf) - 1}", index)
        return number

    def members(self, each: int) -> Iterator[int]:
        """The index of every member's first word; `each` words apart."""
        return iter(range(3, 3 + each * self.count, each))

    def linkage(self, value: int, index: int) -> Linkage:
        if value > Linkage.EXTERN:
            raise self.fail(f"has the linkage {value}; there are static (0), global (1) and extern (2)", index)
        return Linkage(value)


def _int(w: Words) -> Type:
    size, word = w.third(), w.word(3)
    encoding, offset, bits = word >> 24, word >> 16 & 0xFF, word & 0xFF
    if size not in (1, 2, 4, 8, 16) or not bits or offset + bits > size * 8:
        raise w.fail(f"has {bits} bits at bit {offset} in {size} bytes", 3)
    if encoding & ~(SIGNED | CHAR | BOOL) or word & 0xFF00:
        raise w.fail(f"has the encoding {word:#x}, which is not known here", 3)
    return Int(w.name(), size, bits, offset, bool(encoding & SIGNED), bool(encoding & CHAR), bool(encoding & BOOL))


def _array(w: Words) -> Type:
    if w.third():
        raise w.fail(f"has the size {w.third()}; the format wants zero there")
    return Array(w.reference(3), w.reference(4), w.word(5))


def _member(w: Words, at: int, limit: int) -> Member:
    """A member of a struct or union that has `limit` bits."""
    name, position = w.string(at), w.word(at + 2)
    bits, offset = (position >> 24, position & 0xFFFFFF) if w.flag else (0, position)
    if offset + bits > limit:
        raise w.fail(f"has the member {name!r} at bit {offset}, outside of its {limit // 8} bytes", at + 2)
    return Member(name, w.reference(at + 1), offset, bits)


def _members(w: Words) -> tuple[Member, ...]:
    limit = 8 * w.third()
    return tuple([_member(w, at, limit) for at in w.members(3)])


def _enum_size(w: Words) -> int:
    if w.third() not in (1, 2, 4, 8):
        raise w.fail(f"has {w.third()} bytes; an enum has 1, 2, 4 or 8")
    return w.third()


def _enum(w: Words) -> Type:
    wrap = 1 << 32 if w.flag else 0
    rows = [(w.string(at), w.word(at + 1)) for at in w.members(2)]
    values = tuple([(name, value - wrap if value >> 31 else value) for name, value in rows])
    return Enum(w.name(), _enum_size(w), w.flag, values)


def _enum64(w: Words) -> Type:
    wrap = 1 << 64 if w.flag else 0
    rows = [(w.string(at), w.word(at + 2) << 32 | w.word(at + 1)) for at in w.members(3)]
    values = tuple([(name, value - wrap if value >> 63 else value) for name, value in rows])
    return Enum64(w.name(), _enum_size(w), w.flag, values)


def _fwd(w: Words) -> Type:
    if w.third():
        raise w.fail(f"has the type {w.third()}; the format wants zero there")
    return Fwd(w.name(), w.flag)


def _func(w: Words) -> Type:
    # The linkage of a function is where other kinds have the number of their members.
    return Func(w.name(), w.reference(), w.linkage(w.count, 1))


def _func_proto(w: Words) -> Type:
    parameters = [Parameter(w.string(at), w.reference(at + 1)) for at in w.members(2)]
    return FuncProto(w.reference(), tuple(parameters))


def _datasec(w: Words) -> Type:
    sections = [Section(w.reference(at), w.word(at + 1), w.word(at + 2)) for at in w.members(3)]
    return DataSec(w.name(), w.third(), tuple(sections))


def _float(w: Words) -> Type:
    if w.third() not in (2, 4, 8, 12, 16):
        raise w.fail(f"has {w.third()} bytes; a floating-point number has 2, 4, 8, 12 or 16")
    return Float(w.name(), w.third())


def _decl_tag(w: Words) -> Type:
    component = w.word(3)
    if component >> 31 and component != 0xFFFF_FFFF:
        raise w.fail(f"is on the component {component - (1 << 32)}; there are -1 (the whole) and up", 3)
    return DeclTag(w.name(), w.reference(), component - (component >> 31 << 32), w.flag)


def _void(w: Words) -> Type:
    raise w.fail("has no kind", 1)


DECODERS: tuple[Callable[[Words], Type], ...] = (
    _void,
    _int,
    lambda w: Ptr(w.reference()),
    _array,
    lambda w: Struct(w.name(), w.third(), _members(w)),
    lambda w: Union(w.name(), w.third(), _members(w)),
    _enum,
    _fwd,
    lambda w: Typedef(w.name(), w.reference()),
    lambda w: Volatile(w.reference()),
    lambda w: Const(w.reference()),
    lambda w: Restrict(w.reference()),
    _func,
    _func_proto,
    lambda w: Var(w.name(), w.reference(), w.linkage(w.word(3), 3)),
    _datasec,
    _float,
    _decl_tag,
    lambda w: TypeTag(w.name(), w.reference(), w.flag),
    _enum64,
)  # by kind
assert len(DECODERS) == len(CLASSES)
