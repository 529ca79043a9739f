"""Locals that the stack has no room for lie in a per-CPU map, in programs, functions of their own, loops and callbacks."""

from __future__ import annotations

from types import FunctionType

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.compiler.ir.check import check_module
from purebpf.compiler.ir.environment import Environment
from purebpf.compiler.ir.interp import Interpreter
from purebpf.compiler.ir.ops import Module
from purebpf.compiler.options import Options
from purebpf.compiler.passes.large_locals import move_large_locals
from purebpf.compiler.pipeline import compile_ir
from purebpf.lang.program_types import KINDS
from tests.compiler.results import FRAME, Function, Table, check

case = Table()


@bpf.struct
class Big:
    a: list[u64] = bpf.array(u64, 40)
    name: str = bpf.chars(200)
    n: u32 = 0


@bpf.struct
class Huge:
    a: list[u64] = bpf.array(u64, 150)
    n: u32 = 0


@bpf.struct
class Key:
    a: list[u64] = bpf.array(u64, 10)


bigs = bpf.Array[Big](max_entries=4)
keys = bpf.Hash[Key, u32](max_entries=10)
hashes = bpf.Hash[u32, Big](max_entries=10)


def work(b: Big, n: u32) -> u32:
    c = Big(n=n)
    c.a[n & 31] = 3
    if n > 3:
        c.n += 1
    if n > 4:
        c.n += 1
    if n > 5:
        c.n += 1
    if n > 6:
        c.n += 1
    if n > 7:
        c.n += 1
    if n > 8:
        c.n += 1
    for i in range(40):
        b.a[i] += c.a[i] + 1
    if n == 99:
        c.name = "abc"
    if n == 98:
        c.name = "abcd"
    if n == 97:
        c.name = "abce"
    b.name = "hello"
    b.n = c.n
    return c.n + u32(b.a[n & 31])


def outer(n: u32) -> u32:
    x = Big(n=n)
    a = work(x, n)
    x.n += 1
    if n == 3:
        x.name = "three"
    if n == 4:
        x.name = "four"
    if n == 5:
        x.name = "five"
    if n == 6:
        x.name = "six"
    if n == 7:
        x.name = "seven"
    if n == 8:
        x.name = "eight"
    if n == 9:
        x.name = "nine"
    b = work(x, 2)
    if x.name == "hello":
        return a + b + x.n
    return 0


@case(39 + 5 + 3)
def two_arrays(ctx):  # type: ignore[no-untyped-def]
    b = Big(n=5)
    for i in range(40):
        b.a[i] = i
    c = bpf.array(u64, 40)
    for i in range(40):
        c[i] = b.a[39 - i]
    bigs[1] = b
    return c[0] + b.n + bigs[1].a[3]


@case(1 + 2 + 3 + 4 + 5 + 6 + 7 + 7)
def many_keys(ctx):  # type: ignore[no-untyped-def]
    a, b, c, d, e, f, g = Key(), Key(), Key(), Key(), Key(), Key(), Key()
    a.a[1] = 1
    b.a[1] = 2
    c.a[1] = 3
    d.a[1] = 4
    e.a[1] = 5
    f.a[1] = 6
    g.a[1] = 7
    n = len(ctx.packet) & 1 | 1
    keys[a], keys[b], keys[c], keys[d], keys[e], keys[f], keys[g] = 1, 2, 3, 4, 5, 6, 7
    return a.a[n] + b.a[n] + c.a[n] + d.a[n] + e.a[n] + f.a[n] + g.a[n] + keys.get(g, 0)


@case(92)
def functions_of_their_own(ctx):  # type: ignore[no-untyped-def]
    b = Big()
    x = work(b, len(ctx.packet))
    y = work(b, 5)
    return x + y + u32(b.a[5]) + (b.name == "hello")


@case(126)
def a_chain_of_functions(ctx):  # type: ignore[no-untyped-def]
    return outer(len(ctx.packet)) + outer(len(ctx.packet) - 40)


@case(22)
def the_last_of_a_loop(ctx):  # type: ignore[no-untyped-def]
    last = Big()
    for i in range(len(ctx.packet) & 7 | 3):
        b = Big(n=i)
        b.a[i & 7] = i
        if i == 2:
            last = b
    return last.n * 10 + last.a[2]


@case(22)
def more_than_a_kilobyte(ctx):  # type: ignore[no-untyped-def]
    last = Huge()
    for i in range(len(ctx.packet) & 7 | 3):
        b = Huge(n=i)
        b.a[i & 7] = i
        if i == 2:
            last = b
    return last.n * 10 + last.a[2]


@case(2 + 9)
def one_of_two(ctx):  # type: ignore[no-untyped-def]
    a = Big(n=1)
    b = Big(n=2)
    c = a if len(ctx.packet) > 64 else b
    c.a[3] = 9
    return c.n + b.a[3] + a.a[3]


@case(3 + 10)
def in_a_callback(ctx):  # type: ignore[no-untyped-def]
    total = 0
    a = Big(n=3)

    def each(i: int) -> bool:
        nonlocal total
        b = Big(n=i)
        b.a[i & 31] = i
        total += b.n + b.a[0]
        return False

    bpf.loop(5, each)
    return total + a.n


@case(21)
def entries_of_a_map(ctx):  # type: ignore[no-untyped-def]
    for i in range(3):
        hashes[i] = Big(n=i * 10)
    total = 0
    for k, v in hashes.items():
        total += v.n - k * 3
    a = Big(n=total)
    return a.n


@case.parametrize()
def test_the_result_is_that_of_the_language(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)


@pytest.mark.parametrize("function", [two_arrays, many_keys, the_last_of_a_loop, one_of_two, in_a_callback, entries_of_a_map])
def test_moving_keeps_ir_well_typed(function: FunctionType) -> None:
    unit, functions = compile_ir(function, KINDS["xdp"], "", "GPL", Options())
    assert move_large_locals(functions, unit.scratch_name, 16) > 0
    check_module(Module(functions))


@pytest.mark.parametrize("smallest", [16, 64])
def test_the_interpreter_sees_no_difference(smallest: int) -> None:
    for function in (two_arrays, many_keys, the_last_of_a_loop, one_of_two):
        unit, functions = compile_ir(function, KINDS["xdp"], "", "GPL", Options())
        unit.scratch = move_large_locals(functions, unit.scratch_name, smallest)
        context = Environment(
            unit.map_specs().values(),
            context=bytes(24),
            packet=FRAME,
            pointers={0: "packet", 4: "packet_end", 8: "packet_meta"},
        )
        expected = next(row[1] for row in case.rows if row[0] is function)
        assert Interpreter(Module(functions), context).run() == expected


def test_small_locals_stay_on_the_stack() -> None:
    @bpf.xdp
    def small(ctx: bpf.XdpContext) -> int:
        a = Key()
        a.a[len(ctx.packet) & 7] = 5
        return u32(a.a[0])

    assert list(small.spec().maps) == []


def test_the_map_is_as_large_as_what_is_moved() -> None:
    spec = bpf.xdp(two_arrays).spec()  # type: ignore[arg-type]
    assert spec.maps["two_arrays.scratch"].value_size == 8 + 528 + 320
    assert spec.programs["two_arrays"].stack <= 64


def test_a_program_that_may_meet_itself_is_refused() -> None:
    @bpf.socket_filter
    def reads(ctx: bpf.SocketFilterContext) -> int:
        a, b = Big(n=1), Big(n=2)
        bigs[0], bigs[1] = a, b
        return a.n

    with pytest.raises(bpf.CompileError, match=r"(?s)needs \d+ bytes of stack.*`socket_filter` may be interrupted by itself"):
        reads.spec()


def test_more_than_a_per_cpu_value_is_refused() -> None:
    @bpf.xdp
    def too_much(ctx: bpf.XdpContext) -> int:
        a, b = bpf.array(u64, 2500), bpf.array(u64, 2500)
        a[len(ctx.packet) & 7] = 1
        b[len(ctx.packet) & 3] = 1
        return u32(a[1] + b[1])

    with pytest.raises(bpf.CompileError, match="local memory of `too_much` has 40008 bytes"):
        too_much.spec()
