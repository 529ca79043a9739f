"""Values to bytes and back, with the way worked out once for a type: what `type.encode` and `type.decode` do, quicker.

A value that does not fit goes through `type.encode`, which says why.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from purebpf.lang.types import BoolType, EnumType, IntType, StructType, Type

LETTERS = {8: "b", 16: "h", 32: "i", 64: "q"}
Encoder = Callable[[Any], bytes]
Decoder = Callable[[bytes], Any]


def _code(layout: IntType) -> str:
    letter = LETTERS[layout.bits]
    return f"{'>' if layout.big else '<'}{letter if layout.signed else letter.upper()}"


def letter(layout: Type) -> str | None:
    """What `struct` calls a type that it reads as it is; None for others."""
    if isinstance(layout, BoolType):
        return "?"
    plain = isinstance(layout, IntType) and not isinstance(layout, EnumType) and (not layout.big or layout.bits == 8)
    return _code(layout)[1:] if plain and isinstance(layout, IntType) else None


def encoder(layout: Type) -> Encoder:
    """A function that gives a value's bytes; raises TypeError and ValueError."""
    if not isinstance(layout, IntType):
        return layout.encode
    pack = struct.Struct(_code(layout)).pack

    def encode(value: Any) -> bytes:
        try:
            return pack(value)
        except struct.error:
            return layout.encode(value)

    return encode


def decoder(layout: Type) -> Decoder:
    """A function that gives the value of bytes."""
    match layout:
        case EnumType():
            return layout.decode
        case IntType():
            unpack = struct.Struct(_code(layout)).unpack
            return lambda data: unpack(data)[0]
        case BoolType():
            return lambda data: data[0] != 0
        case StructType(union=False):
            return _of_record(layout)
    return layout.decode


def _of_record(layout: StructType) -> Decoder:
    if not layout.values or any(field.bits for field in layout.values):
        return layout.decode
    record, new = layout.record, object.__new__
    if all(letter(field.type) is not None and isinstance(field.type, IntType) for field in layout.values):
        whole = struct.Struct(_format(layout))
        names = [field.name for field in layout.values]

        def numbers(data: bytes) -> Any:
            value: Any = new(record)
            for name, item in zip(names, whole.unpack(data), strict=True):
                setattr(value, name, item)
            return value

        return numbers
    parts = [(field.name, slice(field.offset, field.offset + field.type.size), decoder(field.type)) for field in layout.values]

    def mixed(data: bytes) -> Any:
        value: Any = new(record)
        for name, where, decode in parts:
            setattr(value, name, decode(data[where]))
        return value

    return mixed


def _format(layout: StructType) -> str:
    """The record of integers for `struct`, holes skipped."""
    code, at = "<", 0
    for field in layout.values:
        assert isinstance(field.type, IntType)
        code += "x" * (field.offset - at) + _code(field.type)[1:]
        at = field.offset + field.type.size
    return code + "x" * (layout.size - at)
