"""What each op does when it runs, and what the interpreter refuses."""

from __future__ import annotations

import re
import struct

import pytest

from purebpf.compiler.ir.check import check_module
from purebpf.compiler.ir.environment import Environment
from purebpf.compiler.ir.interp import HANDLERS, Interpreter
from purebpf.compiler.ir.memory import IrRuntimeError, Memory, Pointer, Value
from purebpf.compiler.ir.ops import OPS, Flag
from purebpf.compiler.ir.parse import parse_module
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType
from tests.compiler.ir.running import COUNTS, packet, refuses, run, text, xdp
from tests.compiler.ir.samples import INTEGERS, PROGRAM

M = -(1 << 63)
ARITHMETIC = [  # op, type, a, b, result
    ("add", "i64", (1 << 63) - 1, 1, M),
    ("add", "i32", -1, 2, 1),
    ("add", "i32", 0x1_0000_0005, -6, 0xFFFF_FFFF),
    ("sub", "i64", 3, 5, -2),
    ("sub", "i32", 3, 5, 0xFFFF_FFFE),
    ("mul", "i64", 1 << 62, 4, 0),
    ("mul", "i32", 0x1_0001, 0x1_0001, 0x2_0001),
    ("udiv", "i64", -1, 2, (1 << 63) - 1),
    ("udiv", "i64", 7, 0, 0),
    ("udiv", "i32", 0x1_0000_0009, 2, 4),
    ("umod", "i64", -1, 10, 5),
    ("umod", "i64", 7, 0, 7),
    ("umod", "i32", -1, 0x1_0000_0000, 0xFFFF_FFFF),
    ("sdiv", "i64", -7, 2, -3),
    ("sdiv", "i64", M, -1, M),
    ("sdiv", "i64", -7, 0, 0),
    ("sdiv", "i32", 0xFFFF_FFF9, 2, 0xFFFF_FFFD),
    ("smod", "i64", -7, 2, -1),
    ("smod", "i64", 7, -2, 1),
    ("smod", "i64", -7, 0, -7),
    ("smod", "i64", M, -1, 0),
    ("and", "i64", -4, 0xFF, 0xFC),
    ("and", "i32", -1, -1, 0xFFFF_FFFF),
    ("or", "i64", M, 1, M + 1),
    ("xor", "i64", -1, 1, -2),
    ("shl", "i64", 1, 63, M),
    ("shl", "i64", 1, 65, 2),
    ("shl", "i32", 3, 31, 0x8000_0000),
    ("shl", "i32", 1, 33, 2),
    ("lshr", "i64", -1, 60, 15),
    ("lshr", "i32", 0x1_8000_0000, 31, 1),
    ("ashr", "i64", -8, 1, -4),
    ("ashr", "i32", 0x8000_0000, 31, 0xFFFF_FFFF),
    ("eq", "bool", -1, -1, 1),
    ("eq", "bool", 0xFFFF_FFFF, -1, 0),
    ("ne", "bool", 1, 2, 1),
    ("ult", "bool", 1, -1, 1),
    ("ult", "bool", 5, 5, 0),
    ("ule", "bool", 5, 5, 1),
    ("ule", "bool", -1, 0, 0),
    ("slt", "bool", -1, 1, 1),
    ("slt", "bool", 1, M, 0),
    ("sle", "bool", -1, -1, 1),
]


@pytest.mark.parametrize(("kind", "type", "a", "b", "expected"), ARITHMETIC)
def test_arithmetic(kind: str, type: str, a: int, b: int, expected: int) -> None:
    assert run(f"%r: {type} = {kind} %a, %b\nret %r", a, b, params="%a: i64, %b: i64") == expected


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        ("i32 = low32", -2, 0xFFFF_FFFE),
        ("i64 = sext 8", 0x1FF, -1),
        ("i64 = sext 16", 0x7FFF, 0x7FFF),
        ("i64 = sext 32", 0x8000_0000, -(1 << 31)),
        ("i32 = tobe 16", 0x12_3456, 0x5634),
        ("i32 = tobe 32", 0x0102_0304, 0x0403_0201),
        ("i64 = tobe 64", 0xFF, -(1 << 56)),
    ],
)
def test_conversions(op: str, value: int, expected: int) -> None:
    assert run(f"%r: {op} %a\nret %r", value, params="%a: i64") == expected


def test_network_order_is_the_machines_own_on_a_big_endian_target() -> None:
    env = Environment(big_endian=True)
    assert run("%r: i32 = tobe 16 %a\nret %r", 0x12_3456, params="%a: i64", env=env) == 0x3456


def test_loops_and_block_arguments() -> None:
    body = """
        jump head(0, 0)
        head(%i: i64, %total: i64):
        %more: bool = ult %i, %n
        br %more, body, done
        body:
        %t: i64 = add %total, %i
        %next: i64 = add %i, 1
        jump head(%next, %t)
        done:
        ret %total"""
    assert run(body, 10, params="%n: i64") == 45


def test_arguments_of_a_target_are_read_before_any_parameter_changes() -> None:
    body = """
        jump loop(1, 2, 0)
        loop(%a: i64, %b: i64, %n: i64):
        %m: i64 = add %n, 1
        %more: bool = ult %n, 3
        br %more, loop(%b, %a, %m), done
        done:
        %r: i64 = mul %a, 10
        %s: i64 = add %r, %b
        ret %s"""
    assert run(body) == 21


@pytest.mark.parametrize(("value", "expected"), [(0, 2), (1, 1), (256, 1), (M, 1)])
def test_a_branch_goes_to_its_first_target_unless_the_value_is_0(value: int, expected: int) -> None:
    assert run("br %x, a, b\na:\nret 1\nb:\nret 2", value, params="%x: i64") == expected


def test_a_may_goto_loop_ends_with_its_budget() -> None:
    module = parse_module(text("jump l(0)\nl(%i: i64):\n%n: i64 = add %i, 1\nmay_goto l(%n), out\nout:\nret %n"))
    assert Interpreter(module, Environment(), loop_budget=5).run() == 6


def test_a_function_without_result_gives_none() -> None:
    assert Interpreter(parse_module("function f()\na:\n  ret\n"), Environment()).run() is None


def test_an_endless_loop_is_given_up() -> None:
    refuses("the run takes more than 10000 steps", "jump l\nl:\njump l")


def test_a_place_said_to_be_unreachable_must_not_be_reached() -> None:
    refuses("control came to a place that was said to be unreachable", "unreachable")


def test_subprograms_take_arguments_and_give_results() -> None:
    program = """
        function main(%x: i64) -> i64
        a:
          %r: i64 = callsub double %x
          callsub nothing
          ret %r
        function double(%x: i64) -> i64
        a:
          %y: i64 = add %x, %x
          ret %y
        function nothing()
        a:
          ret
    """
    module = parse_module(program)
    check_module(module)
    assert Interpreter(module, Environment()).run([21]) == 42


def test_a_chain_of_nine_functions_is_too_long() -> None:
    functions = [f"function f{i}() -> i64\na:\n  %r: i64 = callsub f{i + 1}\n  ret %r\n" for i in range(8)]
    assert Interpreter(parse_module("".join(functions[1:]) + "function f8() -> i64\na:\n  ret 5\n"), Environment()).run() == 5
    module = parse_module("".join(functions) + "function f8() -> i64\na:\n  ret 5\n")
    with pytest.raises(IrRuntimeError, match="function `f8` is call 9 of a chain; the kernel allows 8"):
        Interpreter(module, Environment()).run()


STACK = "%s: ptr stack = alloca size=16 align=8 name=s\n"


@pytest.mark.parametrize(
    ("size", "signed", "expected"),
    [
        *((1, 0, 0xF8), (1, 1, -8), (2, 0, 0xF7F8), (2, 1, -0x808)),
        *((4, 0, 0xF5F6_F7F8), (4, 1, 0xF5F6_F7F8 - (1 << 32)), (8, 0, -0xE0D_0C0B_0A09_0808)),
    ],
)
def test_loads_and_stores_of_every_width(size: int, signed: int, expected: int) -> None:
    body = f"store %s, 0xf1f2f3f4f5f6f7f8 size=8 offset=8\n%r: i64 = load %s size={size} signed={signed} offset=8\nret %r"
    assert run(STACK + body) == expected


def test_bytes_lie_in_the_targets_order() -> None:
    body = STACK + "store %s, 0x0102 size=2\n%r: i32 = load %s size=1\nret %r"
    assert run(body) == 2
    assert run(body, env=Environment(big_endian=True)) == 1


def test_a_store_keeps_the_low_bytes_and_leaves_its_neighbours() -> None:
    body = "store %s, -1 size=8\nstore %s, 0x1234 size=1 offset=2\n%r: i64 = load %s size=8\nret %r"
    assert run(STACK + body) == -1 - (0xCB << 16)


def test_pointers_can_be_kept_on_the_stack() -> None:
    body = """
        store %s, 7 size=8
        store %s, %s size=8 offset=8
        %p: ptr stack = load %s size=8 offset=8
        %r: i64 = load %p size=8
        ret %r"""
    assert run(STACK + body) == 7


def test_a_pointer_moves_and_measures_distances() -> None:
    body = "%p: ptr stack = add %s, 12\n%q: ptr stack = add %p, -8\n%d: i64 = sub %q, %p\nret %d"
    assert run(STACK + body) == -8


@pytest.mark.parametrize(
    ("message", "body"),
    [
        ("bytes 15 to 16 are outside the 16 of stack `s`", "%p: ptr stack = add %s, %x\nstore %p, 0 size=2"),
        ("bytes 0 to 7 of stack `s` are read but have not all been written", "store %s, 0 size=4\n%v: i64 = load %s size=8"),
        (
            "bytes 0 to 3 of stack `s` hold a pointer, which cannot be read as bytes",
            "store %s, %s size=8\n%v: i64 = load %s size=4",
        ),
        (
            "bytes 8 to 15 of stack `s` are read but have not all been written",
            "store %s, %s size=8 offset=8\nstore %s, 0 size=1 offset=12\n%v: i64 = load %s size=8 offset=8",
        ),
        ("the i64 is a pointer to stack `s`; an integer is wanted", "store %s, %s size=8\n%v: i64 = load %s size=8"),
        (
            "the ptr stack is the integer 5; a pointer that is not 0 is wanted",
            "store %s, 5 size=8\n%v: ptr stack = load %s size=8",
        ),
        ("at offset 2 of stack `s`, which is no multiple of 4", "%p: ptr stack = add %s, 2\natomic %p, 1 op=add size=4"),
    ],
)
def test_wrong_use_of_the_stack(message: str, body: str) -> None:
    refuses(message, f"{STACK}{body}\nret 0", 15, params="%x: i64")


def test_stack_memory_ends_with_its_function() -> None:
    program = """
        function main() -> i64
        a:
          %p: ptr stack = callsub leak
          %v: i64 = load %p size=8
          ret %v
        function leak() -> ptr stack
        a:
          %s: ptr stack = alloca size=8 align=8 name=s
          store %s, 1 size=8
          ret %s
    """
    refuses("the pointer into stack `s` is not valid any more: function `leak` has returned", program)


@pytest.mark.parametrize(
    ("op", "size", "old", "operand", "new"),
    [
        ("add", 8, -1, 3, 2),
        ("add", 4, 0xFFFF_FFFF, 3, 2),
        ("and", 8, 12, 10, 8),
        ("or", 8, 12, 10, 14),
        ("xor", 4, 12, 10, 6),
        ("xchg", 8, 12, 10, 10),
    ],
)
def test_atomics_change_memory_and_give_the_old_value(op: str, size: int, old: int, operand: int, new: int) -> None:
    body = f"{STACK}store %s, {old} size=8\n%o: i64 = atomic %s, {operand} op={op} size={size} fetch=1\n"
    assert run(f"{body}ret %o") == old
    assert run(f"{body}%n: i64 = load %s size={size}\nret %n") == new
    if op != "xchg":
        body = f"store %s, {old} size=8\natomic %s, {operand} op={op} size={size}\n%n: i64 = load %s size={size}\nret %n"
        assert run(STACK + body) == new


@pytest.mark.parametrize(
    ("size", "memory", "expected", "old", "after"),
    [(8, 12, 12, 12, 5), (8, 12, 11, 12, 12), (4, -1, 0xFFFF_FFFF, 0xFFFF_FFFF, 5), (4, 7, (1 << 32) + 7, 7, 5)],
)
def test_compare_exchange_writes_where_the_old_value_is_found(
    size: int, memory: int, expected: int, old: int, after: int
) -> None:
    body = f"{STACK}store %s, {memory} size=8\n%o: i64 = cmpxchg %s, {expected}, 5 size={size}\n"
    assert run(f"{body}ret %o") == old
    assert run(f"{body}%n: i64 = load %s size={size}\nret %n") == after


@pytest.mark.parametrize(
    ("value", "low", "high", "holds"), [(7, 0, 7, True), (8, 0, 7, False), (-1, -1, 0, True), (-1, 0, (1 << 64) - 1, True)]
)
def test_a_range_guard_is_checked(value: int, low: int, high: int, holds: bool) -> None:
    body = f"%g: i64 = guard %x what=range low={low} high={high}\nret %g"
    if holds:
        assert run(body, value, params="%x: i64") == value
    else:
        refuses(f"the guard says {low} to {high}, but the value is {value}", body, value, params="%x: i64")


def test_a_nonnull_guard_is_checked() -> None:
    body = "%g: ptr map_value = guard %p what=nonnull\n%v: i64 = load %g size=8\nret %v"
    value = Pointer(Memory("map_value", "m", bytes([5] + 7 * [0])))
    assert run(body, value, params="%p: ptr map_value?") == 5
    refuses("the guarded pointer is 0; a pointer that is not 0 is wanted", body, 0, params="%p: ptr map_value?")


CHECKS = {  # forms of "the first 2 bytes are there", the target where they are first
    "%l: ptr packet = add %d, 2\n%t: bool = ule %l, %e\nbr %t, yes, no": 2,
    "%l: ptr packet = add %d, 2\n%t: bool = ult %e, %l\nbr %t, no, yes": 2,
    "%l: ptr packet = add %d, 1\n%t: bool = ult %l, %e\nbr %t, yes, no": 2,
    "%l: ptr packet = add %d, 1\n%t: bool = ule %e, %l\nbr %t, no, yes": 2,
}


@pytest.mark.parametrize("check", CHECKS)
def test_a_comparison_with_the_end_opens_the_packet(check: str) -> None:
    body = (
        check + "\nyes:\n%g: ptr packet = guard %d what=packet low={}\n%v: i32 = load %g size={} offset={}\nret %v\nno:\nret -1"
    )
    assert run(packet(body.format(2, 2, 0)), env=xdp()) == 0x0100
    assert run(packet(body.format(2, 1, 1)), env=xdp(2)) == 1
    assert run(packet(body.format(2, 2, 0)), env=xdp(1)) == -1
    refuses("the guard says that 3 bytes are there, but a comparison has shown only 2", packet(body.format(3, 1, 0)), env=xdp())
    refuses("bytes 1 to 2 of the packet are accessed, but only 2 have been compared", packet(body.format(2, 2, 1)), env=xdp())


def test_a_packet_is_closed_without_a_comparison() -> None:
    refuses(
        "bytes 0 to 1 of the packet are accessed, but only 0 have been", packet("%v: i32 = load %d size=2\nret %v"), env=xdp()
    )


def test_a_comparison_nobody_acts_on_opens_nothing() -> None:
    body = "%l: ptr packet = add %d, 2\n%t: bool = ule %l, %e\n%v: i32 = load %d size=2\nret %v"
    refuses("only 0 have been compared with its end", packet(body), env=xdp())
    acted_on = """
        %l: ptr packet = add %d, 2
        %t: bool = ule %l, %e
        jump b(%t)
        b(%u: bool):
        br %u, y, n
        y:
        %v: i32 = load %d size=2
        ret %v
        n:
        ret 0"""
    assert run(packet(acted_on), env=xdp()) == 0x0100


def test_a_comparison_that_fails_opens_nothing() -> None:
    body = (
        "%l: ptr packet = add %d, 9\n%t: bool = ule %l, %e\nbr %t, no, yes\nyes:\n%v: i32 = load %d size=1\nret %v\nno:\nret 0"
    )
    refuses("only 0 have been compared with its end", packet(body), env=xdp(8))


def test_a_packet_can_be_written_and_measured() -> None:
    body = CHECK_TWO + "\nyes:\nstore %d, 0xffee size=2\n%n: i64 = sub %e, %d\nret %n\nno:\nret -1"
    env = xdp(10)
    assert run(packet(body), env=env) == 10
    assert env.packet_bytes() == b"\xee\xff" + bytes(range(2, 10))


CHECK_TWO = next(iter(CHECKS))


def test_metadata_is_compared_with_the_packets_start() -> None:
    body = """
        %m: ptr packet_meta = load %ctx size=4 offset=8
        %l: ptr packet_meta = add %m, 4
        %t: bool = ule %l, %d
        br %t, yes, no
        yes:
        %g: ptr packet_meta = guard %m what=packet low=4
        %v: i32 = load %g size={}
        ret %v
        no:
        ret -1"""
    assert run(packet(body.format(4)), env=xdp(meta=b"\1\2\3\4")) == 0x0403_0201
    assert run(packet(body.format(4)), env=xdp()) == -1
    refuses(
        "bytes 0 to 7 of the packet are accessed, but only 4",
        packet(body.format(8).replace("i32", "i64")),
        env=xdp(meta=bytes(8)),
    )


def test_helpers_that_move_the_packet_end_its_pointers() -> None:
    body = f"{CHECK_TWO}\nyes:\n%r: i64 = call xdp_adjust_head %ctx, {{}}\n%v: i32 = load %d size=1\nret %v\nno:\nret -1"
    refuses("is not valid any more: xdp_adjust_head has moved the packet's start", packet(body.format(-4)), env=xdp())
    assert run(packet(body.format(60)), env=xdp()) == 0, "refused with -EINVAL, and nothing has moved"


def test_every_kind_of_op_can_run() -> None:
    assert set(HANDLERS) == {kind for kind, info in OPS.items() if not info.flags & Flag.TERMINATOR} - {"param"}


def test_the_samples_run() -> None:
    # the same steps in Python's own integers
    a, b = 5, 9
    product = -3 * (a + b - 7)
    fourth = (product % (1 << 64)) // 7
    ninth = (product - 7 * int(product / 7)) & 0xFF | (product // -3) & 0xFFFF_FFFF
    eleventh = (ninth ^ fourth % 7) << 7
    low = (eleventh >> 3) & 0xFFFF_FFFF
    fifteenth = (low & 0xFFFF ^ 0x8000) - 0x8000
    differs = fifteenth != int.from_bytes(low.to_bytes(4, "little"), "big")
    assert differs
    masked = eleventh >> 3 & 15
    assert Interpreter(parse_module(INTEGERS), Environment()).run([a, b, 1]) == masked + 1
    assert Interpreter(parse_module(INTEGERS.replace("const 1\n", "const 0\n")), Environment()).run([a, b, 0]) == fifteenth
    key = struct.pack("<I", 0x0C0D)
    maps = [COUNTS, MapSpec("program.data", MapType.ARRAY, 4, 16, 1)]
    env = Environment(maps, context=bytes(8), pointers={0: "packet", 4: "packet_end"}, packet=bytes(range(20)))
    env.maps["counts"].set(key, struct.pack("<QQ", 10, 20))
    assert Interpreter(parse_module(PROGRAM), env, loop_budget=3).run() == 23
    assert env.maps["counts"].get(key) == struct.pack("<QQ", 11, 21)
    assert env.maps["program.data"].get(bytes(4)) == struct.pack("<QQ", 0, 20)
    short = Environment(maps, context=bytes(8), pointers={0: "packet", 4: "packet_end"}, packet=bytes(13))
    assert Interpreter(parse_module(PROGRAM), short).run() == 2


def test_errors_name_function_block_op_and_source_line() -> None:
    program = """function f(%x: i64) -> i64 file "f.py"
a:
  jump b @1:0
b:
  %g: i64 = guard %x what=range high=1 @2:0
  ret %g @3:0
"""
    with pytest.raises(IrRuntimeError) as raised:
        Interpreter(parse_module(program), Environment()).run([5])
    expected = (
        "function `f`, block b1, `%1: i64 = guard %0 what=range high=1` (f.py:2): the guard says 0 to 1, but the value is 5"
    )
    assert str(raised.value) == expected
    assert raised.value.op is not None and raised.value.op.kind == "guard"


@pytest.mark.parametrize(
    ("message", "params", "args"),
    [
        ("function `f` takes 1 arguments, not 2", "%x: i64", [1, 2]),
        ("the value is 4294967296, which is no i32", "%x: i32", [1 << 32]),
        ("the value is 2, which is no bool", "%x: bool", [2]),
        ("the ptr ctx is 0; a pointer that is not 0 is wanted", "%x: ptr ctx", [0]),
        ("the value points to mem, which is no ptr ctx", "%x: ptr ctx", [Pointer(Memory("mem", "", b""))]),
    ],
)
def test_arguments_are_checked(message: str, params: str, args: list[Value]) -> None:
    with pytest.raises(IrRuntimeError, match=re.escape(message)):
        Interpreter(parse_module(text("ret 0", params)), Environment()).run(args)


def test_a_result_that_claims_too_small_a_type_is_an_error() -> None:
    refuses(
        "which is no i32", "%r: i32 = call ktime_get_ns\n%s: i32 = call ktime_get_ns\nret %s", env=Environment(time=1 << 40)
    )
