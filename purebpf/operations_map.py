"""Operations of the kernel as part of a spec: the map that holds them, as object files have it (`.struct_ops`).

Its value is the struct as far as the operations speak of it: loaders find its members in the kernel's struct by their names.
It is the form without a link, which all loaders and kernels know.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.reader import Btf
from purebpf.btf.running import kernel_btf
from purebpf.btf.types import Array, FuncProto, Int, Member, Ptr, Struct
from purebpf.data import replace
from purebpf.errors import Error, Unsupported
from purebpf.kernel.struct_ops import member_bytes
from purebpf.spec import CollectionSpec, MapSpec, MapTypes
from purebpf.tables.enums import MapType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from purebpf.operations import StructOps
    from purebpf.program import Program

POINTER = 8  # bytes


def with_operations(spec: CollectionSpec, operations: Iterable[Any], names: Mapping[Program, str]) -> CollectionSpec:
    """The spec with a map for each of these; `names` are those of the programs in it."""
    maps = dict(spec.maps)
    for each in operations:
        if each.name in maps:
            raise Error(f"There are a map and operations, or two operations, of the name {each.name!r}: rename one.")
        maps[each.name] = operations_map(each, names)
    return replace(spec, maps=maps)


def operations_map(operations: StructOps, names: Mapping[Program, str]) -> MapSpec:
    """The map; `names` are those of the programs in the spec. Raises Unsupported where the kernel here, or the BTF file that
    stands in for it, has no such struct, Error for a member that it has not or that does not fit."""
    btf = kernel_btf()
    numbers = btf.types_named(operations.struct, Struct.kind)
    whole = btf.type(numbers[0]) if numbers else None
    if not isinstance(whole, Struct):
        raise Unsupported(f"The kernel has no operations `{operations.struct}`: name the BTF file of one that has.")
    told = {**operations.values, **operations.programs}
    known = [member for member in whole.members if member.name in told]
    if missing := told.keys() - {member.name for member in known}:
        raise Error(f"`{operations.struct}` has no member `{sorted(missing)[0]}`.")
    builder, content, members, entries = BtfBuilder(sys.byteorder), bytearray(), [], []
    function = builder.add(Ptr(builder.add(FuncProto(0, ()))))
    for member in known:
        program = operations.programs.get(member.name)
        type, size, align = (function, POINTER, POINTER) if program is not None else _plain(btf, member, builder)
        content += bytes(-len(content) % align)
        members.append(Member(member.name, type, 8 * len(content)))
        if program is not None:
            entries.append((len(content).to_bytes(4, sys.byteorder), names[program]))
            content += bytes(size)
        else:
            content += member_bytes(btf, member.name, member.type, operations.values[member.name]).ljust(size, b"\0")
    content += bytes(-len(content) % POINTER)
    number = builder.add(Struct(operations.struct, len(content), tuple(members)))
    return MapSpec(
        operations.name,
        MapType.STRUCT_OPS,
        4,
        len(content),
        1,
        contents=((bytes(4), bytes(content)),),
        types=MapTypes(builder.encode(), 0, number, required=True),
        entries=tuple(entries),
    )


def _plain(btf: Btf, member: Member, builder: BtfBuilder) -> tuple[int, int, int]:
    """(type, size, alignment) of a member that is a number or a text."""
    number = btf.resolve(member.type)
    type = btf.type(number)
    if member.bit_size or not isinstance(type, Int | Array):
        raise Error(f"`{member.name}` of the operations is no plain number or text: an object file cannot tell it.")
    if isinstance(type, Array):
        element, index = btf.type(btf.resolve(type.type)), builder.add(Int("unsigned int", 4, 32))
        if not isinstance(element, Int):
            raise Error(f"`{member.name}` of the operations is no text: an object file cannot tell it.")
        return builder.add(Array(builder.add(element), index, type.length)), btf.size_of(number), element.size
    return builder.add(type), type.size, type.size
