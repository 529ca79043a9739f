"""Maps from user space: what must hold here must hold in the kernel, numbers of errors included."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from purebpf.engine import Engine, EngineMap
from purebpf.errors import Error, KernelError, NotLoaded, Unsupported
from purebpf.isa.asm import R0, Exit, Mov
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.constants import constant
from purebpf.tables.enums import MapType, ProgramType
from purebpf.vm.engine import VmEngine
from tests.vm.support import ENGINES, engine_called, u32, u64

ANY, NOEXIST, EXIST = 0, 1, 2
ENOTSUPP = 524
M = MapType


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return engine_called(request.param)


@pytest.fixture
def make(engine: Engine) -> Iterator[object]:
    made: list[EngineMap] = []

    def create(type: MapType, key: int, value: int, entries: int, flags: int = 0, **rest: object) -> EngineMap:
        made.append(engine.create_map(MapSpec("map", type, key, value, entries, flags, **rest)))  # type: ignore[arg-type]
        return made[-1]

    yield create
    for map in made:
        map.close()


def number(action: object, *arguments: object) -> int | None:
    """The errno that an operation fails with, None when it succeeds."""
    try:
        action(*arguments)  # type: ignore[operator]
    except KernelError as error:
        return error.errno
    return None


def flag(name: str) -> int:
    value = constant(name)
    assert value is not None
    return value


CREATIONS = [
    (M.ARRAY, 4, 8, 1, "", None),
    (M.ARRAY, 8, 8, 1, "", errno.EINVAL),
    (M.ARRAY, 4, 0, 1, "", errno.EINVAL),
    (M.ARRAY, 4, 8, 0, "", errno.EINVAL),
    (M.ARRAY, 4, 8, 1, "BPF_F_NO_PREALLOC", errno.EINVAL),
    (M.ARRAY, 4, 8, 1, "BPF_F_RDONLY_PROG", None),
    (M.ARRAY, 4, 8, 1, "BPF_F_RDONLY_PROG BPF_F_WRONLY_PROG", errno.EINVAL),
    (M.ARRAY, 4, 8, 1, "BPF_F_RDONLY BPF_F_WRONLY", errno.EINVAL),
    (M.ARRAY, 4, 8, 1, "BPF_F_MMAPABLE", None),
    (M.PERCPU_ARRAY, 4, 8, 1, "BPF_F_MMAPABLE", errno.EINVAL),
    (M.PERCPU_ARRAY, 4, 40_000, 1, "", errno.E2BIG),
    (M.HASH, 0, 8, 1, "", errno.EINVAL),
    (M.HASH, 4, 0, 1, "", errno.EINVAL),
    (M.HASH, 4, 8, 0, "", errno.EINVAL),
    (M.HASH, 3, 5, 1, "BPF_F_NO_PREALLOC", None),
    (M.HASH, 4, 8, 1, "BPF_F_NO_COMMON_LRU", errno.EINVAL),
    (M.HASH, 4, 5_000_000, 1, "", errno.E2BIG),
    (M.PERCPU_HASH, 4, 40_000, 1, "", errno.E2BIG),
    (M.LRU_HASH, 4, 8, 1, "BPF_F_NO_COMMON_LRU", None),
    (M.LRU_HASH, 4, 8, 1, "BPF_F_NO_PREALLOC", ENOTSUPP),
    (M.PROG_ARRAY, 4, 4, 1, "", None),
    (M.PROG_ARRAY, 4, 8, 1, "", errno.EINVAL),
    (M.PERF_EVENT_ARRAY, 4, 8, 1, "", errno.EINVAL),
    (M.DEVMAP, 4, 4, 1, "", None),
    (M.DEVMAP, 4, 8, 1, "", None),
    (M.DEVMAP, 4, 6, 1, "", errno.EINVAL),
    (M.DEVMAP, 8, 4, 1, "", errno.EINVAL),
    (M.DEVMAP_HASH, 4, 4, 0, "", errno.EINVAL),
    (M.CPUMAP, 4, 4, 1, "", None),
    (M.CPUMAP, 4, 6, 1, "", errno.EINVAL),
    (M.QUEUE, 0, 8, 1, "", None),
    (M.QUEUE, 4, 8, 1, "", errno.EINVAL),
    (M.STACK, 0, 0, 1, "", errno.EINVAL),
]


@pytest.mark.parametrize(("type", "key", "value", "entries", "flags", "refused"), CREATIONS)
def test_creation(make, type: MapType, key: int, value: int, entries: int, flags: str, refused: int | None) -> None:  # type: ignore[no-untyped-def]
    assert number(make, type, key, value, entries, sum(flag(name) for name in flags.split())) == refused


def test_array(make) -> None:  # type: ignore[no-untyped-def]
    array = make(M.ARRAY, 4, 6, 3)
    assert [array.lookup(u32(i)) for i in (0, 2, 3, 0xFFFF_FFFF)] == [bytes(6), bytes(6), None, None]
    array.update(u32(2), b"abcdef")
    array.update(u32(2), b"ABCDEF", EXIST)
    assert array.lookup(u32(2)) == b"ABCDEF"
    assert number(array.update, u32(3), bytes(6)) == errno.E2BIG
    assert number(array.update, u32(0), bytes(6), NOEXIST) == errno.EEXIST
    assert number(array.update, u32(0), bytes(6), 3) == errno.EINVAL
    assert number(array.update, u32(0), bytes(6), 4) == errno.EINVAL
    assert number(array.delete, u32(0)) == errno.EINVAL
    assert [array.next_key(key) for key in (None, u32(0), u32(1), u32(2), u32(3), u32(77))] == [
        u32(0), u32(1), u32(2), None, u32(0), u32(0),
    ]  # fmt: skip


@pytest.mark.parametrize("type", [M.HASH, M.LRU_HASH])
def test_hash(make, type: MapType) -> None:  # type: ignore[no-untyped-def]
    table = make(type, 3, 5, 64)
    assert table.lookup(b"abc") is None
    assert table.delete(b"abc") is False
    assert table.next_key(None) is None
    assert number(table.update, b"abc", b"12345", EXIST) == errno.ENOENT
    table.update(b"abc", b"12345", NOEXIST)
    assert number(table.update, b"abc", b"54321", NOEXIST) == errno.EEXIST
    assert number(table.update, b"abc", b"54321", 3) == errno.EINVAL
    table.update(b"abc", b"54321", EXIST)
    assert table.lookup(b"abc") == b"54321"
    table.update(b"def", b"67890")
    first = table.next_key(None)
    second = table.next_key(first)
    assert {first, second} == {b"abc", b"def"}
    assert table.next_key(second) is None
    assert table.next_key(b"zzz") == first
    assert table.delete(b"abc") is True
    assert table.lookup(b"abc") is None
    assert table.next_key(None) == b"def"


def test_full_hash_refuses_new_keys_only(make) -> None:  # type: ignore[no-untyped-def]
    table = make(M.HASH, 4, 4, 2)
    table.update(u32(1), u32(1))
    table.update(u32(2), u32(2))
    assert number(table.update, u32(3), u32(3)) == errno.E2BIG
    table.update(u32(2), u32(9))
    table.delete(u32(1))
    table.update(u32(3), u32(3))
    assert table.lookup(u32(2)) == u32(9)


def test_lru_hash_takes_more_keys_than_it_holds(make) -> None:  # type: ignore[no-untyped-def]
    table = make(M.LRU_HASH, 4, 4, 128)
    for key in range(1000):
        table.update(u32(key), u32(key))
    assert table.lookup(u32(999)) == u32(999)
    kept = [key for key in range(1000) if table.lookup(u32(key)) is not None]
    assert 0 < len(kept) <= 128


def test_lru_hash_of_the_virtual_machine_evicts_what_was_updated_longest_ago() -> None:
    table = VmEngine().create_map(MapSpec("map", M.LRU_HASH, 4, 4, 3))
    for key in (1, 2, 3, 1, 4, 5):
        table.update(u32(key), u32(key))
    assert [key for key in range(1, 6) if table.lookup(u32(key)) is not None] == [1, 4, 5]


@pytest.mark.parametrize("type", [M.PERCPU_HASH, M.LRU_PERCPU_HASH, M.PERCPU_ARRAY])
def test_per_cpu_values_are_padded_to_8_bytes_each(engine: Engine, make, type: MapType) -> None:  # type: ignore[no-untyped-def]
    table = make(type, 4, 5, 8)
    cpus = engine.possible_cpus
    value = b"".join(bytes([65 + cpu]) * 5 + b"\0\0\0" for cpu in range(cpus))
    table.update(u32(1), value)
    assert table.lookup(u32(1)) == value
    with pytest.raises(Error, match=f"has {8 * cpus} bytes"):
        table.update(u32(1), bytes(5))


def test_per_cpu_array_has_the_errors_of_an_array(engine: Engine, make) -> None:  # type: ignore[no-untyped-def]
    table = make(M.PERCPU_ARRAY, 4, 8, 2)
    value = bytes(8 * engine.possible_cpus)
    assert table.lookup(u32(2)) is None
    assert number(table.update, u32(2), value) == errno.E2BIG
    assert number(table.update, u32(0), value, NOEXIST) == errno.EEXIST
    assert number(table.delete, u32(0)) == errno.EINVAL


def test_program_array_holds_programs_by_their_handle(engine: Engine, make) -> None:  # type: ignore[no-untyped-def]
    table = make(M.PROG_ARRAY, 4, 4, 2)
    code = (Mov.imm(R0, 2), Exit())
    program = engine.load_program(ProgramSpec("xdp", ProgramType.XDP, code), {})
    other = engine.load_program(ProgramSpec("filter", ProgramType.SOCKET_FILTER, code), {})
    try:
        assert table.lookup(u32(0)) is None
        table.update(u32(0), u32(program.handle))
        assert table.lookup(u32(0)) is not None
        assert number(table.update, u32(2), u32(program.handle)) == errno.E2BIG
        assert number(table.update, u32(1), u32(program.handle), EXIST) == errno.EINVAL
        assert number(table.update, u32(1), u32(9999)) == errno.EBADF
        assert number(table.update, u32(1), u32(other.handle)) == errno.EINVAL
        assert table.next_key(u32(0)) == u32(1)
        assert table.delete(u32(0)) is True
        assert table.delete(u32(0)) is False
        assert number(table.delete, u32(2)) == errno.E2BIG
    finally:
        program.close()
        other.close()


def test_perf_event_array_cannot_be_read(make) -> None:  # type: ignore[no-untyped-def]
    table = make(M.PERF_EVENT_ARRAY, 4, 4, 2)
    assert number(table.lookup, u32(0)) in (ENOTSUPP, errno.EOPNOTSUPP)
    assert number(table.update, u32(0), u32(9999)) == errno.EBADF
    assert number(table.update, u32(2), u32(9999)) == errno.E2BIG
    assert number(table.update, u32(0), u32(9999), EXIST) == errno.EINVAL
    assert table.delete(u32(0)) is False
    assert number(table.delete, u32(2)) == errno.E2BIG


LOOPBACK = u32(1)


@pytest.mark.parametrize("size", [4, 8])
def test_device_map(make, size: int) -> None:  # type: ignore[no-untyped-def]
    devices = make(M.DEVMAP, 4, size, 3)
    loopback = LOOPBACK.ljust(size, b"\0")
    assert devices.lookup(u32(0)) is None
    devices.update(u32(0), loopback)
    assert devices.lookup(u32(0)) == loopback
    assert number(devices.update, u32(3), loopback) == errno.E2BIG
    assert number(devices.update, u32(0), loopback, NOEXIST) == errno.EEXIST
    assert number(devices.update, u32(0), loopback, 3) == errno.EINVAL
    devices.update(u32(0), bytes(size))
    assert devices.lookup(u32(0)) is None
    assert devices.delete(u32(1)) is True
    assert number(devices.delete, u32(3)) == errno.EINVAL
    assert [devices.next_key(key) for key in (None, u32(1), u32(2))] == [u32(0), u32(2), None]


def test_device_hash(make) -> None:  # type: ignore[no-untyped-def]
    devices = make(M.DEVMAP_HASH, 4, 4, 2)
    assert devices.lookup(u32(500)) is None
    devices.update(u32(500), LOOPBACK)
    devices.update(u32(600), LOOPBACK, EXIST)
    assert devices.lookup(u32(500)) == LOOPBACK
    assert number(devices.update, u32(700), LOOPBACK) == errno.E2BIG
    assert number(devices.update, u32(500), LOOPBACK, NOEXIST) == errno.EEXIST
    assert number(devices.update, u32(500), u32(0)) == errno.EINVAL
    keys = [devices.next_key(None)]
    keys.append(devices.next_key(keys[0]))
    assert sorted(keys) == sorted([u32(500), u32(600)])
    assert devices.next_key(keys[1]) is None
    assert devices.delete(u32(500)) is True
    assert devices.delete(u32(500)) is False


def test_cpu_map(engine: Engine, make) -> None:  # type: ignore[no-untyped-def]
    cpus = make(M.CPUMAP, 4, 4, engine.possible_cpus)
    assert cpus.lookup(u32(0)) is None
    cpus.update(u32(0), u32(192))
    assert cpus.lookup(u32(0)) == u32(192)
    assert number(cpus.update, u32(0), u32(20_000)) == errno.EOVERFLOW
    assert number(cpus.update, u32(engine.possible_cpus), u32(192)) == errno.E2BIG
    assert number(cpus.update, u32(0), u32(192), NOEXIST) == errno.EEXIST
    cpus.update(u32(0), u32(0))
    assert cpus.lookup(u32(0)) is None
    assert number(cpus.delete, u32(engine.possible_cpus)) == errno.EINVAL


def test_frozen_map_can_be_read_but_not_written(make) -> None:  # type: ignore[no-untyped-def]
    array = make(M.ARRAY, 4, 4, 1, contents=((u32(0), u32(7)),), frozen=True)
    assert array.lookup(u32(0)) == u32(7)
    assert number(array.update, u32(0), u32(8)) == errno.EPERM
    assert number(array.delete, u32(0)) == errno.EPERM


def test_flags_forbid_one_side_to_user_space(make) -> None:  # type: ignore[no-untyped-def]
    only_read = make(M.HASH, 4, 4, 1, flag("BPF_F_RDONLY"))
    assert only_read.lookup(u32(0)) is None
    assert number(only_read.update, u32(0), u32(8)) == errno.EPERM
    assert number(only_read.delete, u32(0)) == errno.EPERM
    only_written = make(M.HASH, 4, 4, 1, flag("BPF_F_WRONLY"))
    only_written.update(u32(0), u32(8))
    assert number(only_written.lookup, u32(0)) == errno.EPERM
    assert number(only_written.next_key, None) == errno.EPERM


def test_sizes_are_checked_before_anything_happens(make) -> None:  # type: ignore[no-untyped-def]
    table = make(M.HASH, 4, 8, 1)
    for action, arguments in (
        (table.lookup, (b"abc",)),
        (table.update, (b"abcde", bytes(8))),
        (table.update, (b"abcd", bytes(9))),
        (table.delete, (b"",)),
        (table.next_key, (b"abc",)),
    ):
        with pytest.raises(Error, match=r"of the map 'map' has [48] bytes; these are"):
            action(*arguments)


def test_closed_map_is_an_error(make) -> None:  # type: ignore[no-untyped-def]
    table = make(M.HASH, 4, 8, 1)
    table.close()
    table.close()
    with pytest.raises(NotLoaded):
        table.lookup(u32(0))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["lookup", "update", "delete"]), st.integers(0, 6), st.integers(0, 255), st.sampled_from([0, 1, 2])
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_hash_behaves_as_a_dictionary_with_a_limit(engine: Engine, steps: list[tuple[str, int, int, int]]) -> None:
    table = engine.create_map(MapSpec("map", M.HASH, 4, 1, 4))
    model: dict[int, int] = {}
    try:
        for action, key, value, flags in steps:
            if action == "lookup":
                found = table.lookup(u32(key))
                assert found == (bytes([model[key]]) if key in model else None)
            elif action == "delete":
                assert table.delete(u32(key)) == (model.pop(key, None) is not None)
            else:
                expected = (
                    errno.EEXIST if key in model and flags == NOEXIST
                    else errno.ENOENT if key not in model and flags == EXIST
                    else errno.E2BIG if key not in model and len(model) == 4
                    else None
                )  # fmt: skip
                assert number(table.update, u32(key), bytes([value]), flags) == expected
                if expected is None:
                    model[key] = value
        keys, key_bytes = set(), table.next_key(None)
        while key_bytes is not None:
            keys.add(int.from_bytes(key_bytes, sys.byteorder))
            key_bytes = table.next_key(key_bytes)
        assert keys == set(model)
    finally:
        table.close()


# Of the virtual machine alone.


@pytest.mark.parametrize(("type", "order"), [(M.QUEUE, [1, 2]), (M.STACK, [2, 2])])
def test_queue_and_stack(type: MapType, order: list[int]) -> None:
    values = VmEngine().create_map(MapSpec("map", type, 0, 8, 2))
    assert values.lookup(b"") is None
    values.update(b"", u64(1))
    first = values.lookup(b"")
    values.update(b"", u64(2))
    assert [first, values.lookup(b"")] == [u64(1), u64(order[0])]
    assert number(values.update, b"", u64(3)) == errno.E2BIG
    assert number(values.update, b"", u64(3), NOEXIST) == errno.EINVAL
    values.update(b"", u64(3), EXIST)
    assert values.lookup(b"") == u64(2 if type is M.QUEUE else 3)
    assert number(values.delete, b"") == errno.EINVAL
    assert number(values.next_key, None) == errno.EINVAL


def test_message_says_what_and_why() -> None:
    array = VmEngine().create_map(MapSpec("counts", M.ARRAY, 4, 4, 3))
    with pytest.raises(KernelError) as caught:
        array.update(u32(3), u32(0))
    assert str(caught.value) == (
        f"Updating the map 'counts' failed: argument list too long (errno {errno.E2BIG}). "
        "The map is full, or the index is beyond its last entry: max_entries is 3."
    )


def test_type_that_is_not_here_is_unsupported_with_the_reason() -> None:
    with pytest.raises(Unsupported, match="has no maps of type user_ringbuf, which 'ring' is"):
        VmEngine().create_map(MapSpec("ring", M.USER_RINGBUF, 0, 0, 4096))


def test_contents_that_do_not_fit_leave_nothing_behind() -> None:
    engine = VmEngine()
    before = len(engine.machine.maps)
    with pytest.raises(KernelError):
        engine.create_map(MapSpec("map", M.ARRAY, 4, 4, 1, contents=((u32(5), u32(5)),)))
    assert len(engine.machine.maps) == before


def test_walk_over_all_keys_takes_linear_time() -> None:
    import time

    engine = VmEngine()
    table = engine.create_map(MapSpec("map", M.HASH, 4, 4, 100_000))
    for key in range(20_000):
        table.update(u32(key), u32(key))
    begun, count, position = time.perf_counter(), 0, table.next_key(None)
    while position is not None:
        count, position = count + 1, table.next_key(position)
    assert count == 20_000
    assert time.perf_counter() - begun < 5  # quadratic time would be minutes


def test_walk_goes_on_when_the_table_changes() -> None:
    table = VmEngine().create_map(MapSpec("map", M.HASH, 4, 4, 100))
    for key in range(10):
        table.update(u32(key), u32(key))
    position = table.next_key(table.next_key(None))
    table.update(u32(50), u32(50))
    seen = []
    while position is not None:
        seen.append(position)
        position = table.next_key(position)
    assert seen == [u32(key) for key in (*range(1, 10), 50)]


@pytest.mark.parametrize("entries", [1, 4095, 6144, 12288])
def test_a_ring_is_a_power_of_two_of_whole_pages(entries: int) -> None:
    with pytest.raises(KernelError):
        VmEngine().create_map(MapSpec("ring", M.RINGBUF, 0, 0, entries))
    VmEngine().create_map(MapSpec("ring", M.RINGBUF, 0, 0, 8192)).close()
