"""Sizes and flags of maps that only the machine knows, or that only one value of is possible; memory that is shared."""

from __future__ import annotations

import mmap
import sys

import pytest

from purebpf.data import replace
from purebpf.errors import KernelError, NotLoaded
from purebpf.kernel import cpus
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.map import KernelMap, adjusted
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType
from tests.kernel.programs import u32, u64

PAGE = mmap.PAGESIZE
INNER = MapSpec("inner", MapType.HASH, 4, 8, 4)
MMAPABLE = 1 << 10


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        (MapSpec("ring", MapType.RINGBUF, 0, 0, 1), {"max_entries": PAGE}),
        (MapSpec("ring", MapType.RINGBUF, 0, 0, 3 * PAGE), {"max_entries": 4 * PAGE}),
        (MapSpec("ring", MapType.RINGBUF, 0, 0, 8 * PAGE), {"max_entries": 8 * PAGE}),
        (MapSpec("outer", MapType.HASH_OF_MAPS, 4, 8, 4, inner=INNER), {"value_size": 4}),
        (MapSpec("trie", MapType.LPM_TRIE, 8, 8, 4), {"flags": 1}),
        (MapSpec("at", MapType.TASK_STORAGE, 4, 8, 100), {"flags": 1, "max_entries": 0}),
        (MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 1 << 20), {"max_entries": cpus.identifiers()}),
        (MapSpec("cpus", MapType.CPUMAP, 4, 4, 0), {"max_entries": cpus.identifiers()}),
        (MapSpec("hash", MapType.HASH, 4, 4, 7), {}),
    ],
    ids=lambda value: value.type.name if isinstance(value, MapSpec) else "",
)
def test_sizes_become_possible_ones(given: MapSpec, becomes: dict[str, int]) -> None:
    assert adjusted(given) == replace(given, **becomes)


@pytest.mark.kernel
@pytest.mark.parametrize("spec", [MapSpec("ring", MapType.RINGBUF, 0, 0, 5000), MapSpec("trie", MapType.LPM_TRIE, 8, 8, 4)])
def test_the_kernel_takes_them(kernel: KernelEngine, spec: MapSpec) -> None:
    with kernel.create_map(spec) as map:
        assert map.spec == adjusted(spec) and map.info.max_entries == map.spec.max_entries


@pytest.mark.kernel
@pytest.mark.parametrize("type", [MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH], ids=lambda t: t.name)
def test_per_cpu_values_are_rounded_up_for_every_possible_cpu(kernel: KernelEngine, type: MapType) -> None:
    with kernel.create_map(MapSpec("cpus", type, 4, 5, 16)) as map:
        assert map.value_bytes == 8 * cpus.possible()
        map.update(u32(1), b"12345abc" * cpus.possible())
        found = map.lookup(u32(1))
        assert found is not None and [found[at : at + 5] for at in range(0, len(found), 8)] == [b"12345"] * cpus.possible()


@pytest.mark.parametrize(("text", "count"), [("0-3", 4), ("0,2-3,8", 4), ("0", 1), ("0-1,4-5\n", 4)])
def test_lists_of_cpus_with_gaps_are_counted(text: str, count: int) -> None:
    assert len(cpus.parse(text)) == count


@pytest.mark.kernel
def test_shared_memory_has_values_at_multiples_of_eight(kernel: KernelEngine) -> None:
    entries = PAGE // 8 + 1  # one page and a value
    with kernel.create_map(MapSpec("shared", MapType.ARRAY, 4, 4, entries, MMAPABLE)) as array:
        memory = array.memory()
        assert len(memory) == 8 * entries
        array.update(u32(entries - 1), u32(77))
        assert memory[8 * (entries - 1) : 8 * (entries - 1) + 4] == u32(77)
        memory[8:12] = u32(5)
        assert array.lookup(u32(1)) == u32(5)
        memory.release()


@pytest.mark.kernel
def test_memory_of_a_frozen_map_is_only_read(kernel: KernelEngine) -> None:
    with kernel.create_map(MapSpec("shared", MapType.ARRAY, 4, 8, 2, MMAPABLE)) as array:
        array.update(u32(1), u64(9))
        array.freeze()
        memory = array.memory()
        assert memory.readonly and int.from_bytes(memory[8:16], sys.byteorder) == 9
        memory.release()


@pytest.mark.kernel
def test_a_map_whose_memory_is_written_is_not_frozen(kernel: KernelEngine) -> None:
    with kernel.create_map(MapSpec("shared", MapType.ARRAY, 4, 8, 2, MMAPABLE)) as array:
        memory = array.memory()
        with pytest.raises(KernelError, match="A process shares its memory and may write there") as busy:
            array.freeze()
        assert busy.value.errno == 16
        memory.release()


@pytest.mark.kernel
def test_memory_needs_the_flag(kernel: KernelEngine) -> None:
    with (
        kernel.create_map(MapSpec("plain", MapType.ARRAY, 4, 8, 2)) as array,
        pytest.raises(KernelError, match="BPF_F_MMAPABLE"),
    ):
        array.memory()


@pytest.mark.kernel
def test_a_closed_map_says_so_whatever_is_asked(kernel: KernelEngine) -> None:
    map = kernel.create_map(INNER)
    map.update(u32(1), u64(1))
    map.close()
    uses = [
        lambda: map.lookup(u32(1)),
        lambda: map.update(u32(1), u64(1)),
        lambda: map.delete(u32(1)),
        lambda: map.take(u32(1)),
        lambda: map.next_key(None),
        lambda: map.read_into(bytearray(16), bytearray(32), 4),
        lambda: map.update_batch(u32(1), u64(1), 1),
        lambda: map.info,
        map.freeze,
    ]
    for use in uses:
        with pytest.raises(NotLoaded, match=r"the map 'inner' \(hash\) is closed"):
            use()


@pytest.mark.kernel
def test_maps_of_maps_take_descriptors_and_give_ids(kernel: KernelEngine) -> None:
    outer: KernelMap
    with (
        kernel.create_map(MapSpec("outer", MapType.ARRAY_OF_MAPS, 4, 4, 2, inner=INNER)) as outer,
        kernel.create_map(INNER) as inner,
    ):
        outer.update(u32(0), u32(inner.handle))
        assert outer.lookup(u32(0)) == u32(inner.info.id) and outer.lookup(u32(1)) is None
        with (
            kernel.create_map(replace(INNER, value_size=4)) as other,
            pytest.raises(KernelError, match="Inner maps must be of the type and sizes"),
        ):
            outer.update(u32(1), u32(other.handle))
