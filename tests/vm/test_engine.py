"""The engine: what it runs and refuses, contexts of events, threads, and that it needs nothing of the kernel."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from purebpf.engine import Engine
from purebpf.errors import Error, KernelError, Unsupported, VmError
from purebpf.isa.asm import DW, R0, R1, R2, Add, Exit, Label, LoadMem, Mov, StoreImm, StoreMem, Sub, W, assemble
from purebpf.isa.asm import JNe as JumpNotEqual
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType
from purebpf.vm.engine import VmEngine, VmProgram
from purebpf.vm.memory import Memory
from tests.vm.support import OUT, Code, loaded, lookup, run, u32, u64

P = ProgramType


def load(engine: VmEngine, code: Code, type: ProgramType = P.XDP) -> VmProgram:
    return engine.load_program(ProgramSpec("test", type, assemble(code)), {})


def test_it_offers_what_an_engine_offers() -> None:
    engine: Engine = VmEngine()
    assert engine.name == "vm"
    assert engine.possible_cpus == 2
    assert isinstance(VmEngine().memory, Memory)


def test_it_runs_without_any_module_of_the_kernel() -> None:
    code = (
        "import sys; from purebpf.vm.engine import VmEngine; from purebpf.isa.asm import *; from purebpf.spec import *\n"
        "from purebpf.tables.enums import *\n"
        "p = VmEngine().load_program(ProgramSpec('t', ProgramType.XDP, (Mov.imm(R0, 2), Exit())), {})\n"
        "assert p.run().value == 2\n"
        "sys.exit(', '.join(m for m in sys.modules if m.startswith('purebpf.kernel') or m == 'ctypes') or 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_attaching_is_unsupported_with_the_reason() -> None:
    engine = VmEngine()
    program = load(engine, (Mov.imm(R0, 0), Exit()))
    with pytest.raises(Unsupported, match="cannot be attached: nothing happens inside the virtual machine that would call it"):
        engine.attach(program, {})


@pytest.mark.parametrize(
    "type", [P.TRACEPOINT, P.RAW_TRACEPOINT, P.PERF_EVENT, P.KPROBE, P.TRACING], ids=lambda type: type.name
)
def test_context_of_an_event_is_what_was_given(type: ProgramType) -> None:
    code = (LoadMem(R0, R1, 16, DW), Exit())
    assert run(VmEngine(), code, type, context=bytes(16) + u64(77)).value == 77


def test_context_of_an_event_cannot_be_written_or_left() -> None:
    with pytest.raises(VmError, match="in the context, which is read-only"):
        run(VmEngine(), (StoreImm(R1, 0, 1, DW), Mov.imm(R0, 0), Exit()), P.TRACEPOINT, context=bytes(16))
    with pytest.raises(VmError, match=r"right at the end of the context \(16 bytes\)"):
        run(VmEngine(), (LoadMem(R0, R1, 16, DW), Exit()), P.TRACEPOINT, context=bytes(16))
    with pytest.raises(VmError, match=r"right at the end of the context \(0 bytes\)"):
        run(VmEngine(), (LoadMem(R0, R1, 0, DW), Exit()), P.RAW_TRACEPOINT)


def test_context_of_a_syscall_program_can_be_written() -> None:
    code = (StoreImm(R1, 4, 9, W), Mov.imm(R0, 1), Exit())
    assert run(VmEngine(), code, P.SYSCALL, context=bytes(8)).context == bytes(4) + u32(9)


def test_field_that_may_not_be_written_is_named() -> None:
    with pytest.raises(VmError, match="writes 4 bytes to the field `len` of its context, which it may write not at all"):
        run(VmEngine(), (StoreImm(R1, 0, 1, W), Mov.imm(R0, 0), Exit()), P.SCHED_CLS)
    with pytest.raises(VmError, match="writes 8 bytes at offset 8 of its context, where it may write nothing"):
        run(VmEngine(), (StoreImm(R1, 8, 1, DW), Mov.imm(R0, 0), Exit()), P.SCHED_CLS)


def test_socket_filter_may_write_only_cb() -> None:
    with pytest.raises(VmError, match="the field `mark` of its context, which it may write not at all"):
        run(VmEngine(), (StoreImm(R1, 8, 1, W), Mov.imm(R0, 0), Exit()), P.SOCKET_FILTER)


def test_packet_of_a_cgroup_program_cannot_be_written() -> None:
    code = (LoadMem(R2, R1, 76, W), StoreMem(R2, 0, R1, W), Mov.imm(R0, 1), Exit())
    with pytest.raises(VmError, match="in the packet, which is read-only"):
        run(VmEngine(), code, P.CGROUP_SKB, data=bytes(64))


@pytest.mark.parametrize(
    ("type", "reason"),
    [
        (P.FLOW_DISSECTOR, "`data` of its context"),
        (P.SK_MSG, "`data` of its context"),
        (P.NETFILTER, "`state` of its context"),
        (P.EXT, "it has no context of its own"),
    ],
)
def test_type_that_cannot_be_run_is_unsupported_with_the_reason(type: ProgramType, reason: str) -> None:
    with pytest.raises(Unsupported) as caught:
        run(VmEngine(), (Mov.imm(R0, 0), Exit()), type)
    assert reason in str(caught.value)


def test_type_on_events_takes_no_packet() -> None:
    with pytest.raises(Unsupported, match="was given a packet; a tracepoint program takes only a context"):
        run(VmEngine(), (Mov.imm(R0, 0), Exit()), P.TRACEPOINT, data=bytes(14))


def test_frame_that_is_too_short() -> None:
    with pytest.raises(Error, match="the packet has 13 bytes; the least is a frame of 14, an Ethernet header"):
        run(VmEngine(), (Mov.imm(R0, 0), Exit()), data=bytes(13))


def test_refused_context_leaves_the_engine_usable() -> None:
    engine = VmEngine()
    with pytest.raises(KernelError):
        run(engine, (Mov.imm(R0, 0), Exit()), context=bytes(23) + b"x")
    assert run(engine, (LoadMem(R0, R1, 12, W), Exit())).value == 1


def test_repeated_runs_share_the_packet_and_are_timed() -> None:
    code = (LoadMem(R2, R1, 0, W), LoadMem(R0, R2, 0, W), Add.imm(R0, 1), StoreMem(R2, 0, R0, W), Exit())
    program = load(VmEngine(), code)
    result = program.run(data=bytes(14), repeat=10)
    assert result.value == 10
    assert result.data[:4] == u32(10)
    assert 0 < result.duration_ns < 1_000_000_000
    with pytest.raises(Error, match="repeat=0"):
        program.run(repeat=0)


def test_run_inside_of_a_run_is_refused_in_words() -> None:
    engine = VmEngine()
    program = load(engine, (Mov.imm(R0, 0), Exit()))
    engine.machine.running = True
    with pytest.raises(Error, match="cannot be run while another run is going on"):
        program.run()


def test_options_are_checked() -> None:
    with pytest.raises(Error, match="both are at least 1"):
        VmEngine(possible_cpus=0)
    with pytest.raises(Error, match="both are at least 1"):
        VmEngine(budget=0)


def test_budget_is_per_run() -> None:
    loop = (Mov.imm(R2, 400), Label("again"), Sub.imm(R2, 1), JumpNotEqual.imm(R2, 0, "again"), Mov.imm(R0, 1), Exit())
    engine = VmEngine(budget=1000)
    program = load(engine, loop)
    assert program.run(repeat=5).value == 1
    with pytest.raises(VmError, match="beyond the budget of 500 instructions"):
        run(VmEngine(budget=500), loop)


def test_threads_take_turns() -> None:
    engine = VmEngine()
    code = (*lookup("out", 6), LoadMem(R2, 6, 0, DW), Add.imm(R2, 1), StoreMem(6, 0, R2, DW), Mov.imm(R0, 0), Exit())
    with loaded(engine, code, maps=[OUT]) as made:
        failures: list[BaseException] = []

        def work() -> None:
            try:
                for _ in range(200):
                    made.run()
                    made.maps["out"].lookup(u32(0))
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert made.out()[:8] == u64(800)


def test_memory_that_is_shared_with_a_program() -> None:
    engine = VmEngine()
    mine = bytearray(8)
    place = engine.share("my memory", mine)
    code = (LoadMem(R2, R1, 0, DW), StoreImm(R2, 4, 5, W), Mov.imm(R0, 0), Exit())
    run(engine, code, P.TRACEPOINT, context=u64(place))
    assert mine == bytes(4) + u32(5)


def test_big_endian_engine() -> None:
    engine = VmEngine(byteorder="big")
    table = engine.create_map(MapSpec("table", MapType.ARRAY, 4, 4, 2))
    table.update(b"\0\0\0\1", b"\1\2\3\4")
    assert table.next_key(b"\0\0\0\0") == b"\0\0\0\1"
    code = assemble((*lookup("table", 6, 1), LoadMem(R0, 6, 0, W), Exit()))
    program = engine.load_program(ProgramSpec("test", P.XDP, code), {"table": table})
    assert program.run().value == 0x0102_0304
    sizes = (LoadMem(R0, R1, 4, W), LoadMem(R2, R1, 0, W), Sub.reg(R0, R2), Exit())
    assert run(engine, sizes, data=bytes(60)).value == 60


def test_large_program_is_translated_in_time() -> None:
    """A million is the kernel's limit; 20,000 instructions with a jump every ten must not take long."""
    import time

    code: list[object] = [Mov.imm(R0, 0), Mov.imm(R2, 1)]
    for _ in range(2000):
        code += [JumpNotEqual.imm(R2, 1, 8), *(Add.imm(R0, 1) for _ in range(9))]
    begun = time.perf_counter()
    assert run(VmEngine(), [*code, Exit()]).value == 18_000  # type: ignore[list-item]
    assert time.perf_counter() - begun < 20


def test_nothing_stays_behind_when_all_is_closed() -> None:
    engine = VmEngine()
    before = len(engine.memory.readable)
    for type in (MapType.HASH, MapType.ARRAY, MapType.LRU_PERCPU_HASH):
        table = engine.create_map(MapSpec("table", type, 4, 8, 4))
        value = bytes(table.value_bytes)
        for _ in range(3):
            table.update(u32(1), value)
        code = assemble((*lookup("table", 6, 1), StoreImm(6, 0, 1, DW), Mov.imm(R0, 0), Exit()))
        program = engine.load_program(ProgramSpec("test", P.XDP, code), {"table": table})
        assert program.run().value == 0
        table.close()
        program.close()
    assert len(engine.memory.readable) == before
    machine = engine.machine
    assert not (machine.maps or machine.functions or machine.programs)


def test_map_for_every_cpu_keeps_the_rest_of_its_spec() -> None:
    events = VmEngine(possible_cpus=5).create_map(MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 0, frozen=True))
    assert (events.spec.max_entries, events.spec.frozen) == (5, True)
