"""`@bpf.struct` and the field specifiers: records with C's layout, one class for kernel and user space.

A record is built with keywords; a scalar field without default must be given, specifiers start at zero. Padding is zero and
takes no part in equality. `to_bytes` and `from_bytes` convert; `layout.py` tells sizes and offsets.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform, overload

from purebpf.lang import declaring
from purebpf.lang.types import (
    ArrayType,
    BytesType,
    CharsType,
    Field,
    IntType,
    KernelType,
    StructType,
    Type,
    kept_fields,
    type_of,
)

T = TypeVar("T")
C = TypeVar("C", bound=type)

_RESERVED = ("to_bytes", "from_bytes", "dtype")


class Specifier:
    """A field whose type needs a number: `bpf.chars(16)`."""

    def __init__(self, layout: Type, bits: int = 0) -> None:
        self.__bpf_type__ = layout
        self.bits = bits

    def __repr__(self) -> str:
        return f"bpf.bits({self.bits})" if self.bits else f"bpf.{self.__bpf_type__}"


def _count(what: str, n: object) -> int:
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise declaring.error(f"bpf.{what} wants a positive integer, not {n!r}")
    return n


@declaring.explained("bpf.chars", "bpf.chars(16)")
def chars(n: int) -> Any:
    """A text field of `n` bytes, its NUL included."""
    return Specifier(CharsType(_count("chars(n)", n)))


@declaring.explained("bpf.bytes", "bpf.bytes(6)")
def bytes_(n: int) -> Any:
    """A field of `n` raw bytes."""
    return Specifier(BytesType(_count("bytes(n)", n)))


@declaring.explained("bpf.array", "bpf.array(u32, 4)")
def array(element: type[T], n: int) -> Any:
    """A field of `n` elements."""
    if hasattr(element, "__bpf_kernel_type__"):
        from purebpf.lang.kernel_structs import Elements

        return Elements(element, _count("array(T, n)", n))
    layout = type_of(element)
    if layout is None or (isinstance(element, Specifier) and element.bits):
        raise declaring.error(
            f"bpf.array(T, n): {element!r} is no type with a layout; use u8 to s64, be16 to be64, bool or a @bpf.struct"
        )
    return Specifier(ArrayType(layout, _count("array(T, n)", n)))


@declaring.explained("bpf.bits", "bpf.bits(4)")
def bits(n: int) -> Any:
    """A bit field of `n` bits in its annotation's integer, packed as C does (low bits first)."""
    return Specifier(IntType(8), _count("bits(n)", n))


@overload
@dataclass_transform(kw_only_default=True)
def struct(cls: C, /) -> C: ...
@overload
@dataclass_transform(kw_only_default=True)
def struct(*, packed: bool = False) -> Callable[[C], C]: ...
@declaring.explained("@bpf.struct", "@bpf.struct alone, or @bpf.struct(packed=True)")
def struct(cls: Any = None, /, *, packed: bool = False) -> Any:
    """Make a class of annotated fields a record. `packed=True` leaves out padding and alignment.

    Raises `Error` at the declaration for a field whose type has no layout or whose name is taken.
    """
    scope = sys._getframe(2)
    if cls is None:
        return lambda c: _declare(c, packed, scope.f_globals, scope.f_locals)
    return _declare(cls, packed, scope.f_globals, scope.f_locals)


def _declare(cls: type, packed: bool, names: dict[str, Any], local: Any) -> type:
    if not isinstance(cls, type):
        raise declaring.error(f"@bpf.struct decorates a class, not {cls!r}")
    if cls.__bases__ != (object,):
        hint = f"make {cls.__bases__[0].__name__} the type of a field"
        raise declaring.in_class(cls, "", "a struct inherits nothing", hint)
    refuse_plain(cls)
    fields, size, align = lay_out(cls, packed, names, local)
    if not fields:
        raise declaring.in_class(cls, "", "a struct needs at least one field, such as `pid: u32`")
    names_of_fields = tuple(f.name for f in fields)
    record = record_class(cls, set(names_of_fields), names_of_fields)
    layout = StructType(cls.__name__, tuple(fields), size, align, record)
    record.__bpf_type__ = layout  # type: ignore[attr-defined]
    for name, method in _METHODS.items():
        if name not in vars(cls):
            setattr(record, name, method)
    setattr(record, "__match_args__", tuple(f.name for f in layout.values))  # noqa: B010  a type checker knows no such attribute
    return record


def record_class(cls: type, fields: set[str], slots: tuple[str, ...]) -> type:
    """The class again, with slots and without the fields' defaults."""
    members = {k: v for k, v in vars(cls).items() if k not in ("__dict__", "__weakref__") and k not in fields}
    record = type(cls.__name__, cls.__bases__, members | {"__slots__": slots})
    for member in members.values():  # a method that says `__class__` means the class it ends up in
        for cell in getattr(getattr(member, "__func__", member), "__closure__", None) or ():
            with suppress(ValueError):  # a cell that is still empty, such as that of the class's own name
                if cell.cell_contents is cls:
                    cell.cell_contents = record
    return record


def lay_out(cls: type, packed: bool, names: dict[str, Any], local: Any) -> tuple[list[Field], int, int]:
    fields: list[Field] = []
    end = 0  # in bits, so that bit fields share integers as in C
    alignment = 1
    for name, annotation in cls.__annotations__.items():
        if name in _RESERVED or name.startswith("__"):
            raise declaring.in_class(cls, name, "this name is the record's own", "rename the field")
        if isinstance(annotation, str):
            try:
                annotation = eval(annotation, names, dict(local))
            except Exception as error:
                raise declaring.in_class(cls, name, f"the annotation `{annotation}` cannot be resolved: {error}") from None
        default = cls.__dict__.get(name, _MISSING)
        if hasattr(default, "__get__"):
            raise declaring.in_class(cls, name, "a method of the record has the same name", "rename one of them")
        specifier = default if isinstance(default, Specifier) else None
        width = specifier.bits if specifier else 0
        layout = specifier.__bpf_type__ if specifier and not width else type_of(annotation)
        if specifier and layout is not None and not width:
            _check_annotation(cls, name, annotation, layout)
        if layout is None:
            origin: Any = getattr(annotation, "__origin__", annotation)
            if type(None) in getattr(annotation, "__args__", ()):
                origin = type(None)
            hint = {
                str: "a text field is `name: str = bpf.chars(16)`",
                bytes: "raw bytes are `name: bytes = bpf.bytes(6)`",
                list: "an array is `name: list[u32] = bpf.array(u32, 4)`",
                int: "say how wide: u8 to u64, s8 to s64",
                float: "there are no floats in the kernel",
                type(None): "a field is always there: use a value that means none, or a second field that says so",
            }.get(origin, "use u8 to s64, be16 to be64, bool, a @bpf.struct, or a specifier such as bpf.chars(16)")
            if hasattr(annotation, "__bpf_kernel_type__"):
                hint = "objects of the kernel stay there: have a field for each value that you copy from them"
            shown = annotation.__name__ if isinstance(annotation, type) and origin is annotation else annotation
            raise declaring.in_class(cls, name, f"`{shown}` has no layout", hint)
        plain = default is _MISSING or type_of(type(default)) == layout
        if isinstance(layout, KernelType) and (packed or not plain):
            why = "cannot lie in a packed record" if packed else f"takes no default but bpf.{annotation.__name__}()"
            raise declaring.in_class(cls, name, f"`{layout}` {why}")
        if kept_fields(layout.element if isinstance(layout, ArrayType) else layout):
            raise declaring.in_class(cls, name, "a record with a lock or timer is the value of a map itself, not a part of one")
        if isinstance(layout, KernelType) and not layout.of and any(field.type == layout for field in fields):
            raise declaring.in_class(cls, name, f"a record has at most one `{layout}`")
        unit = layout.size * 8
        step = 8 if packed else layout.align * 8
        if width:
            if not isinstance(layout, IntType) or layout.big or width > unit:
                hint = "a bit field is part of a u8 to u64"
                raise declaring.in_class(cls, name, f"bpf.bits({width}) does not fit `{layout}`", hint)
            if end // unit != (end + width - 1) // unit:
                if packed:
                    raise declaring.in_class(
                        cls,
                        name,
                        f"in a packed struct C lays these {width} bits across the border of a `{layout}`, which cannot be had",
                        "use a wider integer, or put padding bits before it",
                    )
                end = -(-end // unit) * unit
            start = end // unit * unit
            fields.append(Field(name, layout, start // 8, width, end - start, 0))
            end += width
        else:
            end = -(-end // step) * step
            required = default is _MISSING and not isinstance(layout, KernelType)
            if not required and specifier is None and not isinstance(layout, KernelType):
                try:
                    layout.encode(default)
                except (TypeError, ValueError) as error:
                    raise declaring.in_class(cls, name, f"the default {default!r} does not fit: {error}") from None
            value = layout.zero() if specifier else None if required or isinstance(layout, KernelType) else default
            fields.append(Field(name, layout, end // 8, 0, 0, value, required and specifier is None))
            end += unit
        alignment = max(alignment, step // 8)
    size = -(-end // (8 * alignment)) * alignment
    for field in fields:
        if field.offset + field.type.size > size:
            raise declaring.in_class(
                cls,
                field.name,
                f"the `{field.type}` that holds these bits would reach beyond the end of the packed struct",
                "use a smaller integer",
            )
    return fields, size, alignment


def refuse_plain(cls: type) -> None:
    """What looks like a field but has no annotation is none: an error. Constants in capitals, methods and maps may be there."""
    annotated = cls.__annotations__
    for name, member in vars(cls).items():
        if name in annotated or name.startswith("_") or name.isupper():
            continue
        if isinstance(member, Specifier | int | str | bytes):
            wanted = _written(member.__bpf_type__) if isinstance(member, Specifier) else "u32"
            raise declaring.in_class(cls, name, "a field has an annotation", f"`{name}: {wanted} = {member!r}`")


def _check_annotation(cls: type, name: str, annotation: Any, layout: Type) -> None:
    """What a type checker is told must be what a specifier makes."""
    origin = getattr(annotation, "__origin__", annotation)
    wanted = {CharsType: str, BytesType: bytes, ArrayType: list}[layout.__class__]
    if origin is not wanted and origin is not Any:
        said = getattr(annotation, "__name__", annotation)
        hint = f"annotate `{_written(layout)}`"
        raise declaring.in_class(cls, name, f"annotated `{said}`, but `bpf.{layout}` makes {_SHOWN[wanted]}", hint)
    element = (getattr(annotation, "__args__", ()) or (Any,))[0]
    if isinstance(layout, ArrayType) and element is not Any:
        plain = {CharsType: str, BytesType: bytes, ArrayType: list}.get(layout.element.__class__)
        named = type_of(element)
        if getattr(element, "__origin__", element) is not plain and element is not int and named != layout.element:
            said = getattr(element, "__name__", element)
            raise declaring.in_class(cls, name, f"annotated as a list of `{said}`, but `bpf.{layout}` holds `{layout.element}`")


_SHOWN = {str: "a text", bytes: "bytes", list: "a list"}


def _written(layout: Type) -> str:
    """A type as an annotation says it."""
    match layout:
        case CharsType():
            return "str"
        case BytesType():
            return "bytes"
        case ArrayType(element=element):
            return f"list[{_written(element)}]"
    return str(layout)


class _Missing:
    pass


_MISSING = _Missing()


def _init(self: Any, /, *given: Any, **values: Any) -> None:
    layout: StructType = type(self).__bpf_type__
    if given:
        usage = ", ".join(f"{f.name}=..." for f in layout.values)
        raise TypeError(f"{layout.name} takes its fields by keyword: {layout.name}({usage})")
    if unknown := next((name for name in values if layout.field(name) is None), None):
        raise TypeError(f"{layout.name} has no field `{unknown}`; its fields are {', '.join(f.name for f in layout.values)}")
    for field in layout.values:
        if field.name in values:
            setattr(self, field.name, values.pop(field.name))
        elif field.required:
            raise TypeError(f"{layout.name}() needs `{field.name}`")
        else:
            value = field.default
            if isinstance(field.type, StructType | ArrayType):  # these can be changed: each record has its own
                value = field.type.decode(field.type.encode(value))
            setattr(self, field.name, value)
    if values:  # a lock or a timer
        raise TypeError(f"`{next(iter(values))}` of {layout.name} is the kernel's and cannot be given")


def _repr(self: Any) -> str:
    layout: StructType = type(self).__bpf_type__
    return f"{layout.name}({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in layout.values)})"


def _eq(self: Any, other: Any) -> Any:
    if type(self) is not type(other):
        return NotImplemented
    layout: StructType = type(self).__bpf_type__
    return all(getattr(self, f.name) == getattr(other, f.name) for f in layout.values)


def _hash(self: Any) -> int:
    return hash(self.to_bytes())


def _to_bytes(self: Any) -> bytes:
    """The record as it lies in memory, padding zero. Raises ValueError where a value does not fit its field."""
    data: bytes = type(self).__bpf_type__.encode(self)
    return data


def _from_bytes(cls: Any, data: bytes) -> Any:
    """The record from its bytes; more bytes than its size are ignored (perf events come padded), fewer are an error."""
    layout: StructType = cls.__bpf_type__
    if len(data) < layout.size:
        raise ValueError(f"{layout.name} needs {layout.size} bytes, not {len(data)}")
    return layout.decode(bytes(data[: layout.size]))


class Dtype:
    """The class attribute `dtype`: NumPy's structured type of the same layout, which `numpy.dtype(Record)` finds."""

    __slots__ = ()

    def __get__(self, instance: Any, owner: Any) -> Any:
        from purebpf.lang.dtypes import dtype_of

        return dtype_of(owner.__bpf_type__)


_METHODS: dict[str, Any] = {
    "__init__": _init,
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "to_bytes": _to_bytes,
    "from_bytes": classmethod(_from_bytes),
    "dtype": Dtype(),
}

if not TYPE_CHECKING:
    bytes_.__name__ = "bytes"
