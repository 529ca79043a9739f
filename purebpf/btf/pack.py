"""Python data as bytes of a type: the other way round from `values.py`.

Structs and unions take dictionaries by the names of their members (those of anonymous members in their place); what is not
given is zero. Arrays take lists, those of `char` texts as well; enums names or numbers; bytes are taken as they are everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import pack
from typing import TYPE_CHECKING

from purebpf.btf.errors import BtfError
from purebpf.btf.layout import DEEPEST, bits_of
from purebpf.btf.network import network_bits
from purebpf.btf.types import AnyEnum, Array, Composite, Float, Int, Ptr, Type, Var
from purebpf.btf.values import FLOATS

if TYPE_CHECKING:
    from purebpf.btf.reader import Btf


def bytes_of(btf: Btf, number: int, value: object) -> bytes:
    """The bytes of a value; numbers of types such as `__be32` are in network byte order.

    Raises BtfError for a value that the type does not have, with the way to it.
    """
    out = bytearray(btf.size_of(number))
    _put(btf, number, value, out, 0, 0, "the value", 0)
    return bytes(out)


def _put(btf: Btf, number: int, value: object, out: bytearray, at: int, width: int, where: str, depth: int) -> None:
    """Write a value at a bit; `width` bits of a bit field, else all of the type."""
    type = btf.type(btf.resolve(number))
    if depth > DEEPEST:
        raise BtfError(f"{where} is too deep")
    if isinstance(type, Var):
        return _put(btf, type.type, value, out, at, width, where, depth + 1)
    if isinstance(value, bytes | bytearray | memoryview) and not width:
        return _raw(bytes(value), out, at, btf.size_of(number), where)
    if isinstance(type, Composite):
        return _members(btf, type, value, out, at, where, depth)
    if isinstance(type, Array):
        return _elements(btf, type, value, out, at, where, depth)
    size = width or 8 * btf.size_of(number)
    _scalar(btf, type, value, out, at, size, where)
    if not width and btf.byteorder == "little" and network_bits(btf, number):
        out[at // 8 : (at + size) // 8] = out[at // 8 : (at + size) // 8][::-1]


def _raw(value: bytes, out: bytearray, at: int, size: int, where: str) -> None:
    if len(value) != size:
        raise BtfError(f"{where} has {size} bytes; these are {len(value)}")
    out[at // 8 : at // 8 + size] = value


def _members(btf: Btf, type: Composite, value: object, out: bytearray, at: int, where: str, depth: int) -> None:
    if not isinstance(value, Mapping):
        raise BtfError(f"{where} is a {type.kind.name.lower()} `{type.name}`: give a dictionary of its members, not {value!r}")
    places = dict(_named(btf, type, at, depth))
    for name, one in value.items():
        if name not in places:
            raise BtfError(f"{where} has no member {name!r}; it has {', '.join(places)}")
        member, start, width = places[name]
        _put(btf, member, one, out, start, width, f"`{name}` of {where}", depth + 1)


def _named(btf: Btf, type: Composite, at: int, depth: int) -> Iterable[tuple[str, tuple[int, int, int]]]:
    """(name, (type, bit, width)) of all members, those of anonymous ones among them."""
    if depth > DEEPEST:
        raise BtfError(f"{btf.origin}: structs are inside of more than {DEEPEST} others")
    for member in type.members:
        start, width = bits_of(btf, member)
        inner = btf.type(btf.resolve(member.type))
        if member.name:
            yield member.name, (member.type, at + start, width)
        elif isinstance(inner, Composite):
            yield from _named(btf, inner, at + start, depth + 1)


def _elements(btf: Btf, type: Array, value: object, out: bytearray, at: int, where: str, depth: int) -> None:
    size = btf.size_of(type.type)
    if isinstance(value, str) and size == 1:
        raw = value.encode()
        if len(raw) >= type.length:
            raise BtfError(f"{where} takes {type.length - 1} bytes of text and a zero; {value!r} has {len(raw)}")
        return _raw(raw.ljust(type.length, b"\0"), out, at, type.length, where)
    if not isinstance(value, list | tuple) or len(value) > type.length:
        raise BtfError(f"{where} is an array: give a list of at most {type.length} elements, not {value!r:.60}")
    for index, one in enumerate(value):
        _put(btf, type.type, one, out, at + 8 * size * index, 0, f"element {index} of {where}", depth + 1)


def _scalar(btf: Btf, type: Type, value: object, out: bytearray, at: int, width: int, where: str) -> None:
    if isinstance(type, Float) and isinstance(value, int | float) and type.size in FLOATS:
        mark = "<" if btf.byteorder == "little" else ">"
        return _raw(pack(mark + FLOATS[type.size], value), out, at, type.size, where)
    if isinstance(type, AnyEnum) and isinstance(value, str):
        named = dict(type.values)
        if value not in named:
            raise BtfError(f"{where} is one of {', '.join(named)}, not {value!r}")
        value = named[value]
    if not isinstance(type, Int | Ptr | AnyEnum) or not isinstance(value, int):
        raise BtfError(f"{where} is {_said(type)}; {value!r:.60} is not")
    signed = not isinstance(type, Ptr) and type.signed
    low, high = (-(1 << width - 1), 1 << width - 1) if signed else (0, 1 << width)
    if not low <= value < high:
        raise BtfError(f"{where} has {width} {'signed ' if signed else ''}bits: {value} does not fit")
    _bits(btf, out, at, width, int(value) & (1 << width) - 1)


def _bits(btf: Btf, out: bytearray, at: int, width: int, value: int) -> None:
    first, end = at // 8, (at + width + 7) // 8
    if end > len(out):
        raise BtfError(f"{btf.origin}: a member of {width} bits at bit {at} lies outside of the {len(out)} bytes around it")
    shift = at % 8 if btf.byteorder == "little" else 8 * end - at - width
    mask = (1 << width) - 1 << shift
    present = int.from_bytes(out[first:end], btf.byteorder)
    out[first:end] = (present & ~mask | value << shift).to_bytes(end - first, btf.byteorder)


def _said(type: Type) -> str:
    return {"INT": "an integer", "PTR": "an address", "FLOAT": "a number"}.get(type.kind.name, f"a {type.kind.name.lower()}")
