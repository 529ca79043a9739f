"""Records, arrays, bytes and texts in memory, as a program sees them: references, whose stores narrow.

A `Block` is memory: of a map's value, the packet, the context, or the program's own. `load` and `store` are what reading and
assigning a field, an element or a map's value mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import FunctionType, MethodType
from typing import Any

from purebpf.data import data
from purebpf.errors import Error
from purebpf.lang.types import ArrayType, BoolType, BytesType, CharsType, IntType, StructType, Type, encode_bits
from purebpf.vm.memory import Buffer


@data(frozen=False, eq=False)
class Block:
    """Some memory. `address` is where the machine has it, None until something asks for it. `shared`: others may write it at
    the same time, so sums in it are atomic. `owner` is the map whose value it is. `methods` makes an author's method one that
    can be run."""

    data: Buffer
    methods: Callable[[FunctionType], FunctionType]
    address: int | None = None
    writable: bool = True
    shared: bool = False
    owner: object = None


class View:
    """A reference to what lies at an offset of a block. Its own names begin so that no field of a record has them."""

    __slots__ = ("_bpf_at", "_bpf_block", "_bpf_type")
    _bpf_at: int
    _bpf_block: Block
    _bpf_type: Any

    def __init__(self, block: Block, at: int, type: Type) -> None:
        for name, value in (("_bpf_block", block), ("_bpf_at", at), ("_bpf_type", type)):
            object.__setattr__(self, name, value)

    def __bytes__(self) -> bytes:
        return bytes(self._bpf_block.data[self._bpf_at : self._bpf_at + self._bpf_type.size])

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return repr(self._bpf_type.decode(bytes(self)))


def place_of(view: View) -> tuple[Block, int, Any]:
    """A reference taken apart: block, offset, type."""
    return view._bpf_block, view._bpf_at, view._bpf_type


def put(block: Block, at: int, data: bytes) -> None:
    """Write bytes."""
    if not block.writable:
        raise Error("this memory cannot be written: it is read-only for this program type")
    block.data[at : at + len(data)] = data


class Indexed(View):
    """What can be indexed and gone over."""

    __slots__ = ()

    def _bpf_element(self) -> tuple[Type, int]:
        """The type of the elements, and how many there are."""
        return IntType(8), self._bpf_type.size

    def _bpf_place(self, index: int) -> tuple[Block, int, Type]:
        element, count = self._bpf_element()
        if not -count <= index < count:
            raise IndexError(f"index {index} is outside `{self._bpf_type}`")
        return self._bpf_block, self._bpf_at + index % count * element.size, element

    def _bpf_part(self, bounds: slice) -> tuple[Block, int, Type]:
        element, count = self._bpf_element()
        start, stop, _ = bounds.indices(count)
        kind = ArrayType(element, stop - start) if isinstance(self, Array) else BytesType(stop - start)
        return self._bpf_block, self._bpf_at + start * element.size, kind

    def __getitem__(self, index: int | slice) -> Any:
        return load(*(self._bpf_part(index) if isinstance(index, slice) else self._bpf_place(index)))

    def __setitem__(self, index: int | slice, value: Any) -> None:
        store(*(self._bpf_part(index) if isinstance(index, slice) else self._bpf_place(index)), value)

    def startswith(self, prefix: Any) -> bool:
        """Whether it begins so; a text or bytes."""
        wanted = prefix.encode("utf-8", "surrogateescape") if isinstance(prefix, str) else prefix
        return bytes(self).startswith(wanted)

    def __len__(self) -> int:
        return self._bpf_element()[1]

    def __iter__(self) -> Iterator[Any]:
        return (own_text(self[index]) for index in range(len(self)))

    def __reversed__(self) -> Iterator[Any]:
        return (own_text(self[index]) for index in reversed(range(len(self))))

    def __contains__(self, value: object) -> bool:
        return any(item == value for item in self)


class Array(Indexed):
    """A reference to `bpf.array(T, n)`."""

    __slots__ = ()

    __hash__ = None  # type: ignore[assignment]

    def _bpf_element(self) -> tuple[Type, int]:
        return self._bpf_type.element, self._bpf_type.count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Array | list) and plain(self) == plain(other)


Sequence.register(Array)  # for `case [a, b]`


class Bytes(Indexed):
    """A reference to `bpf.bytes(n)`."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bytes | bytes) and bytes(self) == bytes(other)


class Text(Indexed):
    """A reference to `bpf.chars(n)`; equal to texts up to the NUL, true when not empty."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return self._bpf_block.data[self._bpf_at] != 0

    def __len__(self) -> int:
        return len(bytes(self).split(b"\0", 1)[0])

    def __getitem__(self, index: int | slice) -> Any:
        if not isinstance(index, slice):
            return super().__getitem__(index)
        kept = bytes(self)[index][: self._bpf_type.size - 1]
        return view(Block(bytearray(kept + b"\0"), self._bpf_block.methods), 0, CharsType(len(kept) + 1))

    def __str__(self) -> str:
        return str(self._bpf_type.decode(bytes(self)))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __contains__(self, value: object) -> bool:
        return str(value) in str(self)

    def __eq__(self, other: object) -> bool:
        mine = bytes(self).split(b"\0", 1)[0]
        if isinstance(other, str):
            wanted = other.encode("utf-8", "surrogateescape")
            return mine == wanted and len(wanted) < self._bpf_type.size
        return isinstance(other, Text) and mine == bytes(other).split(b"\0", 1)[0]


class Fetched(Text):
    """A text that was read by its address: stored in a field it is read anew, up to the field's size."""

    __slots__ = ("_bpf_read",)
    _bpf_read: Callable[[int], Text]

    def __init__(self, read: Callable[[int], Text], size: int) -> None:
        super().__init__(*place_of(read(size)))
        object.__setattr__(self, "_bpf_read", read)


class Record(View):
    """A reference to a `@bpf.struct`: reading an integer gives a value, anything else a reference."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and plain(self) == plain(other)

    def __getattr__(self, name: str) -> Any:
        block, at, type = place_of(self)
        found = type.field(name)
        if found is None:
            return _of_the_class(self, name)
        value = load(block, at + found.offset, found.type)
        return value >> found.shift & ((1 << found.bits) - 1) if found.bits else value

    def __setattr__(self, name: str, value: Any) -> None:
        block, at, type = place_of(self)
        found = type.field(name)
        if found is None:
            raise AttributeError(_no_field(type, name))
        if not found.bits:
            return store(block, at + found.offset, found.type, value)
        unit = bytearray(block.data[at : at + type.size])
        encode_bits(unit, found, int(value) & ((1 << found.bits) - 1))
        put(block, at + found.offset, bytes(unit[found.offset : found.offset + found.type.size]))


def _no_field(type: StructType, name: str) -> str:
    return f"`{type}` has no field `{name}`; its fields are: {', '.join(each.name for each in type.fields)}"


def _of_the_class(record: Record, name: str) -> Any:
    """A method of the record's class, bound to this reference; or what else the class has under the name."""
    block, _, type = place_of(record)
    raw = vars(type.record).get(name)
    if raw is None:
        raise AttributeError(_no_field(type, name))
    if isinstance(raw, staticmethod):
        return block.methods(getattr(raw, "__func__"))  # noqa: B009
    if not isinstance(raw, FunctionType):
        return getattr(type.record, name)
    if raw.__module__ == "purebpf.lang.records":  # `to_bytes` and the like, for the debugger's prompt
        return getattr(type.decode(bytes(record)), name)
    return MethodType(block.methods(raw), record)


VIEWS: dict[type, type[View]] = {StructType: Record, ArrayType: Array, BytesType: Bytes, CharsType: Text}


def view(block: Block, offset: int, type: Type) -> View:
    """A reference to a place, whatever its type."""
    return VIEWS.get(type.__class__, View)(block, offset, type)


def narrow(type: IntType | BoolType, value: Any) -> int:
    """An integer as a place of this type keeps it."""
    if isinstance(type, BoolType):
        return bool(value)
    low = int(value) & ((1 << type.bits) - 1)
    return low - (1 << type.bits) if type.signed and low >> (type.bits - 1) else low


def load(block: Block, offset: int, type: Type) -> Any:
    """What is there: an integer or bool as a value, anything else as a reference."""
    if not isinstance(type, IntType | BoolType):
        return view(block, offset, type)
    return type.decode(bytes(block.data[offset : offset + type.size]))


def encoded(type: Type, value: Any) -> bytes:
    """The bytes that storing a value at a place of this type leaves there."""
    if isinstance(value, View):
        if isinstance(value, Fetched) and isinstance(type, CharsType):
            return bytes(value._bpf_read(type.size))
        data = bytes(value)
        if isinstance(value, Text) and isinstance(type, CharsType | BytesType):
            return data[: type.size].ljust(type.size, b"\0")
        if len(data) != type.size:
            raise TypeError(f"`{type}` cannot be assigned from `{place_of(value)[2]}`")
        return data
    if isinstance(type, ArrayType) and isinstance(value, list | tuple):
        if len(value) != type.count:
            raise TypeError(f"{len(value)} values do not fit `{type}`")
        return b"".join(encoded(type.element, item) for item in value)
    if isinstance(type, IntType | BoolType):
        if not isinstance(value, int):
            raise TypeError(f"`{type}` cannot be assigned from {value!r}")
        return type.encode(narrow(type, value))
    return type.encode(value)


def store(block: Block, offset: int, type: Type, value: Any) -> None:
    """Write a value to a place, narrowed to its type; records, texts and arrays are copied."""
    put(block, offset, encoded(type, value))


def plain(value: Any) -> Any:
    """What a reference refers to, as user space would have it."""
    if isinstance(value, View):
        return place_of(value)[2].decode(bytes(value))
    return [plain(item) for item in value] if isinstance(value, list) else value


def own(value: Any) -> Any:
    """What a name gets that is assigned a place: a copy of a text, bytes or array, a reference to a record."""
    return copied(value) if isinstance(value, Indexed) else value


def own_text(value: Any) -> Any:
    """What a parameter gets: a copy of a text."""
    return copied(value) if isinstance(value, Text) else value


def copied(value: Any) -> Any:
    """A reference's content in memory of its own."""
    if not isinstance(value, View):
        return value
    block, _, type = place_of(value)
    return view(Block(bytearray(bytes(value)), block.methods), 0, type)
