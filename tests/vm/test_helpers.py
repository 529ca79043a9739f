"""Helpers: that the table and the code agree on them, and what those do that the kernel's answers cannot be compared to."""

from __future__ import annotations

import os
import sys
import threading
import time
from inspect import signature

import pytest

from purebpf.engine import Engine
from purebpf.errors import VmError
from purebpf.isa.asm import (
    DW,
    FP,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    Add,
    Exit,
    Fn,
    LoadImm64,
    LoadMapPtr,
    LoadMapValue,
    LoadMem,
    Mov,
    StoreImm,
    StoreMem,
    W,
    assemble,
)
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.constants import constant
from purebpf.tables.enums import MapType, ProgramType
from purebpf.tables.helpers import helper_by_id
from purebpf.vm.engine import VmEngine
from purebpf.vm.helpers import calls, functions, names
from purebpf.vm.trace import Task
from tests.vm.support import ENGINES, OUT, Code, engine_called, helper, loaded, number, run, u32, u64

EFAULT, EINVAL = 14, 22
RETURN_0 = (Mov.imm(R0, 0), Exit())


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return engine_called(request.param)


@pytest.mark.parametrize("id", sorted(functions()))
def test_helper_takes_the_registers_that_the_table_says(id: int) -> None:
    described = helper_by_id(id)
    assert described is not None
    taken = len(signature(functions()[id]).parameters) - 1
    assert taken == len(described.args) + described.variadic
    assert calls().registers[id] == len(described.args)


def test_every_helper_of_the_language_is_here() -> None:
    wanted = """map_lookup_elem map_update_elem map_delete_elem ktime_get_ns ktime_get_boot_ns ktime_get_coarse_ns
        get_prandom_u32
        get_smp_processor_id get_numa_node_id trace_printk trace_vprintk snprintf get_current_pid_tgid get_current_uid_gid
        get_current_comm perf_event_output tail_call redirect redirect_map skb_load_bytes skb_store_bytes l3_csum_replace
        l4_csum_replace csum_diff xdp_adjust_head xdp_adjust_tail xdp_adjust_meta xdp_load_bytes xdp_store_bytes
        skb_change_tail skb_pull_data probe_read probe_read_kernel probe_read_user probe_read_str probe_read_kernel_str
        probe_read_user_str strncmp
        strtol strtoul jiffies64 get_attach_cookie loop for_each_map_elem map_push_elem map_pop_elem map_peek_elem"""
    assert set(wanted.split()) <= set(names())


def value_of(engine: Engine, *code: Code, maps: tuple[MapSpec, ...] = ()) -> int:
    """The 64-bit r0 that code leaves."""
    flat = [each for part in code for each in part]
    with loaded(engine, (*flat, LoadMapValue(R1, "out"), StoreMem(R1, 0, R0, DW), *RETURN_0), maps=[OUT, *maps]) as made:
        made.run()
        return number(made.out()[:8])


def test_time_is_the_clock_of_the_system(engine: Engine) -> None:
    before = time.monotonic_ns()
    now = value_of(engine, (helper("ktime_get_ns"),))
    assert before <= now <= time.monotonic_ns()


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no CLOCK_BOOTTIME")
def test_time_since_boot_counts_sleep(engine: Engine) -> None:
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    now = value_of(engine, (helper("ktime_get_boot_ns"),))
    assert before <= now <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def test_coarse_time_lags_by_a_tick_at_most() -> None:
    before = time.monotonic_ns()
    assert before - 1_000_000 <= value_of(VmEngine(), (helper("ktime_get_coarse_ns"),)) <= time.monotonic_ns()


def test_jiffies_go_forward() -> None:
    engine = VmEngine()
    before = value_of(engine, (helper("jiffies64"),))
    time.sleep(0.02)
    assert before + 20 <= value_of(engine, (helper("jiffies64"),)) < before + 10_000


def test_current_task_is_this_thread(engine: Engine) -> None:
    assert value_of(engine, (helper("get_current_pid_tgid"),)) == os.getpid() << 32 | threading.get_native_id()
    assert value_of(engine, (helper("get_current_uid_gid"),)) == os.getgid() << 32 | os.getuid()


@pytest.mark.parametrize("size", [16, 8, 1])
def test_name_of_the_current_task(engine: Engine, size: int) -> None:
    code = (
        *(StoreImm(FP, -at, -1, DW) for at in (8, 16)),
        Mov.reg(R1, FP),
        Add.imm(R1, -16),
        Mov.imm(R2, size),
        helper("get_current_comm"),
        LoadMapValue(R3, "out"),
        *(each for at in (0, 8) for each in (LoadMem(R4, FP, at - 16, DW), StoreMem(R3, at, R4, DW))),
        Exit(),
    )
    with loaded(engine, code, maps=[OUT]) as made:
        assert made.run().value == 0
        with open("/proc/self/comm", "rb") as file:
            comm = file.read().rstrip(b"\n")
        assert made.out()[:16] == comm[: size - 1].ljust(size, b"\0").ljust(16, b"\xff")


def test_task_can_be_chosen() -> None:
    engine = VmEngine(task=Task(pid=7, thread=8, uid=9, gid=10, comm=b"nobody"))
    assert value_of(engine, (helper("get_current_pid_tgid"),)) == 7 << 32 | 8
    assert value_of(engine, (helper("get_current_uid_gid"),)) == 10 << 32 | 9


def test_random_numbers_repeat_with_the_seed() -> None:
    draws = [value_of(VmEngine(seed=seed), (helper("get_prandom_u32"),)) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert all(0 <= draw < 1 << 32 for draw in draws)


def test_cpu_and_node(engine: Engine) -> None:
    assert value_of(engine, (helper("get_smp_processor_id"),)) < engine.possible_cpus
    assert value_of(VmEngine(), (helper("get_numa_node_id"),)) == 0


def test_cookie_of_a_run() -> None:
    engine = VmEngine()
    code = assemble((helper("get_attach_cookie"), Exit()))
    program = engine.load_program(ProgramSpec("test", ProgramType.TRACEPOINT, code), {})
    assert program.run(context=bytes(8)).value == 0
    assert program.run(context=bytes(8), cookie=99).value == 99


# Memory that may not be there.


def probing(name: str, address: int, size: int) -> tuple[int, bytes]:
    """The result, and the 16 bytes of the destination, which was all 0xff before."""
    engine = VmEngine()
    place = engine.share("a text", bytearray(b"hello\0world")) if address == 0 else address
    code = (
        *(StoreImm(FP, -at, -1, DW) for at in (8, 16)),
        Mov.reg(R1, FP),
        Add.imm(R1, -16),
        Mov.imm(R2, size),
        LoadImm64(R3, place),
        helper(name),
        LoadMapValue(R3, "out"),
        *(each for at in (0, 8) for each in (LoadMem(R4, FP, at - 16, DW), StoreMem(R3, at, R4, DW))),
        Exit(),
    )
    with loaded(engine, code, maps=[OUT]) as made:
        value = made.run().value
        return value - (1 << 32) if value >> 31 else value, made.out()[:16]


READS = ["probe_read", "probe_read_kernel", "probe_read_user"]
TEXTS = ["probe_read_str", "probe_read_kernel_str", "probe_read_user_str"]


@pytest.mark.parametrize("name", READS)
def test_probing_copies_or_zeroes(name: str) -> None:
    assert probing(name, 0, 11) == (0, b"hello\0world" + b"\xff" * 5)
    assert probing(name, 0, 12) == (-EFAULT, bytes(12) + b"\xff" * 4)
    assert probing(name, 0xDEAD_0000_0000, 4) == (-EFAULT, bytes(4) + b"\xff" * 12)
    assert probing(name, 0, 0) == (0, b"\xff" * 16)


@pytest.mark.parametrize("name", TEXTS)
def test_probing_of_a_text_ends_at_its_nul(name: str) -> None:
    assert probing(name, 0, 16) == (6, b"hello\0" + b"\xff" * 10)
    assert probing(name, 0, 4) == (4, b"hel\0" + b"\xff" * 12)
    assert probing(name, 0, 1) == (1, b"\0" + b"\xff" * 15)
    assert probing(name, 0, 0) == (0, b"\xff" * 16)
    assert probing(name, 8, 4) == (-EFAULT, bytes(4) + b"\xff" * 12)


def test_probing_into_nowhere_is_an_error_of_the_program() -> None:
    with pytest.raises(VmError, match="writes 600 bytes at 0x200001f0, at offset 496 of the program's stack"):
        probing("probe_read", 0, 600)


# Printing.


def printing(fmt: bytes, *arguments: int) -> Code:
    code: list[object] = []
    padded = fmt + bytes(8 - len(fmt) % 8)
    for at in range(0, len(padded), 8):
        code += [LoadImm64(R1, int.from_bytes(padded[at : at + 8], sys.byteorder)), StoreMem(FP, at - len(padded), R1, DW)]
    code += [Mov.reg(R1, FP), Add.imm(R1, -len(padded)), Mov.imm(R2, len(fmt) + 1)]
    code += [LoadImm64(register, argument) for register, argument in zip((R3, R4, R5), arguments, strict=False)]
    return [*code, Fn.trace_printk.call(), Exit()]  # type: ignore[list-item]


def test_printing_gives_the_length_and_adds_a_line() -> None:
    engine = VmEngine(task=Task(1, 4321, 0, 0, b"tester"))
    assert run(engine, printing(b"Hello world!\n")).value == 13
    assert run(engine, printing(b"%d of %lx: %u", -1 & 0xFFFF_FFFF, 1 << 40, 7)).value == len("-1 of 10000000000: 7")
    assert engine.trace.texts == ["Hello world!", "-1 of 10000000000: 7"]
    first = next(iter(engine.trace))
    assert (first.task, first.pid, first.cpu, first.text) == ("tester", 4321, 0, "Hello world!")
    assert len(engine.trace) == 1
    (line,) = engine.trace.lines()
    assert line.startswith("          tester-4321    [000] ....1 ")
    assert line.endswith(": bpf_trace_printk: -1 of 10000000000: 7")
    assert engine.trace.read() == []


def test_printing_a_text_from_memory() -> None:
    engine = VmEngine()
    place = engine.share("a text", bytearray(b"abc\0"))
    run(engine, printing(b"<%s> <%5s> <%-5s>", place, place, place))
    run(engine, printing(b"<%s> %pI4", 8, place))
    assert engine.trace.texts == ["<abc> <  abc> <abc  >", "<> 97.98.99.0"]


@pytest.mark.parametrize("fmt", [b"%d %d %d %d", b"%f", b"\x01", b"%"])
def test_printing_refuses_what_the_kernel_refuses(fmt: bytes) -> None:
    engine = VmEngine()
    assert run(engine, printing(fmt, 1, 2, 3)).value == -EINVAL & 0xFFFF_FFFF
    assert len(engine.trace) == 0


def test_printing_more_than_three_values() -> None:
    engine = VmEngine()
    fmt = MapSpec("fmt", MapType.ARRAY, 4, 32, 1, contents=((u32(0), b"%d %d %d %d %d".ljust(32, b"\0")),))
    code = (
        *(StoreImm(FP, at * 8 - 40, at, DW) for at in range(5)),
        LoadMapValue(R1, "fmt"),
        Mov.imm(R2, 15),
        Mov.reg(R3, FP),
        Add.imm(R3, -40),
        Mov.imm(R4, 40),
        Fn.trace_vprintk.call(),
        Exit(),
    )
    assert run(engine, code, maps=[fmt]).value == 9
    assert engine.trace.texts == ["0 1 2 3 4"]


def test_trace_keeps_the_latest() -> None:
    from purebpf.vm.trace import Trace, TraceRecord

    trace = Trace(size=2)
    for text in "abc":
        trace.add(TraceRecord("task", 1, 0, 0.0, text))
    assert trace.texts == ["b", "c"]
    trace.clear()
    assert len(trace) == 0


# Redirection.

REDIRECT, ABORTED = constant("XDP_REDIRECT"), constant("XDP_ABORTED")


@pytest.mark.parametrize(
    ("key", "flags", "expected"),
    [
        (1, 0, REDIRECT),
        (0, 0, ABORTED),
        (0, 2, 2),
        (0, 3, 3),
        (1, 2, REDIRECT),
        (7, 1, 1),
        (0, 8, REDIRECT),
        (1, 4, ABORTED),
        (1, 64, ABORTED),
    ],
)
@pytest.mark.parametrize("type", [MapType.DEVMAP, MapType.DEVMAP_HASH], ids=lambda type: type.name)
def test_redirection_by_a_map(engine: Engine, type: MapType, key: int, flags: int, expected: int) -> None:
    devices = MapSpec("devices", type, 4, 4, 4)
    code = (LoadMapPtr(R1, "devices"), Mov.imm(R2, key), Mov.imm(R3, flags), helper("redirect_map"), Exit())
    with loaded(engine, code, maps=[devices]) as made:
        made.maps["devices"].update(u32(1), u32(1))
        assert made.run().value == expected


def test_redirection_is_remembered() -> None:
    engine = VmEngine()
    devices = engine.create_map(MapSpec("devices", MapType.DEVMAP, 4, 4, 4))
    devices.update(u32(2), u32(5))
    code = assemble((LoadMapPtr(R1, "devices"), Mov.imm(R2, 2), Mov.imm(R3, 0), helper("redirect_map"), Exit()))
    program = engine.load_program(ProgramSpec("test", ProgramType.XDP, code), {"devices": devices})
    program.run()
    assert program.redirect is not None
    assert (program.redirect.map, program.redirect.key) == ("devices", 2)
    plain = engine.load_program(
        ProgramSpec("plain", ProgramType.SCHED_CLS, assemble((Mov.imm(R1, 6), Mov.imm(R2, 1), helper("redirect"), Exit()))), {}
    )
    assert plain.run().value == constant("TC_ACT_REDIRECT")
    assert plain.redirect is not None
    assert (plain.redirect.ifindex, plain.redirect.flags) == (6, 1)


def test_entry_of_a_device_map_can_be_read_by_a_program(engine: Engine) -> None:
    devices = MapSpec("devices", MapType.DEVMAP, 4, 4, 4)
    code = (StoreImm(FP, -4, 1, W), Mov.reg(R2, FP), Add.imm(R2, -4), LoadMapPtr(R1, "devices"), helper("map_lookup_elem"),
            Mov.reg(R6, R0), Mov.imm(R0, 0), *if_set(R6, (LoadMem(R0, R6, 0, W),)), Exit())  # fmt: skip
    with loaded(engine, code, maps=[devices]) as made:
        assert made.run().value == 0
        made.maps["devices"].update(u32(1), u32(1))
        assert made.run().value == 1


def if_set(register: int, code: Code) -> Code:
    from purebpf.isa.asm import JEq

    return (JEq.imm(register, 0, len(code)), *code)


def test_helper_of_another_program_type_is_an_error() -> None:
    xdp = (Mov.reg(R6, R1), Mov.imm(R2, 0), Mov.imm(R3, 0), helper("skb_change_tail"), Exit())
    with pytest.raises(VmError, match="calls a helper on socket buffers, but is no program on socket buffers"):
        run(VmEngine(), xdp)
    tc = (Mov.imm(R2, 0), helper("xdp_adjust_head"), Exit())
    with pytest.raises(VmError, match="calls a helper of XDP programs, but is none"):
        run(VmEngine(), tc, ProgramType.SCHED_CLS)


def test_pointer_into_a_packet_that_has_moved_is_an_error() -> None:
    code = (
        Mov.reg(R6, R1),
        LoadMem(R7, R6, 0, W),
        Mov.imm(R2, 4),
        helper("xdp_adjust_head"),
        LoadMem(R0, R7, 0, W),
        Exit(),
    )
    with pytest.raises(
        VmError, match="in a packet that has moved since: its size was changed, so read data and data_end again"
    ):
        run(VmEngine(), code, data=bytes(64))


def test_number_of_zeros_is_a_full_value() -> None:
    """A result is cut to 64 bits, so that -errno looks as it does in the kernel."""
    code = (LoadMapPtr(R1, "table"), Mov.reg(R2, FP), Add.imm(R2, -4), StoreImm(FP, -4, 3, W), helper("map_delete_elem"))
    table = MapSpec("table", MapType.HASH, 4, 4, 1)
    assert u64(value_of(VmEngine(), code, maps=(table,))) == u64(-2)
