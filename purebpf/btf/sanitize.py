"""BTF for kernels that do not know all kinds: each unknown type becomes one that they know, of the same number and size.

What is lost is of no use to such a kernel; programs and maps that refer to the types keep their numbers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from purebpf.btf.types import (
    Const,
    DataSec,
    DeclTag,
    Enum,
    Enum64,
    Float,
    Func,
    FuncProto,
    Int,
    Linkage,
    Member,
    Struct,
    Type,
    Typedef,
    TypeTag,
    Union,
    Var,
)
from purebpf.data import replace

# What a kernel may lack, with the first one that has it.
SINCE = {
    "func": (5, 0),
    "datasec": (5, 2),
    "func_global": (5, 6),
    "float": (5, 13),
    "decl_tag": (5, 16),
    "type_tag": (5, 17),
    "enum64": (6, 0),  # and signed enums
    "tag_attribute": (6, 15),
}
NO_C_NAME = re.compile(r"\W", re.ASCII)
BYTE = Int("", 1, 8)


def sanitized(types: Sequence[Type], lacks: Collection[str]) -> list[Type]:
    """The types, numbered from 1, for a kernel that lacks these features (keys of `SINCE`). New ones come behind the others."""
    byte = len(types) + 1
    found = [_replaced(type, types, lacks, byte) for type in types]
    needed = any(isinstance(old, Enum64) and old.values and new is not old for old, new in zip(types, found, strict=True))
    return [*found, replace(BYTE, name="enum64_value")] if needed else found


def _replaced(type: Type, types: Sequence[Type], lacks: Collection[str], byte: int) -> Type:
    match type:
        case Var() if "datasec" in lacks:
            return replace(BYTE, name=type.name)
        case DataSec() if "datasec" in lacks:
            names = [getattr(types[each.type - 1], "name", "") for each in type.variables]
            members = [Member(name, each.type, 8 * each.offset) for name, each in zip(names, type.variables, strict=True)]
            return Struct(NO_C_NAME.sub("_", type.name), type.size, tuple(members))
        case Func() if "func" in lacks:
            return Typedef(type.name, type.type)
        case FuncProto() if "func" in lacks:
            return Enum("", 4, False, ())
        case Func(linkage=Linkage.GLOBAL) if "func_global" in lacks:
            return replace(type, linkage=Linkage.STATIC)
        case Float() if "float" in lacks:
            return Struct(NO_C_NAME.sub("_", type.name), type.size, ())
        case DeclTag() if "decl_tag" in lacks or (type.attribute and "tag_attribute" in lacks):
            return replace(BYTE, name=NO_C_NAME.sub("_", type.name))
        case TypeTag() if "type_tag" in lacks or (type.attribute and "tag_attribute" in lacks):
            return Const(type.type)
        case Enum64() if "enum64" in lacks:
            return Union(type.name, type.size, tuple(Member(name, byte, 0) for name, _ in type.values))
        case Enum(signed=True) if "enum64" in lacks:
            values = tuple((name, value & 0xFFFF_FFFF) for name, value in type.values)
            return replace(type, signed=False, values=values)
    return type
