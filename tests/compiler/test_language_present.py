# mypy: disable-error-code="no-untyped-def"
"""Entries of hashes that a test has shown to be there, and such as are taken out: `if k in m: m[k]`, `m.pop(k)`."""

from __future__ import annotations

import pytest

import purebpf as bpf
from purebpf import u8, u32, u64
from tests.compiler.results import Function, Table, check, check_ir

case = Table()


@bpf.struct
class Station:
    number: u8 = 0
    seen: u32 = 0
    name: str = bpf.chars(8)


hits = bpf.Hash[u32, u64](max_entries=8)
recent = bpf.LruHash[u32, u64](max_entries=8)
stations = bpf.Hash[u32, Station](max_entries=8)
local = bpf.PerCpuHash[u32, Station](max_entries=8)
together = bpf.Hash[Station, Station](max_entries=8)
slots = bpf.Array[Station](max_entries=1)
by_name = bpf.Hash[bpf.chars(8), u32](max_entries=8)
by_station = bpf.Hash[Station, u64](max_entries=8)


@case(4)
def read_where_the_key_is_in(ctx):
    hits[9] = 4
    if 9 in hits:
        return hits[9]
    return 0


@case(11)
def changed_and_read(ctx):
    hits[9] = 4
    if 9 in hits:
        hits[9] += 5
        hits[9] -= 2
        return hits[9] + 4
    return 0


@case(0)
def not_there(ctx):
    return hits[9] + 1 if 9 in hits else 0


@case(7)
def an_early_return(ctx):
    key: u32 = ctx.ingress_ifindex
    hits[key] = 7
    if key not in hits:
        return 1
    if hits[key] == 8:
        return 2
    return hits[key]


@case(3)
def found_by_get(ctx):
    hits[9] = 3
    if hits.get(9) is None:
        return 0
    return hits[9]


@case(8)
def found_by_get_and_true(ctx):
    hits[4] = 7
    if (n := hits.get(4)) and n > 3:
        hits[4] += 1
        return hits[4]
    return 0


@case(10)
def on_all_ways(ctx):
    recent[4] = 10
    if len(ctx.packet) > 10:
        if 4 not in recent:
            return 1
    elif 4 not in recent:
        return 2
    return recent[4]


@case(12)
def on_each_trip(ctx):
    total = 0
    hits[4] = 3
    for _ in range(4):
        if 4 in hits:
            total += hits[4]
    return total


@case(9)
def a_record(ctx):
    key: u32 = ctx.ingress_ifindex
    stations[key] = Station(number=3, name="ab")
    if key in stations and stations[key].number == 3:
        stations[key].number += 6
        station = stations[key]
        return station.number if station.name == "ab" else 0
    return 0


@case(5)
def a_number_is_taken_out(ctx):
    hits[1] = 5
    value = hits.pop(1)
    if value is None or hits.pop(1) is not None or 1 in hits:
        return 0
    return value


@case(12)
def a_record_is_taken_out(ctx):
    stations[1] = Station(number=5, name="abc")
    station = stations.pop(1)
    if station is None:
        return 0
    stations[1] = Station(number=7, name="xyz")
    other = stations.get(1)
    if other is None or station.name != "abc":
        return 0
    station.seen = 40
    return station.number + other.number + other.seen


@case(3)
def of_this_cpu(ctx):
    local[1] = Station(number=3)
    station = local.pop(1)
    return 0 if station is None or 1 in local else station.number


@case(8)
def by_a_record(ctx):
    key = Station(number=1, name="k")
    by_station[key] = 8
    hits.pop(77)
    return by_station.pop(key) or 0


@case(3)
def taken_out_where_it_is_in(ctx):
    hits[4] = 3
    return (hits.pop(4) or 1) if 4 in hits else 0


@case(9)
def taken_out_in_a_loop(ctx):
    total = 0
    for i in range(3):
        stations[i] = Station(number=i + 2)
    for i in range(4):
        station = stations.pop(i)
        if station is not None:
            total += station.number
    return total


@case(7)
def a_record_as_key(ctx):
    key = Station(number=1, name="a")
    by_station[key] = 3
    if key in by_station:
        by_station[key] += 4
    if key not in by_station:
        return 0
    return by_station[key]


@case(9)
def a_record_under_a_record(ctx):
    key = Station(number=1, name="a")
    together[key] = Station(number=3)
    if key in together:
        together[key].number += 6
    station = together.get(key)
    return 0 if station is None else station.number


@case(3)
def a_key_that_changes(ctx):
    key = Station(number=1, name="a")
    by_station[key] = 3
    if key in by_station and by_station[key] == 3:
        key.number = 2
        return 3 if key not in by_station else 4
    return 0


@case(2)
def a_text_of_a_record_as_key(ctx):
    slots[0].name = "zz"
    by_name[slots[0].name] = 2
    if slots[0].name in by_name:
        return by_name[slots[0].name]
    return 0


@case.parametrize()
def test_result(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)


@pytest.mark.parametrize("row", case.rows, ids=[row[0].__name__ for row in case.rows])
def test_ir_interpreter(row: tuple[Function, int, bytes]) -> None:
    check_ir(*row)


@bpf.xdp
def holds(ctx: bpf.XdpContext) -> bpf.XdpAction:
    hits[0] += 1
    local[0] = Station(number=1)
    return bpf.XDP_PASS


@pytest.mark.parametrize("engine", ["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
def test_the_same_in_user_space(engine: str) -> None:
    with holds.load(engine):
        hits.update({1: 10, 2: 20})
        hits.update([(3, 30)])
        assert hits.pop(1) == 10 and hits.pop(1) is None
        assert hits.setdefault(2, 5) == 20 and hits.setdefault(4, 5) == 5
        assert hits.delete(3) == 0
        with pytest.raises(KeyError):
            hits.delete(3)
        assert dict(hits.items()) == {2: 20, 4: 5}
        local[7] = Station(number=2)
        assert local.pop(7).sum().number == 2 * len(local.setdefault(0, Station()))


def test_names_of_programs_only() -> None:
    for call in (
        lambda: bpf.ProgArray(max_entries=1).tail_call(None, 0),
        lambda: bpf.DevMap(max_entries=1).redirect(0),
        lambda: bpf.PerfEventArray[u32]().output(1),
    ):
        with pytest.raises(bpf.Error, match="runs only inside a program"):
            call()
