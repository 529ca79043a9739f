"""Many entries per system call, and one by one where the kernel has no such command; and elements taken out."""

from __future__ import annotations

import errno

import pytest

from purebpf.errors import KernelError
from purebpf.kernel import batch
from purebpf.kernel import map as kernel_map
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.map import KernelMap
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType
from tests.kernel.programs import u32, u64

pytestmark = pytest.mark.kernel
TYPES = [MapType.HASH, MapType.LRU_HASH, MapType.ARRAY, MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH]


def everything(map: KernelMap, take: bool = False) -> dict[bytes, bytes]:
    room = map.spec.max_entries
    keys, values = bytearray(room * map.spec.key_size), bytearray(room * map.value_bytes)
    count = map.read_into(keys, values, room, take)
    return {
        bytes(keys[4 * i : 4 * i + 4]): bytes(values[i * map.value_bytes : (i + 1) * map.value_bytes]) for i in range(count)
    }


@pytest.fixture(params=["batch", "one entry at a time"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The second is what kernels before 5.6 have left: their answer is EINVAL."""
    if request.param != "batch":
        monkeypatch.setattr(batch, "_call", lambda *_: (-errno.EINVAL, 0))
    return str(request.param)


@pytest.mark.parametrize("type", TYPES, ids=lambda type: type.name)
def test_what_is_written_is_read(kernel: KernelEngine, type: MapType, way: str) -> None:
    with kernel.create_map(MapSpec("many", type, 4, 8, 500)) as map:
        wanted = {u32(n): b"".join(u64(n * 7 + cpu) for cpu in range(map.value_bytes // 8)) for n in range(300)}
        map.update_batch(b"".join(wanted), b"".join(wanted.values()), len(wanted))
        assert map.mechanism == way or type is MapType.PERCPU_ARRAY
        found = everything(map)
        assert {key: found[key] for key in wanted if key in found} == {key: v for key, v in wanted.items() if key in found}
        assert len(found) == (500 if "ARRAY" in type.name else 300) or "LRU" in type.name
        assert map.mechanism == way or type is MapType.PERCPU_ARRAY


@pytest.mark.parametrize("type", [MapType.HASH, MapType.PERCPU_HASH], ids=lambda type: type.name)
def test_what_is_taken_is_gone(kernel: KernelEngine, type: MapType, way: str) -> None:
    with kernel.create_map(MapSpec("many", type, 4, 8, 500)) as map:
        keys = [u32(n) for n in range(400)]
        map.update_batch(b"".join(keys), bytes(400 * map.value_bytes), 400)
        assert set(everything(map, take=True)) == set(keys) and map.mechanism == way
        assert everything(map) == {}


def test_deleting_passes_over_keys_that_are_not_there(kernel: KernelEngine, way: str) -> None:
    with kernel.create_map(MapSpec("many", MapType.HASH, 4, 8, 500)) as map:
        map.update_batch(b"".join(u32(n) for n in range(10)), bytes(80), 10)
        assert map.delete_batch(b"".join(map_key for map_key in [u32(90), u32(2), u32(91), u32(92), u32(3)]), 5) == 2
        assert map.mechanism == way and len(everything(map)) == 8


def test_a_refused_entry_says_how_many_were_written(kernel: KernelEngine, way: str) -> None:
    with kernel.create_map(MapSpec("few", MapType.HASH, 4, 8, 4)) as map:
        with pytest.raises(KernelError, match=r"full.*max_entries is 4.* 4 of 9 entries were written") as full:
            map.update_batch(b"".join(u32(n) for n in range(9)), bytes(72), 9)
        assert full.value.errno == errno.E2BIG and len(everything(map)) == 4


def test_a_frozen_map_is_not_emptied(kernel: KernelEngine, way: str) -> None:
    with kernel.create_map(MapSpec("few", MapType.HASH, 4, 8, 4, contents=((u32(1), u64(2)),), frozen=True)) as map:
        with pytest.raises(KernelError, match="frozen or read-only from user space"):
            everything(map, take=True)
        with pytest.raises(KernelError, match="frozen or read-only from user space"):
            map.update_batch(u32(1), u64(1), 1)
        assert everything(map) == {u32(1): u64(2)}


def test_short_keys_leave_room_for_the_cursor(kernel: KernelEngine) -> None:
    with kernel.create_map(MapSpec("bytes", MapType.HASH, 1, 1, 256)) as map:
        map.update_batch(bytes(range(256)), bytes(range(256)), 256)
        keys, values = bytearray(256), bytearray(256)
        assert map.read_into(keys, values, 256) == 256 and keys == values and map.mechanism == "batch"
        assert sorted(keys) == list(range(256))


def test_taking_one_is_one_call_or_two(kernel: KernelEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    with kernel.create_map(MapSpec("few", MapType.HASH, 4, 8, 4)) as map:
        map.update(u32(1), u64(10))
        map.update(u32(2), u64(20))
        assert map.take(u32(1)) == u64(10) and map.lookup(u32(1)) is None and map.take(u32(1)) is None
        together = kernel_version() >= (5, 14)  # for hash tables
        assert map.mechanism == ("lookup and delete" if together else "lookup, then delete")
        told = kernel_map.told_call
        monkeypatch.setattr(kernel_map, "told_call", lambda call: -errno.EINVAL if call[1].value == 21 else told(call))
        assert map.take(u32(2)) == u64(20) and map.lookup(u32(2)) is None and map.mechanism == "lookup, then delete"
