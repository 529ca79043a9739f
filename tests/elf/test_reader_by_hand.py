"""Objects made by hand: older definitions of maps, and what is wrong with a file, told with section, symbol and byte."""

from __future__ import annotations

from struct import pack

import pytest

import purebpf as bpf
from purebpf.btf.builder import encoded
from purebpf.btf.types import Array, DataSec, Func, FuncProto, Int, Linkage, Member, Ptr, Struct, Type, Var
from purebpf.btf.types import Section as Place
from purebpf.data import replace
from purebpf.elf.container import (
    ALLOC,
    EXECUTE,
    FUNCTION,
    GLOBAL,
    LOCAL,
    OBJECT,
    R_BPF_64_32,
    R_BPF_64_64,
    UNDEFINED,
    WRITE,
    ElfError,
    ElfObject,
    Relocation,
    Section,
    Symbol,
    written,
)
from purebpf.isa import Instruction, encode
from purebpf.spec import CollectionSpec
from purebpf.tables.enums import MapType

RETURN = (Instruction(0xB7), Instruction(0x95))
LOAD, CALL = Instruction(0x18, dst=1), Instruction(0x85, src=1, imm=-1)


def read(
    *sections: Section, symbols: tuple[Symbol, ...] = (), relocations: dict[int, tuple[Relocation, ...]] | None = None
) -> CollectionSpec:
    elf = ElfObject("little", sections, (Symbol(""), *symbols), relocations or {})
    return bpf.load_object(written(elf))


def code(name: str, *instructions: Instruction) -> Section:
    raw = encode(instructions)
    return Section(name, flags=ALLOC | EXECUTE, data=raw, size=len(raw), align=8)


def content(name: str, raw: bytes) -> Section:
    return Section(name, flags=ALLOC | WRITE, data=raw, size=len(raw), align=8)


def program(section: int = 0, name: str = "main", value: int = 0, size: int = 16, binding: int = GLOBAL) -> Symbol:
    return Symbol(name, value, size, binding, FUNCTION, section)


def variable(name: str, value: int, size: int, section: int, binding: int = GLOBAL) -> Symbol:
    return Symbol(name, value, size, binding, OBJECT, section)


def maps(*definitions: tuple[str, tuple[int, ...]]) -> CollectionSpec:
    raw = b"".join(pack(f"<{len(numbers)}I", *numbers) for _, numbers in definitions)
    each = 4 * len(definitions[0][1])
    symbols = tuple(Symbol(name, i * each, each, GLOBAL, OBJECT, 0) for i, (name, _) in enumerate(definitions))
    return read(content("maps", raw), symbols=symbols)


def test_maps_of_five_numbers() -> None:
    found = maps(("counts", (1, 4, 8, 10, 1)), ("rest", (2, 4, 16, 3, 0))).maps
    assert (found["counts"].type, found["counts"].flags) == (MapType.HASH, 1)
    assert (found["rest"].value_size, found["rest"].max_entries) == (16, 3)


def test_maps_of_the_kernels_samples() -> None:
    found = maps(("inner", (2, 4, 8, 10, 0, 0, 0)), ("outer", (12, 4, 0, 2, 0, 0, 0)), ("near", (1, 4, 8, 9, 4, 0, 1))).maps
    assert found["outer"].inner == found["inner"] and found["near"].numa_node == 1
    with pytest.raises(ElfError, match=r"section maps at 0x1c: the map outer holds the map of index 7, which is not there"):
        maps(("inner", (2, 4, 8, 10, 0, 0, 0)), ("outer", (12, 4, 0, 2, 0, 7, 0)))


def test_maps_of_iproute2() -> None:
    inner, other = ("inner", (2, 4, 8, 10, 0, 42, 2, 0, 3)), ("other", (1, 4, 8, 10, 0, 0, 0, 0, 0))
    found = maps(inner, ("outer", (12, 4, 4, 5, 0, 0, 0, 42, 0)), other).maps
    assert found["inner"].pin == "/sys/fs/bpf/tc/globals/inner" and not found["other"].pin
    assert found["outer"].inner == replace(found["inner"], pin="")
    assert found["outer"].entries == ((pack("<I", 3), "inner"),)
    assert (
        maps(("inner", (2, 4, 8, 10, 0, 42, 0, 0, 0xFFFFFFFF)), ("outer", (12, 4, 4, 5, 0, 0, 0, 42, 0))).maps["outer"].entries
        == ()
    )
    with pytest.raises(ElfError, match=r"the map a has pinning 1; known are 0 \(not\) and 2 \(globally\)"):
        maps(("a", (1, 4, 8, 10, 0, 0, 1, 0, 0)))


@pytest.mark.parametrize(
    "sections, symbols, said",
    [
        ((content("maps", bytes(24)),), (variable("a", 0, 12, 0), variable("b", 12, 12, 0)), "24 bytes are not 2 maps"),
        ((content("maps", bytes(20)),), (), "there is no symbol of a map"),
        ((content("maps", bytes(20)),), (variable("a", 0, 20, 0, LOCAL),), "the map a is static"),
        ((content("maps", pack("<5I", 99, 4, 4, 4, 0)),), (variable("a", 0, 20, 0),), "the map a is of type 99"),
        ((content(".maps", bytes(20)),), (), r"section .maps: there are no types \(.BTF\) of the maps; compile with -g"),
        (
            (code("xdp", *RETURN),),
            (program(size=12),),
            "section xdp at 0x0: the function main of 12 bytes is no part of its 16",
        ),
        ((code("xdp", *RETURN),), (program(size=32),), "main of 32 bytes is no part"),
        (
            (code("xdp", LOAD, *RETURN),),
            (program(value=8, size=24),),
            "section xdp at 0x8: the function main begins or ends within",
        ),
        (
            (code("xdp", *RETURN), code("tc", *RETURN)),
            (program(), program(1)),
            "section tc at 0x0: there are two programs main",
        ),
        (
            (code("xdp", replace(CALL, imm=5), Instruction(0x95)),),
            (program(),),
            r"section xdp at 0x0: main refers to slot 6 of the section xdp, where no",
        ),
        ((content(".data", b"abcd"), content(".data", b"efgh")), (), "section .data: there are two data sections of this name"),
        ((content(".data", b"abcd"),), (variable("x", 2, 4, 0),), "section .data at 0x2: the variable x of 4 bytes lies"),
        ((content("license", b"\xff\0"),), (), None),
    ],
)
def test_what_is_wrong_is_told(sections: tuple[Section, ...], symbols: tuple[Symbol, ...], said: str | None) -> None:
    with pytest.raises(ElfError, match=said or "section license: the license is no ASCII text"):
        read(*sections, symbols=symbols)


@pytest.mark.parametrize(
    "instruction, type, symbol, said",
    [
        (Instruction(0xB7), R_BPF_64_64, variable("x", 0, 4, 1), "opcode 0xb7 cannot refer to the symbol 'x'"),
        (LOAD, R_BPF_64_64, variable("x", 0, 4, 1), "refers to the symbol 'x', byte 0 of the section other: there"),
        (replace(CALL, src=0), R_BPF_64_32, variable("x", 0, 4, 1), "a call cannot refer to the symbol 'x'"),
        (CALL, R_BPF_64_32, Symbol("x", 4, 8, GLOBAL, FUNCTION, 1), "calls the symbol 'x', where no instruction begins"),
        (
            replace(LOAD, imm=8),
            R_BPF_64_64,
            Symbol("x", 0, 0, GLOBAL, 0, UNDEFINED),
            "byte 8 of x, which is the kernel's",
        ),
    ],
)
def test_what_instructions_refer_to(instruction: Instruction, type: int, symbol: Symbol, said: str) -> None:
    section = code("xdp", instruction, *RETURN)
    with pytest.raises(ElfError, match="section xdp at 0x0: .*" + said):
        read(
            section,
            content("other", bytes(16)),
            symbols=(program(size=section.size), symbol),
            relocations={0: (Relocation(0, type, 2),)},
        )


def test_a_relocation_between_instructions() -> None:
    section = code("xdp", LOAD, *RETURN)
    with pytest.raises(ElfError, match="section xdp at 0x8: there is a relocation where no instruction begins"):
        read(section, symbols=(program(size=section.size),), relocations={0: (Relocation(8, R_BPF_64_64, 1),)})


def test_a_function_without_a_size_reaches_to_the_next() -> None:
    found = read(code("xdp", *RETURN, *RETURN), symbols=(program(size=0), program(name="second", value=16, size=0)))
    assert [each.slots for each in found.programs.values()] == [2, 2]


def test_functions_that_go_in_circles_are_in_a_program_once() -> None:
    text = code(".text", replace(CALL, imm=1), Instruction(0x95), replace(CALL, imm=-3), Instruction(0x95))
    symbols = (program(1, size=16), program(0, "a", 0, 16, LOCAL), program(0, "b", 16, 16, LOCAL))
    found = read(text, code("xdp", CALL, Instruction(0x95)), symbols=symbols, relocations={1: (Relocation(0, R_BPF_64_32, 2),)})
    assert [each.name for each in found.programs["main"].functions] == ["main", "a", "b"]


def declared(*members: tuple[str, int], extra: tuple[Type, ...] = ()) -> CollectionSpec:
    """A map `m` with attributes: (name, number of the type of its member)."""
    types: list[Type] = [Int("int", 4, 32, signed=True), *extra]
    numbers = {}
    for name, value in members:
        if value < 1000:
            types += [Array(1, 1, value), Ptr(len(types) + 1)]
            numbers[name] = len(types)
        else:
            numbers[name] = value - 1000
    fields = tuple(Member(name, number, 64 * i) for i, (name, number) in enumerate(numbers.items()))
    types += [Struct("", 8 * len(fields), fields), Var("m", len(types) + 1, Linkage.GLOBAL)]
    types.append(DataSec(".maps", 0, (Place(len(types), 0, 8 * len(fields)),)))
    raw = encoded(types, "little")
    size = 8 * len(fields)
    return read(content(".maps", bytes(size)), content(".BTF", raw), symbols=(Symbol("m", 0, size, GLOBAL, OBJECT, 0),))


def test_a_declared_map() -> None:
    found = declared(("type", 1), ("key_size", 4), ("value_size", 16), ("max_entries", 7)).maps["m"]
    assert (found.type, found.key_size, found.value_size, found.max_entries) == (MapType.HASH, 4, 16, 7)


@pytest.mark.parametrize(
    "members, said",
    [
        ((("key_size", 4),), "it has no attribute `type`"),
        ((("type", 999),), "its type is 999, which no kernel known here has"),
        ((("type", 1), ("colour", 4)), "it has an attribute `colour`; there are type, max_entries"),
        ((("type", 1), ("pinning", 2)), r"its `pinning` is 2; there are 0 \(not\) and 1 \(by name\)"),
        ((("type", 1001),), "its attribute `type` is no number"),
        ((("type", 1), ("key", 1001)), "its attribute `key` is no pointer to a type"),
        ((("type", 1), ("key_size", 8), ("key", 1002)), "its `key_size` is 8 and 4"),
        ((("type", 1), ("values", 1002)), "its attribute `values` is no array of pointers"),
        ((("type", 1), ("values", 1005)), "`values` that are functions, but hash is no program array"),
    ],
)
def test_declared_maps_that_make_no_sense(members: tuple[tuple[str, int], ...], said: str) -> None:
    more: tuple[Type, ...] = (Ptr(1), FuncProto(0, ()), Ptr(3), Array(4, 1, 2), Func("f", 3, Linkage.GLOBAL))
    with pytest.raises(ElfError, match=r"section .maps at 0x0: the map m: .*" + said):
        declared(*members, extra=more)
