"""What a BTF answers to a question about a field: its place, size and sign, and how bit fields are cut out of an integer."""

from __future__ import annotations

from purebpf.btf.core_path import Path, Step
from purebpf.btf.errors import BtfError
from purebpf.btf.reader import Btf
from purebpf.btf.relocation import CoreKind
from purebpf.btf.types import Array, Enum, Enum64, Int, Member, Struct, Union
from purebpf.data import data

WIDEST = 8  # bytes of an integer that is loaded at once


@data
class Value:
    """An answer. `exact`: whether the compiler must have come to the same one, which of bit fields it need not. For an offset
    `size` are the bytes that one load takes and `type` is the field's; both are 0 for bit fields."""

    value: int
    exact: bool = True
    size: int = 0
    type: int = 0


@data
class Place:
    """Bytes to load for a field, and which bits of them it is."""

    offset: int
    size: int
    bits: int


def field_value(btf: Btf, path: Path, kind: CoreKind) -> Value:
    """The answer of a BTF for the field at the end of a way in it. Raises BtfError."""
    last = path.steps[-1]
    if not last.name:
        return _element_value(btf, path, last, kind)
    outer = btf.type(last.type)
    assert isinstance(outer, Struct | Union)
    member = outer.members[last.index]
    type, cut = btf.resolve(member.type), bool(member.bit_size)
    place = _place(btf, path, member)
    match kind:
        case CoreKind.FIELD_BYTE_OFFSET:
            return Value(place.offset, False) if cut else Value(place.offset, True, _unit(btf, type), type)
        case CoreKind.FIELD_BYTE_SIZE:
            return Value(place.size, not cut)
        case CoreKind.FIELD_SIGNED:
            found = btf.type(type)
            return Value(int(isinstance(found, Int | Enum | Enum64) and found.signed))
    if place.size > WIDEST:
        raise BtfError(f"the field `{path.words[1:]}` has {place.size} bytes; shifts are for integers of up to {WIDEST}")
    if kind is CoreKind.FIELD_RSHIFT_U64:
        return Value(64 - place.bits)
    first = path.bit_offset - 8 * place.offset
    before = 64 - first - place.bits if btf.byteorder == "little" else 64 - 8 * place.size + first
    return Value(before, not cut)


def _element_value(btf: Btf, path: Path, last: Step, kind: CoreKind) -> Value:
    if kind is CoreKind.FIELD_BYTE_OFFSET:
        return Value(path.bit_offset // 8, True, _unit(btf, last.type), last.type)
    if kind is CoreKind.FIELD_BYTE_SIZE:
        return Value(btf.size_of(last.type))
    raise BtfError(f"{kind.name.lower()} cannot be asked of an element of an array: only fields tell it")


def _unit(btf: Btf, number: int) -> int:
    """Bytes of a field, or of one of its elements if it is an array."""
    number = btf.resolve(number)
    while isinstance(found := btf.type(number), Array):
        number = btf.resolve(found.type)
    return btf.size_of(number)


def _place(btf: Btf, path: Path, member: Member) -> Place:
    size = btf.size_of(member.type)
    if not member.bit_size:
        return Place(path.bit_offset // 8, size, 8 * size)
    first, end = path.bit_offset, path.bit_offset + member.bit_size
    while 0 < size <= WIDEST:  # the smallest aligned integer that has all of its bits
        offset = first // 8 // size * size
        if end <= 8 * (offset + size):
            return Place(offset, size, member.bit_size)
        size *= 2
    raise BtfError(f"the bit field `{path.words[1:]}` at bit {first} is in no aligned integer of up to {WIDEST} bytes")
