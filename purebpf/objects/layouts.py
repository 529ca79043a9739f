"""Types of BTF as the layouts that user space packs and unpacks with: sizes, offsets and bits are BTF's, never worked out anew.

Arrays of `char` are texts, those of `unsigned char` bytes; enums are integers with names, pointers integers of 64 bits. Members
of a member without a name count as its owner's. What the kernel keeps in a value for itself, such as a lock, is not there.
What has no counterpart (floats, integers of 128 bits) is its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from purebpf.btf.layout import bits_of
from purebpf.btf.network import MODIFIERS, network_bits
from purebpf.btf.reader import Btf
from purebpf.btf.types import (
    Array,
    Enum,
    Enum64,
    Float,
    Int,
    Member,
    Ptr,
    Struct,
    Typedef,
    TypeTag,
    Union,
)
from purebpf.btf.types import Type as BtfType
from purebpf.errors import Error
from purebpf.lang.fixed import overlap
from purebpf.lang.types import ArrayType, BoolType, BytesType, CharsType, EnumType, Field, IntType, KernelType, StructType, Type

CHARS = ("char",)
KEPT = ("kptr", "kptr_untrusted", "percpu_kptr", "uptr", "kptr_ref")  # tags of pointers that the kernel looks after
OF_THE_KERNEL = ("bpf_spin_lock", "bpf_res_spin_lock", "bpf_timer", "bpf_wq", "bpf_task_work", "bpf_refcount")
IN_LISTS = ("bpf_list_head", "bpf_list_node", "bpf_rb_root", "bpf_rb_node")


class Layouts:
    """The layouts of one BTF's types, each made once."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self._made: dict[int, Type] = {}
        self._names: dict[int, str] = {}  # of structs and enums that have none

    def layout(self, number: int, inside: str = "") -> Type:
        """The layout of a type; `inside` names one that has no name of its own. Raises BtfError for what has no size, Error for
        bits that no integer holds."""
        size = self.btf.size_of(number)
        self.btf.align_of(number)  # finds types that contain themselves
        if bits := network_bits(self.btf, number):
            return IntType(bits, big=True)
        name = self.called(number)
        number = self.btf.resolve(number)
        if number not in self._made:
            self._made[number] = self._layout(number, size, name or inside)
        return self._made[number]

    def called(self, number: int) -> str:
        """The name of a type, or of the typedef that a nameless one is known by."""
        while isinstance(found := self.btf.type(number), MODIFIERS):
            if isinstance(found, Typedef) and not self.btf.name(self.btf.resolve(number)):
                return found.name
            number = found.type
        return self.btf.name(number)

    def _layout(self, number: int, size: int, name: str) -> Type:
        match found := self.btf.type(number):
            case Int(bool=True, size=1):
                return BoolType()
            case Int(signed=signed) if size in (1, 2, 4, 8):
                return IntType(8 * size, signed)
            case Enum(values=values, signed=signed) | Enum64(values=values, signed=signed):
                named = name and values
                return EnumType(8 * size, signed, names=Members(name, values)) if named else IntType(8 * size, signed)
            case Ptr():
                return self._pointer(found)
            case Array():
                return self._array(found, size, name)
            case Struct() | Union():
                if found.name in OF_THE_KERNEL + IN_LISTS:
                    return KernelType(found.name, size, self.btf.align_of(number))
                return self._record(number, found, name)
            case Int() | Float():
                return BytesType(size)
        raise Error(f"{self.btf.origin}: type {number} ({found.kind.name.lower()}) has no values")

    def _pointer(self, found: Ptr) -> Type:
        target: BtfType = self.btf.type(found.type)
        while isinstance(target, MODIFIERS):
            if isinstance(target, TypeTag) and target.name in KEPT:
                return KernelType("kptr", 8, 8)
            target = self.btf.type(target.type)
        return IntType(8 * self.btf.pointer_size)

    def _array(self, found: Array, size: int, name: str) -> Type:
        element = self.btf.type(self.btf.resolve(found.type))
        if isinstance(element, Int) and element.size == 1 and size:
            if element.name in CHARS and not element.bool:
                return CharsType(size, full=True)
            if not element.bool and not element.signed:
                return BytesType(size)
        return ArrayType(self.layout(found.type, name), found.length)

    def _record(self, number: int, found: Struct | Union, name: str) -> StructType:
        fields = tuple(self._fields(found, name, 0, found.size))
        overlaps = isinstance(found, Union) or overlap(fields)
        return StructType(name, fields, found.size, self.btf.align_of(number), object, union=overlaps)

    def _fields(self, found: Struct | Union, owner: str, start: int, whole: int) -> Iterator[Field]:
        """The members, those of members without a name among them; `start` is where it begins in the record, in bits."""
        for member in found.members:
            inner = self.btf.type(self.btf.resolve(member.type))
            if not member.name:
                if isinstance(inner, Struct | Union):
                    yield from self._fields(inner, owner, start + member.bit_offset, whole)
                continue  # padding bits
            if self.btf.size_of(member.type):
                yield self._field(member, owner, start, whole)

    def _field(self, member: Member, owner: str, start: int, whole: int) -> Field:
        layout = self.layout(member.type, f"{owner}__{member.name}")
        first, bits = bits_of(self.btf, member)
        if not bits:
            return Field(member.name, layout, (start + member.bit_offset) // 8)
        place = _unit(start + first, bits, layout.size, whole)
        if place is None:
            what = f"{self.btf.origin}: the {bits} bits of `{owner}.{member.name}` from bit {start + first} on"
            raise Error(f"{what} lie in no integer inside of the struct's {whole} bytes; give it a byte more of padding")
        offset, size = place
        signed = isinstance(layout, IntType) and layout.signed
        names = layout.names if isinstance(layout, EnumType) else None
        unit = IntType(8 * size) if names is None else EnumType(8 * size, names=names)
        return Field(member.name, unit, offset, bits, start + first - 8 * offset, signed=signed)


def _unit(first: int, bits: int, size: int, whole: int) -> tuple[int, int] | None:
    """(offset, size) in bytes of an integer that holds these bits: of the declared size at its own place, if that is one."""
    sizes = [size, *(other for other in (1, 2, 4, 8) if other != size)]
    for each in sizes:
        for offset in dict.fromkeys((first // (8 * each) * each, first // 8, max(0, (first + bits + 7) // 8 - each))):
            if each in (1, 2, 4, 8) and first >= 8 * offset and first + bits <= 8 * (offset + each) and offset + each <= whole:
                return offset, each
    return None


class Members:
    """What an enum's values are called: in place of the IntEnum that the package will have."""

    def __init__(self, name: str, values: tuple[tuple[str, int], ...]) -> None:
        self.__name__, self.values = name, values
