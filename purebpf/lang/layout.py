"""How types lie in memory: sizes and offsets, as constants in a program, and values as bytes."""

from __future__ import annotations

from typing import Any, TypeVar

from purebpf.errors import Error
from purebpf.lang.kernel_types import KernelName
from purebpf.lang.types import StructType, Type, type_of

T = TypeVar("T")


def sizeof(type: Any, /) -> int:
    """The bytes that a record, a scalar such as `u32` or a specifier such as `bpf.chars(16)` takes. Raises Error for what has
    no layout."""
    return _layout("sizeof", type).size


def offsetof(record: Any, field: str, /) -> int:
    """Where a field begins in a record, in bytes; a bit field in the integer that holds it. Raises Error for an unknown
    field."""
    layout = _record("offsetof", record)
    found = layout.field(field)
    if found is None:
        raise Error(f"`{layout}` has no field `{field}`; its fields are: {', '.join(f.name for f in layout.fields)}")
    return found.offset


def exists(record: Any, field: str, /) -> bool:
    """Whether a record has a field of this name."""
    return _record("exists", record).field(field) is not None


def from_bytes(type: type[T], data: bytes, /) -> T:
    """The value that lies in `data`, of `bpf.sizeof(type)` bytes. `Record.from_bytes(data)`, with a type for checkers."""
    layout = _layout("from_bytes", type)
    if len(data) != layout.size:
        raise Error(f"`{layout}` is made of {layout.size} bytes, not {len(data)}")
    value: T = layout.decode(data)
    return value


def to_bytes(record: Any, /) -> bytes:
    """The bytes of a record as they lie in memory, padding zero. `record.to_bytes()`, with a type for checkers."""
    return _record("to_bytes", type(record)).encode(record)


def _layout(what: str, type: Any) -> Type:
    layout = type_of(type)
    if layout is None:
        _of_the_kernel(what, type)
        raise Error(f"bpf.{what}: {type!r} has no layout; use a @bpf.struct, u8 to s64, be16 to be64 or bool")
    return layout


def _record(what: str, record: Any) -> StructType:
    layout = type_of(record)
    if not isinstance(layout, StructType):
        _of_the_kernel(what, record)
        raise Error(f"bpf.{what}: {record!r} is no @bpf.struct or @bpf.union")
    return layout


def _of_the_kernel(what: str, type: Any) -> None:
    """Refuse a type of the kernel, which only a program can ask about. Raises Error."""
    if isinstance(type, KernelName):
        hint = "ask in a program, by which the kernel that runs it answers; in Python, `purebpf.btf` has the types"
        raise Error(f"bpf.{what}: {type!r} lies in the kernel: {hint}")
