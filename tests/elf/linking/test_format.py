"""The file format's side of linking: alignment, addends, section symbols, other byte orders, and files that cannot be linked.

Objects are made here, so no compiler is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from purebpf import Error, link_objects
from purebpf.btf.builder import BtfBuilder
from purebpf.btf.reader import Btf
from purebpf.btf.types import DataSec, Int, Linkage, Type, Typedef, Var
from purebpf.btf.types import Section as InSection
from purebpf.data import replace
from purebpf.elf.container import (
    ABSOLUTE,
    ALLOC,
    COMMON,
    EXECUTE,
    FUNCTION,
    GLOBAL,
    GROUP,
    MERGE,
    NOBITS,
    OBJECT,
    R_BPF_64_32,
    R_BPF_64_64,
    R_BPF_64_ABS32,
    R_BPF_64_ABS64,
    SECTION,
    STRINGS,
    UNDEFINED,
    WEAK,
    WRITE,
    ElfObject,
    Relocation,
    Section,
    Symbol,
    read,
    written,
)

Order = Literal["little", "big"]
LICENSE = Section("license", flags=ALLOC | WRITE, data=b"GPL\0", size=4)


@dataclass
class Made:
    """An object in the making."""

    order: Order = "little"
    sections: list[Section] = field(default_factory=list)
    symbols: list[Symbol] = field(default_factory=lambda: [Symbol("")])
    relocations: dict[int, tuple[Relocation, ...]] = field(default_factory=dict)
    machine: int = 247

    def add(self, name: str, content: bytes, flags: int = ALLOC | WRITE, **more: int) -> int:
        self.sections.append(Section(name, flags=flags, data=content, size=len(content), **more))
        return len(self.sections) - 1

    def code(self, slots: int, name: str = "xdp") -> int:
        return self.add(name, bytes(8 * slots), ALLOC | EXECUTE, align=8)

    def symbol(self, name: str, section: int, value: int = 0, size: int = 0, binding: int = GLOBAL, kind: int = OBJECT) -> int:
        self.symbols.append(Symbol(name, value, size, binding, kind, section))
        return len(self.symbols) - 1

    def whole(self, section: int) -> int:
        """The symbol that stands for a section."""
        return self.symbol("", section, binding=0, kind=SECTION)

    def raw(self) -> bytes:
        elf = ElfObject(self.order, tuple(self.sections), tuple(self.symbols), self.relocations, self.machine)
        return written(elf)


def linked(*parts: Made) -> ElfObject:
    return read(link_objects([part.raw() for part in parts]))


def refused(*parts: Made) -> str:
    with pytest.raises(Error) as refusal:
        linked(*parts)
    return str(refusal.value)


def content(elf: ElfObject, name: str) -> bytes:
    place = elf.section(name)
    assert place is not None
    return elf.sections[place].data


def named(elf: ElfObject, name: str) -> Symbol:
    (found,) = [symbol for symbol in elf.symbols if symbol.name == name]
    return found


def test_sections_are_appended_at_their_alignment() -> None:
    one, two = Made(), Made()
    one.symbol("a", one.add(".data", b"abcde", align=1), 4, 1)
    two.symbol("b", two.add(".data", b"12345678", align=8), 2, 1)
    elf = linked(one, two)
    assert content(elf, ".data") == b"abcde\0\0\x0012345678"
    assert (named(elf, "a").value, named(elf, "b").value) == (4, 10)
    assert elf.sections[named(elf, "b").section].align == 8


def test_what_is_only_reserved_grows() -> None:
    one, two = Made(), Made()
    for part, size in ((one, 3), (two, 16)):
        part.sections.append(Section(".bss", NOBITS, ALLOC | WRITE, b"", size, 8))
        part.symbol(f"of_{size}", 0, 0, size)
    elf = linked(one, two)
    assert (elf.sections[0].type, elf.sections[0].size, named(elf, "of_16").value) == (NOBITS, 24, 8)


@pytest.mark.parametrize("order", ["little", "big"])
def test_what_is_added_to_a_section_moves_with_it(order: Order) -> None:
    def part() -> Made:
        made = Made(order)
        code, text, data = made.code(4), made.code(3, ".text"), made.add(".data", bytes(24), align=8)
        found = bytearray(made.sections[code].data)
        found[4:8] = (4).to_bytes(4, order)  # r1 = .data + 4
        found[20:24] = (-1).to_bytes(4, order, signed=True)  # a call of .text's first instruction
        made.sections[code] = replace(made.sections[code], data=bytes(found))
        held = (16).to_bytes(8, order) + (8).to_bytes(4, order) + bytes(12)
        made.sections[data] = replace(made.sections[data], data=held)
        of_data, of_text = made.whole(data), made.whole(text)
        made.relocations = {
            code: (Relocation(0, R_BPF_64_64, of_data), Relocation(16, R_BPF_64_32, of_text)),
            data: (Relocation(0, R_BPF_64_ABS64, of_text), Relocation(8, R_BPF_64_ABS32, of_data)),
        }
        return made

    elf = linked(part(), part(), part())
    code, data = content(elf, "xdp"), content(elf, ".data")
    assert [int.from_bytes(code[at : at + 4], order) for at in (4, 36, 68)] == [4, 28, 52]
    assert [int.from_bytes(code[at : at + 4], order, signed=True) for at in (20, 52, 84)] == [-1, 2, 5]
    assert [int.from_bytes(data[at : at + 8], order) for at in (0, 24, 48)] == [16, 40, 64]
    assert [int.from_bytes(data[at : at + 4], order) for at in (8, 32, 56)] == [8, 32, 56]
    assert [symbol.kind for symbol in elf.symbols].count(SECTION) == 2
    places = {elf.sections[place].name: relocations for place, relocations in elf.relocations.items()}
    assert [each.offset for each in places["xdp"]] == [0, 16, 32, 48, 64, 80]


def test_what_is_added_to_a_name_stays() -> None:
    user, owner = Made(), Made()
    code = user.code(2)
    user.sections[code] = replace(user.sections[code], data=bytes(4) + b"\x0c\0\0\0" + bytes(8))
    user.relocations = {code: (Relocation(0, R_BPF_64_64, user.symbol("table", UNDEFINED, kind=0)),)}
    owner.add(".data", bytes(16))
    owner.symbol("table", 0, 0, 16)
    before = Made()
    before.add(".data", bytes(32))
    elf = linked(before, user, owner)
    assert content(elf, "xdp")[4:8] == b"\x0c\0\0\0" and named(elf, "table").value == 32


def test_debug_information_is_left_out() -> None:
    one = Made()
    code, debug = one.code(1), one.add(".debug_info", bytes(8), 0)
    one.add(".llvm_addrsig", b"\1", ALLOC | 0x80000000)
    one.symbols.append(Symbol("a.c", kind=4, section=-2))
    one.symbol("prog", code, 0, 8, kind=FUNCTION)
    one.relocations = {debug: (Relocation(0, R_BPF_64_ABS64, one.whole(debug)),)}
    elf = linked(one)
    assert [section.name for section in elf.sections] == ["xdp"] and [each.name for each in elf.symbols] == ["", "prog"]


def test_objects_without_types_are_linked() -> None:
    one, two = Made(), Made()
    one.symbol("one", one.code(1), 0, 8, kind=FUNCTION)
    two.symbol("two", two.code(1), 0, 8, kind=FUNCTION)
    elf = linked(one, two)
    assert [section.name for section in elf.sections] == ["xdp"] and named(elf, "two").value == 8


def test_strings_that_one_may_write_are_no_strings_to_merge() -> None:
    one, two = Made(), Made()
    one.add(".rodata.str1.1", b"a\0", ALLOC | MERGE | STRINGS, entry_size=1)
    two.add(".rodata.str1.1", b"b\0", ALLOC | WRITE)
    (section,) = linked(one, two).sections
    assert (section.data, section.flags, section.entry_size) == (b"a\0b\0", ALLOC | WRITE, 0)


def test_the_result_is_the_same_each_time_and_linked_again_stays_what_it_is() -> None:
    one, two = Made(), Made()
    one.symbol("a", one.add(".data", bytes(8)), 0, 8)
    two.symbol("b", two.add(".data", bytes(8)), 0, 8)
    once = link_objects([one.raw(), two.raw()])
    assert once == link_objects([one.raw(), two.raw()]) == link_objects([once])


def group() -> Made:
    made = Made()
    made.sections.append(Section(".group", GROUP, 0, bytes(8), 8, 4, 4))
    return made


def relocated(relocation: Relocation, size: int = 16, flags: int = ALLOC | EXECUTE) -> Made:
    made = Made()
    made.add("xdp", bytes(size), flags, align=8)
    made.symbol("x", UNDEFINED, kind=0)
    made.relocations = {0: (relocation,)}
    return made


def with_symbol(symbol: Symbol) -> Made:
    made = Made()
    made.add(".data", bytes(8))
    made.symbols.append(symbol)
    return made


def with_section(section: Section) -> Made:
    return Made(sections=[section])


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (group(), r"object 1: it has a group of sections \(COMDAT\)"),
        (Made(sections=[LICENSE, LICENSE]), "'license' is there twice"),
        (with_section(replace(LICENSE, align=3)), "aligned to 3; alignments are powers of two"),
        (with_section(replace(LICENSE, align=1 << 20)), "aligned to 1048576"),
        (with_section(Section("xdp", flags=ALLOC | EXECUTE, data=bytes(9), size=9)), "9 bytes holds no whole instructions"),
        (with_section(Section(".bss", NOBITS, ALLOC, b"", 1 << 63, 8)), "has 9223372036854775808 bytes; the most that BTF"),
        (with_section(Section("", flags=ALLOC)), "of a kind that is not linked"),
        (with_symbol(Symbol("x", 0, 4, 10, OBJECT, 0)), "the symbol 'x' has the binding 10"),
        (with_symbol(Symbol("x", 0, 4, GLOBAL, OBJECT, 0, 3)), "the symbol 'x' has the visibility 3"),
        (with_symbol(Symbol("x", 4, 4, GLOBAL, OBJECT, COMMON)), "compile with -fno-common"),
        (with_symbol(Symbol("x", 6, 4, GLOBAL, OBJECT, 0)), "ends at byte 10 of '.data', which has 8"),
        (with_symbol(Symbol("x", 4, 0, 0, SECTION, 0)), "stands for a section, but is at its byte 4"),
        (with_symbol(Symbol("x", 0, 0, WEAK, SECTION, 0)), "stands for a section, but is not local"),
        (relocated(Relocation(0, 77, 1)), "the relocation at byte 0 of 'xdp' is of type 77"),
        (relocated(Relocation(0, R_BPF_64_64, 1, 4)), r"has its addend in the table \(RELA\)"),
        (relocated(Relocation(8, R_BPF_64_64, 1)), "at byte 8 of 'xdp' lies outside of its 16 bytes"),
        (relocated(Relocation(4, R_BPF_64_32, 1)), "is inside of an instruction"),
        (relocated(Relocation(0, R_BPF_64_64, 0)), "is of no symbol"),
    ],
)
def test_what_cannot_be_linked_is_told(part: Made, words: str) -> None:
    with pytest.raises(Error, match=words):
        link_objects([part.raw()])


def test_a_relocation_of_a_section_that_is_not_there_is_told() -> None:
    made = Made()
    made.relocations = {made.code(2): (Relocation(0, R_BPF_64_64, made.whole(ABSOLUTE)),)}
    assert refused(made) == "object 1: the relocation at byte 0 of 'xdp' is of no symbol"


def test_a_relocation_of_what_is_not_loaded_is_told() -> None:
    made = Made()
    code, debug = made.code(2), made.add(".debug_str", bytes(8), 0)
    made.relocations = {code: (Relocation(0, R_BPF_64_64, made.symbol("text", debug)),)}
    assert "is of 'text' in '.debug_str', which is not loaded" in refused(made)


def test_a_relocation_of_a_later_object_s_license_is_told() -> None:
    one, two = Made(sections=[LICENSE]), Made(sections=[LICENSE])
    code = two.code(2)
    two.relocations = {code: (Relocation(0, R_BPF_64_64, two.symbol("_license", 0, 0, 4)),)}
    assert refused(one, two) == "object 2: an instruction refers to '_license', of which the first object's is taken"


def test_sections_of_other_kinds_are_told() -> None:
    data, reserved, code = (
        with_section(Section("x", type, flags, bytes(8) if type == 1 else b"", 8))
        for type, flags in ((1, ALLOC | WRITE), (NOBITS, ALLOC | WRITE), (1, ALLOC | EXECUTE))
    )
    assert "object 1 and that of object 2 are of different kinds: one has contents" in refused(data, reserved)
    assert "are of different kinds: one has instructions, the other data" in refused(data, code)


def test_old_map_definitions_have_one_size() -> None:
    one, two, same = Made(), Made(), Made()
    for part, name, size in ((one, "a", 20), (two, "b", 28), (same, "c", 20)):
        part.symbol(name, part.add("maps", bytes(size), align=4), 0, size)
    assert "'maps' have 20 bytes each in object 1 and 28 in object 2" in refused(one, two)
    assert named(linked(one, same), "c").value == 20


def test_other_machines_are_told() -> None:
    old = Made(sections=[LICENSE], machine=0)
    assert refused(Made(sections=[LICENSE]), old) == "object 1 is for the machine 247, object 2 for 0"
    assert linked(old, old).machine == 0


def test_no_objects_are_told() -> None:
    with pytest.raises(Error, match="no objects to link"):
        link_objects([])
    with pytest.raises(Error, match=r"/nowhere/x\.o cannot be read: No such file"):
        link_objects(["/nowhere/x.o"])


def with_types(made: Made, *types: Type) -> Made:
    builder = BtfBuilder(made.order)
    for type in types:
        builder.define(builder.reserve(), type)
    made.add(".BTF", builder.encode(), 0)
    return made


INT = Int("int", 4, 32, signed=True)


def test_variables_that_only_btf_calls_global_are_found() -> None:
    parts = []
    for _ in range(2):
        made = Made()
        made.symbol("x", made.add(".data", bytes(8)), 4, 4, binding=0)
        parts.append(with_types(made, INT, Var("x", 1, Linkage.GLOBAL), DataSec(".data", 8, (InSection(2, 0, 4),))))
    btf = Btf(content(linked(*parts), ".BTF"))
    (data,) = [type for _, type in btf if isinstance(type, DataSec)]
    assert [row.offset for row in data.variables] == [4, 12]


def test_what_comes_without_types_has_those_of_its_declaration() -> None:
    user, owner = Made(), Made()
    user.relocations = {user.code(2): (Relocation(0, R_BPF_64_64, user.symbol("x", UNDEFINED, kind=0)),)}
    owner.symbol("x", owner.add(".data", bytes(8)), 0, 4)
    btf = Btf(content(linked(with_types(user, INT, Var("x", 1, Linkage.EXTERN)), owner), ".BTF"))
    assert [type for _, type in btf] == [INT, Var("x", 1, Linkage.GLOBAL)]


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ((INT, Var("y", 1, Linkage.GLOBAL), DataSec(".data", 8, (InSection(2, 0, 4),))), "there is no symbol for it"),
        ((INT, DataSec(".data", 8, (InSection(1, 0, 4),))), "type 2, the data section .data, holds what is no variable"),
        (
            (
                INT,
                Var("x", 1, Linkage.GLOBAL),
                Var("x", 1, Linkage.GLOBAL),
                DataSec(".data", 8, (InSection(2, 0, 4), InSection(3, 4, 4))),
            ),
            "two types for 'x': 2 and 3",
        ),
        ((INT, Var("x", 1, Linkage.GLOBAL), DataSec(".bss", 8, (InSection(2, 0, 4),))), "has 'x' in '.bss', where it is not"),
        ((Typedef("loop", 1), Var("x", 1, Linkage.GLOBAL)), ""),
    ],
)
def test_types_that_do_not_fit_the_symbols_are_told(types: tuple[Type, ...], words: str) -> None:
    made = Made()
    made.symbol("x", made.add(".data", bytes(8)), 4, 4)
    if words:
        assert words in refused(with_types(made, *types))
    else:
        assert "more than 64 typedefs" in refused(with_types(made, *types), with_types(weak_x(), *types))


def weak_x() -> Made:
    made = Made()
    made.symbol("x", made.add(".data", bytes(8)), 4, 4, binding=WEAK)
    return made


def test_btf_of_the_other_byte_order_is_told() -> None:
    made = with_types(Made(), INT)
    other = with_types(Made("big"), INT)
    made.sections = other.sections
    assert "its .BTF is big-endian, the file itself is not" in refused(made)


def test_records_without_types_are_told() -> None:
    made = Made()
    made.add(".BTF.ext", bytes(32), 0)
    assert "it has a .BTF.ext, but no .BTF" in refused(made)
