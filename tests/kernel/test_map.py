"""Maps in the kernel, each type of the first slice, read back."""

from __future__ import annotations

import errno
import sys
import threading

import pytest

from purebpf.errors import Error, KernelError, NotLoaded
from purebpf.kernel.engine import KernelEngine
from purebpf.spec import MapSpec
from purebpf.tables.attr import BPF_EXIST, BPF_NOEXIST
from purebpf.tables.enums import MapType
from tests.kernel.programs import returning, u32, u64

pytestmark = pytest.mark.kernel
HASH = MapSpec("hash", MapType.HASH, 4, 8, 4)


def test_array_has_all_its_keys_and_starts_with_zeros(kernel: KernelEngine) -> None:
    with kernel.create_map(MapSpec("array", MapType.ARRAY, 4, 8, 3)) as array:
        assert [array.lookup(u32(i)) for i in range(4)] == [bytes(8)] * 3 + [None]
        array.update(u32(2), u64(77))
        assert array.lookup(u32(2)) == u64(77)
        assert list(array.keys()) == [u32(0), u32(1), u32(2)]


def test_array_refuses_to_delete_and_to_grow(kernel: KernelEngine) -> None:
    with kernel.create_map(MapSpec("array", MapType.ARRAY, 4, 8, 3)) as array:
        with pytest.raises(KernelError, match="Entries of an array cannot be deleted, only overwritten") as refused:
            array.delete(u32(0))
        assert refused.value.errno == errno.EINVAL
        with pytest.raises(KernelError, match="max_entries is 3") as refused:
            array.update(u32(3), u64(1))
        assert refused.value.errno == errno.E2BIG


@pytest.mark.parametrize("type", [MapType.HASH, MapType.LRU_HASH])
def test_hash_adds_replaces_and_deletes(kernel: KernelEngine, type: MapType) -> None:
    with kernel.create_map(MapSpec("hash", type, 4, 8, 64)) as map:
        assert map.next_key(None) is None
        assert map.lookup(b"none") is None
        map.update(b"abcd", u64(1))
        map.update(b"abcd", u64(2))
        map.update(b"efgh", u64(3))
        assert {key: map.lookup(key) for key in map.keys()} == {b"abcd": u64(2), b"efgh": u64(3)}  # noqa: SIM118
        assert map.delete(b"abcd") is True
        assert map.delete(b"abcd") is False
        assert map.lookup(b"abcd") is None


def test_update_flags_ask_for_new_or_old_keys(kernel: KernelEngine) -> None:
    with kernel.create_map(HASH) as map:
        with pytest.raises(KernelError) as missing:
            map.update(b"abcd", u64(1), BPF_EXIST)
        assert missing.value.errno == errno.ENOENT
        map.update(b"abcd", u64(1), BPF_NOEXIST)
        with pytest.raises(KernelError) as there:
            map.update(b"abcd", u64(2), BPF_NOEXIST)
        assert there.value.errno == errno.EEXIST
        assert map.lookup(b"abcd") == u64(1)


def test_full_hash_says_how_many_fit(kernel: KernelEngine) -> None:
    with kernel.create_map(HASH) as map:
        for number in range(4):
            map.update(u32(number), u64(number))
        with pytest.raises(KernelError, match=r"The map is full.*max_entries is 4") as full:
            map.update(u32(9), u64(9))
        assert full.value.errno == errno.E2BIG


def test_lru_hash_drops_old_keys_instead_of_being_full(kernel: KernelEngine) -> None:
    with kernel.create_map(MapSpec("lru", MapType.LRU_HASH, 4, 8, 16)) as map:
        for number in range(400):
            map.update(u32(number), u64(number))
        kept = list(map.keys())
        assert u32(399) in kept
        assert len(kept) < 400


@pytest.mark.parametrize("type", [MapType.PERCPU_ARRAY, MapType.PERCPU_HASH])
@pytest.mark.parametrize("size", [4, 8, 12])
def test_per_cpu_value_is_one_padded_value_for_each_possible_cpu(kernel: KernelEngine, type: MapType, size: int) -> None:
    padded = (size + 7) // 8 * 8
    value = b"".join(bytes([cpu + 1] * size).ljust(padded, b"\0") for cpu in range(kernel.possible_cpus))
    with kernel.create_map(MapSpec("percpu", type, 4, size, 2)) as map:
        map.update(u32(1), value)
        assert map.lookup(u32(1)) == value
        with pytest.raises(Error, match=f"has {len(value)} bytes .*{size} rounded up to 8"):
            map.update(u32(1), bytes(padded * kernel.possible_cpus + 1))


def test_devmap_holds_interface_indices(kernel: KernelEngine) -> None:
    with kernel.create_map(MapSpec("devices", MapType.DEVMAP, 4, 4, 4)) as map:
        map.update(u32(1), u32(1))  # lo is interface 1 in every namespace
        assert map.lookup(u32(1)) == u32(1)
        assert map.lookup(u32(0)) is None
        with pytest.raises(KernelError) as nobody:
            map.update(u32(2), u32(0x7FFFFFF0))
        assert nobody.value.errno in (errno.EINVAL, errno.ENODEV)


def test_prog_array_takes_handles_and_gives_ids(kernel: KernelEngine) -> None:
    with (
        kernel.create_map(MapSpec("targets", MapType.PROG_ARRAY, 4, 4, 2)) as targets,
        kernel.load_program(returning(2), {}) as program,
    ):
        targets.update(u32(0), u32(program.handle))
        assert targets.lookup(u32(0)) == u32(program.info.id)
        assert targets.lookup(u32(1)) is None
        with pytest.raises(KernelError) as wrong:
            targets.update(u32(1), u32(targets.descriptor.number))
        assert wrong.value.errno in (errno.EINVAL, errno.EBADF)
        assert targets.delete(u32(0)) is True


def test_perf_event_array_gets_an_entry_for_every_cpu(kernel: KernelEngine) -> None:
    with kernel.create_map(MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 0)) as events:
        assert events.info.max_entries >= kernel.possible_cpus
        with pytest.raises(KernelError) as unreadable:
            events.lookup(u32(0))
        assert unreadable.value.errno in (errno.EOPNOTSUPP, 524)


def test_contents_are_written_before_the_map_is_frozen(kernel: KernelEngine) -> None:
    contents = ((u32(0), b"constant"), (u32(1), b"for good"))
    with kernel.create_map(MapSpec("rodata", MapType.ARRAY, 4, 8, 2, contents=contents, frozen=True)) as map:
        assert [map.lookup(key) for key in map.keys()] == [b"constant", b"for good"]  # noqa: SIM118
        with pytest.raises(KernelError, match="frozen or read-only") as refused:
            map.update(u32(0), b"changed!")
        assert refused.value.errno == errno.EPERM


def test_failing_contents_leave_no_map_behind(kernel: KernelEngine) -> None:
    with pytest.raises(KernelError):
        kernel.create_map(MapSpec("array", MapType.ARRAY, 4, 8, 1, contents=((u32(5), u64(0)),)))


def test_name_is_made_one_the_kernel_takes(kernel: KernelEngine) -> None:
    with kernel.create_map(MapSpec("größe-of.all queues", MapType.ARRAY, 4, 8, 1)) as map:
        assert map.info.name == "gr__e_of.all_qu"
        assert (map.info.key_size, map.info.value_size, map.info.type) == (4, 8, MapType.ARRAY)


def test_impossible_map_is_refused_in_words(kernel: KernelEngine) -> None:
    with pytest.raises(KernelError, match=r"Creating the map 'odd' \(array\) with keys of 3 and values of 8 bytes") as refused:
        kernel.create_map(MapSpec("odd", MapType.ARRAY, 3, 8, 1))
    assert refused.value.errno == errno.EINVAL


@pytest.mark.parametrize("key", [b"", b"abc", b"abcde"])
def test_key_of_wrong_size_never_reaches_the_kernel(kernel: KernelEngine, key: bytes) -> None:
    with kernel.create_map(HASH) as map:
        for use in (map.lookup, map.delete, map.next_key):
            with pytest.raises(Error, match=f"A key of the map 'hash' has 4 bytes; these are {len(key)}"):
                use(key)


def test_closed_map_says_so(kernel: KernelEngine) -> None:
    map = kernel.create_map(HASH)
    map.lookup(b"abcd")
    map.close()
    map.close()
    with pytest.raises(NotLoaded, match=r"the map 'hash' \(hash\) is closed"):
        map.lookup(b"abcd")


def test_threads_share_a_map_without_mixing_up_values(kernel: KernelEngine) -> None:
    wrong: list[tuple[int, bytes | None]] = []
    shared = kernel.create_map(MapSpec("shared", MapType.HASH, 4, 8, 100))

    def work(first: int) -> None:
        for turn in range(300):
            number = first + turn % 10
            shared.update(u32(number), u64(number))
            if (value := shared.lookup(u32(number))) != u64(number):
                wrong.append((number, value))

    with shared:
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            threads = [threading.Thread(target=work, args=(10 * i,)) for i in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(before)
        assert not wrong
        assert len(list(shared.keys())) == 60
