"""The BTF of what a map holds, from the layouts of its key and value, or of a section's variables (Linux 4.18, sections 5.2).

With it `bpftool map dump` and the like show entries by the names of their fields; for locks and timers the kernel itself needs
it. It is made whenever a map is described, so it is written as bytes here, without the classes of `purebpf.btf`.
"""

from __future__ import annotations

import sys
from struct import pack

from purebpf.lang.types import (
    ArrayType,
    BoolType,
    BytesType,
    CharsType,
    Field,
    IntType,
    KernelType,
    StructType,
    Type,
    kept_fields,
)
from purebpf.spec import MapTypes
from purebpf.tables.enums import MapType

MAGIC, VERSION, HEADER_BYTES = 0xEB9F, 1, 24
INT, PTR, ARRAY, STRUCT, UNION, TYPEDEF = 1, 2, 3, 4, 5, 8
FUNC, FUNC_PROTO, VAR, DATASEC, DECL_TAG, TYPE_TAG = 12, 13, 14, 15, 17, 18
SIGNED, BOOL = 1, 4
HAS_BITS = 1 << 31  # in the second word of a struct
GLOBAL = 1  # the linkage of a variable
NAMES = {8: "char", 16: "short", 32: "int", 64: "long long"}
STORAGE = frozenset({MapType.SK_STORAGE, MapType.INODE_STORAGE, MapType.TASK_STORAGE, MapType.CGRP_STORAGE})
TYPED = STORAGE | frozenset(  # other types of maps have nothing typed inside, or refuse BTF of it
    {
        MapType.HASH,
        MapType.ARRAY,
        MapType.PERCPU_HASH,
        MapType.PERCPU_ARRAY,
        MapType.LRU_HASH,
        MapType.LRU_PERCPU_HASH,
        MapType.LPM_TRIE,
    }
)


def map_types(kind: MapType, key: Type, value: Type, required: bool = False) -> MapTypes | None:
    """Key and value of a map; None for a type of map that takes no BTF. `required`: the kernel must
    know, as it always must of local storage."""
    if kind not in TYPED or (kind is MapType.LPM_TRIE and not isinstance(key, StructType)):
        return None
    made = Blob()
    first, second = made.number(key), made.number(value)
    shared = any(isinstance(field.type, KernelType) and field.type.element for field in kept_fields(value))
    function = made.function() if shared else 0
    return MapTypes(made.encode(), first, second, required or kind in STORAGE, function)


def value_types(value: Type) -> MapTypes:
    """The values of a map without keys."""
    made = Blob()
    number = made.number(value)
    return MapTypes(made.encode(), 0, number)


def record_types(record: Type) -> MapTypes | None:
    """What is sent through a ring; None for bytes of any length."""
    if not record.size:
        return None
    made = Blob()
    number = made.number(record)
    return MapTypes(made.encode(), 0, 0, record=number)


def section_types(name: str, layout: StructType) -> MapTypes:
    """The variables of a data section, which are the fields of a record; one that shares an integer with others as bits is in a
    variable that is the whole record."""
    made = Blob()
    if any(field.bits for field in layout.fields):
        variables = [(made.variable(layout.name, made.number(layout)), 0, layout.size)]
    else:
        fields = sorted(layout.fields, key=lambda field: field.offset)
        variables = [(made.variable(field.name, made.number(field.type)), field.offset, field.type.size) for field in fields]
    words = [made.string(name), DATASEC << 24 | len(variables), layout.size]
    section = made.add([*words, *(word for variable in variables for word in variable)])
    return MapTypes(made.encode(), 0, section)


def node_of(head: KernelType) -> Field:
    """The field by which records are in a list or tree."""
    assert head.element is not None
    wanted = "bpf_list_node" if head.name == "bpf_list_head" else "bpf_rb_node"
    return next(field for field in head.element.kept if isinstance(field.type, KernelType) and field.type.name == wanted)


def numbers_in(key: Type, value: Type, wanted: Type) -> int:
    """The number of a type among those of a map."""
    made = Blob()
    made.number(key)
    made.number(value)
    return made.number(wanted)


class Blob:
    """BTF being written: types that were asked for, each once, those that it needs before it."""

    def __init__(self) -> None:
        self.words: list[int] = []
        self.count = 0
        self.strings = bytearray(b"\0")
        self.offsets: dict[str, int] = {"": 0}
        self.known: dict[Type, int] = {}

    def encode(self) -> bytes:
        types, strings = 4 * len(self.words), len(self.strings)
        header = pack("=HBBIIIII", MAGIC, VERSION, 0, HEADER_BYTES, 0, types, types, strings)
        return header + pack(f"={len(self.words)}I", *self.words) + self.strings

    def add(self, words: list[int]) -> int:
        self.words += words
        self.count += 1
        return self.count

    def string(self, text: str) -> int:
        """Where a name is; what C has not in its names becomes `_`."""
        if text not in self.offsets:
            self.offsets[text] = len(self.strings)
            self.strings += text.encode() + b"\0"
        return self.offsets[text]

    def name(self, text: str) -> int:
        return self.string("".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in text))

    def variable(self, name: str, type: int) -> int:
        return self.add([self.name(name), VAR << 24, type, GLOBAL])

    def number(self, layout: Type) -> int:
        """The number of a layout's type."""
        if layout not in self.known:
            self.known[layout] = self._made(layout)
        return self.known[layout]

    def _made(self, layout: Type) -> int:
        match layout:
            case IntType(bits=bits, big=True) if bits > 8:  # as the kernel calls it (linux/types.h)
                return self.add([self.string(f"__be{bits}"), TYPEDEF << 24, self.number(IntType(bits))])
            case IntType(bits=bits, signed=signed):
                return self._integer(f"{'' if signed else 'unsigned '}{NAMES[bits]}", bits, SIGNED * signed)
            case BoolType():
                return self._integer("_Bool", 8, BOOL)
            case CharsType(size=size):
                return self._array(self.number(IntType(8, signed=True)), size)
            case BytesType(size=size):
                return self._array(self.number(IntType(8)), size)
            case ArrayType(element=element, count=count):
                return self._array(self.number(element), count)
            case KernelType(name="kptr", of=struct):
                target = self.add([self.name(struct), STRUCT << 24, 0])  # the kernel knows it by its name
                return self.add([0, PTR << 24, self.add([self.string("kptr"), TYPE_TAG << 24, target])])
            case KernelType(name=name, size=size, align=align):
                unit = self.number(IntType(8 * align))
                inside = unit if size == align else self._array(unit, size // align)
                return self.add([self.name(name), STRUCT << 24 | 1, size, self.string("opaque"), inside, 0])
        return self._record(layout)

    def _integer(self, name: str, bits: int, encoding: int) -> int:
        return self.add([self.string(name), INT << 24, bits // 8, encoding << 24 | bits])

    def _array(self, element: int, count: int) -> int:
        return self.add([0, ARRAY << 24, 0, element, self.number(IntType(32)), count])

    def _record(self, layout: StructType) -> int:
        bits = any(field.bits for field in layout.fields)
        members = [word for field in layout.fields for word in self._member(field, bits)]
        kind = (UNION if layout.union else STRUCT) << 24 | HAS_BITS * bits
        made = self.add([self.name(layout.name), kind | len(layout.fields), layout.size, *members])
        for index, field in enumerate(layout.fields):
            if isinstance(field.type, KernelType) and field.type.element is not None:
                self._contains(made, index, field.type)
        return made

    def _contains(self, record: int, index: int, head: KernelType) -> None:
        """Say what a list or tree holds, by the names of its records and of their node."""
        assert head.element is not None
        self.number(head.element)
        name, node = head.element.name, node_of(head).name
        self.add([self.string(f"contains:{name}:{node}"), DECL_TAG << 24, record, index])

    def function(self) -> int:
        """A function of the file, of no certain kind."""
        integer = self.number(IntType(32, signed=True))
        return self.add([self.string("function"), FUNC << 24, self.add([0, FUNC_PROTO << 24, integer])])

    def _member(self, field: Field, bits: bool) -> tuple[int, int, int]:
        shift = field.shift if sys.byteorder == "little" else 8 * field.type.size - field.shift - field.bits
        at = 8 * field.offset + (shift if field.bits else 0)
        return self.name(field.name), self.number(field.type), (field.bits << 24 if bits else 0) | at
