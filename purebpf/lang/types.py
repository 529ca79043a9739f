"""Layout of the language's types: how many bytes a value has, how they are aligned, how Python values go in and out.

The same descriptions serve both worlds: the compiler takes offsets and widths from them, user space packs and unpacks with
them. The layout is C's natural one, little-endian unless a field is `be16`, `be32` or `be64`.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import Any

from purebpf.data import data


@data
class IntType:
    """An integer of 8, 16, 32 or 64 bits; `big` keeps network byte order in memory."""

    bits: int
    signed: bool = False
    big: bool = False

    @property
    def size(self) -> int:
        return self.bits // 8

    @property
    def align(self) -> int:
        return self.bits // 8

    @property
    def low(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << (self.bits - self.signed)) - 1

    def __str__(self) -> str:
        return f"{'be' if self.big else 's' if self.signed else 'u'}{self.bits}"

    def encode(self, value: Any) -> bytes:
        try:
            number = index(value)
        except TypeError:
            raise TypeError(f"an integer is wanted, not {value!r}{_number_of(value)}") from None
        if not self.low <= number <= self.high:
            raise ValueError(f"{number} does not fit {self} ({self.low} to {self.high})")
        return number.to_bytes(self.size, "big" if self.big else "little", signed=self.signed)

    def decode(self, data: bytes) -> Any:
        return int.from_bytes(data, "big" if self.big else "little", signed=self.signed)

    def zero(self) -> Any:
        return 0


def _number_of(value: object) -> str:
    """Behind an IPv4 address that is given for a number: what makes it one; else ""."""
    parts = str(value).split(".")
    if len(parts) != 4 or not all(part.isdecimal() for part in parts):
        return ""
    return f': int(ipaddress.IPv4Address("{value}")) makes a number of it'


@data
class EnumType(IntType):
    """An integer of which some values have names, the members of an `IntEnum`; any other is a plain integer."""

    names: Any = None

    def __str__(self) -> str:
        return str(self.names.__name__)

    def decode(self, data: bytes) -> Any:
        number = int.from_bytes(data, "big" if self.big else "little", signed=self.signed)
        return self.named(number)

    def named(self, number: int) -> Any:
        try:
            return self.names(number)
        except ValueError:
            return number


@data
class BoolType:
    """One byte, 0 or 1."""

    size: int = 1
    align: int = 1

    def __str__(self) -> str:
        return "bool"

    def encode(self, value: Any) -> bytes:
        if value not in (0, 1):
            raise ValueError(f"a bool is wanted, not {value!r}")
        return bytes([bool(value)])

    def decode(self, data: bytes) -> Any:
        return data[0] != 0

    def zero(self) -> Any:
        return False


@data
class CharsType:
    """A text of at most `size` - 1 bytes and its NUL; str in user space (bytes that are no UTF-8 come as surrogates). One that
    is `full`, as C's may be, may fill all bytes and then has no NUL."""

    size: int
    align: int = 1
    full: bool = False

    def __str__(self) -> str:
        return f"chars({self.size})"

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, str | bytes):
            raise TypeError(f"a text is wanted, not {value!r}")
        data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
        if 0 in data:
            raise ValueError(f"{value!r} has a NUL inside, where the kernel would end the text")
        if len(data) >= self.size + self.full:
            raise ValueError(f"a text of {len(data)} bytes does not fit {self}: its NUL needs a byte too")
        return data.ljust(self.size, b"\0")

    def decode(self, data: bytes) -> Any:
        return data.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")

    def zero(self) -> Any:
        return ""


@data
class BytesType:
    """`size` raw bytes."""

    size: int
    align: int = 1

    def __str__(self) -> str:
        return f"bytes({self.size})"

    def encode(self, value: Any) -> bytes:
        if isinstance(value, str | int):
            raise TypeError(f"bytes are wanted, not {value!r}")
        data = bytes(value)
        if len(data) != self.size:
            raise ValueError(f"{self} wants exactly {self.size} bytes, not {len(data)}")
        return data

    def decode(self, data: bytes) -> Any:
        return bytes(data)

    def zero(self) -> Any:
        return bytes(self.size)


@data
class ArrayType:
    """`count` elements of one type; a list in user space."""

    element: Type
    count: int

    @property
    def size(self) -> int:
        return self.element.size * self.count

    @property
    def align(self) -> int:
        return self.element.align

    def __str__(self) -> str:
        return f"array({self.element}, {self.count})"

    def encode(self, value: Any) -> bytes:
        items = list(value)
        if len(items) != self.count:
            raise ValueError(f"{self} wants exactly {self.count} elements, not {len(items)}")
        return b"".join(self.element.encode(item) for item in items)

    def decode(self, data: bytes) -> Any:
        step = self.element.size
        return [self.element.decode(data[i : i + step]) for i in range(0, self.size, step)]

    def zero(self) -> Any:
        return [self.element.zero() for _ in range(self.count)]


@data
class KernelType:
    """What the kernel keeps inside of a map's value, such as a lock: zeros at first, out of reach. `name` is its struct's, `of`
    what it holds, by name: a pointer a struct of the kernel, a list or tree records of the layout `element`."""

    name: str
    size: int
    align: int
    of: str = ""
    element: StructType | None = None

    def __str__(self) -> str:
        return f"{self.name} of {self.of}" if self.of else self.name

    def encode(self, value: Any) -> bytes:
        return bytes(self.size)

    def decode(self, data: bytes) -> Any:
        return None

    def zero(self) -> Any:
        return None


@data
class Field:
    """A member of a record. A bit field has `bits` > 0 and starts at bit `shift` of the integer at `offset`; it has a sign if
    it is `signed`, as C's may be."""

    name: str
    type: Type
    offset: int
    bits: int = 0
    shift: int = 0
    default: Any = None
    required: bool = False
    signed: bool = False


@data(eq=False)
class StructType:
    """A record declared with `@bpf.struct` or `@bpf.union`; `record` is the class. One that is a `union` has fields that share
    bytes, and keeps its value as bytes."""

    name: str
    fields: tuple[Field, ...]
    size: int
    align: int
    record: type
    union: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def values(self) -> tuple[Field, ...]:
        """The fields that a record has in user space: all but the kernel's own."""
        return tuple(field for field in self.fields if not isinstance(field.type, KernelType))

    @property
    def kept(self) -> tuple[Field, ...]:
        """The kernel's own fields: locks and timers."""
        return tuple(field for field in self.fields if isinstance(field.type, KernelType))

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, self.record):
            if not isinstance(value, Mapping):
                raise TypeError(f"a {self.name} is wanted, not {type(value).__name__}: give one, or a dictionary of its fields")
            value = self.record(**value)
        if self.union:
            raw: bytes = value.to_bytes()
            return raw
        data = bytearray(self.size)
        for field in self.values:
            item = getattr(value, field.name)
            end = field.offset + field.type.size
            try:
                if field.bits:
                    encode_bits(data, field, index(item))
                else:
                    data[field.offset : end] = field.type.encode(item)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{self.name}.{field.name}: {error}") from None
        return bytes(data)

    def decode(self, data: bytes) -> Any:
        value: Any = object.__new__(self.record)
        if self.union:
            value.__bpf_bytes__ = bytearray(data)
            return value
        for field in self.values:
            item = field.type.decode(data[field.offset : field.offset + field.type.size])
            setattr(value, field.name, bits_of(item, field) if field.bits else item)
        return value

    def zero(self) -> Any:
        return self.decode(bytes(self.size))


Type = IntType | BoolType | CharsType | BytesType | ArrayType | StructType | KernelType


def bits_of(unit: int, field: Field) -> Any:
    """A bit field's value, from that of the integer that holds it."""
    value = unit >> field.shift & ((1 << field.bits) - 1)
    if field.signed and value >> field.bits - 1:
        value -= 1 << field.bits
    return field.type.named(value) if isinstance(field.type, EnumType) else value


def encode_bits(data: bytearray, field: Field, value: int) -> None:
    """Write a bit field's value into the record's bytes."""
    mask, low = (1 << field.bits) - 1, -(1 << field.bits - 1) if field.signed else 0
    if not low <= value <= low + mask:
        raise ValueError(f"{value} does not fit {field.bits} bits{' with a sign' if field.signed else ''}")
    end = field.offset + field.type.size
    unit = int.from_bytes(data[field.offset : end], "little")
    unit = unit & ~(mask << field.shift) | (value & mask) << field.shift
    data[field.offset : end] = unit.to_bytes(field.type.size, "little")


def kept_fields(type: Type) -> tuple[Field, ...]:
    """The locks and timers in a value of this type."""
    return type.kept if isinstance(type, StructType) else ()


def type_of(annotation: object) -> Type | None:
    """The layout of what an annotation names: a scalar, `bool`, a struct class or a field specifier; None for anything else."""
    if annotation is bool:
        return BoolType()
    layout = getattr(annotation, "__bpf_type__", None)
    return layout if isinstance(layout, Type) else None
