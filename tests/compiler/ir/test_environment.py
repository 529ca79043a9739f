"""What the interpreter's environment does: context, maps, helpers."""

from __future__ import annotations

import struct

import pytest

from purebpf.compiler.ir.environment import Environment
from purebpf.compiler.ir.helper_models import formatted
from purebpf.compiler.ir.interp import Interpreter
from purebpf.compiler.ir.memory import IrRuntimeError, Memory, Pointer, Value
from purebpf.compiler.ir.models import HELPERS
from purebpf.compiler.ir.parse import parse_module
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType
from purebpf.tables.helpers import HELPER_NAMES
from tests.compiler.ir.running import COUNTS, refuses, run, text


def test_the_context_is_read_and_written_at_offsets() -> None:
    env = Environment(context=struct.pack("<IIQ", 0, 7, 9), pointers={0: "packet"})
    body = """
        %a: i32 = load %c size=4 offset=4
        %b: i64 = load %c size=8 offset=8
        store %c, 5 size=4 offset=4
        %s: i64 = add %a, %b
        ret %s"""
    assert run(text(body, "%c: ptr ctx"), env=env) == 16
    assert env.ctx_bytes.data[4] == 5
    refuses(
        "bytes 2 to 3 of the context hold a part of a pointer",
        text("%a: i32 = load %c size=2 offset=2\nret 0", "%c: ptr ctx"),
        env=env,
    )
    refuses("which cannot be written", text("store %c, 1 size=4\nret 0", "%c: ptr ctx"), env=env)
    refuses(
        "bytes 12 to 19 are outside the 16 of ctx", text("%a: i64 = load %c size=8 offset=12\nret 0", "%c: ptr ctx"), env=env
    )


ELEMENT = """
    %m: ptr map = map counts
    %k: ptr stack = alloca size=4 align=4 name=k
    store %k, %x size=4
    %p: ptr map_value? = call map_lookup_elem %m, %k
    %t: bool = ne %p, 0
    br %t, there, absent
    there:
    %v: ptr map_value = guard %p what=nonnull
    atomic %v, 1 op=add size=8
    ret 1
    absent:
    %n: ptr stack = alloca_here
    %r: i64 = call map_update_elem %m, %k, %n, 0
    ret %r
"""


def test_a_hash_gives_what_was_put_in() -> None:
    body = ELEMENT.replace("%n: ptr stack = alloca_here", "").replace(
        "%m: ptr map", "%n: ptr stack = alloca size=16 align=8 name=n\n%m: ptr map"
    )
    body = body.replace("%p: ptr map_value? =", "store %n, 1 size=8\nstore %n, 0 size=8 offset=8\n%p: ptr map_value? =")
    env = Environment([COUNTS])
    assert [run(body, x, params="%x: i64", env=env) for x in (5, 5, 6, 5, 7, 8, 9)] == [0, 1, 0, 1, 0, 0, -7]
    assert env.maps["counts"].get(struct.pack("<I", 5)) == struct.pack("<QQ", 3, 0)


def test_maps_follow_the_flags_and_limits_of_their_type() -> None:
    kinds = {
        kind: MapSpec(kind.name, kind, 4, 4, 2) for kind in (MapType.ARRAY, MapType.HASH, MapType.LRU_HASH, MapType.DEVMAP)
    }
    maps = {kind: Environment([spec]).maps[kind.name] for kind, spec in kinds.items()}
    a, b, c = (struct.pack("<I", i) for i in (0, 1, 2))
    array = maps[MapType.ARRAY]
    assert (array.get(a), array.get(c), array.update(c, a), array.delete(a), array.update(a, b, 1)) == (
        bytes(4),
        None,
        -7,
        -22,
        -17,
    )
    table = maps[MapType.HASH]
    assert [table.update(a, b, 2), table.update(a, b, 1), table.update(a, c, 1), table.update(b, b), table.update(c, c)] == [
        -2,
        0,
        -17,
        0,
        -7,
    ]
    assert (table.delete(a), table.delete(a), table.update(a, a, 8)) == (0, -2, -22)
    recent = maps[MapType.LRU_HASH]
    assert [recent.update(a, a), recent.update(b, b), recent.get(a), recent.update(c, c)] == [0, 0, a, 0]
    assert (recent.get(a), recent.get(b)) == (a, None)
    devices = maps[MapType.DEVMAP]
    assert (devices.get(a), devices.update(a, c), devices.get(a), devices.update(c, a)) == (None, 0, c, -7)


def test_read_only_data_has_an_address_and_cannot_be_written() -> None:
    spec = MapSpec("f.rodata", MapType.ARRAY, 4, 4, 1, flags=1 << 7, contents=((bytes(4), b"\1\2\3\4"),), frozen=True)
    env = Environment([spec])
    assert run("%p: ptr map_value = map_value name=f.rodata offset=1\n%v: i32 = load %p size=2\nret %v", env=env) == 0x0302
    refuses(
        "map_value `f.rodata` can only be read",
        "%p: ptr map_value = map_value name=f.rodata\nstore %p, 0 size=1\nret 0",
        env=env,
    )
    refuses(
        "bytes 4 to 4 are outside the 4",
        "%p: ptr map_value = map_value name=f.rodata offset=4\n%v: i32 = load %p size=1\nret %v",
        env=env,
    )
    refuses("the environment has no map `x`; it has f.rodata", "%m: ptr map = map x\nret 0", env=env)


def test_maps_it_cannot_run_are_refused() -> None:
    with pytest.raises(IrRuntimeError, match="map `t`: the IR interpreter has no maps of type ARENA"):
        Environment([MapSpec("t", MapType.ARENA, 8, 8, 1)])
    refuses(
        "map `counts` is no array of one value", "%p: ptr map_value = map_value name=counts\nret 0", env=Environment([COUNTS])
    )


def call(env: Environment, helper: str, *args: Value) -> Value:
    return env.call(helper, args)


def buffer(data: bytes) -> Pointer:
    return Pointer(Memory("stack", "b", data))


def test_every_model_is_a_helper_of_the_kernel() -> None:
    assert set(HELPERS) <= set(HELPER_NAMES)


def test_an_unknown_helper_lists_the_known_ones() -> None:
    refuses("does not know the helper `sys_bpf`; it knows dynptr_data, dynptr_from_mem,", "%r: i64 = call sys_bpf\nret %r")


def test_the_number_of_arguments_is_checked() -> None:
    refuses(
        "`map_lookup_elem` takes 2 arguments, not 1",
        "%m: ptr map = map counts\n%r: i64 = call map_lookup_elem %m\nret 0",
        env=Environment([COUNTS]),
    )


def test_printing() -> None:
    env = Environment()
    form = b"%d is %s, %x\n\0"
    assert call(env, "trace_printk", buffer(form), len(form), -1, buffer(b"text\0more"), 255) == 15
    assert env.printed == ["-1 is text, ff\n"]
    assert call(env, "trace_printk", buffer(b"abc"), 3) == -22
    values = buffer(struct.pack("<QQQQ", 1, 2, 3, 1 << 40))
    call(env, "trace_vprintk", buffer(b"%u%u%u %llu\0"), 12, values, 32)
    assert env.printed[1] == f"123 {1 << 40}"


@pytest.mark.parametrize(
    ("form", "args", "expected"),
    [
        ("%u %d", [0xFFFF_FFFF, 0xFFFF_FFFF], "4294967295 -1"),
        ("%lld %ld %llu", [-1, -1, -1], f"-1 -1 {(1 << 64) - 1}"),
        ("%08x|%5d|%-5d|%X", [0xBEEF, 5, 5, 0xBEEF], "0000beef|    5|5    |BEEF"),
        ("100%% %c", [65], "100% A"),
    ],
)
def test_formats(form: str, args: list[Value], expected: str) -> None:
    assert formatted(form, args) == expected


@pytest.mark.parametrize(
    ("form", "args", "message"),
    [("%d", [], "wants more than 0"), ("x", [1], "leaves 1 of 1"), ("%f", [1], "cannot print `%f`")],
)
def test_wrong_formats(form: str, args: list[Value], message: str) -> None:
    with pytest.raises(IrRuntimeError, match=message):
        formatted(form, args)


def test_time_identity_and_chance_are_repeatable() -> None:
    env = Environment(cpu=3, pid_tgid=(7 << 32) | 8, uid_gid=5, comm=b"a long name of a process")
    assert call(env, "ktime_get_ns") < call(env, "ktime_get_ns")  # type: ignore[operator]
    assert (call(env, "get_smp_processor_id"), call(env, "get_current_pid_tgid"), call(env, "get_current_uid_gid")) == (
        3,
        (7 << 32) | 8,
        5,
    )
    name = buffer(b"x" * 8)
    assert call(env, "get_current_comm", name, 8) == 0
    assert name.place.read(0, 8) == b"a long \0"
    assert call(env, "get_prandom_u32") == call(Environment(), "get_prandom_u32")


def test_events_are_collected() -> None:
    env = Environment(
        [MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 0), MapSpec("ring", MapType.RINGBUF, 0, 0, 4096), COUNTS]
    )
    events, ring = env.map("events"), env.map("ring")
    assert call(env, "perf_event_output", env.context, events, 0xFFFF_FFFF, buffer(b"abcd"), 3) == 0
    assert call(env, "ringbuf_output", ring, buffer(b"xyz"), 2, 0) == 0
    record = call(env, "ringbuf_reserve", ring, 4, 0)
    assert isinstance(record, Pointer) and len(env.reserved) == 1
    with pytest.raises(IrRuntimeError, match="read but have not all been written"):
        call(env, "ringbuf_submit", record, 0)
    record = call(env, "ringbuf_reserve", ring, 4, 0)
    assert isinstance(record, Pointer)
    record.place.write(0, b"full")
    call(env, "ringbuf_submit", record, 0)
    assert env.events == [("events", 0xFFFF_FFFF, b"abc"), ("ring", 0, b"xy"), ("ring", 0, b"full")]
    with pytest.raises(IrRuntimeError, match="not valid any more: the record has been submitted"):
        call(env, "ringbuf_discard", record, 0)
    with pytest.raises(IrRuntimeError, match="map `counts` is of type HASH; the helper works on PERF_EVENT_ARRAY"):
        call(env, "perf_event_output", env.context, env.map("counts"), 0, buffer(b"a"), 1)


def test_other_memory_is_read_by_address() -> None:
    env = Environment(foreign={0x1000: b"hello\0world"})
    to = buffer(b"?" * 8)
    assert call(env, "probe_read_user", to, 4, 0x1001) == 0
    assert to.place.read(0, 5) == b"ello?"
    assert call(env, "probe_read_kernel_str", to, 8, 0x1000) == 6
    assert to.place.read(0, 8) == b"hello\0??"  # what lies behind the text stays
    assert call(env, "probe_read_user_str", to, 4, 0x1000) == 4
    assert to.place.read(0, 4) == b"hel\0"
    assert call(env, "probe_read_user", to, 8, 0x1008) == -14
    assert to.place.read(0, 8) == bytes(8)
    to.place.write(0, b"?" * 8)
    assert call(env, "probe_read_user_str", to, 8, 0x2000) == -14
    assert to.place.read(0, 8) == bytes(8)


def test_redirects_are_noted() -> None:
    spec = MapSpec("ports", MapType.DEVMAP, 4, 4, 4, contents=((struct.pack("<I", 1), struct.pack("<I", 9)),))
    env = Environment([spec])
    assert call(env, "redirect_map", env.map("ports"), 2, 2) == 2
    assert env.redirected is None
    assert call(env, "redirect_map", env.map("ports"), 1, 2) == 4
    assert env.redirected == ("ports", 1, 2)
    assert call(Environment(redirect_code=7), "redirect", 3, 0) == 7


def test_packets_grow_and_shrink() -> None:
    env = Environment(packet=bytes(range(20)), meta=b"meta")
    assert call(env, "xdp_adjust_head", env.context, 4) == 0
    assert env.packet_bytes() == bytes(range(4, 20))
    assert call(env, "xdp_adjust_head", env.context, 3) == -22, "an Ethernet header has to stay"
    assert call(env, "xdp_adjust_head", env.context, -2) == 0
    assert env.packet_bytes() == bytes(2) + bytes(range(4, 20))
    assert call(env, "xdp_adjust_tail", env.context, -3) == 0
    assert call(env, "xdp_adjust_tail", env.context, 1) == 0
    assert env.packet_bytes() == bytes(2) + bytes(range(4, 17)) + b"\0"
    assert call(env, "xdp_adjust_meta", env.context, -4) == 0
    assert env.packet.start == 8
    assert call(env, "xdp_adjust_meta", env.context, 3) == -22


def test_bytes_of_an_skb_are_copied() -> None:
    env = Environment(packet=bytes(range(20)))
    to = buffer(bytes(4))
    assert call(env, "skb_load_bytes", env.context, 2, to, 4) == 0
    assert to.place.read(0, 4) == bytes(range(2, 6))
    assert call(env, "skb_load_bytes", env.context, 18, to, 4) == -14
    assert call(env, "skb_store_bytes", env.context, 0, buffer(b"AB"), 2, 0) == 0
    assert env.packet_bytes()[:3] == b"AB\2"
    assert call(env, "skb_store_bytes", env.context, 19, buffer(b"AB"), 2, 0) == -14


def test_a_tail_call_goes_on_in_the_other_program_and_a_failed_one_in_this() -> None:
    table = MapSpec("table", MapType.PROG_ARRAY, 4, 4, 2, contents=((bytes(4), struct.pack("<I", 77)),))
    other = parse_module(text("ret 5", "%c: ptr ctx"))
    body = "%m: ptr map = map table\n%r: i64 = call tail_call %c, %m, {}\nret %r"
    for index, expected in ((0, 5), (1, -2)):
        assert run(text(body.format(index), "%c: ptr ctx"), env=Environment([table], programs={77: other})) == expected
    itself = parse_module(text(body.format(0), "%c: ptr ctx"))
    with pytest.raises(IrRuntimeError, match="there were more than 33 tail calls"):
        Interpreter(itself, Environment([table], programs={77: itself})).run()
