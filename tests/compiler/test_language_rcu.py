"""`with bpf.rcu():` holds the lock and gives it back on every way out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.errors import CompileError, Error
from tests.compiler.results import Table, check, check_ir


@bpf.struct
class Account:
    lock: bpf.SpinLock
    balance: u64 = 0


counts = bpf.Hash[u32, u64](max_entries=16)
accounts = bpf.Array[Account](max_entries=4)
ring = bpf.RingBuf[u32](size=4096)
case = Table()


@case(7)
def around_a_lookup(ctx: bpf.XdpContext) -> int:
    counts[1] = 7
    with bpf.rcu():
        n = counts.get(1, 0)
    return n


@case(1 + 10 + 100 * 2)
def every_way_out(ctx: bpf.XdpContext) -> int:
    n = 0
    for i in range(5):
        with bpf.rcu():
            if i == len(ctx.packet) - 64:
                n += 1
                continue
            if i == 3:
                n += 10
                break
            n += 100
    return n


def left_by_return(n: int) -> int:
    with bpf.rcu():
        if n > 5:
            return 1
        for i in range(10):
            if i == n:
                return 2
    return 3


@case(1 + 20 + 300)
def from_an_inlined_function(ctx: bpf.XdpContext) -> int:
    n = len(ctx.packet)
    return left_by_return(n) + 10 * left_by_return(n - 60) + 100 * left_by_return(n - 100)


@case(5)
def a_lock_inside(ctx: bpf.XdpContext) -> int:
    account = accounts[1]
    with bpf.rcu(), account.lock:
        account.balance = 5
    return account.balance


@case(1)
def no_packet_no_matter(ctx: bpf.XdpContext) -> int:
    with bpf.rcu():
        first = ctx.packet.at(len(ctx.packet) - 1, bpf.u8)
        if first is None:
            return 2
    return 1 + first


@case(45)
def calls_back(ctx: bpf.XdpContext) -> int:
    total = 0

    def add(i: int) -> bool:
        nonlocal total
        total += i
        return False

    with bpf.rcu():
        bpf.loop(10, add)
    return total


@case(3)
def inside_of_a_callback(ctx: bpf.XdpContext) -> int:
    counts[2] = 1
    total = 0

    def add(i: int) -> bool:
        nonlocal total
        with bpf.rcu():
            if i > 5:
                return True
            total += counts.get(i, 0)
        return total > 100

    bpf.loop(10, add)
    return total + 2


@case.parametrize()
def test_result(function: Callable[..., object], expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)


@pytest.mark.parametrize("function, expected, packet", case.rows, ids=[row[0].__name__ for row in case.rows])
def test_result_of_the_ir(function: Callable[..., object], expected: int, packet: bytes) -> None:
    check_ir(function, expected, packet)


@bpf.socket_filter
def filtered(ctx: bpf.SocketFilterContext) -> int:
    with bpf.rcu():
        n = counts.get(ctx.protocol, 3)
    return n


@pytest.mark.kernel
def test_other_types_of_programs() -> None:
    with filtered.load("kernel"):
        assert filtered.run(packet=bytes(64)).value == 3


def test_in_user_space_it_says_where_it_belongs() -> None:
    with pytest.raises(Error, match=r"rcu\(\) runs only inside a program"):
        bpf.rcu()


def test_kernel_functions_want_a_free_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "__bpf_license__", "Proprietary")
    program = bpf.xdp(around_a_lookup)
    with pytest.raises(CompileError, match="`bpf_rcu_read_lock` is for GPL-compatible programs only"):
        program.compiled()


def test_before_6_9_nothing_is_called_back_inside() -> None:
    from purebpf.compiler.options import Options

    program = bpf.xdp(calls_back)
    program.options = Options(may_goto=False)
    with pytest.raises(CompileError, match=r"nothing can be called back inside of `with bpf.rcu\(\)` on this kernel"):
        program.compiled()


@bpf.struct
class Word:
    value: u64 = 0


@bpf.global_subprogram
def fetch(word: Word, address: u64) -> int:
    return bpf.helpers.copy_from_user(word, 8, address)


def sleeps_inside(file):  # type: ignore[no-untyped-def]
    word = Word()
    with bpf.rcu():
        bpf.helpers.copy_from_user(word, 8, 1234)
    return 0


def sleeps_in_a_subprogram(file):  # type: ignore[no-untyped-def]
    word = Word()
    with bpf.rcu():
        fetch(word, 1234)
    return 0


def sleeps_in_a_callback(file):  # type: ignore[no-untyped-def]
    word = Word()

    def again(i: int) -> bool:
        return fetch(word, i) != 0

    with bpf.rcu():
        bpf.loop(5, again)
    return 0


def sleeps_behind(file):  # type: ignore[no-untyped-def]
    word = Word()
    with bpf.rcu():
        word.value += 1
    fetch(word, 1234)
    return 0


@pytest.mark.kernel
@pytest.mark.parametrize("function", (sleeps_inside, sleeps_in_a_subprogram, sleeps_in_a_callback))
def test_nothing_sleeps_while_it_is_held(function: Callable[..., object]) -> None:
    with pytest.raises(CompileError, match="may sleep, which cannot be while RCU is held"):
        bpf.lsm("file_open", sleepable=True)(function).compiled()


@pytest.mark.kernel
def test_behind_it_sleeping_is_fine() -> None:
    made = bpf.lsm("file_open", sleepable=True)(sleeps_behind).compiled()
    assert any(instruction.symbol == "bpf_rcu_read_unlock" for instruction in made.program.instructions)
