"""Types of the kernel that a program declares itself (`bpf.KernelStruct`), as BTF on top of the kernel's.

They have numbers that no type of a kernel has, so that one program may use both. The kernel's own BTF is opened when one of its
types is asked for, and not before. Places are made up, as a C compiler would lay the fields out: accesses are found by name.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable
from typing import Any

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.reader import Btf
from purebpf.btf.types import Array, Enum, Fwd, Int, Kind, Member, Ptr, Struct, Typedef, Union
from purebpf.btf.types import Type as BtfType
from purebpf.lang.btf_types import NAMES
from purebpf.lang.kernel_structs import Declared, KernelField, all_fields_of
from purebpf.lang.types import ArrayType, BoolType, BytesType, CharsType, IntType, Type

FIRST = 1 << 22  # the kernel takes BTF of up to 2**20 types
FIRST_STRING = 1 << 28


class Below(Btf):
    """The kernel's BTF, for types on top of it: opened when one of its types is asked for. Names are not looked up here."""

    def __init__(self, opened: Callable[[], Btf]) -> None:
        self.opened = opened
        self.byteorder = sys.byteorder
        self.base = None
        self.origin = "the kernel's BTF"
        self._names = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return FIRST

    @property
    def strings_size(self) -> int:
        return FIRST_STRING

    def string(self, offset: int) -> str:
        return self.opened().string(offset) if offset else ""

    def kind(self, number: int) -> Kind:
        return self.opened().kind(number) if number else Kind.VOID

    def name(self, number: int) -> str:
        return self.opened().name(number) if number else ""

    def type(self, number: int) -> Any:
        from purebpf.btf.types import Void

        return self.opened().type(number) if number else Void()

    def third_word(self, number: int) -> int:
        return self.opened().third_word(number)

    def size_of(self, number: int) -> int:
        return self.opened().size_of(number)


class DeclaredTypes:
    """The declared types of one program, each numbered when it is first met."""

    def __init__(self, opened: Callable[[], Btf]) -> None:
        below = Below(opened)
        self.builder = BtfBuilder(sys.byteorder, base=below)
        self.numbers: dict[Declared, int] = {}
        self.sizes: dict[int, tuple[int, int]] = {}  # bytes and alignment
        self.below = below
        self.pending: list[Declared] = []
        self.active: set[Declared] = set()
        self.nameless: set[int] = set()
        self._btf: Btf | None = None

    @property
    def btf(self) -> Btf:
        """All that are known by now, and the kernel's."""
        if self._btf is None:
            self._btf = Btf(self.builder.encode(), base=self.below, origin="the declared types of the kernel")
        return self._btf

    def number(self, cls: Declared) -> int:
        """The number of a declared type. Raises Error for a wrong declaration."""
        number = self._reserved(cls)
        while self.pending:
            self._define(self.pending.pop())
        return number

    def _reserved(self, cls: Declared) -> int:
        if cls not in self.numbers:
            self._btf = None
            self.numbers[cls] = self.builder.reserve()
            self.pending.append(cls)
        return self.numbers[cls]

    def opaque(self, name: str) -> int:
        """A struct of which nothing is known but its name."""
        self._btf = None
        number = self.builder.add(Struct(name, 0, ()))
        self.nameless.add(number)
        return number

    def _define(self, cls: Declared) -> None:
        if self.numbers[cls] in self.sizes:
            return
        self.active.add(cls)
        at, align, size, members = 0, 1, 0, []
        for field in all_fields_of(cls):
            type, (width, step) = self._field(field)
            unit = 8 * width
            start = 0 if cls.is_union else at
            if not field.bits or (unit and start // unit != (start + field.bits - 1) // unit):
                start = -(-start // (8 * step)) * 8 * step
            members.append(Member(field.name, type, start, field.bits))
            at = start + (field.bits or unit)
            align, size = max(align, step), max(size, -(-at // 8))
        size = -(-size // align) * align
        number, make = self.numbers[cls], Union if cls.is_union else Struct
        self.builder.define(number, make(cls.__name__, size, tuple(members)))
        self.sizes[number] = size, align

    def _field(self, field: KernelField) -> tuple[int, tuple[int, int]]:
        """The type of a field, and its size and alignment."""
        if field.pointer:
            return self._pointer(field.holds)
        number, (size, align) = self._held(field.holds)
        if field.count is None:
            return number, (size, align)
        return self._array(number, field.count), (size * field.count, align)

    def _pointer(self, holds: Any) -> tuple[int, tuple[int, int]]:
        if isinstance(holds, Declared):
            inner = self._reserved(holds)
        else:  # an imported type is looked up when a program follows the pointer
            inner = self.builder.add(Fwd(holds.__name__, False)) if isinstance(holds, type) else 0
        return self.builder.add(Ptr(inner)), (8, 8)

    def _held(self, holds: Type | type) -> tuple[int, tuple[int, int]]:
        if isinstance(holds, Declared):
            return self._embedded(holds)
        if isinstance(holds, type):
            assert issubclass(holds, enum.IntEnum)
            return self.builder.add(Enum(holds.__name__, 4, any(one < 0 for one in holds), ())), (4, 4)
        return self._plain(holds), (holds.size, holds.align)

    def _embedded(self, holds: Declared) -> tuple[int, tuple[int, int]]:
        number = self._reserved(holds)
        if number not in self.sizes and holds in self.active:
            from purebpf.lang.declaring import in_class

            raise in_class(holds, "", "the struct is inside of itself", "a field that points to it is `= bpf.pointer()`")
        self._define(holds)
        return number, self.sizes[number]

    def _plain(self, layout: Type) -> int:
        add = self.builder.add
        match layout:
            case IntType(bits=bits, signed=signed, big=big):
                number = add(_integer(bits, signed))
                return add(Typedef(f"__be{bits}", number)) if big else number
            case BoolType():
                return add(Int("_Bool", 1, 8, bool=True))
            case CharsType(size=size):
                return self._array(add(Int("char", 1, 8, signed=True)), size)
            case BytesType(size=size):
                return self._array(add(_integer(8, False)), size)
            case ArrayType(element=element, count=count):
                return self._array(self._plain(element), count)
        raise AssertionError(layout)

    def _array(self, element: int, count: int) -> int:
        return self.builder.add(Array(element, self.builder.add(_integer(32, False)), count))


def _integer(bits: int, signed: bool) -> BtfType:
    return Int(f"{'' if signed else 'unsigned '}{NAMES[bits]}", bits // 8, bits, signed=signed)
