"""Many entries of a map at once, on both engines: reading, writing, taking out, and as NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import purebpf as bpf
from purebpf import be32, s32, u8, u16, u32, u64

numpy = pytest.importorskip("numpy", reason="NumPy is an optional extra")


@bpf.struct
class Flow:
    address: be32 = 0
    port: u16 = 0


@bpf.struct
class Count:
    packets: u64 = 0
    worst: s32 = 0
    name: str = bpf.chars(6)
    items: list[u16] = bpf.array(u16, 3)
    flag: bool = False


counts = bpf.Hash[u32, u64](max_entries=3000)
flows = bpf.Hash[Flow, Count](max_entries=100)
slots = bpf.Array[u64](max_entries=5)
shared = bpf.Array[u32](max_entries=1000, flags=bpf.BPF_F_MMAPABLE)
by_cpu = bpf.PerCpuHash[u32, u32](max_entries=100)
cpu_slots = bpf.PerCpuArray[u64](max_entries=3)
recent = bpf.LruHash[u32, u64](max_entries=128)
EVERY = (counts, flows, slots, shared, by_cpu, cpu_slots, recent)


@pytest.fixture(params=["vm", pytest.param("kernel", marks=pytest.mark.kernel)], autouse=True)
def collection(request: pytest.FixtureRequest) -> Iterator[bpf.Collection]:
    with bpf.load(*EVERY, engine=request.param) as loaded:
        yield loaded


def test_maps_are_loaded_without_a_program(collection: bpf.Collection) -> None:
    assert set(collection.maps) == {"counts", "flows", "slots", "shared", "by_cpu", "cpu_slots", "recent"}
    assert counts.bound and not collection.loaded


def test_update_writes_many(collection: bpf.Collection) -> None:
    counts.update({n: n * n for n in range(3000)})
    assert len(counts) == 3000 and counts[77] == 77 * 77
    assert counts.to_dict() == {n: n * n for n in range(3000)}
    assert counts.mechanism == ("batch" if collection.engine.name == "kernel" else "virtual machine")


def test_update_tells_how_many_were_written_before_the_refused_one() -> None:
    counts[5] = 1
    with pytest.raises(bpf.KernelError, match=r"The key is there already.* 5 of 10 entries were written") as refused:
        counts.update([(n, n) for n in range(10)], bpf.BPF_NOEXIST)
    assert refused.value.errno == 17
    assert sorted(counts) == [0, 1, 2, 3, 4, 5]


def test_update_of_a_full_map_says_so() -> None:
    with pytest.raises(bpf.KernelError, match=r"(?s)full.*max_entries is 3000.*3000 of 3005 entries were written"):
        counts.update((n, 0) for n in range(3005))


def test_delete_many_passes_over_keys_that_are_not_there() -> None:
    counts.update({n: n for n in range(10)})
    assert counts.delete_many([1, 100, 3, 101, 102, 5, 5]) == 3
    assert sorted(counts) == [0, 2, 4, 6, 7, 8, 9]


def test_take_all_empties_the_map() -> None:
    counts.update({n: n for n in range(10)})
    by_cpu[4] = 3
    assert counts.take_all() == {n: n for n in range(10)} and not counts.to_dict()
    assert by_cpu.take_all()[4].sum() == 3 * by_cpu.engine.possible_cpus and len(by_cpu) == 0


def test_iteration_bears_deletions_and_additions() -> None:
    counts.update({n: n for n in range(100)})
    seen = []
    for key in counts:
        seen.append(key)
        del counts[key]
        counts[1000 + key] = key
    assert sorted(seen) == list(range(100))
    assert sorted(counts) == [1000 + n for n in range(100)]


def test_pop_popitem_and_setdefault() -> None:
    counts[1] = 10
    assert counts.setdefault(1, 5) == 10 and counts.setdefault(2, 5) == 5 and counts[2] == 5
    assert counts.pop(1) == 10 and counts.pop(1) is None
    assert counts.popitem() == (2, 5)
    with pytest.raises(KeyError, match="`counts` is empty"):
        counts.popitem()


def test_clear_empties_tables_and_zeroes_arrays() -> None:
    slots.update({n: n + 1 for n in range(5)})
    cpu_slots[2] = 9
    flows[Flow(address=1, port=2)] = Count(packets=3)
    for each in (slots, cpu_slots, flows):
        each.clear()
    assert slots.to_dict() == dict.fromkeys(range(5), 0) and cpu_slots[2].sum() == 0 and len(flows) == 0


def test_numbers_as_arrays() -> None:
    counts.update({n: 1 << 40 | n for n in range(2000)})
    keys, values = counts.to_numpy()
    assert keys.dtype == numpy.uint32 and values.dtype == numpy.uint64 and len(keys) == len(values) == 2000
    assert (values == keys.astype(numpy.uint64) + (1 << 40)).all()
    counts.clear()
    counts.from_numpy(keys[:7], values[:7])
    assert counts.to_dict() == dict(zip(keys[:7].tolist(), values[:7].tolist(), strict=True))


def test_records_as_structured_arrays() -> None:
    flows[Flow(address=0x01020304, port=80)] = Count(packets=1 << 50, worst=-7, name="ab", items=[1, 2, 3], flag=True)
    keys, values = flows.to_numpy()
    assert keys.dtype.itemsize == bpf.sizeof(Flow) and values.dtype.itemsize == bpf.sizeof(Count)
    assert keys["address"][0] == 0x01020304 and keys["port"][0] == 80
    one = values[0]
    assert (one["packets"], one["worst"], one["name"], list(one["items"]), bool(one["flag"])) == (
        1 << 50,
        -7,
        b"ab",
        [1, 2, 3],
        True,
    )
    keys["port"] = 81
    flows.from_numpy(keys, values)
    assert flows[Flow(address=0x01020304, port=81)] == flows[Flow(address=0x01020304, port=80)]


def test_the_dtype_of_a_record_is_its_layout() -> None:
    assert numpy.dtype(Count) == Count.dtype and Count.dtype.fields["items"][1] == 18
    made = numpy.zeros(2, Count)
    made["packets"] = 5, 6
    assert Count.from_bytes(made[1].tobytes()).packets == 6


def test_per_cpu_values_have_a_column_per_cpu() -> None:
    cpus = by_cpu.engine.possible_cpus
    by_cpu[3] = list(range(cpus))
    by_cpu[4] = 9
    keys, values = by_cpu.to_numpy()
    assert values.shape == (2, cpus) and values.dtype == numpy.uint32
    found = dict(zip(keys.tolist(), values.tolist(), strict=True))
    assert found == {3: list(range(cpus)), 4: [9] * cpus}
    by_cpu.from_numpy([3, 5], [7, 8])
    assert list(by_cpu[3]) == [7] * cpus and list(by_cpu[5]) == [8] * cpus
    assert cpu_slots.to_numpy()[1].shape == (3, cpus)


def test_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"not all the keys fit `counts`, whose keys have dtype uint32"):
        counts.from_numpy([1, -1], [1, 2])
    with pytest.raises(TypeError, match="the values of `counts` have dtype uint64, not float64"):
        counts.from_numpy([1, 2], [0.5, 1.5])
    with pytest.raises(ValueError, match="wants as many values as keys: these are 1 for 2"):
        counts.from_numpy([1, 2], [1])
    assert len(counts) == 0


def test_an_array_is_memory_that_both_sides_share() -> None:
    view = shared.view()
    assert len(view) == 1000 and view.dtype == numpy.uint32
    shared[7] = 70
    view[8] = 80
    assert view[7] == 70 and shared[8] == 80 and shared.to_dict()[8] == 80


def test_memory_needs_the_flag(collection: bpf.Collection) -> None:
    with pytest.raises(bpf.Error, match=r"flags=bpf.BPF_F_MMAPABLE"):
        slots.view()


def test_a_frozen_map_refuses_user_space() -> None:
    slots[1] = 5
    slots.freeze()
    with pytest.raises(bpf.KernelError, match="is frozen") as refused:
        slots[1] = 6
    assert refused.value.errno == 1 and slots[1] == 5


def test_an_empty_map_gives_empty_arrays() -> None:
    keys, values = recent.to_numpy()
    assert len(keys) == len(values) == 0 and recent.to_dict() == {} and recent.take_all() == {}


def test_wrong_types_name_the_map() -> None:
    with pytest.raises(TypeError, match="the key of `counts` is a `u32`: an integer is wanted, not 'x'"):
        counts["x"]  # type: ignore[index]
    with pytest.raises(ValueError, match="the key of `counts` is a `u32`: -1 does not fit"):
        counts.get(-1)
    with pytest.raises(TypeError, match="the value of `counts` is a `u64`"):
        counts.update({1: "x"})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="the value of `flows` is a `Count`"):
        flows[Flow()] = 3  # type: ignore[assignment]


def test_a_closed_collection_says_so(collection: bpf.Collection) -> None:
    collection.close()
    for use in (lambda: counts[1], lambda: counts.get(1), lambda: len(counts), lambda: counts.update({1: 1}), counts.to_numpy):
        with pytest.raises(bpf.NotLoaded, match="map `counts` is not loaded"):
            use()


assert u8 and be32
