"""What the generator takes out of the running kernel's BTF: enums by name, and structs laid out as a C programmer sees them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from purebpf.btf.reader import Btf, BtfError
from purebpf.btf.running import kernel_btf
from purebpf.btf.types import AnyEnum, Array, Composite, Fwd, Int, Kind, Ptr, Union


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct, those of anonymous members among them: byte offset, size in bytes, and what is there.

    `count` is the length of an array (0: no array) whose elements have `element` bytes; `target` is what a pointer points to
    ("": no pointer). `bits` is the width of a bit field (0: none)."""

    name: str
    offset: int
    size: int
    signed: bool = False
    count: int = 0
    element: int = 0
    target: str = ""
    bits: int = 0


class KernelBtf:
    """Raises Unsupported when the kernel offers no BTF, BtfError for what is not in it."""

    def __init__(self, btf: Btf | None = None) -> None:
        self.btf = btf or kernel_btf()

    @cached_property
    def enums(self) -> dict[str, tuple[tuple[str, int], ...]]:
        """Every enum's (enumerator, value) pairs in the kernel's order; anonymous ones under their number."""
        found: dict[str, tuple[tuple[str, int], ...]] = {}
        for number in range(1, len(self.btf)):
            if self.btf.kind(number) in (Kind.ENUM, Kind.ENUM64):
                type = self.btf.type(number)
                assert isinstance(type, AnyEnum)
                found.setdefault(type.name or f"anonymous {number}", type.values)
        return found

    def find(self, kind: Kind, name: str) -> int | None:
        """The number of the first type of a kind with that name; None if there is none."""
        return next(iter(self.btf.types_named(name, kind)), None)

    def struct_number(self, name: str) -> int:
        """The number of a struct or union. Raises BtfError when the kernel has no such."""
        return self.btf.find(name, (Kind.STRUCT, Kind.UNION))

    def size(self, number: int) -> int:
        """Bytes of a type."""
        return self.btf.size_of(number)

    def members(self, number: int, base: int = 0) -> list[Member]:
        """The named members in order, those of anonymous structs and unions in their place. `base` is a bit offset."""
        struct = self.btf.type(self.btf.resolve(number))
        if not isinstance(struct, Composite):
            raise BtfError(f"{self.btf.origin}: type {number} is no struct or union, so it has no members")
        found = []
        for member in struct.members:
            inner = self.btf.resolve(member.type)
            bit = base + member.bit_offset
            if not member.name and self.btf.kind(inner) in (Kind.STRUCT, Kind.UNION):
                found += self.members(inner, bit)
                continue
            type = self.btf.type(inner)
            count = element = 0
            scalar = type
            if isinstance(type, Array):
                count, element = type.length, self.btf.size_of(type.type)
                scalar = self.btf.type(self.btf.resolve(type.type))
            signed = isinstance(scalar, Int | AnyEnum) and scalar.signed
            target = self._name(type.type) if isinstance(type, Ptr) else ""
            size = self.btf.size_of(member.type)
            found.append(Member(member.name, bit // 8, size, signed, count, element, target, member.bit_size))
        return found

    def _name(self, number: int) -> str:
        """What a pointer points to, seen through typedefs and qualifiers; "void" where it has no name."""
        target = self.btf.type(self.btf.resolve(number))
        return (target.name if isinstance(target, Composite | Int | AnyEnum | Fwd) else "") or "void"

    def attribute(self, first: str) -> dict[str, tuple[int, int]]:
        """Offset and size of each member of that anonymous struct in `union bpf_attr` which begins with the member `first`.

        Raises BtfError when none does."""
        union = self.btf.type(self.struct_number("bpf_attr"))
        assert isinstance(union, Union)
        for member in union.members:
            members = [] if member.name else self.members(member.type)
            if members and members[0].name == first:
                return {each.name: (each.offset, each.size) for each in members}
        raise BtfError(f"{self.btf.origin}: no part of union bpf_attr begins with {first}")
