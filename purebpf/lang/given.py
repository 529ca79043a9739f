"""Contexts of test runs by the names of their fields: `run(ctx={"mark": 5})`, and what came back: `fields(result.context)`.

The fields are those that a program of the type has in its context. Of a packet's context a test run takes some only
(net/bpf/test_run.c), of an event's all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from purebpf.errors import Error
from purebpf.lang.types import ArrayType, IntType, Type
from purebpf.tables.contexts import SETTABLE, ContextField, FieldKind
from purebpf.tables.contexts import context as context_of
from purebpf.tables.enums import ProgramType

if TYPE_CHECKING:
    from purebpf.lang.program_types import ProgramKind

Layout = dict[str, tuple[int, Type]]


def field_type(field: ContextField) -> Type:
    """What lies in a field of a context."""
    element = IntType(8 * field.size // max(field.count, 1), field.signed, field.big_endian)
    return ArrayType(element, field.count) if field.count > 1 else element


def layout(kind: ProgramKind, hook: str) -> Layout:
    """Offset and type of the fields that a program has. Raises Error for an event that this kernel does not know."""
    if kind.type == ProgramType.TRACEPOINT:
        from purebpf.lang.tracepoints import event_fields

        return {name: (f.offset, f.type) for name, f in event_fields(hook).items() if f.type is not None}
    table = context_of(kind.type)
    fields = table.fields.values() if table is not None else ()
    return {field.name: (field.offset, field_type(field)) for field in fields if field.kind is FieldKind.SCALAR}


def built(kind: ProgramKind, hook: str, values: Mapping[str, object], packet: bytes | None) -> bytes:
    """The context with these fields, the others zero; an array may be given in part. Raises Error for a field that there is
    not, that a test run does not take, or whose value does not fit."""
    known = layout(kind, hook)
    table = context_of(kind.type)
    size = table.size if table is not None and table.size else max((at + t.size for at, t in known.values()), default=0)
    data = bytearray(size)
    taken = SETTABLE.get(table.struct if table is not None else "", tuple(known))
    for name, value in values.items():
        if name not in known:
            raise Error(f"the context of `@bpf.{kind.decorator}` has no field `{name}`; it has: {', '.join(known)}")
        if name not in taken:
            names = ", ".join(other for other in taken if other in known)
            raise Error(f"a test run makes `{name}` itself; of this context it takes: {names}")
        offset, type = known[name]
        try:
            data[offset : offset + type.size] = type.encode(_whole(type, value))
        except (TypeError, ValueError) as error:
            raise Error(f"`{name}` of the context: {error}") from None
    if kind.type == ProgramType.XDP:
        data[4:8] = len(packet or bytes(14)).to_bytes(4, "little")  # `data_end`, which tells the packet's length
    return bytes(data)


def _whole(type: Type, value: Any) -> Any:
    """An array's items, those behind what was given zero."""
    if not isinstance(type, ArrayType) or isinstance(value, int | str):
        return value
    items = list(value)
    return items + [type.element.zero()] * (type.count - len(items))


def fields(kind: ProgramKind, hook: str, data: bytes) -> dict[str, Any]:
    """What a context's bytes hold, by name; fields behind their end are left out."""
    known = layout(kind, hook).items()
    return {name: type.decode(data[at : at + type.size]) for name, (at, type) in known if at + type.size <= len(data)}
