"""Loops where the kernel has no `may_goto` (before Linux 6.9): the verifier walks through every trip, and must see the end."""

from __future__ import annotations

import pytest

import purebpf as bpf
from purebpf import u8, u16, u32
from purebpf.compiler.diagnostics import UnsupportedProgram
from purebpf.compiler.options import Options
from purebpf.data import replace
from purebpf.errors import CompileError, Unsupported
from purebpf.kernel import probe
from tests.compiler.results import ENGINES, Function, Table, check, check_ir


@bpf.struct
class Pair:
    first: u16 = 0
    second: u32 = 0


case = Table()
PACKET = bytes(range(64))


@case(64, PACKET)
def checks_that_fail_and_go_on(ctx):  # type: ignore[no-untyped-def]
    count = 0
    for i in range(900):
        if ctx.packet.at(i, u8) is not None:
            count += 1
    return count


@case(61, PACKET)
def offsets_below_zero(ctx):  # type: ignore[no-untyped-def]
    count = 0
    for i in range(-5, 200):
        if ctx.packet.at(i, u32) is not None:
            count += 1
    return count


@case(sum(PACKET), PACKET)
def a_way_out_of_the_loop(ctx):  # type: ignore[no-untyped-def]
    total: u16 = 0
    for i in range(1500):
        byte = ctx.packet.at(i, u8)
        if byte is None:
            break
        total += byte
    return total


@case(sum(range(4)) + sum(range(1, 6)) + 8, PACKET)
def ends_known_when_it_runs(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    total = 0
    for i in range(n % 10):
        total += i
    for i in range(n % 59, 0, -1):
        total += i
    for _ in range(-4, n % 20):
        total += 1
    return total


@case(100 + 9 * 4, PACKET)  # bytes 59, 61, 62 and 63
def loops_in_each_other(ctx):  # type: ignore[no-untyped-def]
    total = 100
    for i in range(40):
        for j in range(4):
            byte = ctx.packet.at(i * 4 + j, u8)
            if byte is not None and byte % 16 > 7 and byte > 60 - j:
                total += 9
    return total


@pytest.fixture
def no_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this kernel knew neither may_goto nor iterators nor bpf_loop."""
    monkeypatch.setenv("PUREBPF_KEEP", "no")  # no program that was compiled for this kernel as it is
    monkeypatch.setitem(probe._known, "may_goto", False)
    monkeypatch.setattr("purebpf.kernel.engine.kernel_version", lambda: (5, 10))


@case(360, PACKET)
def pairs_of_a_range_that_may_be_empty(ctx):  # type: ignore[no-untyped-def]
    n, total = len(ctx.packet), 0
    for i, j in enumerate(range(n % 5, n % 23, 3)):
        total += (i + 1) * j
    for i, j in enumerate(range(n % 23, n % 5, 3)):
        total += i * j + 1
    for i in reversed(range(n % 4, n % 30, 7)):
        total = total * 2 + i
    return total


@case.parametrize()
def test_a_program_gives(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine, Options(may_goto=False, iter_num=False, bpf_loop=False))
    check(function, expected, packet, engine, Options(dead_registers=False))


def endless(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    while n > 1:
        n //= 2
    return n


@pytest.mark.kernel
def test_an_old_kernel_gets_loops_without_budgets(no_budgets: None) -> None:
    program = bpf.xdp(checks_that_fail_and_go_on)
    assert program.spec().programs[program.name].requires == ("may_goto",)
    with program.load("kernel") as collection:
        assert collection.spec.programs[program.name].requires == ()
        assert program.run(packet=PACKET).value == 64
    with program.load("vm"):  # which takes it as it was compiled for the kernel
        assert program.run(packet=PACKET).value == 64


def a_search_that_goes_on_behind_the_packet(ctx):  # type: ignore[no-untyped-def]
    for i in range(len(ctx.packet)):
        byte = ctx.packet.at(i, u8)
        if byte is not None and byte == 8:
            return i
    return 0


@pytest.mark.parametrize("engine", [*ENGINES, "python"])
def test_a_search_with_a_budget(engine: str) -> None:
    check(a_search_that_goes_on_behind_the_packet, 8, PACKET, engine, Options(dead_registers=False))


@pytest.mark.kernel
def test_a_loop_without_an_end_names_the_line_and_the_kernel(no_budgets: None) -> None:
    program = bpf.xdp(endless)
    with pytest.raises(
        Unsupported, match=r"while n > 1:\n.* such loops came with Linux 5\.17\n.*= help: give it a bound"
    ) as refused:
        program.load("kernel")
    assert isinstance(refused.value, CompileError)
    assert program.run(packet=PACKET, engine="vm").value == 1
    program.close()


called = Table()  # where the kernel turns such loops


@called(111, PACKET)
def a_condition_that_nobody_knows(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet) - 37  # 27, and the longest way to 1 of the small numbers
    steps = 0
    while n > 1:
        n = n // 2 if n % 2 == 0 else (3 * n + 1) & 0xFFFFFFFF
        steps += 1
    return steps


@called(sum(PACKET), PACKET)
def an_else_behind_a_range(ctx):  # type: ignore[no-untyped-def]
    total: u32 = 0
    for i in range(len(ctx.packet)):
        byte = ctx.packet.at(i, u8)
        if byte is None:
            break
        total += byte
    else:
        return total
    return 7


@called(9, PACKET)
def a_return_from_inside(ctx):  # type: ignore[no-untyped-def]
    for i in range(1000000):
        if i % 7 == 0:
            continue
        byte = ctx.packet.at(i, u8)
        if byte is not None and byte == 9:
            return i
    return 1


@called(261, PACKET)
def loops_called_in_each_other(ctx):  # type: ignore[no-untyped-def]
    total = 0
    for i in range(len(ctx.packet) + 1000):
        j = i & 63
        while j > 0:
            j //= 2
            total += 1
            if total > 260:
                break
        if total > 260:
            return total
    return 5


@called(2000, PACKET)
def the_variable_keeps_its_last_value(ctx):  # type: ignore[no-untyped-def]
    last = 0
    for i in range(len(ctx.packet) + 50000):  # noqa: B007
        last += 1  # noqa: SIM113
        if last == 2001:
            break
    return i


def is_prime(n):  # type: ignore[no-untyped-def]
    i = 2
    while i * i <= n:
        if n % i == 0:
            return False
        i += 1
    return n > 1


@called(12, PACKET)
def an_inlined_function_returns_from_inside(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    return is_prime(n * 0 + 65521) * 4 + is_prime(n) * 2 + is_prime(n * n) + (not is_prime(n + n)) * 8


@called.parametrize()
def test_the_kernel_turns(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine, Options(may_goto=False, iter_num=False))


@called.parametrize()
def test_an_iterator_turns(function: Function, expected: int, packet: bytes, engine: str) -> None:
    options = Options(may_goto=False, dead_registers=False)
    check(function, expected, packet, engine, options)
    assert "bpf_iter_num_next" in symbols(function, options)


def symbols(function: Function, options: Options) -> set[str | None]:
    """What the program refers to by name."""
    program = bpf.xdp(function)
    program.options = options
    return {instruction.symbol for instruction in program.compiled().program.instructions}


iterated = Table()  # what no callback can do
records = bpf.Hash[u32, Pair](max_entries=8)
ring = bpf.RingBuf[Pair](size=4096)


@iterated(4 + 100 * 4, PACKET)
def a_reference_leaves(ctx):  # type: ignore[no-untyped-def]
    records[4] = Pair(first=4)
    found = None
    n = len(ctx.packet)
    while n > 1:
        n //= 2
        candidate = records.get(n)
        if candidate is not None:
            found = candidate
    if found is None:
        return 0
    return found.first + 100 * first_of(ctx)


def first_of(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    while n > 1:
        n //= 2
        place = ctx.packet.at(n, Pair)
        if place is not None and place.first == 0x0504:
            return n
    return 0


@iterated(9, PACKET)
def ways_out_of_two(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    total = 0
    while n > 1:
        n -= 1
        m = n
        while m > 0:
            m //= 2
            if m == 7:
                total += m
                break
            if m == 3 and n < 8:
                return total + 5
        else:
            total += 6 if n == 13 else 0
            continue
        if n == 15:
            total -= 100
    return 1


@iterated(32 + 16 + 8 + 2 + 1, PACKET)
def a_ring_around_and_inside(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    with ring.reserve() as outer:
        if outer is None:
            return 0
        while n > 1:
            with ring.reserve() as inner:
                if inner is None:
                    return 1
                inner.first = n
                n = n // 2
                if n == 4:
                    ring.discard(inner)
                    continue
                outer.second += n
        n = outer.second
    return n


@iterated(64 - 41, PACKET)
def changes_of_the_packet(ctx):  # type: ignore[no-untyped-def]
    while len(ctx.packet) > 20:
        byte = ctx.packet.at(0, u8)
        if byte is None or byte > 40:
            break
        if ctx.packet.adjust_head(1) != 0:
            break
    return len(ctx.packet)


@iterated(8388608, PACKET)
def the_budget_is_used_up(ctx):  # type: ignore[no-untyped-def]
    n = 0
    while len(ctx.packet) > 1:
        n += 1
    return n


@iterated.parametrize()
def test_what_no_callback_can_do(function: Function, expected: int, packet: bytes, engine: str) -> None:
    if function is the_budget_is_used_up and engine != "kernel":
        pytest.skip("eight million trips take a while elsewhere")
    options = Options(may_goto=False, dead_registers=False)
    check(function, expected, packet, engine, options)
    check(function, expected, packet, engine, replace(options, cpu=4))
    assert "bpf_iter_num_next" in symbols(function, options)


@pytest.mark.parametrize("function, expected, packet", [row for row in iterated.rows if row[0] is not the_budget_is_used_up])
def test_what_no_callback_can_do_in_the_ir(function: Function, expected: int, packet: bytes) -> None:
    check_ir(function, expected, packet, Options(may_goto=False, dead_registers=False))


def test_a_licence_that_is_not_free_has_callbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "__bpf_license__", "Proprietary")
    names = symbols(a_condition_that_nobody_knows, Options(may_goto=False))
    assert "bpf_iter_num_next" not in names and any(name and name.endswith("_trip") for name in names)


def test_a_reference_cannot_leave_such_a_loop() -> None:
    def of(ctx):  # type: ignore[no-untyped-def]
        n = len(ctx.packet)
        while n > 1:
            n //= 2
            if n == 3:
                return ctx.packet.at(0, u8)
        return None

    def program(ctx):  # type: ignore[no-untyped-def]
        found = of(ctx)
        return 0 if found is None else found

    made = bpf.xdp(program)
    made.options = Options(may_goto=False, iter_num=False)
    with pytest.raises(CompileError):
        made.spec()


def test_what_only_a_called_body_cannot_do_came_with_a_later_kernel() -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        pair = Pair(first=5, second=6)
        for _ in range(len(ctx.packet)):
            pair = Pair(first=u16(pair.second), second=pair.first)
        return pair.first

    made = bpf.xdp(program)
    made.options = Options(may_goto=False, iter_num=False)
    with pytest.raises(UnsupportedProgram, match=r"came with Linux 6\.4"):
        made.spec()
    made.options = Options()
    made.spec()
