"""Packages made of object files: of clang's, of ours, of Debian's."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import purebpf as bpf
from purebpf.errors import Error
from purebpf.packaging.package import package
from purebpf.packaging.sources import read_source
from tests.checker import checked
from tests.elf import corpus
from tests.kernel.netns import eventually
from tests.packaging.generated import generate, imported, source

ENGINES = ["vm", pytest.param("kernel", marks=pytest.mark.kernel)]
NO_CLASS = "maps of type"
COUNTER = Path(__file__).parents[2] / "examples" / "packet_count.py"


def compiled(*names: str) -> list[Path]:
    """Objects of our C sources."""
    try:
        return [corpus.built(corpus.Build(corpus.SOURCES / f"{name}.c")) for name in names]
    except corpus.Missing as missing:
        pytest.skip(f"objects are compiled by clang: {missing}")


@pytest.mark.parametrize("engine", ENGINES)
def test_variables_of_all_sections(tmp_path: Path, engine: str) -> None:
    with imported(generate(tmp_path, *compiled("data_sections"))) as module, module.DataSections() as objects:
        v = objects.variables
        assert v.settings == module.settings(limit=3, ports=[80, 443, 0, 0, 0], enabled=True, name="abc")
        assert (v.mode, v.table[:4], v.hidden, v.aligned) == (module.mode.AUTO, bytes([1, 2, 3, 5]), 5, -4)
        v.fixed.limit, v.fixed.enabled, v.mode, v.counted = 9, True, module.mode.ON, 100
        v.numbers[9] = 44
        v.settings = module.settings(limit=1, ports=[7] * 5, name="new")
        objects.load(engine)
        assert objects.programs.variables.run(packet=bytes(64)).value == 44
        assert (v.counted, v.counted_here, v.numbers[0], v.hidden, v.grouped) == (109, 1, 7, 5 ^ 1, 77 + 79)
        assert v.others[1].name == "x"
        assert (v.fixed.limit, v.mode, v.zero_group) == (9, module.mode.ON, 1)
        v.settings.ports[0] = 1000
        objects.programs.variables.run(packet=bytes(64))
        assert v.numbers[0] == 1007
        with pytest.raises(Error, match=r"`variables\.mode` is a constant of programs that are loaded"):
            v.mode = module.mode.OFF
        with pytest.raises(Error, match=r"`variables\.fixed` is a constant"):
            v.fixed.limit = 1


@pytest.mark.parametrize("engine", ENGINES)
def test_maps_in_maps_are_those_of_the_package(tmp_path: Path, engine: str) -> None:
    with imported(generate(tmp_path, *compiled("map_of_maps"))) as module, module.MapOfMaps() as package:
        package.load(engine)
        maps = package.maps
        assert maps.filled[0] is maps.first and maps.filled[3] is maps.second and maps.table[2] is maps.third
        maps.filled[1] = maps.second
        maps.filled[1][0] = 7
        assert maps.second[0] == 7 and maps.filled.get(2) is None


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda maps: maps.table_of_ports.set(1, 2, "x"), "flags of `table_of_ports` are a number, .*, not 'x'"),
        (lambda maps: maps.table_of_ports.update(5), "`table_of_ports` is updated by a dictionary, or pairs"),
    ],
)
def test_uses_of_maps_that_are_none(use: Callable[[Any], object], message: str) -> None:
    table_of_ports = bpf.Hash[bpf.u32, bpf.u32](max_entries=4, name="table_of_ports")
    with pytest.raises(TypeError, match=message), bpf.load(table_of_ports, engine="vm"):
        use(SimpleNamespace(table_of_ports=table_of_ports))
    with pytest.raises(Error, match=r"map `table_of_ports` can be one that is pinned at a path, or of an id, not 5\.5"):
        table_of_ports.reuse(5.5)  # type: ignore[arg-type]


@pytest.mark.kernel
def test_settings_of_the_kernel_are_told_by_it(tmp_path: Path) -> None:
    with imported(generate(tmp_path, *compiled("kconfig"))) as module, module.Kconfig() as objects:
        assert dir(objects.variables) == ["seen"]
        objects.attach()
        assert "raw tracepoint" in objects.links.options.mechanism
        assert eventually(lambda: os.getppid() and objects.variables.seen[0] > 0x050000)
        assert objects.variables.seen[3] == 1


@pytest.mark.kernel
def test_operations_of_the_kernel_are_registered(tmp_path: Path) -> None:
    known = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
    with imported(generate(tmp_path, *compiled("struct_ops_link"))) as module:
        with module.StructOpsLink() as operations:
            operations.attach()
            assert "pb_linked" in known.read_text().split()
            assert list(operations.links) == ["pb_linked"]
        assert "pb_linked" not in known.read_text().split()


def test_the_same_programs_come_from_an_object(tmp_path: Path) -> None:
    """An object has no names for the types in our maps that Python has, but the same bytes."""
    spec = read_source(COUNTER).spec
    bpf.write_object(spec, tmp_path / "packet_count.o")
    packet = bytes.fromhex("ffffffffffff0000000000000800450000280000000040060000c0a80001c0a80002")
    found = []
    for each in (COUNTER, tmp_path / "packet_count.o"):
        with imported(generate(tmp_path, each)) as module, module.PacketCount() as counter:
            counter.load("vm")
            assert counter.programs.count.run(packet=packet).value == 2
            found.append([row.to_bytes() for row in counter.maps.traffic[6]])
            assert counter.maps.traffic.sums() == {6: module.Traffic(packets=1, octets=34)}
    assert found[0] == found[1]


def nanosleep() -> None:
    """The system call of that name, which the C library no longer makes."""
    numbers = {"x86_64": 35, "aarch64": 101}
    if os.uname().machine not in numbers:
        pytest.skip(f"the number of nanosleep(2) on {os.uname().machine} is not known here")
    duration = (ctypes.c_long * 2)(0, 1)
    assert ctypes.CDLL(None).syscall(numbers[os.uname().machine], duration, None) == 0


@pytest.mark.kernel
def test_records_of_a_ring_are_bytes_until_their_type_is_told(tmp_path: Path) -> None:
    (rings,) = compiled("rings")
    with imported(generate(tmp_path, rings)) as module, module.Rings() as objects:
        objects.attach()
        nanosleep()
        assert 32 in map(len, objects.maps.events.read(5.0))
        nanosleep()
        assert next(objects.maps.events.records(5.0)).endswith(b"x" * 20)
    with imported(generate(tmp_path, rings, types=("events=struct event",))) as module, module.Rings() as objects:
        objects.attach()
        nanosleep()
        mine = [event for event in objects.maps.events.read(5.0) if event.pid == os.getpid()]
        assert isinstance(mine[0], module.event) and mine[0].time > 0
        assert mine[0].to_bytes()[12:] == b"x" * 20
    with pytest.raises(Error, match="has no struct, union or enum 'evnt'; did you mean event"):
        generate(tmp_path, rings, types=("events=evnt",))
    with pytest.raises(Error, match="no map 'nothing' whose records could be `event`; it has: events"):
        generate(tmp_path, rings, types=("nothing=event",))


def objects() -> dict[str, Path]:
    """Every object that can be had here, of one level of the instruction set."""
    return {name: path for name, path in corpus.everything() if not name.endswith(("-v1", "-v2", "-v4"))}


def test_every_object_makes_a_package_that_opens_and_has_types(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    opened, stubs = 0, []
    for path in objects().values():
        try:
            spec = bpf.load_object(path)
        except Error:  # made to be refused
            continue
        if spec.byte_order not in ("", sys.byteorder) or not (spec.programs or spec.maps):
            continue
        try:
            made = generate(folder, path)
        except Error as error:
            assert "holds maps, but nothing says of what kind" in str(error)
            continue
        stubs.append(f"{made.name}.{'__init__'}")
        with imported(made) as module:
            for name in module.__all__:
                if isinstance(getattr(module, name), type) and hasattr(getattr(module, name), "_content_"):
                    skeleton = getattr(module, name)()
                    assert skeleton.spec == spec
                    assert len(skeleton.programs) == len(spec.programs)
                    opened += 1
    if not opened:
        pytest.skip("there are neither clang nor Debian's packages here")
    packages = sorted({stub.partition(".")[0] for stub in stubs})
    using = source(folder, "".join(f"import {name}\n" for name in packages), "using.py")
    done = checked(using, folder=folder)
    assert done.returncode == 0, done.stdout


def test_objects_of_the_other_byte_order_are_refused() -> None:
    try:
        other = corpus.built(
            corpus.Build(corpus.SOURCES / "packets.c", target="bpfeb" if sys.byteorder == "little" else "bpfel")
        )
    except corpus.Missing as missing:
        pytest.skip(f"objects are compiled by clang: {missing}")
    with pytest.raises(Error, match="-endian machines; a package is made on a machine"):
        package([read_source(other)])
