"""The BTF of maps in the kernel: what it is told of keys, values and variables, and what becomes of it where it is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest

import purebpf as bpf
from purebpf import be16, s32, u8, u16, u32, u64
from purebpf.btf.builder import BtfBuilder
from purebpf.btf.check import check
from purebpf.btf.compare import differences
from purebpf.btf.reader import Btf
from purebpf.btf.types import DataSec, Kind, Var
from purebpf.collection import Collection
from purebpf.data import replace
from purebpf.errors import KernelError
from purebpf.kernel import btf as kernel_side
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.map import KernelMap
from purebpf.kernel.syscall import address, room
from purebpf.kernel.syscall import bpf as call
from purebpf.lang.btf_types import Collector
from purebpf.lang.map_types import Blob
from purebpf.lang.types import StructType, type_of
from purebpf.spec import MapSpec, MapTypes
from purebpf.tables.enums import Command, MapType


@bpf.struct
class Inner:
    x: u8 = 0
    y: u16 = 0


@bpf.union
class Either:
    word: u32 = 0
    half: u16 = 0


@bpf.struct
class Flow:
    pid: s32
    comm: str = bpf.chars(16)
    mac: bytes = bpf.bytes(6)
    ports: list[u16] = bpf.array(u16, 3)
    low: u8 = bpf.bits(3)
    high: u8 = bpf.bits(5)
    inner: Inner = Inner()
    many: list[Inner] = bpf.array(Inner, 2)
    either: Either = Either()
    ok: bool = False
    port: be16 = 0


@bpf.struct(packed=True)
class Key:
    a: u8
    b: u32


flows = bpf.Hash[u32, Flow](max_entries=4)
keyed = bpf.LruHash[Key, u64](max_entries=4)
counts = bpf.PerCpuArray[u64](max_entries=2)
ring = bpf.RingBuf[Flow](size=4096)
events = bpf.PerfEventArray[Flow]()


@bpf.globals
class state:
    seen: u64 = 0
    name: str = bpf.chars(8)
    neg: s32 = -3


@bpf.config
class settings:
    only: u32 = 7
    flags: u8 = bpf.bits(3)
    more: u8 = bpf.bits(2)


@bpf.globals
class nothing:
    x: u32 = 0
    inner: Inner = Inner()


@bpf.xdp
def program(ctx: bpf.XdpContext) -> bpf.XdpAction:
    if settings.only == 7:
        state.seen += 1
        nothing.x = settings.flags
    flows[1] = Flow(pid=-5, comm="hello", low=3, high=17, port=80, ok=True)
    keyed[Key(a=1, b=2)] = 5
    counts[1] += 1
    ring.emit(Flow(pid=1))
    events.output(Flow(pid=1))
    return bpf.XDP_PASS


@pytest.fixture
def maps(kernel: KernelEngine) -> Iterator[dict[str, KernelMap]]:
    with Collection([program], kernel).load() as collection:
        program.run(packet=bytes(64))
        yield {name: map for name, map in collection.maps.items() if isinstance(map, KernelMap)}


def types_in_the_kernel(map: KernelMap) -> Btf:
    """What the kernel has of the map's types: read back."""
    answer = call(Command.BTF_GET_FD_BY_ID, {"btf_id": map.info.btf_id})
    assert answer >= 0
    with_btf, size = Descriptor(answer, "BTF"), 1 << 16
    try:
        data = room(size)
        info = room(64)
        info.raw = int(address(data)).to_bytes(8, "little") + size.to_bytes(4, "little")
        asked = {"bpf_fd": with_btf.number, "info_len": 64, "info": address(info)}
        assert call(Command.OBJ_GET_INFO_BY_FD, asked) == 0
        return Btf(bytes(data)[: int.from_bytes(info.raw[8:12], "little")])
    finally:
        with_btf.close()


def test_values_are_shown_by_the_kernels_own_btf(maps: dict[str, KernelMap]) -> None:
    flow = maps["flows"]
    btf, value = types_in_the_kernel(flow), flow.lookup((1).to_bytes(4, "little"))
    assert value is not None
    shown = btf.value(flow.info.btf_value, value)
    assert isinstance(shown, dict)
    assert (shown["pid"], shown["comm"], shown["low"], shown["high"], shown["ok"]) == (-5, "hello", 3, 17, True)
    assert shown["either"] and shown["many"] and shown["inner"] == {"x": 0, "y": 0}
    assert btf.size_of(flow.info.btf_key) == 4


def test_keys_are_typed_too(maps: dict[str, KernelMap]) -> None:
    key = maps["keyed"]
    assert types_in_the_kernel(key).value(key.info.btf_key, next(iter(key.keys()))) == {"a": 1, "b": 2}


def test_sections_have_their_variables(maps: dict[str, KernelMap]) -> None:
    for name, section, variables in (
        ("state", ".data", [("seen", 0), ("name", 8), ("neg", 16)]),
        ("nothing", ".bss", [("x", 0), ("inner", 4)]),
        ("settings", ".rodata", [("settings", 0)]),
    ):
        map = maps[name]
        btf = types_in_the_kernel(map)
        assert map.info.btf_key == 0
        found = btf.type(map.info.btf_value)
        assert isinstance(found, DataSec) and found.name == section
        told = []
        for each in found.variables:
            variable = btf.type(each.type)
            assert isinstance(variable, Var) and btf.size_of(variable.type) == each.size
            told.append((variable.name, each.offset))
        assert told == variables


def test_maps_that_hold_nothing_typed_have_none(maps: dict[str, KernelMap]) -> None:
    assert {name for name, map in maps.items() if not map.info.btf_id} == {"ring", "events"}


@pytest.mark.skipif(shutil.which("bpftool") is None, reason="bpftool is not installed")
def test_bpftool_shows_entries_by_name(maps: dict[str, KernelMap]) -> None:
    def dump(name: str) -> object:
        command = ["bpftool", "-j", "map", "dump", "id", str(maps[name].info.id)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return found[0]["formatted"]

    shown = dump("flows")
    assert isinstance(shown, dict) and shown["key"] == 1
    assert shown["value"]["pid"] == -5 and shown["value"]["comm"] == "hello"
    assert dump("state") == {"value": {".data": [{"seen": 1}, {"name": ""}, {"neg": -3}]}}
    assert dump("keyed") == {"key": {"a": 1, "b": 2}, "value": 5}


LAYOUTS = [Flow, Key, Inner, Either, u32, bool, s32, u64, bpf.chars(3), bpf.bytes(5), bpf.array(Flow, 2), bpf.array(u16, 9)]


@pytest.mark.parametrize("annotation", LAYOUTS, ids=str)
def test_the_bytes_are_those_of_the_types(annotation: object) -> None:
    """What is written by hand means what `purebpf.btf` would write."""
    layout = type_of(annotation)
    assert layout is not None
    blob, collected = Blob(), Collector()
    mine, its = blob.number(layout), collected.number(layout)
    builder = BtfBuilder("little")
    for number, type in enumerate(collected.types, 1):
        assert builder.add(type) == number
    written, other = Btf(blob.encode()), Btf(builder.encode())
    check(written)
    assert list(differences(written, mine, other, its)) == []
    assert written.size_of(mine) == layout.size
    if isinstance(layout, StructType):
        assert written.kind(mine) is (Kind.UNION if layout.union else Kind.STRUCT)


def test_names_that_c_has_not(kernel: KernelEngine) -> None:
    spec = flows.describe("flows")
    assert spec.types is not None
    blob = Blob()
    layout = type_of(Inner)
    assert isinstance(layout, StructType)
    number = blob.number(replace(layout, name="Größe<1>"))
    assert Btf(blob.encode()).name(number) == "Gr__e_1_"
    with kernel.create_map(MapSpec("m", MapType.HASH, 4, layout.size, 1)) as plain:
        assert plain.info.btf_id == 0


@pytest.mark.parametrize("kind", [MapType.HASH, MapType.ARRAY, MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_HASH])
def test_a_map_whose_types_the_kernel_refuses_has_none(kind: MapType, kernel: KernelEngine) -> None:
    blob = Blob()
    layout = type_of(u64)
    assert layout is not None
    number = blob.number(layout)
    wrong = MapTypes(blob.encode(), number, number)  # a key of 8 bytes, where the map has 4
    with kernel.create_map(MapSpec("m", kind, 4, 8, 1, types=wrong)) as made:
        assert made.info.btf_id == 0
    with pytest.raises(KernelError):
        kernel.create_map(MapSpec("m", kind, 4, 8, 1, types=replace(wrong, required=True)))


def test_a_kernel_that_takes_no_btf(kernel: KernelEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_side, "_load", lambda data: -22)
    for spec in (flows.describe("flows"), counts.describe("counts")):
        with kernel.create_map(spec) as made:
            assert made.info.btf_id == 0
    spec = flows.describe("flows")
    assert spec.types is not None
    with pytest.raises(KernelError, match="Loading the BTF of the map 'flows'"):
        kernel.create_map(replace(spec, types=replace(spec.types, required=True)))
