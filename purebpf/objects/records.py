"""Records of an object file's types, as classes: what `layouts.py` finds in BTF, as `lang/fixed.py` makes it for packages.

A struct is a class with its fields as attributes, an enum an `IntEnum`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from purebpf.lang.fixed import record
from purebpf.lang.records import Specifier
from purebpf.lang.types import ArrayType, EnumType, Field, StructType, Type
from purebpf.objects.naming import identifier

OWN = frozenset({"to_bytes", "from_bytes", "dtype"})  # methods of records, which no field can be called
OF_ENUMS = frozenset({"mro", "name", "value"})


def field_names(layout: StructType) -> dict[str, Field]:
    """The fields by names that Python and the class of a record take."""
    taken: set[str] = set(OWN)
    found = {}
    for field in layout.fields:
        name = identifier(field.name, taken)
        taken.add(name)
        found[name] = field
    return found


def member_names(values: tuple[tuple[str, int], ...]) -> dict[str, int]:
    """The values of an enum by names that Python and the class of an enum take."""
    taken: set[str] = set(OF_ENUMS)
    found = {}
    for name, value in values:
        member = identifier(name, taken).strip("_") or f"value{value & 0xFFFF_FFFF}"
        member = identifier(member, taken)
        taken.add(member)
        found[member] = value
    return found


def record_of(layout: Type) -> Any:
    """What stands in the brackets of a map for a layout: a class for a struct or union, else a type of a field."""
    if not isinstance(layout, StructType):
        return Specifier(_with_classes(layout))
    rows: list[tuple[Any, ...]] = []
    for name, field in field_names(layout).items():
        bits = (field.bits, field.shift, field.signed) if field.bits else ()
        rows.append((name, Specifier(_with_classes(field.type)), field.offset, *bits))
    return record(__name__, layout.name or "record", layout.size, layout.align, rows)


def _with_classes(layout: Type) -> Type:
    """The layout with classes that exist where those that a package would have are named."""
    match layout:
        case StructType():
            made: Type = record_of(layout).__bpf_type__
            return made
        case ArrayType(element=element, count=count):
            return ArrayType(_with_classes(element), count)
        case EnumType(bits=bits, signed=signed, names=names):
            members = member_names(names.values)
            return EnumType(bits, signed, names=IntEnum(names.__name__, members))
    return layout
