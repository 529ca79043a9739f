"""Texts, bytes and arrays are values when they are assigned to a name; records, and what is indexed, are references."""

from __future__ import annotations

import purebpf as bpf
from purebpf import u8, u32
from purebpf.net import Ethernet
from tests.compiler.results import Function, Table, check

case = Table()


@bpf.struct
class Owner:
    name: str = bpf.chars(16)
    other: str = bpf.chars(16)
    mac: bytes = bpf.bytes(6)
    items: list[u32] = bpf.array(u32, 4)
    grid: list[list[u8]] = bpf.array(bpf.array(u8, 4), 3)
    n: u32 = 0
    names: list[str] = bpf.array(bpf.chars(8), 3)


owners = bpf.Array[Owner](max_entries=2)
scratch = bpf.PerCpuArray[bpf.bytes(64)](max_entries=1)  # type: ignore[valid-type]


@bpf.globals
class state:
    name: str = bpf.chars(16)
    items: list[u32] = bpf.array(u32, 4)


def rename(owner, name):
    owner.name = "new"
    return name == "old"


def first(owner):
    name = owner.name
    owner.name = "new"
    return name


def name_of(owner):
    return owner.name


def clear(items):
    items[0] = 0


@case(1)
def a_text_keeps_its_value(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.name = "a"
    c = r.name
    r.name = "b"
    return c == "a" and r.name == "b"


@case(1)
def a_text_of_globals(ctx):  # type: ignore[no-untyped-def]
    state.name = "a"
    c = state.name
    state.name = "b"
    return c == "a"


@case(1)
def bytes_keep_their_value(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.mac = b"abcdef"
    c = r.mac
    r.mac[0] = 0
    return c == b"abcdef"


@case(79)
def an_array_keeps_its_value(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.items[1] = 7
    c = r.items
    r.items[1] = 9
    return c[1] * 10 + r.items[1]


@case(79)
def a_copy_is_changed_alone(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.items[1] = 7
    c = r.items
    c[1] = 9
    return r.items[1] * 10 + c[1]


@case(79)
def a_local_array_is_copied(ctx):  # type: ignore[no-untyped-def]
    v = bpf.array(u32, 4)
    v[1] = 7
    w = v
    v[1] = 9
    return w[1] * 10 + v[1]


@case(7)
def a_copy_handed_to_a_function(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.items[0] = 7
    c = r.items
    clear(c)
    return r.items[0] + c[0]


@case(0)
def an_argument_is_the_array_itself(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.items[0] = 7
    clear(r.items)
    return r.items[0]


@case(3)
def a_row_of_an_array(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.grid[1][2] = 3
    row = r.grid[len(ctx.packet) & 1 | 1]
    r.grid[1][2] = 4
    return row[2]


@case(1)
def in_a_loop(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    same = 0
    last = r.items
    for i in range(5):
        same += last[0] == i - 1
        r.items[0] = i
        last = r.items
    return same == 4


@case(4)
def before_a_loop_that_writes(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.items[0] = 1
    c = r.items
    total = 0
    for _ in range(4):
        total += c[0]
        r.items[0] += 5
    return total


@case(1)
def through_another_record(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    q = owners[0]
    r.name = "a"
    c = r.name
    q.name = "b"
    return c == "a"


@case(1)
def through_the_map(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.name = "a"
    c = r.name
    owners[0] = Owner(name="b")
    return c == "a" and r.name == "b"


@case(1)
def an_argument_that_is_a_text(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.name = "old"
    return rename(r, r.name)


@case(1)
def from_a_function(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.name = "old"
    c = first(r)
    return c == "old" and r.name == "new"


@case(1)
def the_result_of_a_function(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.name = "old"
    c = name_of(r)
    r.name = "new"
    return c == "old"


@case(1)
def in_a_tuple(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.name = "old"
    t = (r.name, 5)
    r.name = "new"
    return t[0] == "old" and t[1] == 5


@case(1)
def two_names_at_once(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.name, r.other = "a", "b"
    a, b = r.name, r.other
    r.name, r.other = b, a
    return a == "a" and b == "b" and r.name == "b" and r.other == "a"


@case(3)
def texts_that_a_loop_goes_over(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.names = ["a", "b", "a"]
    found = 0
    for i, name in enumerate(r.names):
        r.names[i] = "c"
        found += name == "a"
    return found + (r.names[1] == "c")


@case(1)
def on_one_way(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.name, r.other = "a", "b"
    c = r.name if len(ctx.packet) == 64 else r.other
    r.name = "c"
    return c == "a"


@case(1)
def a_mac_of_the_packet(ctx):  # type: ignore[no-untyped-def]
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return 0
    eth.src = b"abcdef"
    mac = eth.src
    eth.src = eth.dst
    eth.dst = mac
    return eth.dst == b"abcdef" and eth.src == bytes(6)


@case(5)
def an_entry_of_a_map_is_no_copy(ctx):  # type: ignore[no-untyped-def]
    buffer = scratch[0]
    buffer[3] = 5
    return scratch[0][3]


@case(1)
def a_name_assigned_inside_a_condition(ctx):  # type: ignore[no-untyped-def]
    r = owners[0]
    r.name = "a"
    if (c := r.name) == "a":
        r.name = "b"
        return c == "a"
    return 0


@case.parametrize()
def test_the_result_is_that_of_the_language(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)
