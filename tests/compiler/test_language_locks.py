"""Spin locks and timers in map values: held and given back on every way out, apart from the record's own fields."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.errors import Error
from tests.compiler.results import ENGINES, Table, check, check_ir


@bpf.struct
class Account:
    lock: bpf.SpinLock
    balance: u64 = 0
    moves: u32 = 0


@bpf.struct
class Session:
    hits: u32 = 0
    timer: bpf.Timer = bpf.Timer()
    fired: u32 = 0
    name: str = bpf.chars(8)


accounts = bpf.Hash[u32, Account](max_entries=16)
table = bpf.Array[Account](max_entries=4)
sessions = bpf.Array[Session](max_entries=4)
by_key = bpf.Hash[u32, Session](max_entries=16)
case = Table()


@case(110)
def a_lock_in_a_hash(ctx: bpf.XdpContext) -> int:
    accounts[1] = Account(balance=100)
    account = accounts.get(1)
    if account is None:
        return 0
    with account.lock:
        account.balance += 10
        account.moves += 1
    return account.balance if account.moves == 1 else 0


def move(account: Account, amount: int) -> int:
    with account.lock:
        if amount == 0:
            return 1
        for i in range(4):
            if i == amount:
                account.moves = i
                return 2
            if i == 3:
                break
            account.balance += 1
        if account.balance > 1000:
            return 3
    return 4


@case(1 + 2 + 4 + 100 * (2 + 3))
def every_way_out_gives_it_back(ctx: bpf.XdpContext) -> int:
    table[0].balance = 0
    table[0].moves = 0
    a = move(table[0], 0)
    b = move(table[0], 2)
    c = move(table[0], 9)
    return a + b + c + 100 * table[0].balance


@case(3)
def one_after_the_other(ctx: bpf.XdpContext) -> int:
    n = 0
    for i in range(3):
        with table[1].lock:
            table[1].moves = i
            n += 1
    return n


@case(7)
def an_update_leaves_the_lock_alone(ctx: bpf.XdpContext) -> int:
    table[2] = Account(balance=7)
    with table[2].lock:
        balance = table[2].balance
    return u32(balance)


@case.parametrize()
def test_result(function: Callable[..., object], expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)


@pytest.mark.parametrize("function, expected, packet", case.rows, ids=[row[0].__name__ for row in case.rows])
def test_result_of_the_ir(function: Callable[..., object], expected: int, packet: bytes) -> None:
    check_ir(function, expected, packet)


@bpf.xdp
def transfer(ctx: bpf.XdpContext) -> int:
    account = table[3]
    with account.lock:
        account.balance += 1
        if account.balance != account.moves + 1:
            return 0
        account.moves += 1
    return 1


@pytest.mark.kernel
def test_a_lock_keeps_two_fields_together() -> None:
    with transfer.load("kernel"):
        answers: list[int] = []

        def work() -> None:
            answers.extend(transfer.run(packet=bytes(64)).value for _ in range(500))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [1] * 2000
        assert (table[3].balance, table[3].moves) == (2000, 2000)


def test_a_lock_is_no_part_of_the_record_in_user_space() -> None:
    assert Account() == Account(balance=0) and repr(Account(moves=1)) == "Account(balance=0, moves=1)"
    assert Account.__bpf_type__.size == 24 and Account(balance=3).to_bytes()[:4] == bytes(4)
    with pytest.raises(TypeError, match="is the kernel's and cannot be given"):
        Account(lock=1)  # type: ignore[call-arg]


def expired(key: int, session: Session) -> None:
    session.fired += 1 + key
    if session.fired < 3:
        session.timer.start(expired, 1000)


@bpf.xdp
def starts(ctx: bpf.XdpContext) -> int:
    session = sessions[1]
    session.hits += 1
    return session.timer.start(expired, 2_000_000) + session.fired


@pytest.mark.parametrize("engine", ENGINES)
def test_a_timer_fires_after_the_run(engine: str) -> None:
    with starts.load(engine):
        assert starts.run(packet=bytes(64)).value == 0
        deadline = time.monotonic() + 5
        while sessions[1].fired < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (sessions[1].fired, sessions[1].hits) == (4, 1)


@bpf.xdp
def cancels(ctx: bpf.XdpContext) -> int:
    by_key[5] = Session(name="five")
    session = by_key.get(5)
    if session is None:
        return 0
    before = session.timer.cancel()
    session.timer.start(expired, 3_600_000_000_000)
    first = session.timer.cancel()
    second = session.timer.cancel()
    return 1 if (before < 0, first, second) == (True, 1, 0) else 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_timer_is_cancelled(engine: str) -> None:
    with cancels.load(engine):
        assert cancels.run(packet=bytes(64)).value == 1
        assert by_key[5].fired == 0


@bpf.xdp
def deletes(ctx: bpf.XdpContext) -> int:
    by_key[6] = Session()
    session = by_key.get(6)
    if session is None:
        return 0
    session.timer.start(expired, 1000)
    del by_key[6]
    return 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_deleted_entry_takes_its_timer_along(engine: str) -> None:
    with deletes.load(engine):
        assert deletes.run(packet=bytes(64)).value == 1
        assert 6 not in by_key


def test_declarations_that_cannot_be() -> None:
    with pytest.raises(Error, match="cannot lie in a packed record"):

        @bpf.struct(packed=True)
        class Packed:
            lock: bpf.SpinLock

    with pytest.raises(Error, match=r"takes no default but bpf.SpinLock\(\)"):

        @bpf.struct
        class Wrong:
            lock: bpf.SpinLock = 0  # type: ignore[assignment]

    with pytest.raises(Error, match="at most one `bpf_spin_lock`"):

        @bpf.struct
        class Two:
            a: bpf.SpinLock
            b: bpf.SpinLock

    with pytest.raises(Error, match="not a part of one"):

        @bpf.struct
        class Outer:
            inner: Account

    with pytest.raises(Error, match="PerCpuHash cannot hold `bpf_spin_lock`"):
        bpf.PerCpuHash[u32, Account](max_entries=1).describe("m")
    with pytest.raises(Error, match="LruHash cannot hold `bpf_spin_lock`"):
        bpf.LruHash[u32, Account](max_entries=1).describe("m")
    with pytest.raises(Error, match="a key cannot hold `bpf_spin_lock`"):
        bpf.Hash[Account, u32](max_entries=1).describe("m")
    with pytest.raises(Error, match="a record that is sent cannot hold `bpf_timer`"):
        bpf.RingBuf[Session](size=4096).describe("m")
