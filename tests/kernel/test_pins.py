"""Pins: maps that outlive what made them, and are shared by name."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.data import replace
from purebpf.errors import Error, KernelError
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.opening import difference, map_by_id, map_by_pin
from purebpf.kernel.pins import on_bpffs
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType
from tests.kernel.bpffs import bpf_file_system
from tests.kernel.programs import returning

pytestmark = pytest.mark.kernel
SPEC = MapSpec("counts", MapType.HASH, 4, 8, 16)
KEY, VALUE = b"key!", b"a value."


@pytest.fixture
def pins(tmp_path: Path) -> Iterator[Path]:
    with bpf_file_system(tmp_path) as folder:
        yield folder


def test_a_pinned_map_outlives_its_descriptor(kernel: KernelEngine, pins: Path) -> None:
    path = str(pins / "counts")
    with kernel.create_map(SPEC) as map:
        map.update(KEY, VALUE)
        map.pin(path)
        number = map.info.id
    with map_by_pin(path) as again:
        assert again.lookup(KEY) == VALUE and again.info.id == number
        assert again.spec == SPEC
        again.unpin(path)
    assert not os.path.exists(path)
    with pytest.raises(Error, match=f"There is no pin {path}"):
        map_by_pin(path)


def test_a_name_is_given_once(kernel: KernelEngine, pins: Path) -> None:
    with kernel.create_map(SPEC) as map:
        map.pin(str(pins / "counts"))
        with pytest.raises(KernelError, match="something of that name already; unpin it first") as taken:
            map.pin(str(pins / "counts"))
        assert taken.value.errno == errno.EEXIST
        map.pin(str(pins / "other"))
        with pytest.raises(KernelError, match="something of that name already"):
            map.move_pin(str(pins / "counts"), str(pins / "other"))
        map.move_pin(str(pins / "counts"), str(pins / "moved"))
        assert {name for name in os.listdir(pins) if not name.endswith(".debug")} == {
            "moved",
            "other",
        }  # some are the kernel's own


def test_only_a_bpf_file_system_has_pins(kernel: KernelEngine, tmp_path: Path) -> None:
    assert not on_bpffs(str(tmp_path))
    with kernel.create_map(SPEC) as map:
        with pytest.raises(Error, match=r"pinned in a BPF file system only, and .* is none: `mount -t bpf"):
            map.pin(str(tmp_path / "counts"))
        with pytest.raises(KernelError, match="The folder does not exist"):
            map.pin(str(tmp_path / "nowhere" / "counts"))


def test_a_pin_of_a_program_is_no_map(kernel: KernelEngine, pins: Path) -> None:
    from purebpf.kernel.pins import pin

    with kernel.load_program(returning(0), {}) as program:
        pin(program.descriptor, str(pins / "program"))
        with pytest.raises(Error, match="is of a program, not of a map"):
            map_by_pin(str(pins / "program"))


def test_maps_by_id(kernel: KernelEngine) -> None:
    with kernel.create_map(SPEC) as map, map_by_id(map.info.id) as again:
        map.update(KEY, VALUE)
        assert again.lookup(KEY) == VALUE
    with pytest.raises(Error, match="There is no map with id 2147483647"):
        map_by_id(2147483647)


def test_a_map_pinned_by_name_is_shared(kernel: KernelEngine, pins: Path) -> None:
    shared = replace(SPEC, pin=str(pins / "counts"))
    with kernel.create_map(shared) as one, kernel.create_map(shared) as two:
        assert (one.mechanism, two.mechanism) == ("created", "opened")
        one.update(KEY, VALUE)
        assert two.lookup(KEY) == VALUE and one.info.id == two.info.id


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value_size": 4}, "value_size is 8, not 4"),
        ({"max_entries": 17, "key_size": 8}, "key_size is 4, not 8, max_entries is 16, not 17"),
        ({"type": MapType.LRU_HASH}, "type is hash, not lru_hash"),
        ({"flags": 1}, "flags is 0, not 1"),
    ],
)
def test_another_map_is_not_taken(kernel: KernelEngine, pins: Path, change: dict[str, int], said: str) -> None:
    path = str(pins / "counts")
    with kernel.create_map(replace(SPEC, pin=path)), pytest.raises(Error, match=f"cannot be used as 'counts': {said}"):
        kernel.create_map(replace(SPEC, pin=path, **change))


def test_flags_that_the_kernel_adds_to_device_maps_are_no_difference() -> None:
    wanted = MapSpec("devices", MapType.DEVMAP, 4, 4, 8)
    assert difference(wanted, replace(wanted, flags=1 << 7)) == ""
    assert difference(SPEC, replace(SPEC, flags=1 << 7)) == "flags is 128, not 0"


RACE = """
import sys
from purebpf.kernel.engine import KernelEngine
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType
sys.stdin.readline()
with KernelEngine().create_map(MapSpec("counts", MapType.HASH, 4, 8, 16, pin=sys.argv[1])) as map:
    print(map.mechanism, map.info.id)
"""


def test_of_many_processes_one_creates_the_map(kernel: KernelEngine, pins: Path) -> None:
    asked = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(pins / "counts")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in asked:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.communicate(timeout=120)[0].split() for process in asked]
    assert sorted(way for way, _ in told) == ["created", "opened", "opened", "opened"]
    assert len({number for _, number in told}) == 1


counts = bpf.Hash[u32, u64](max_entries=16)


@bpf.xdp
def count(ctx: bpf.XdpContext) -> bpf.XdpAction:
    counts[7] += 1
    return bpf.XDP_PASS


def test_a_program_takes_a_map_that_exists(kernel: KernelEngine, pins: Path) -> None:
    path = str(pins / "counts")
    with bpf.load(counts, engine="kernel"):
        counts[7] = 40
        counts.pin(path)
        number = counts.info.id
    counts.reuse(path)
    try:
        with count.load("kernel"):
            count.run(bytes(64))
            assert counts[7] == 41 and counts.info.id == number
            with pytest.raises(Error, match="map `counts` is loaded: say what to reuse before that"):
                counts.reuse(None)
    finally:
        counts.reuse(None)
    with count.load("kernel"):
        count.run(bytes(64))
        assert counts[7] == 1


def test_a_declared_pin_is_shared_by_collections(kernel: KernelEngine, pins: Path) -> None:
    one = bpf.Hash[u32, u64](max_entries=4, pin=str(pins / "both"))
    two = bpf.Hash[u32, u64](max_entries=4, pin=str(pins / "both"))
    with bpf.load(one, engine="kernel"), bpf.load(two, engine="kernel"):
        one[1] = 2
        assert two[1] == 2


def test_the_virtual_machine_has_no_pins(pins: Path) -> None:
    one = bpf.Hash[u32, u64](max_entries=4, pin=str(pins / "x"))
    with pytest.raises(bpf.Unsupported, match="the virtual machine keeps no maps, the kernel does"):
        bpf.load(one, engine="vm")


def test_info_tells_what_the_kernel_knows(kernel: KernelEngine) -> None:
    with kernel.create_map(replace(SPEC, frozen=True)) as map:
        told = map.info
        assert (told.name, told.key_size, told.value_size, told.max_entries, told.frozen) == ("counts", 4, 8, 16, True)
        assert told.memory > 0


def test_a_forked_process_has_the_map_too(kernel: KernelEngine) -> None:
    with kernel.create_map(SPEC) as map:
        child = os.fork()
        if not child:
            try:
                map.update(KEY, VALUE)
                map.close()
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert map.lookup(KEY) == VALUE


def test_names_that_no_pin_can_have_are_told(kernel: KernelEngine, pins: Path) -> None:
    with kernel.create_map(SPEC) as map:
        with pytest.raises(Error, match=f"the map 'counts' .*cannot be pinned as {pins}/v1.2: .* no name with a dot"):
            map.pin(str(pins / "v1.2"))
        with pytest.raises(Error, match=f"needs a name to be pinned by, and {pins} is a folder"):
            map.pin(str(pins))
        with pytest.raises(Error, match=f"There is no pin {pins}/nothing"):
            map.move_pin(str(pins / "nothing"), str(pins / "other"))
        map.pin(str(pins / "counts"))
        with pytest.raises(Error, match="no name with a dot"):
            map.move_pin(str(pins / "counts"), str(pins / "a.b"))
        map.unpin(str(pins / "counts"))
    assert [each.name for each in pins.iterdir() if "debug" not in each.name] == []
