"""What is in an object file: programs with the functions that they call, maps, variables, externs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf.errors import Error
from purebpf.isa.opcodes import PSEUDO_BTF_ID, PSEUDO_FUNC, PSEUDO_MAP_VALUE
from purebpf.spec import CollectionSpec, ExternKind
from purebpf.tables.enums import AttachType, MapType, ProgramType
from tests.elf import corpus


@cache
def spec(name: str, level: int = 3, target: str = "bpf", debug: bool = True) -> CollectionSpec:
    try:
        corpus.tool()
    except corpus.Missing as missing:
        pytest.skip(str(missing))
    return bpf.load_object(corpus.built(corpus.Build(corpus.SOURCES / f"{name}.c", level, debug, target)))


def functions(spec: CollectionSpec, program: str) -> list[str]:
    return [function.name for function in spec.programs[program].functions]


def test_functions_follow_in_the_order_of_their_first_mention() -> None:
    found = spec("deep_calls")
    assert functions(found, "down") == ["down", "f1", "f2", "f3", "f4", "f5", "f6", "last"]
    assert functions(found, "halfway") == ["halfway", "f4", "f5", "f6", "last", "f2", "f3"]
    program = found.programs["halfway"]
    slots = [function.slot for function in program.functions]
    assert slots == sorted(slots) and slots[0] == 0 and slots[-1] < program.slots
    starts, slot = set(slots), 0
    for instruction in program.instructions:
        if (instruction.opcode, instruction.src) == (0x85, 1):
            assert slot + 1 + instruction.imm in starts
        slot += instruction.slots


def test_functions_are_found_in_any_section() -> None:
    found = spec("functions_in_sections")
    assert functions(found, "of_another_section") == ["of_another_section", "called_too", "in_text"]
    assert found.programs["of_another_section"].attach_type is AttachType.XDP_DEVMAP


def test_addresses_of_functions_are_distances() -> None:
    program = spec("callbacks").programs["walk"]
    names = [i.symbol for i in program.instructions if i.slots == 2 and i.src == PSEUDO_FUNC]
    assert names and set(names) <= {function.name for function in program.functions}


def test_lines_and_types_of_functions() -> None:
    found = spec("deep_calls")
    program = found.programs["down"]
    assert all(found.types[function.type - 1].name == function.name for function in program.functions)  # type: ignore[union-attr]
    source = program.instructions[0].source
    assert source is not None and source.file.endswith("deep_calls.c") and source.line
    assert all(each.types is found.types for each in found.programs.values())


def test_relocations_are_at_the_slots_of_the_whole_program() -> None:
    program = spec("core_many").programs["two"]
    base = {function.name: function.slot for function in program.functions}
    assert [base["parents"] <= relocation.slot < base["born"] for relocation in program.relocations] == [True, False]


@pytest.mark.parametrize("target", ["bpf", "bpfeb"])
def test_declared_maps(target: str) -> None:
    maps = spec("map_attributes", target=target).maps
    assert (maps["by_types"].type, maps["by_types"].key_size, maps["by_types"].value_size) == (MapType.HASH, 8, 24)
    assert maps["bloom"].extra and maps["flagged"].flags == 1
    nested = spec("map_of_maps", target=target).maps
    order = "little" if target == "bpf" else "big"
    assert [(int.from_bytes(key, order), name) for key, name in nested["filled"].entries] == [  # type: ignore[arg-type]
        (0, "first"),
        (3, "second"),
        (4, "first"),
    ]
    assert nested["filled"].inner is not None and nested["filled"].inner.value_size == 8
    assert nested["empty"].entries == ()
    assert spec("map_pins", target=target).maps["shared"].pin == "/sys/fs/bpf/shared"
    assert [name for _, name in spec("tail_calls", target=target).maps["jumps"].entries] == ["first", "second"]


@pytest.mark.parametrize("debug", [True, False])
def test_older_definitions_of_maps(debug: bool) -> None:
    maps = spec("legacy_maps", debug=debug).maps
    assert [(each.name, each.type, each.key_size, each.flags) for each in maps.values()] == [
        ("counts", MapType.HASH, 4, 1),
        ("numbers", MapType.ARRAY, 4, 0),
    ]
    assert spec("iproute2_maps", debug=debug).maps["counts"].max_entries == 10


@pytest.mark.parametrize("target", ["bpf", "bpfeb"])
def test_variables_of_data_sections(target: str) -> None:
    found = spec("data_sections", target=target)
    maps, variables = found.maps, found.variables
    assert maps[".rodata"].frozen and not maps[".data"].frozen and maps[".bss"].contents == ()
    grouped = variables["grouped"]
    ((_, content),) = maps[".data.group"].contents
    assert grouped.map == ".data.group" and any(content[grouped.offset : grouped.offset + grouped.size])
    assert found.types[variables["counted"].type - 1].name and variables["aligned"].offset % 64 == 0  # type: ignore[union-attr]
    loads = [i for i in found.programs["variables"].instructions if i.slots == 2 and i.src == PSEUDO_MAP_VALUE]
    assert {i.symbol for i in loads} >= {".data", ".rodata", ".bss", ".data.group"}
    assert variables["counted"].offset in {i.imm >> 32 for i in loads if i.symbol == ".bss"}


def test_variables_without_types_are_known_by_symbols() -> None:
    found = spec("data_sections", debug=False)
    typed = spec("data_sections")
    assert found.types == () and found.variables.keys() == typed.variables.keys()
    assert {(v.map, v.offset, v.size) for v in found.variables.values()} == {
        (v.map, v.offset, v.size) for v in typed.variables.values()
    }


def test_settings_of_the_kernel_are_variables_of_a_map() -> None:
    found = spec("kconfig")
    assert found.variables["CONFIG_OF_NO_KERNEL_AT_ALL"].weak and not found.variables["CONFIG_HZ"].weak
    ends = [each.offset + each.size for each in found.variables.values() if each.map == ".kconfig"]
    assert found.maps[".kconfig"].value_size == max(ends) and found.maps[".kconfig"].frozen


def test_symbols_of_the_kernel() -> None:
    kinds = {each.name: (each.kind, each.weak) for each in spec("kfuncs").programs["tasks"].externs}
    assert kinds["bpf_task_acquire"][0] is ExternKind.FUNCTION and kinds["bpf_of_no_kernel"] == (ExternKind.FUNCTION, True)
    program = spec("ksyms").programs["symbols"]
    assert {each.name: each.kind for each in program.externs}["runqueues"] is ExternKind.VARIABLE
    assert any(i.symbol == "runqueues" and i.src == PSEUDO_BTF_ID for i in program.instructions)
    assert all(each.kind is ExternKind.ADDRESS for each in spec("addresses").programs["symbols"].externs)


def test_operations_of_the_kernel() -> None:
    found = spec("struct_ops_link")
    map = found.maps["pb_linked"]
    assert map.type is MapType.STRUCT_OPS and map.flags and len(map.entries) == 3
    assert found.programs["slow_start"].attach_to == "tcp_congestion_ops.ssthresh"


def test_variables_in_an_arena() -> None:
    found = spec("arena")
    assert found.variables["global_sum"].map == "arena" and found.maps["arena"].type is MapType.ARENA


def test_optional_programs_and_sections_of_ones_own() -> None:
    found = spec("optional").programs
    assert [name for name, each in found.items() if each.optional] == ["missing", "asked_for"]
    path = corpus.built(corpus.Build(corpus.SOURCES / "unknown_section.c"))
    assert bpf.load_object(path).programs["custom"].type is ProgramType.UNSPEC
    given = bpf.load_object(path, sections={"of_our_own": (ProgramType.XDP, AttachType.XDP)}).programs["custom"]
    assert (given.type, given.attach_type, given.attach_to) == (ProgramType.XDP, AttachType.XDP, "thing")


def test_the_name_and_the_byte_order_of_a_file() -> None:
    assert (spec("packets").name, spec("packets").byte_order) == ("packets", "little")
    assert spec("packets", target="bpfeb").byte_order == "big"
    assert spec("packets", target="bpfeb").programs["parse"].slots == spec("packets").programs["parse"].slots


def test_bytes_are_read_too(tmp_path: Path) -> None:
    path = corpus.built(corpus.Build(corpus.SOURCES / "packets.c")) if spec("packets") else tmp_path
    assert bpf.load_object(path.read_bytes()).programs == bpf.load_object(path).programs
    with pytest.raises(Error, match=r"nowhere\.o cannot be read: No such file"):
        bpf.load_object(tmp_path / "nowhere.o")
