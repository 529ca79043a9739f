"""Object files loaded and run, in the kernel and in the virtual machine: the same results."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf.btf.running import FOLDER, VMLINUX
from purebpf.errors import Error, KernelError, Unsupported
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.objects import Objects, load, with_variables
from purebpf.tables.enums import AttachType, ProgramType
from tests.elf import corpus
from tests.kernel.bpffs import bpf_file_system
from tests.kernel.netns import eventually, frame, send, veth_pair
from tests.objects.kit import path, spec

PACKET = bytes.fromhex("ffffffffffff 000000000000 0800 4500002a000000004006") + bytes(40)
ENGINES = [pytest.param("kernel", marks=pytest.mark.kernel), "vm"]


@pytest.fixture
def bpffs(tmp_path: Path) -> Iterator[Path]:
    with bpf_file_system(tmp_path) as folder:
        yield folder


@pytest.mark.parametrize("level", [1, 3, 4])
@pytest.mark.parametrize("engine", ENGINES)
def test_programs_run_and_maps_are_read_by_their_types(engine: str, level: int) -> None:
    with load(spec("packets", level), engine=engine) as objects:
        assert objects.programs.parse.run(packet=PACKET).value == bpf.XDP_PASS
        assert objects.engine.name == engine
        counts = objects.maps.protocols[6]
        assert sum(counts) == 0x2A and len(counts) == objects.engine.possible_cpus
        objects.maps["protocols"][6] = [5] * objects.engine.possible_cpus
        assert objects.maps.protocols[6] == [5] * objects.engine.possible_cpus


@pytest.mark.parametrize("engine", ENGINES)
def test_functions_that_are_called(engine: str) -> None:
    with load(spec("subprograms"), engine=engine) as objects:
        results = [objects.programs[name].run(packet=PACKET).value for name in ("first", "second", "third")]
        assert objects.variables.trace[1] == 2 and len(set(results)) == 3
        with load(spec("subprograms"), engine="vm") as others:
            assert results == [others.programs[name].run(packet=PACKET).value for name in ("first", "second", "third")]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("debug", [True, False])
def test_variables_are_set_before_and_read_while_it_is_loaded(engine: str, debug: bool) -> None:
    given: dict[str, object] = {"counted": 40, "mode": 0}
    if debug:
        given |= {
            "settings": {"limit": 4, "ports": [1, 2], "name": "xyz"},
            "fixed": {"limit": 100, "enabled": True},
            "mode": "ON",
        }
    with load(spec("data_sections", debug=debug), engine=engine, variables=given) as objects:
        variables = objects.variables
        before = variables.grouped
        objects.programs.variables.run(packet=PACKET)
        assert variables.counted == (140 if debug else 47)
        assert variables["counted_here"] == 1
        assert variables.grouped == before + 79
        if debug:
            assert variables.settings == {"limit": 4, "ports": [1, 2, 0, 0, 0], "enabled": False, "name": "xyz"}
            assert variables.mode == "ON" and variables.numbers[0] == 1
            variables.settings = {"limit": 9}
            assert variables.settings["limit"] == 9 and variables.settings["ports"] == [0] * 5
        variables.counted = 3
        objects.programs.variables.run(packet=PACKET)
        assert variables.counted == (103 if debug else 10)
        with pytest.raises(Error, match=r"`variables={'mode': \.\.\.}` of `load`"):
            variables.mode = 1
        with pytest.raises(Error, match="did you mean counted"):
            variables["countet"]


def test_values_that_variables_cannot_have() -> None:
    with pytest.raises(Error, match=r"'counted': the value has 64 bits: -1 does not fit"):
        with_variables(spec("data_sections"), {"counted": -1})
    with pytest.raises(Error, match=r"'settings': the value has no member 'limits'; it has limit, ports"):
        with_variables(spec("data_sections"), {"settings": {"limits": 1}})
    with pytest.raises(Error, match=r"'mode': the value is one of OFF, ON, AUTO, not 'AN'"):
        with_variables(spec("data_sections"), {"mode": "AN"})
    with pytest.raises(Error, match=r"there is no variable|There is no variable 'nothing'"):
        with_variables(spec("data_sections"), {"nothing": 1})


@pytest.mark.parametrize("engine", ENGINES)
def test_maps_hold_programs_and_maps(engine: str) -> None:
    with load(spec("tail_calls"), engine=engine) as objects:
        assert objects.programs.entry.run(packet=PACKET).value == bpf.XDP_DROP
        assert objects.programs.second.run(packet=PACKET).value == bpf.XDP_DROP
    with load(spec("map_of_maps"), engine=engine) as objects:
        objects.programs.nested.run(packet=PACKET)
        assert objects.maps.second[1] == 1 and objects.maps.first[1] == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_callbacks(engine: str) -> None:
    with load(spec("callbacks"), engine=engine, programs=["walk"]) as objects:
        assert objects.programs.walk.run(packet=PACKET).value == 30
        assert list(objects.programs) == ["walk"] and list(objects.maps) == ["elements", ".bss"]


@pytest.mark.parametrize("engine", ENGINES)
def test_only_what_is_asked_for_is_loaded(engine: str) -> None:
    with load(spec("optional"), engine=engine, programs=["asked_for"]) as objects:
        assert list(objects.programs) == ["asked_for"] and list(objects.maps) == []
    with load(spec("tail_calls"), engine=engine, programs=["entry"]) as objects:
        assert set(objects.programs) == {"first", "second", "entry"}  # the others are in its map
    with pytest.raises(Error, match="no program 'entri' here; did you mean entry"):
        load(spec("tail_calls"), engine=engine, programs=["entri"])


@pytest.mark.parametrize("engine", ENGINES)
def test_other_maps_in_place_of_its_own(engine: str) -> None:
    with load(spec("several_in_a_section"), engine=engine, programs=["a"]) as first:
        with load(
            spec("several_in_a_section"), engine=first.engine, programs=["b"], maps={"counts": first.maps.counts}
        ) as second:
            for objects in (first, second):
                for program in objects.programs.values():
                    program.run(packet=PACKET)
            assert dict(first.maps.counts.items()) == {1: 1, 2: 1} == dict(second.maps.counts)
        assert first.maps.counts[2] == 1  # the second did not close it
        with pytest.raises(Error, match="cannot be used as 'protocols': its type is hash, not percpu_array"):
            load(spec("packets"), engine=first.engine, maps={"protocols": first.maps.counts})
    with pytest.raises(Error, match="no map 'count'"):
        load(spec("packets"), engine=engine, maps={"count": 3})


def test_a_dataclass_is_filled(kernel: KernelEngine) -> None:
    from purebpf.objects.maps import LoadedMap
    from purebpf.objects.objects import LoadedProgram

    @dataclass
    class Wanted:
        a: LoadedProgram
        counts: LoadedMap
        of_b: LoadedProgram = field(metadata={"bpf": "program:b"})

    with load(spec("several_in_a_section"), engine=kernel) as objects:
        wanted = objects.assign(Wanted)
        wanted.of_b.run(packet=PACKET)
        assert wanted.counts[2] == 1 and wanted.a.name == "a"

        @dataclass
        class Wrong:
            z: LoadedProgram

        with pytest.raises(Error, match="no program, map or variable 'z'"):
            objects.assign(Wrong)


def test_pins_by_name(kernel: KernelEngine, bpffs: Path) -> None:
    folder = bpffs / "ours" / "maps"  # made when it is loaded
    with load(spec("map_pins"), engine=kernel, pin_path=folder) as objects:
        objects.maps.shared[7] = 70
        assert sorted(each.name for each in folder.iterdir()) == ["shared", "shared_tables"]
        with load(spec("map_pins"), engine=kernel, pin_path=folder) as others:
            assert others.maps.shared[7] == 70 and others.maps.own[0] == 0
    with load(spec("map_pins"), engine=kernel, maps={"shared": str(folder / "shared")}, pin_path=folder) as third:
        assert third.maps.shared[7] == 70
    for each in folder.iterdir():
        each.unlink()


def test_pins_mean_nothing_in_the_virtual_machine() -> None:
    with load(spec("map_pins"), engine="vm") as objects:
        assert objects.maps.own[0] == 0


def test_names_of_maps_are_those_of_libbpf(kernel: KernelEngine) -> None:
    with load(path("subprograms"), engine=kernel) as objects:
        assert objects.maps[".bss"].raw.info.name == "subprogr.bss"  # type: ignore[attr-defined]
        assert objects.maps[".bss"].name == ".bss"


def test_locks_are_known_by_the_types_of_the_object(kernel: KernelEngine) -> None:
    with load(spec("locks"), engine=kernel) as objects:
        objects.maps.table[1] = {"a": 1, "b": 10}
        assert objects.programs.both.run(packet=PACKET).value == 1
        assert objects.maps.table[1]["a"] == 2 and objects.maps.table[1]["b"] == 9


def test_lines_and_functions_are_told_to_the_kernel(kernel: KernelEngine) -> None:
    with load(spec("subprograms"), engine=kernel) as objects:
        infos = [program.info for program in objects.programs.values()]
        assert len({info.btf_id for info in infos}) == 1 and infos[0].btf_id  # of all programs, loaded once
        maps = {objects.maps[".bss"].raw.info.btf_id}  # type: ignore[attr-defined]
        assert maps == {infos[0].btf_id}


def test_settings_of_the_kernel(kernel: KernelEngine) -> None:
    import os

    try:
        objects = load(spec("kconfig"), engine=kernel)
    except Error as error:
        pytest.skip(str(error))
    with objects:
        objects.programs.options.run(ctx=bytes(16))
        seen = objects.variables.seen
        release = [int(each) for each in os.uname().release.split("-")[0].split("+")[0].split(".")[:2]]
        assert [seen[0] >> 16, seen[0] >> 8 & 255] == release
        assert seen[3] == 1 and seen[6] == objects.variables.CONFIG_HZ > 0 and seen[9] == 0
        assert chr(seen[8]) == objects.variables.CONFIG_DEFAULT_HOSTNAME[1]


def test_addresses_and_functions_of_the_kernel(kernel: KernelEngine) -> None:
    with load(spec("addresses"), engine=kernel) as objects:
        objects.programs.symbols.run(ctx=bytes(16))
        rows = (line.split() for line in Path("/proc/kallsyms").read_text().splitlines())
        known = {words[2]: int(words[0], 16) for words in rows}
        assert objects.variables.addresses == [known["schedule"], known["bpf_prog_put"], 0, 0]
    with load(spec("kfuncs"), engine=kernel) as objects:
        assert list(objects.programs) == ["tasks", "locked"]


def test_operations_of_the_kernel(kernel: KernelEngine) -> None:
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
    with load(spec("struct_ops_link"), engine=kernel) as objects:
        links = objects.attach()
        assert list(links) == ["pb_linked"] and "pb_linked" in available.read_text().split()
    assert "pb_linked" not in available.read_text().split()


def test_programs_are_attached_where_their_sections_say(kernel: KernelEngine) -> None:
    with load(spec("optional"), engine=kernel) as objects:
        links = objects.attach()
        assert list(links) == ["always"] and objects.links
        Path("/proc/self/stat").read_bytes()
        assert objects.variables.seen >= 2
    with load(spec("several_in_a_section"), engine=kernel) as objects:
        assert objects.attach() == {}  # where to is not said
        with pytest.raises(Error, match="no program 'z'"):
            objects.attach(z={"interface": "lo"})


def test_what_a_program_attaches_to_needs_no_name(kernel: KernelEngine) -> None:
    from tests.objects.programs import measure

    with veth_pair() as (first, second), load(measure.spec(), engine=kernel) as objects:
        link = objects.programs.measure.attach(first)
        assert link.mechanism
        link.close()
        for given in (first, (first,), {"interface": first, "mode": "generic"}):
            assert list(objects.attach(measure=given)) == ["measure"]
            before = sum(objects.maps.sizes.values())
            send(second, frame())
            assert eventually(lambda before=before: sum(objects.maps.sizes.values()) > before)  # type: ignore[misc]
            for one in objects.links:
                one.close()
        with pytest.raises(Error, match="`measure`, a program of type xdp, attaches to interface, not to 2 things"):
            objects.programs.measure.attach(first, second)


def test_events_of_a_ring(kernel: KernelEngine) -> None:
    import ctypes
    import os

    numbers = {"x86_64": 35, "aarch64": 101}  # of nanosleep(2), which time.sleep does not call
    if os.uname().machine not in numbers:
        pytest.skip("the number of nanosleep(2) on this machine is not known here")
    with load(spec("rings"), engine=kernel) as objects:
        objects.attach()
        reader = objects.maps.events.events()
        ctypes.CDLL(None).syscall(numbers[os.uname().machine], bytes(16), None)
        events = reader.read(timeout=10)
        reader.close()
        assert events[0].data[12:] == b"x" * 20


def test_a_function_of_another_program_is_replaced(kernel: KernelEngine) -> None:
    try:
        found = corpus.debian()
    except corpus.Missing as missing:
        pytest.skip(str(missing))
    object = found["testdata-freplace-el.elf"]
    with load(object, engine=kernel, programs=["sched_process_exec"]) as whole:
        target = whole.programs.sched_process_exec
        try:
            with load(object, engine=kernel, programs=["replacement"], targets={"replacement": target}) as part:
                assert part.programs.replacement.info.id
        except KernelError as error:
            if error.errno != errno.EPERM:
                raise
        with pytest.raises(Error, match="replaces a function of another program"):
            load(object, engine=kernel, programs=["replacement"])


def test_relocations_by_the_types_of_a_file(kernel: KernelEngine) -> None:
    if not VMLINUX.exists():
        pytest.skip(f"there is no {VMLINUX}")
    objects = spec("core_fields")
    with (
        load(objects, engine=kernel, programs=["fields"], btf=FOLDER / "vmlinux") as given,
        load(objects, engine=kernel, programs=["fields"]) as own,
    ):
        assert given.programs.fields.info.tag == own.programs.fields.info.tag


def test_what_cannot_be_loaded_says_why(kernel: KernelEngine) -> None:
    with pytest.raises(Error, match=r"'packets' is for big-endian machines; this one is little-endian"):
        load(spec("packets", target="bpfeb"), engine=kernel)
    with pytest.raises(Error, match=r"section 'of_our_own/thing', whose name does not say what it is for"):
        load(spec("unknown_section"), engine=kernel)
    given = bpf.load_object(path("unknown_section"), sections={"of_our_own": (ProgramType.XDP, AttachType.XDP)})
    with load(given, engine=kernel) as objects:
        assert set(objects.programs) == {"custom", "known"}


@pytest.mark.parametrize("engine", ENGINES)
def test_bpf_load_takes_objects_too(engine: str) -> None:
    with bpf.load(path("several_in_a_section"), engine=engine, programs=["a"]) as objects:
        assert isinstance(objects, Objects)
        objects.programs.a.run(packet=PACKET)
        assert objects.maps.counts[1] == 1 and 2 not in objects.maps.counts
    with bpf.load(path("several_in_a_section").read_bytes(), engine=engine) as objects:
        assert list(objects.programs) == ["a", "b", "d", "c"]


def test_operations_without_a_link(kernel: KernelEngine) -> None:
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
    with load(spec("struct_ops"), engine=kernel) as objects:
        assert "pb_halving" not in available.read_text().split()  # not before it is registered
        with objects.operations.pb_halving.register():
            assert "pb_halving" in available.read_text().split()
        assert "pb_halving" not in available.read_text().split()


def test_what_is_weak_is_missing_in_the_virtual_machine() -> None:
    from purebpf.data import replace

    found = spec("addresses")
    program = found.programs["symbols"]
    weak = replace(program, externs=tuple(replace(each, weak=True) for each in program.externs))
    with load(replace(found, programs={"symbols": weak}), engine="vm") as objects:
        objects.programs.symbols.run(ctx=bytes(16))
        assert objects.variables.addresses == [0, 0, 0, 0]
    with pytest.raises(Error, match="which the virtual machine does not have: run it in the kernel"):
        load(found, engine="vm")
    with load(spec("kfuncs"), engine="vm", programs=["locked"]) as objects:
        objects.programs.locked.run(ctx=bytes(24))
        assert objects.variables.found == 1


def test_specs_of_the_compiler_are_loaded_too(kernel: KernelEngine) -> None:
    from tests.objects.programs import measure

    for engine in (kernel, "vm"):
        with load(measure.spec(), engine=engine, variables={"limits.largest": 100}) as objects:
            assert objects.programs.measure.run(packet=bytes(200)).value == bpf.XDP_DROP
            assert objects.maps.sizes[200] == 1 and objects.maps.sizes.get(7) is None


@pytest.mark.parametrize("level", [1, 4])
def test_a_function_that_is_only_named_by_a_tag(kernel: KernelEngine, level: int) -> None:
    try:
        corpus.tool()
        path = corpus.built(corpus.Build(Path(__file__).with_name("c") / "exceptions.c", level))
    except corpus.Missing as missing:
        pytest.skip(str(missing))
    found = bpf.load_object(path)
    assert [function.name for function in found.programs["careful"].functions] == ["careful", "gives_up", "recovered"]
    if kernel_version() < (6, 7):
        pytest.skip("exceptions came with Linux 6.7")
    with load(found, engine=kernel) as objects:
        assert objects.programs.careful.run(packet=bytes(60)).value == 7
        assert objects.programs.careful.run(packet=bytes(200)).value == 42 and objects.variables.thrown == 41


def test_variables_in_an_arena_are_shared(kernel: KernelEngine) -> None:
    if kernel_version() < (6, 9):
        pytest.skip("arenas came with Linux 6.9")
    with load(spec("arena"), engine=kernel, variables={"global_sum": 10}) as objects:
        objects.programs.use.run(ctx=bytes(16))
        assert objects.variables.global_sum == 13 and objects.variables.global_node == {"next": 0, "value": 3}
        objects.variables.global_sum = 1
        objects.programs.use.run(ctx=bytes(16))
        assert objects.variables.global_sum == 4


def test_typed_symbols_are_numbers_of_the_kernels_types() -> None:
    from purebpf.btf.running import kernel_btf
    from purebpf.btf.types import Kind
    from purebpf.data import replace
    from purebpf.kernel.linked import without_descriptors

    program = spec("ksyms").programs["symbols"]
    try:
        number = kernel_btf().find("runqueues", Kind.VAR)
    except Error as error:
        pytest.skip(str(error))
    linked = without_descriptors(program)
    by_symbol = {before.symbol: after for before, after in zip(program.instructions, linked, strict=True) if before.symbol}
    assert (by_symbol["runqueues"].src, by_symbol["runqueues"].imm) == (3, number)
    missing = by_symbol["a_variable_of_no_kernel"]
    assert (missing.src, missing.imm, missing.symbol) == (0, 0, None)
    strong = replace(program, externs=tuple(replace(each, weak=False) for each in program.externs))
    with pytest.raises(Unsupported, match="refers to the kernel's a_variable_of_no_kernel: it has nothing of this name"):
        without_descriptors(strong)
    others = {each.name: each.type for each in program.externs}
    (runqueues,) = (each for each in program.externs if each.name == "runqueues")
    other = (replace(runqueues, type=others["bpf_prog_active"]),)
    with pytest.raises(Unsupported, match="the kernel's runqueues: its type there is another than the program's"):
        without_descriptors(replace(program, externs=other))


def test_variables_where_maps_are_not_memory(kernel: KernelEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KernelEngine, "has", lambda self, feature: feature != "mmapable")  # as before Linux 5.5
    with load(spec("data_sections"), engine=kernel, variables={"counted": 1}) as objects:
        assert not objects.maps[".bss"].raw.spec.flags
        objects.programs.variables.run(packet=PACKET)
        assert objects.variables.counted == 8
        objects.variables.counted = 2
        objects.programs.variables.run(packet=PACKET)
        assert objects.variables.counted == 9 and objects.variables.counted_here == 2
