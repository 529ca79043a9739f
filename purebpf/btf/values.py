"""Bytes as values of a type: as Python data, or as text in the way that C writes initial values.

Enums by name, arrays of `char` as text, pointers as addresses, bit fields by their bits, in the BTF's byte order. Bytes that a
type has no members for are not shown.
"""

from __future__ import annotations

from struct import unpack
from typing import TYPE_CHECKING

from purebpf.btf.errors import BtfError
from purebpf.btf.layout import DEEPEST, bits_of
from purebpf.btf.network import network_bits
from purebpf.btf.types import AnyEnum, Array, Composite, Enum, Enum64, Float, Int, Ptr, Type, Var

if TYPE_CHECKING:
    from purebpf.btf.reader import Btf

Value = int | float | bool | str | None | list["Value"] | dict[str, "Value"]
FLOATS = {2: "e", 4: "f", 8: "d"}
PARTS, PARTS_FOR_A_BYTE = 4096, 64  # that a value may have; unions show the same bytes several times


def value_of(btf: Btf, number: int, data: bytes, *, network: bool = True) -> Value:
    """The bytes as Python data: structs and unions are dictionaries, arrays lists, enums names where they have one.

    Members of anonymous members are in their place. Numbers of types such as `__be32` are what they mean on the network;
    without `network`, what this machine would take their bytes for. Raises BtfError for too few bytes, and a type without
    values.
    """
    _enough(btf, number, data)
    return _Data(btf, data, network).value(number, data, 0)


def format_value(btf: Btf, number: int, data: bytes, *, elements: int = 64, zeros: bool = True) -> str:
    """The bytes as text, `{ .pid = 1, .comm = "init" }` over several lines. At most `elements` of each array are shown; without
    `zeros`, only what is not zero. Raises BtfError for too few bytes, or a type without values."""
    _enough(btf, number, data)
    return _Text(btf, data, elements, zeros).value(number, data, 0, 0)


def _enough(btf: Btf, number: int, data: bytes) -> None:
    size = btf.size_of(number)
    if len(data) < size:
        raise BtfError(f"{btf.origin}: a value of type {number} has {size} bytes; there are {len(data)}")


def _inside(btf: Btf, data: bytes, start: int, width: int) -> None:
    if start + width > 8 * len(data):
        raise BtfError(f"{btf.origin}: a member of {width} bits at bit {start} lies outside of the {len(data)} bytes around it")


def bits(btf: Btf, data: bytes, start: int, width: int, signed: bool) -> int:
    """An integer of `width` bits that begins at a bit; on big-endian machines bits count from the highest."""
    first, end = start // 8, (start + width + 7) // 8
    _inside(btf, data, start, width)
    value = int.from_bytes(data[first:end], btf.byteorder)
    value >>= start % 8 if btf.byteorder == "little" else 8 * end - start - width
    value &= (1 << width) - 1
    return value - (1 << width) if signed and value >> (width - 1) else value


def _scalar(btf: Btf, type: Type, data: bytes, at: int, width: int = 0) -> int | float | bool | None:
    """The value of a type that is no array, struct or union, at a bit; a bit field has a width."""
    if isinstance(type, Ptr):
        return bits(btf, data, at, width or 8 * btf.pointer_size, False)
    if isinstance(type, Int):
        found = bits(btf, data, at, width or 8 * type.size, type.signed)
        return bool(found) if type.bool else found
    if isinstance(type, Enum | Enum64):
        return bits(btf, data, at, width or 8 * type.size, type.signed)
    if isinstance(type, Float):
        _inside(btf, data, at, 8 * type.size)
        raw = data[at // 8 : at // 8 + type.size]
        mark = "<" if btf.byteorder == "little" else ">"
        number: float | None = unpack(mark + FLOATS[type.size], raw)[0] if type.size in FLOATS else None
        return number
    raise BtfError(f"{btf.origin}: a {type.kind.name.lower()} has no value")


def _in_network_order(btf: Btf, number: int, type: Type, data: bytes, at: int, width: int = 0) -> int | float | bool | None:
    """The same, where numbers of types such as `__be32` (`number` is that type's) are what they mean on the network."""
    whole = network_bits(btf, number) if isinstance(type, Int) and not width else 0
    if not whole:
        return _scalar(btf, type, data, at, width)
    _inside(btf, data, at, whole)
    return int.from_bytes(data[at // 8 : (at + whole) // 8], "big")


def _named(type: AnyEnum, value: int) -> str:
    """The name of an enum's value; "" if none has it."""
    return next((name for name, each in type.values if each == value), "")


def _chars(btf: Btf, type: Array, data: bytes, at: int) -> str | None:
    """The text in an array of `char`; None if it is none: other elements, or bytes that cannot be printed."""
    _inside(btf, data, at, 8 * btf.size_of(type.type) * type.length)
    element = btf.type(btf.resolve(type.type))
    if not isinstance(element, Int) or element.size != 1 or not (element.char or element.name == "char"):
        return None
    text, _, rest = data[at // 8 : at // 8 + type.length].partition(b"\0")
    printable = text.isascii() and all(32 <= byte < 127 or byte in b"\t\n\r" for byte in text)
    return text.decode() if printable and not rest.strip(b"\0") else None


class _Data:
    """Makes Python data."""

    def __init__(self, btf: Btf, data: bytes, network: bool) -> None:
        self.btf, self.network = btf, network
        self._left = PARTS + PARTS_FOR_A_BYTE * len(data)

    def value(self, number: int, data: bytes, at: int, width: int = 0, depth: int = 0) -> Value:
        btf = self.btf
        type = btf.type(btf.resolve(number))
        self._left -= 1
        if depth > DEEPEST or self._left < 0:
            raise BtfError(f"{btf.origin}: a value of type {number} is too deep or has too many parts")
        if isinstance(type, Composite):
            found: dict[str, Value] = {}
            for member in type.members:
                start, inner = bits_of(btf, member)
                part = self.value(member.type, data, at + start, inner, depth + 1)
                if not member.name and isinstance(part, dict):
                    found |= part
                elif member.name:
                    found[member.name] = part
            return found
        if isinstance(type, Array):
            text = _chars(btf, type, data, at)
            size = 8 * btf.size_of(type.type)
            count = range(type.length)
            return [self.value(type.type, data, at + i * size, 0, depth + 1) for i in count] if text is None else text
        if isinstance(type, Var):
            return self.value(type.type, data, at, width, depth + 1)
        scalar = _scalar(btf, type, data, at, width)
        value = _in_network_order(btf, number, type, data, at, width) if self.network else scalar
        return _named(type, int(value or 0)) or value if isinstance(type, AnyEnum) else value


class _Text:
    """Makes text."""

    def __init__(self, btf: Btf, data: bytes, elements: int, zeros: bool) -> None:
        self.btf, self.elements, self.zeros = btf, elements, zeros
        self._left = PARTS + PARTS_FOR_A_BYTE * len(data)

    def value(self, number: int, data: bytes, at: int, indent: int, width: int = 0) -> str:
        btf = self.btf
        type = btf.type(btf.resolve(number))
        self._left -= 1
        if indent > DEEPEST or self._left < 0:
            raise BtfError(f"{btf.origin}: a value of type {number} is too deep or has too many parts")
        if isinstance(type, Composite):
            return self._members(type, data, at, indent)
        if isinstance(type, Array):
            return self._elements(type, data, at, indent)
        if isinstance(type, Var):
            return self.value(type.type, data, at, indent + 1, width)
        value = _in_network_order(btf, number, type, data, at, width)
        if isinstance(type, AnyEnum):
            return _named(type, int(value or 0)) or str(value)
        if isinstance(type, Ptr):
            return f"{value:#x}"
        if isinstance(type, Int) and not width and (type.char or type.name == "char") and 32 <= int(value or 0) < 127:
            return repr(chr(int(value or 0)))
        return str(value).lower() if isinstance(value, bool) else str(value)

    def _members(self, type: Composite, data: bytes, at: int, indent: int) -> str:
        tabs = "\t" * (indent + 1)
        lines = []
        for member in type.members:
            start, width = bits_of(self.btf, member)
            if self.zeros or not self._zero(member.type, data, at + start, width):
                text = self.value(member.type, data, at + start, indent + 1, width)
                lines.append(f"{tabs}.{member.name} = {text},\n" if member.name else f"{tabs}{text},\n")
        return f"{{\n{''.join(lines)}" + "\t" * indent + "}" if lines else "{}"

    def _zero(self, number: int, data: bytes, at: int, width: int) -> bool:
        if width:
            return not bits(self.btf, data, at, width, False)
        return not any(data[at // 8 : at // 8 + self.btf.size_of(number)])

    def _elements(self, type: Array, data: bytes, at: int, indent: int) -> str:
        text = _chars(self.btf, type, data, at)
        if text is not None:
            quoted = text.translate({34: '\\"', 92: "\\\\", 9: "\\t", 10: "\\n", 13: "\\r"})
            return f'"{quoted}"'
        size, count = 8 * self.btf.size_of(type.type), min(type.length, self.elements)
        parts = [self.value(type.type, data, at + i * size, indent + 1) for i in range(count)]
        if count < type.length:
            parts.append(f"/* {type.length - count} more */")
        if any("\n" in part for part in parts):
            tabs = "\t" * (indent + 1)
            return "{\n" + "".join(f"{tabs}{part},\n" for part in parts) + "\t" * indent + "}"
        return f"{{{', '.join(parts)}}}"
