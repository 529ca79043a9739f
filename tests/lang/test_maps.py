"""Maps in user space: mappings while a collection that uses them is loaded, on both engines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import purebpf as bpf
from purebpf import be32, s16, u8, u16, u32, u64


@bpf.struct
class Key:
    address: be32 = 0
    port: u16 = 0


@bpf.struct
class Value:
    count: u64 = 0
    name: str = bpf.chars(8)
    items: list[s16] = bpf.array(s16, 3)


plain = bpf.Hash[u32, u64](max_entries=4)
records = bpf.Hash[Key, Value](max_entries=4)
slots = bpf.Array[Value](max_entries=3)
numbers = bpf.Array[u32](max_entries=4)
lru = bpf.LruHash[u8, u16](max_entries=64)
cpus = bpf.PerCpuHash[u32, Value](max_entries=4)
cpu_slots = bpf.PerCpuArray[u64](max_entries=2)
flags = bpf.Hash[u8, bool](max_entries=4)
devices = bpf.DevMap(max_entries=4)
handlers = bpf.ProgArray(max_entries=2)


@bpf.xdp
def uses(ctx: bpf.XdpContext) -> bpf.XdpAction:
    plain[1] += 1
    entry = records.get(Key(address=0x01020304, port=80))
    if entry is not None:
        entry.count += 1
    slots[1].count += numbers[2]
    lru[7] = 1
    own = cpus.get(5)
    if own is None:
        cpus[5] = Value(count=1, name="own")
    else:
        own.count += 10
    cpu_slots[1] += 2
    flags[1] = plain.get(1, 0) > 1
    handlers.tail_call(ctx, 0)
    return devices.redirect(3, bpf.XDP_PASS)


@pytest.fixture(params=["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
def collection(request: pytest.FixtureRequest) -> Iterator[bpf.Collection]:
    with uses.load(request.param) as loaded:
        yield loaded


@pytest.mark.usefixtures("collection")
def test_a_hash_is_a_mapping() -> None:
    assert len(plain) == 0 and list(plain) == [] and 3 not in plain
    plain[3], plain[4] = 30, (1 << 64) - 1
    assert plain[3] == 30 and plain.get(4) == (1 << 64) - 1 and plain.get(5) is None and plain.get(5, 6) == 6
    assert 3 in plain and len(plain) == 2
    assert sorted(plain) == sorted(plain.keys()) == [3, 4]
    assert dict(plain.items()) == {3: 30, 4: (1 << 64) - 1} and sorted(plain.values()) == [30, (1 << 64) - 1]
    del plain[3]
    with pytest.raises(KeyError):
        del plain[3]
    with pytest.raises(KeyError):
        plain[3]
    plain.clear()
    assert not list(plain)


@pytest.mark.usefixtures("collection")
def test_a_full_hash_and_update_flags() -> None:
    for key in range(4):
        plain[key] = key
    with pytest.raises(bpf.KernelError):
        plain[9] = 1
    with pytest.raises(bpf.KernelError):
        plain.set(1, 5, bpf.BPF_NOEXIST)
    assert plain.set(1, 5, bpf.BPF_EXIST) == 0 and plain[1] == 5


@pytest.mark.usefixtures("collection")
def test_records_as_keys_and_values() -> None:
    key = Key(address=0x01020304, port=80)
    records[key] = Value(count=1, name="first", items=[1, -2, 3])
    assert records[Key(port=80, address=0x01020304)] == Value(count=1, name="first", items=[1, -2, 3])
    assert list(records) == [key]
    uses.run(packet=bytes(64))
    assert records[key].count == 2
    copy = records[key]
    copy.count = 99
    assert records[key].count == 2, "what was read is a copy"
    records[key] = copy
    assert records[key].count == 99


@pytest.mark.usefixtures("collection")
def test_arrays_have_all_their_entries() -> None:
    assert len(numbers) == 4 and list(numbers) == [0, 1, 2, 3]
    assert list(numbers.items()) == [(0, 0), (1, 0), (2, 0), (3, 0)]
    numbers[2] = 5
    uses.run(packet=bytes(64))
    assert slots[1] == Value(count=5) and slots[0] == Value()
    assert 3 in numbers and 4 not in numbers and numbers.get(4) is None
    with pytest.raises(KeyError):
        numbers[4]
    with pytest.raises(bpf.KernelError):
        numbers[4] = 1
    with pytest.raises(bpf.Error, match="all entries of `numbers`, an array, always exist: assign 0"):
        del numbers[1]


@pytest.mark.usefixtures("collection")
def test_what_does_not_fit_is_told_with_the_maps_name() -> None:
    with pytest.raises(TypeError, match="the key of `plain` is a `u32`: an integer is wanted, not 'a'"):
        plain["a"] = 1  # type: ignore[index]
    with pytest.raises(ValueError, match="the value of `plain` is a `u64`: -1 does not fit u64"):
        plain[1] = -1
    with pytest.raises(TypeError, match="the value of `records` is a `Value`: a Value is wanted, not int"):
        records[Key()] = 5  # type: ignore[assignment]


@pytest.mark.usefixtures("collection")
def test_values_that_do_not_fit_are_refused() -> None:
    for wrong in (-1, 1 << 64, "1", 1.5, None):
        with pytest.raises((TypeError, ValueError)):
            plain[1] = wrong  # type: ignore[assignment]
    for wrong_key in (-1, 1 << 32, "1", None):
        with pytest.raises((TypeError, ValueError)):
            plain[wrong_key] = 1  # type: ignore[index]
    with pytest.raises((TypeError, ValueError)):
        records[Key()] = 3  # type: ignore[assignment]
    with pytest.raises((TypeError, ValueError)):
        records[3] = Value()  # type: ignore[index]
    assert len(plain) == len(records) == 0


@pytest.mark.usefixtures("collection")
def test_one_value_for_each_cpu() -> None:
    for _ in range(3):
        uses.run(packet=bytes(64))
    assert cpus[5].sum().count >= 3 and len(cpus[5]) == len(cpu_slots[0])
    assert cpu_slots.sums() == {1: 6} and cpu_slots[0].sum() == 0
    assert cpus.sums()[5].count == cpus[5].sum().count
    count = len(cpu_slots[0])
    cpu_slots[0] = list(range(1, count + 1))  # type: ignore[assignment]
    assert cpu_slots[0] == list(range(1, count + 1)) and cpu_slots[0].sum() == count * (count + 1) // 2
    cpu_slots[0] = 4
    assert cpu_slots[0] == [4] * count
    with pytest.raises(ValueError, match="one per possible CPU"):
        cpu_slots[0] = [1] * (count + 1)  # type: ignore[assignment]


@pytest.mark.usefixtures("collection")
def test_bools_and_small_integers_come_back_as_such() -> None:
    uses.run(packet=bytes(64))
    assert flags[1] is False and lru[7] == 1
    uses.run(packet=bytes(64))
    assert flags[1] is True
    flags[2] = True
    assert dict(flags.items()) == {1: True, 2: True}


def test_a_map_is_bound_while_its_collection_is_open(collection: bpf.Collection) -> None:
    plain[1] = 5
    assert plain in collection.declarations and plain.bound
    with pytest.raises(bpf.Error, match="map `plain` is in use by another loaded collection"):
        bpf.load(other, engine="vm")
    collection.close()
    collection.close()
    with pytest.raises(bpf.NotLoaded, match="map `plain` is not loaded"):
        plain[1]
    with pytest.raises(bpf.NotLoaded):
        uses.loaded  # noqa: B018
    with bpf.load(other, engine="vm"):
        assert dict(plain.items()) == {}


@bpf.xdp
def other(ctx: bpf.XdpContext) -> bpf.XdpAction:
    plain[2] += 1
    return bpf.XDP_DROP


@pytest.mark.parametrize("engine", ["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
def test_programs_loaded_together_share_their_maps(engine: str) -> None:
    with bpf.load(uses, other, engine=engine):
        uses.run(packet=bytes(64))
        assert other.run(packet=bytes(64)).value == bpf.XDP_DROP
        other.run(packet=bytes(64))
        assert dict(plain.items()) == {1: 1, 2: 2}
        handlers[0] = other
        assert uses.run(packet=bytes(64)).value == bpf.XDP_DROP
        del handlers[0]
        assert uses.run(packet=bytes(64)).value == bpf.XDP_PASS


def test_wrong_declarations_and_entries() -> None:
    for entries in (0, -1, 1 << 32, "4", None, True, 1.5):
        with pytest.raises(bpf.Error, match="max_entries must be a positive 32-bit integer"):
            bpf.Hash[u32, u32](max_entries=entries)  # type: ignore[arg-type]
    with pytest.raises(IndexError, match="outside the program array of 2 entries"):
        handlers[2] = other
    with pytest.raises(KeyError):
        del handlers[1]
    with pytest.raises(bpf.NotLoaded):
        handlers[1] = other
        bpf.ProgArray(max_entries=1).store(0, other.loaded)
    del handlers[1]
