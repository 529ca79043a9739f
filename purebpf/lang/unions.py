"""`@bpf.union`: fields that share their bytes, as C's union; all begin at offset 0 and the longest gives the size.

In user space a union keeps its bytes, and each attribute reads and writes them; records and arrays inside are views of them.
"""

from __future__ import annotations

import sys
from typing import Any, TypeVar, dataclass_transform

from purebpf.data import replace
from purebpf.lang import declaring
from purebpf.lang.data import RecordView, put, refuse_kept, value_at
from purebpf.lang.records import Dtype, lay_out, record_class, refuse_plain
from purebpf.lang.types import Field, StructType, bits_of

C = TypeVar("C", bound=type)


@dataclass_transform(kw_only_default=True)
def union(cls: C, /) -> C:
    """Make a class of annotated fields a union. Its constructor takes at most one of them; without any it is zero.

    A default says nothing but that a type checker may leave the field out, and must be zero.
    """
    scope = sys._getframe(1)
    if not isinstance(cls, type):
        raise declaring.error(f"@bpf.union decorates a class, not {cls!r}")
    fields, _, _ = lay_out(cls, False, scope.f_globals, scope.f_locals)
    if not fields:
        raise declaring.in_class(cls, "", "a union needs at least one field, such as `number: u32`")
    refuse_plain(cls)
    refuse_kept(cls, fields)
    for field in fields:
        if not field.required and field.default and field.default != field.type.zero():
            raise declaring.in_class(cls, field.name, "a field of a union has no default but 0: they share their bytes")
    align = max(field.type.align for field in fields)
    size = -(-max(field.type.size for field in fields) // align) * align
    flat = tuple(replace(field, offset=0, shift=0, default=None, required=False) for field in fields)
    made = record_class(cls, {field.name for field in fields}, ("__bpf_bytes__",))
    layout = StructType(cls.__name__, flat, size, align, made, union=True)
    made.__bpf_type__ = layout  # type: ignore[attr-defined]
    for field in flat:
        setattr(made, field.name, Attribute(field))
    for name, method in METHODS.items():
        if name not in vars(cls):
            setattr(made, name, method)
    return made  # type: ignore[return-value]


class _Shared:
    """The bytes of one union, for the views inside it."""

    layout: StructType | None = None

    def __init__(self, data: bytearray) -> None:
        self.data = data

    def readable(self, what: str) -> bytearray:
        return self.data

    def writable(self, what: str) -> bytearray:
        return self.data

    def assigned(self, what: str) -> None:
        pass


class Attribute:
    """A field of a record that keeps its bytes, as an attribute."""

    def __init__(self, field: Field) -> None:
        self.field = field

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        if owner is None:
            return self
        field = self.field
        value = value_at(_Shared(owner.__bpf_bytes__), field.offset, field.type, f"{type(owner).__name__}.{field.name}")
        return bits_of(value, field) if field.bits else value

    def __set__(self, owner: Any, value: Any) -> None:
        try:
            put(owner.__bpf_bytes__, 0, self.field, value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{type(owner).__name__}.{self.field.name}: {error}") from None


def _init(self: Any, /, **values: Any) -> None:
    layout: StructType = type(self).__bpf_type__
    self.__bpf_bytes__ = bytearray(layout.size)
    for name in values:
        if layout.field(name) is None:
            known = ", ".join(f.name for f in layout.fields)
            raise TypeError(f"{layout.name} has no field `{name}`; its fields are {known}")
    if len(values) > 1:
        raise TypeError(f"{layout.name} is a union: give one of {', '.join(values)}")
    for name, value in values.items():
        setattr(self, name, value)


def _repr(self: Any) -> str:
    layout: StructType = type(self).__bpf_type__
    return f"<{layout.name} {', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in layout.fields)}>"


def _eq(self: Any, other: Any) -> Any:
    if isinstance(other, RecordView):
        other = other.__copy__()
    return bytes(self.__bpf_bytes__) == bytes(other.__bpf_bytes__) if type(self) is type(other) else NotImplemented


def _to_bytes(self: Any) -> bytes:
    """The union as it lies in memory."""
    return bytes(self.__bpf_bytes__)


def _from_bytes(cls: Any, data: bytes) -> Any:
    """The union from its bytes; more bytes than its size are ignored, fewer are an error."""
    layout: StructType = cls.__bpf_type__
    if len(data) < layout.size:
        raise ValueError(f"{layout.name} needs {layout.size} bytes, not {len(data)}")
    value = object.__new__(cls)
    value.__bpf_bytes__ = bytearray(data[: layout.size])
    return value


METHODS: dict[str, Any] = {
    "__init__": _init,
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": lambda self: hash(self.to_bytes()),
    "to_bytes": _to_bytes,
    "from_bytes": classmethod(_from_bytes),
    "dtype": Dtype(),
}
