# mypy: disable-error-code="no-untyped-def"
"""Texts and records of different kinds that meet where ways join: copies of texts, references to records in either memory."""

from __future__ import annotations

import pytest

import purebpf as bpf
from purebpf import u8, u16, u32, u64
from tests.compiler.results import Function, Table, check, check_ir

case = Table()


@bpf.struct
class Flow:
    packets: u32 = 0
    octets: u64 = 0
    owner: str = bpf.chars(12)
    mac: bytes = bpf.bytes(6)
    small: u8 = 0


@bpf.struct(packed=True)
class Odd:
    kind: u8 = 0
    length: u32 = 0
    port: u16 = 0


@bpf.struct
class Short:
    a: u16 = 0
    b: u16 = 0


@bpf.struct
class Named:
    name: str = bpf.chars(6)


@bpf.globals
class state:
    text: str = bpf.chars(20)


flows = bpf.Hash[u32, Flow](max_entries=8)
odds = bpf.Hash[u32, Odd](max_entries=8)
shorts = bpf.Hash[u32, Short](max_entries=8)
names = bpf.Hash[u32, Named](max_entries=8)


# -- texts


@case(4)
def a_shorter_text_or_a_longer_one(ctx):
    text = "a" if len(ctx.packet) > 100 else "bcde"
    state.text = text
    return len(state.text)


@case(1)
def a_longer_text_or_a_shorter_one(ctx):
    text = "a" if len(ctx.packet) > 10 else "bcde"
    state.text = text
    return len(state.text) if state.text == "a" else 9


@case(0b101)
def a_text_assigned_on_two_ways(ctx):
    n = len(ctx.packet)
    name = "tcp"
    if n > 100:
        name = "something longer"
    elif n > 10:
        name = ""
    seen = 1 if name == "" else 0
    if name:
        seen |= 2
    return seen | (4 if len(name) == 0 else 0)


@case(5)
def a_text_of_a_map_or_a_constant(ctx):
    names[1] = Named(name="owner")
    flow, named = flows.get(1), names.get(1)
    text = flow.owner if flow else named.name if named else "nobody at all"
    state.text = text
    return len(state.text)


@case(13)
def the_longest_of_three_decides(ctx):
    flow, named = flows.get(1), names.get(1)
    state.text = flow.owner if flow else named.name if named else "nobody at all"
    return len(state.text)


@case(0x62)
def a_text_is_kept_when_its_place_changes(ctx):
    n = len(ctx.packet)
    names[1] = Named(name="abc")
    named = names.get(1)
    if named is None:
        return 0
    text = named.name if n > 10 else "a longer one"
    named.name = "xyz"
    return text[1]


@case(7)
def an_empty_text_or_another(ctx):
    names[1] = Named(name="")
    named = names.get(1)
    text = (named.name if named else "gone") or "unnamed"
    state.text = text
    return len(text)


@case(0x0403)
def bytes_or_others_of_the_same_length(ctx):
    n = len(ctx.packet)
    code = b"\x01\x02" if n > 100 else b"\x03\x04"
    return code[0] | code[1] << 8


@case(4)
def a_text_in_every_trip(ctx):
    total = 0
    for i in range(20):
        text = "ab" if (i + len(ctx.packet)) % 7 == 0 else ""
        total += len(text)
    return total


@case(5)
def a_text_that_a_loop_changes(ctx):
    n = len(ctx.packet)
    text = bpf.chars(6)
    while n > 1:
        n //= 2
        if n == 8:
            text = "seven"
    return len(text)


# -- records


@case(8)
def a_record_of_a_map_or_a_new_one(ctx):
    flow = flows.get(1) or Flow(packets=7)
    flow.packets += 1
    return flow.packets


@case(41 * 100 + 41)
def what_is_written_reaches_the_map(ctx):
    flows[1] = Flow(packets=40)
    flow = flows.get(1) or Flow(packets=7)
    flow.packets += 1
    again = flows.get(1)
    return flow.packets * 100 + (again.packets if again else 0)


@case(21)
def a_new_record_is_put_into_the_map(ctx):
    for key in range(3):
        flow = flows.get(key)
        if flow is None:
            flow = Flow(packets=10 * key)
        flow.packets += 1
        flows[key] = flow
        if len(ctx.packet) > 100:
            flow.packets = 99
    last = flows.get(2)
    return last.packets if last else 0


@case(77)
def every_field_in_either_memory(ctx):
    flows[2] = Flow(packets=1, octets=1 << 40, owner="twelve", mac=b"abcdef", small=9)
    good = 0
    for key in (1, 2):
        flow = flows.get(key) or Flow(packets=1, octets=1 << 40, owner="twelve", mac=b"abcdef", small=9)
        if flow.packets == 1 and flow.octets == 1 << 40 and flow.owner == "twelve" and flow.mac == b"abcdef":
            good += 1
        flow.owner, flow.mac, flow.octets = "other", b"fedcba", 5
        if flow.owner == "other" and flow.mac[0] == 0x66 and flow.octets == 5 and flow.small == 9:
            good += 10
    copy = flows.get(2)
    return good + 55 if copy and copy.owner == "other" and flows.get(1) is None else 0


@case(6 * 1000 + 700)
def a_packed_record_in_either_memory(ctx):
    odds[1] = Odd(kind=1, length=300, port=2)
    total = 0
    for key in (1, 2):
        odd = odds.get(key) or Odd(kind=2, length=400, port=1)
        total += odd.length + 1000 * (odd.kind + odd.port)
        odd.length += 1
    return total


@case(30)
def a_small_record_in_either_memory(ctx):
    shorts[1] = Short(a=10)
    first, second = shorts.get(1) or Short(a=3), shorts.get(2) or Short(b=20)
    return first.a + second.b + first.b


@case(1077)
def the_best_of_a_map_and_an_own_one(ctx):
    flows[3] = Flow(packets=77)
    best = Flow(packets=3)
    for key in range(len(ctx.packet)):
        flow = flows.get(key)
        if flow and flow.packets > best.packets:
            best = flow
    best.packets += 1000
    found = flows.get(3)
    return found.packets if found else 0


@case(88)
def in_either_memory_or_none(ctx):
    n = len(ctx.packet)
    flows[3] = Flow(packets=88)
    flow = None
    if n > 100:
        flow = Flow(packets=1)
    elif n > 10:
        flow = flows.get(3)
    return flow.packets if flow is not None else 5


@case(107)
def handed_to_functions(ctx):
    flow = flows.get(len(ctx.packet)) or Flow(packets=3)
    return bump(flow) + bump(flow) + 98


def bump(flow: Flow) -> u32:
    flow.packets += 1
    flow.octets += flow.packets
    return flow.packets


@bpf.global_subprogram
def counted(flow: Flow) -> u32:
    flow.packets += 1
    return flow.packets


@case(4 + 5 + 41 + 41)
def handed_to_a_global_subprogram(ctx):
    flows[1] = Flow(packets=40)
    new, old = flows.get(2) or Flow(packets=3), flows.get(1) or Flow()
    total = counted(new) + counted(new) + counted(old)
    again = flows.get(1)
    return total + (again.packets if again else 0)


@case(12)
def a_record_that_is_assigned_another(ctx):
    flows[1] = Flow(packets=9)
    flow = Flow(packets=2)
    if len(ctx.packet) > 10:
        flow = flows.get(1) or flow
    flow.packets += 3
    again = flows.get(1)
    return again.packets if again else 0


@case(107)
def changed_by_a_callback(ctx):
    flow = flows.get(1) or Flow(packets=7)

    def add(i: int) -> bool:
        flow.packets += 1
        return False

    bpf.loop(100, add)
    return flow.packets


@case(34)
def in_a_long_loop(ctx):
    flows[700] = Flow(packets=77)
    total = 0
    for i in range(1000):
        flow = flows.get(i) or Flow(packets=1000 - i)
        total += flow.packets
        flow.octets += flow.packets
    return total % 251


@case.parametrize()
def test_a_program_gives(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)


@pytest.mark.parametrize("function, expected, packet", case.rows, ids=[row[0].__name__ for row in case.rows])
def test_its_ir_gives(function: Function, expected: int, packet: bytes) -> None:
    check_ir(function, expected, packet)
