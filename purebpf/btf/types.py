"""The kinds of BTF types as plain data (Documentation/bpf/btf.rst, include/uapi/linux/btf.h).

A type refers to another by its number in the same BTF; 0 is `void`. Offsets and widths of members are bits, as in the format;
sizes are bytes. Every class has its `kind`.
"""

from __future__ import annotations

from enum import IntEnum

from purebpf.data import data


class Kind(IntEnum):
    """The number a type's kind has in the encoding."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


class Linkage(IntEnum):
    """Linkage of a function or a variable."""

    STATIC = 0
    GLOBAL = 1
    EXTERN = 2


@data
class Void:
    """Type number 0."""

    kind = Kind.VOID


@data
class Int:
    """`bits` may be fewer than `size` has; `offset` is the first bit (0 in everything compilers write today)."""

    kind = Kind.INT
    name: str
    size: int
    bits: int
    offset: int = 0
    signed: bool = False
    char: bool = False
    bool: bool = False


@data
class Ptr:
    kind = Kind.PTR
    type: int


@data
class Array:
    kind = Kind.ARRAY
    type: int
    index: int
    length: int


@data
class Member:
    """`bit_size` is 0 for a member that is no bit field. `name` is "" for an anonymous struct or union."""

    name: str
    type: int
    bit_offset: int
    bit_size: int = 0


@data
class Struct:
    kind = Kind.STRUCT
    name: str
    size: int
    members: tuple[Member, ...]


@data
class Union:
    kind = Kind.UNION
    name: str
    size: int
    members: tuple[Member, ...]


@data
class Enum:
    """An enum of 32-bit values."""

    kind = Kind.ENUM
    name: str
    size: int
    signed: bool
    values: tuple[tuple[str, int], ...]


@data
class Enum64:
    """An enum of 64-bit values (Linux 6.0)."""

    kind = Kind.ENUM64
    name: str
    size: int
    signed: bool
    values: tuple[tuple[str, int], ...]


@data
class Fwd:
    """A struct (or union) that is declared and defined nowhere."""

    kind = Kind.FWD
    name: str
    union: bool


@data
class Typedef:
    kind = Kind.TYPEDEF
    name: str
    type: int


@data
class Volatile:
    kind = Kind.VOLATILE
    type: int


@data
class Const:
    kind = Kind.CONST
    type: int


@data
class Restrict:
    kind = Kind.RESTRICT
    type: int


@data
class TypeTag:
    """`__attribute__((btf_type_tag("name")))`, or any attribute by its name when `attribute` is set (Linux 6.15)."""

    kind = Kind.TYPE_TAG
    name: str
    type: int
    attribute: bool = False


@data
class Func:
    """A function; `type` is the number of its `FuncProto`."""

    kind = Kind.FUNC
    name: str
    type: int
    linkage: Linkage


@data
class Parameter:
    """A last parameter without name and type stands for `...`."""

    name: str
    type: int


@data
class FuncProto:
    kind = Kind.FUNC_PROTO
    returns: int
    parameters: tuple[Parameter, ...]


@data
class Var:
    kind = Kind.VAR
    name: str
    type: int
    linkage: Linkage


@data
class Section:
    """A variable's place in a data section: bytes."""

    type: int
    offset: int
    size: int


@data
class DataSec:
    kind = Kind.DATASEC
    name: str
    size: int
    variables: tuple[Section, ...]


@data
class Float:
    kind = Kind.FLOAT
    name: str
    size: int


@data
class DeclTag:
    """`__attribute__((btf_decl_tag("name")))` on a type, or on its member or parameter number `component` (-1: on itself)."""

    kind = Kind.DECL_TAG
    name: str
    type: int
    component: int
    attribute: bool = False


Composite = Struct | Union
AnyEnum = Enum | Enum64
Qualifier = Volatile | Const | Restrict
Modifier = Qualifier | TypeTag
Type = (
    Void
    | Int
    | Ptr
    | Array
    | Composite
    | AnyEnum
    | Fwd
    | Typedef
    | Modifier
    | Func
    | FuncProto
    | Var
    | DataSec
    | Float
    | DeclTag
)
CLASSES: tuple[type[Type], ...] = (
    Void,
    Int,
    Ptr,
    Array,
    Struct,
    Union,
    Enum,
    Fwd,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Func,
    FuncProto,
    Var,
    DataSec,
    Float,
    DeclTag,
    TypeTag,
    Enum64,
)  # by kind
