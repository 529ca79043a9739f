"""Perf event arrays: what a program sends arrives, in order, and what finds no room is counted."""

from __future__ import annotations

import errno
import threading

import pytest

from purebpf.engine import Engine
from purebpf.errors import Error, NotLoaded
from purebpf.isa.asm import DW, FP, R1, R2, R3, R4, R5, R6, Add, Exit, LoadImm64, LoadMapPtr, Mov, StoreImm, assemble
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType
from purebpf.vm.engine import VmEngine
from tests.vm.support import ENGINES, Code, engine_called, helper, u64

EVENTS = MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 0)
THIS_CPU = 0xFFFF_FFFF


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return engine_called(request.param)


def send(flags: int = THIS_CPU, size: int = 12) -> Code:
    """Send 16 bytes of the stack, of which the first 8 are 123; the result is the helper's."""
    return (
        Mov.reg(R6, R1),
        StoreImm(FP, -16, 123, DW),
        StoreImm(FP, -8, -1, DW),
        Mov.reg(R1, R6),
        LoadMapPtr(R2, "events"),
        LoadImm64(R3, flags),
        Mov.reg(R4, FP),
        Add.imm(R4, -16),
        Mov.imm(R5, size),
        helper("perf_event_output"),
        Exit(),
    )


def sender(code: Code) -> ProgramSpec:
    return ProgramSpec("sender", ProgramType.XDP, assemble(code))


def test_event_arrives(engine: Engine) -> None:
    events = engine.create_map(EVENTS)
    program = engine.load_program(sender(send()), {"events": events})
    try:
        assert program.run().value == -errno.ENOENT & 0xFFFF_FFFF  # nobody reads
        reader = engine.open_events(events)
        try:
            assert reader.read(0) == []
            assert program.run().value == 0
            assert program.run().value == 0
            found = reader.read(5)
            assert [event.data[:12] for event in found] == [u64(123) + b"\xff" * 4] * 2
            assert all(event.lost == 0 and event.cpu < engine.possible_cpus for event in found)
            assert reader.read(0) == []
        finally:
            reader.close()
    finally:
        program.close()
        events.close()


def test_first_bytes_of_the_packet_can_be_sent_too(engine: Engine) -> None:
    events = engine.create_map(EVENTS)
    program = engine.load_program(sender(send(THIS_CPU | 20 << 32, 8)), {"events": events})
    reader = engine.open_events(events)
    try:
        packet = bytes(range(64))
        assert program.run(data=packet).value == 0
        assert program.run(data=packet[:19]).value == -errno.EFAULT & 0xFFFF_FFFF
        (event,) = reader.read(5)
        assert event.data[:28] == u64(123) + packet[:20]
    finally:
        for each in (reader, program, events):
            each.close()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(7, -errno.E2BIG), (1 << 60, -errno.EINVAL)],
)
def test_flags_that_are_refused(engine: Engine, flags: int, expected: int) -> None:
    events = engine.create_map(MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, engine.possible_cpus))
    program = engine.load_program(sender(send(flags)), {"events": events})
    try:
        assert program.run().value == expected & 0xFFFF_FFFF
    finally:
        program.close()
        events.close()


def make(size: int = 1 << 16, **options: int):  # type: ignore[no-untyped-def]
    engine = VmEngine(**options)  # type: ignore[arg-type]
    events = engine.create_map(EVENTS)
    return engine, events, engine.load_program(sender(send()), {"events": events}), engine.open_events(events, size)


def test_events_tell_their_cpu_and_go_to_it_alone() -> None:
    engine, events, program, reader = make(possible_cpus=3)
    program.run(cpu=2)
    program.run(cpu=0)
    assert [event.cpu for event in reader.read(0)] == [0, 2]
    other = engine.load_program(sender(send(1)), {"events": events})
    assert other.run(cpu=0).value == -errno.EOPNOTSUPP & 0xFFFF_FFFF
    assert other.run(cpu=1).value == 0


def test_full_ring_loses_events_and_says_how_many() -> None:
    _, _, program, reader = make(size=3 * 24)
    results = [program.run().value for _ in range(5)]
    assert results == [0, 0, 0, -errno.ENOSPC & 0xFFFF_FFFF, -errno.ENOSPC & 0xFFFF_FFFF]
    assert [(len(event.data), event.lost) for event in reader.read(0)] == [(12, 0), (12, 0), (12, 0), (0, 2)]
    assert program.run().value == 0
    assert [event.lost for event in reader.read(0)] == [0]


def test_reader_waits_and_is_woken() -> None:
    _, _, program, reader = make()
    threading.Timer(0.05, program.run).start()
    assert len(reader.read(10)) == 1


def test_close_wakes_the_reader_and_ends_sending() -> None:
    _, events, program, reader = make()
    threading.Timer(0.05, reader.close).start()
    assert reader.read(10) == []
    assert reader.fileno() == -1
    with pytest.raises(NotLoaded):
        reader.read(0)
    assert program.run().value == -errno.ENOENT & 0xFFFF_FFFF
    reader.close()
    events.close()


def test_only_an_event_array_of_the_engine_can_be_read() -> None:
    engine = VmEngine()
    with pytest.raises(Error, match="is no ring buffer or perf event array of this virtual machine"):
        engine.open_events(engine.create_map(MapSpec("hash", MapType.HASH, 4, 4, 1)))
    with pytest.raises(Error, match="is no ring buffer or perf event array of this virtual machine"):
        engine.open_events(VmEngine().create_map(EVENTS))
    with pytest.raises(Error, match="has 1 entries, but there are 2 CPUs"):
        engine.open_events(engine.create_map(MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 1)))
