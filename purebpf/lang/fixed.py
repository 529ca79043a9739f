"""Records whose layout is told, not worked out: those of generated packages, with every field where BTF says that it is.

They behave as what `@bpf.struct` makes. Where fields share bytes, as the members of a union without a name do, the record keeps
its bytes, and each attribute reads and writes them.
"""

from __future__ import annotations

from typing import Any

from purebpf.errors import Error
from purebpf.lang.records import _METHODS, Specifier
from purebpf.lang.types import CharsType, EnumType, Field, IntType, KernelType, StructType, type_of


def enum(names: type, size: int, signed: bool = False) -> Any:
    """The type of a field of `size` bytes that holds a member of an `IntEnum`."""
    return Specifier(EnumType(8 * size, signed, names=names))


def text(size: int) -> Any:
    """The type of a field that is an array of `char` in C: a text that may fill it, without a NUL."""
    return Specifier(CharsType(size, full=True))


def kernel(name: str, size: int, align: int) -> Any:
    """The type of a field that the kernel keeps for itself, such as a lock."""
    return Specifier(KernelType(name, size, align))


def record(module: str, name: str, size: int, align: int, rows: list[tuple[Any, ...]]) -> Any:
    """A class with these fields: (name, type, offset), and of a bit field also its width, the bit at which it begins in its
    type, and whether it has a sign. Raises Error for a layout that cannot be."""
    fields = tuple(_field(name, size, *row) for row in rows)
    shared = overlap(fields)
    slots = ("__bpf_bytes__",) if shared else tuple(field.name for field in fields)
    made: Any = type(name, (), {"__slots__": slots, "__module__": module})
    made.__bpf_type__ = StructType(name, fields, size, align, made, union=shared)
    methods = _METHODS
    if shared:
        from purebpf.lang.unions import METHODS, Attribute  # most packages have none

        methods = METHODS | {"__init__": _init_shared} | {field.name: Attribute(field) for field in fields}
    for method, function in methods.items():
        setattr(made, method, function)
    if not shared:
        setattr(made, "__match_args__", tuple(field.name for field in made.__bpf_type__.values))  # noqa: B010
    return made


def _field(
    record: str, size: int, name: str, type: Any, offset: int, bits: int = 0, shift: int = 0, signed: bool = False
) -> Field:
    layout = type_of(type)
    if layout is None:
        raise Error(f"{record}.{name}: {type!r} has no layout")
    if offset < 0 or offset + layout.size > size:
        raise Error(f"{record}.{name}: a `{layout}` of {layout.size} bytes at {offset} is outside of a record of {size}")
    if bits and (not isinstance(layout, IntType) or not 0 < bits <= layout.bits - shift):
        raise Error(f"{record}.{name}: {bits} bits from bit {shift} on are not in a `{layout}`")
    return Field(name, layout, offset, bits, shift, None if isinstance(layout, KernelType) else layout.zero(), signed=signed)


def overlap(fields: tuple[Field, ...]) -> bool:
    """Whether two fields share a bit."""
    taken = 0
    for field in fields:
        width = field.bits or 8 * field.type.size
        mine = ((1 << width) - 1) << 8 * field.offset + field.shift
        if taken & mine:
            return True
        taken |= mine
    return False


def _init_shared(self: Any, /, **values: Any) -> None:
    """What is given is written in the order in which it is given."""
    layout: StructType = type(self).__bpf_type__
    self.__bpf_bytes__ = bytearray(layout.size)
    for name, value in values.items():
        if layout.field(name) is None:
            known = ", ".join(field.name for field in layout.fields)
            raise TypeError(f"{layout.name} has no field `{name}`; its fields are {known}")
        setattr(self, name, value)
