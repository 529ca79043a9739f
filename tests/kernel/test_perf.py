"""The perf event array reader: real records, from real rings."""

from __future__ import annotations

import mmap
import os
import select
import threading
import time
from collections.abc import Iterator

import pytest

from purebpf.errors import Error, NotLoaded
from purebpf.kernel import cpus
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.map import KernelMap
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType
from tests.kernel.programs import COUNTS, output, u64

pytestmark = pytest.mark.kernel
EVENTS = MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 0)


@pytest.fixture
def events(kernel: KernelEngine) -> Iterator[KernelMap]:
    with kernel.create_map(EVENTS) as map:
        yield map


def test_record_arrives_as_sent_on_the_cpu_that_sent_it(kernel: KernelEngine, events: KernelMap) -> None:
    with kernel.load_program(output(), {"events": events}) as program, kernel.open_events(events) as reader:
        assert reader.read(0) == []
        before = os.sched_getaffinity(0)
        try:
            for cpu in sorted(before):
                os.sched_setaffinity(0, {cpu})
                program.run(context=u64(1000 + cpu))
                (event,) = reader.read(1)
                assert (event.cpu, event.data[:8], event.lost) == (cpu, u64(1000 + cpu), 0)
                assert len(event.data) in (8, 12)  # padded to a multiple of 8, less 4
        finally:
            os.sched_setaffinity(0, before)
        assert reader.read(0) == []


def test_records_of_one_cpu_keep_their_order_across_the_end_of_the_ring(kernel: KernelEngine, events: KernelMap) -> None:
    size = 104  # does not divide the ring, so records wrap around at ever other places
    sent = 0
    with (
        kernel.load_program(output(size), {"events": events}) as program,
        kernel.open_events(events, mmap.PAGESIZE) as reader,
    ):
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(before)})
        try:
            for _ in range(60):
                for _ in range(13):
                    program.run(context=u64(sent))
                    sent += 1
                got = reader.read(1)
                assert [event.data[:8] for event in got] == [u64(n) for n in range(sent - 13, sent)]
                assert all(event.data[8:size] == bytes(size - 8) for event in got)
        finally:
            os.sched_setaffinity(0, before)


def test_lost_records_are_counted(kernel: KernelEngine, events: KernelMap) -> None:
    times, runs = 16, 40
    with (
        kernel.load_program(output(256, times), {"events": events}) as burst,
        kernel.load_program(output(256), {"events": events}) as single,
        kernel.open_events(events, mmap.PAGESIZE) as reader,
    ):
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(before)})
        try:
            for _ in range(runs):
                burst.run(context=u64(7))
            kept = reader.read(1)
            assert 0 < len(kept) < times * runs
            single.run(context=u64(8))  # the kernel reports the loss with the next record that fits
            loss, last = reader.read(1)
        finally:
            os.sched_setaffinity(0, before)
        assert all(event.lost == 0 for event in kept)
        assert (len(kept) + loss.lost, loss.data) == (times * runs, b"")
        assert (last.data[:8], last.lost) == (u64(8), 0)


def test_read_waits_for_the_first_record(kernel: KernelEngine, events: KernelMap) -> None:
    with kernel.load_program(output(), {"events": events}) as program, kernel.open_events(events) as reader:
        timer = threading.Timer(0.1, program.run, kwargs={"context": u64(5)})
        timer.start()
        start = time.monotonic()
        (event,) = reader.read()
        assert event.data[:8] == u64(5)
        assert time.monotonic() - start > 0.05
        timer.join()


def test_read_gives_up_after_the_timeout(kernel: KernelEngine, events: KernelMap) -> None:
    with kernel.open_events(events) as reader:
        start = time.monotonic()
        assert reader.read(0.1) == []
        assert 0.09 <= time.monotonic() - start < 2


def test_fileno_is_readable_when_there_are_events(kernel: KernelEngine, events: KernelMap) -> None:
    with kernel.load_program(output(), {"events": events}) as program, kernel.open_events(events) as reader:
        assert select.select([reader], [], [], 0)[0] == []
        program.run(context=u64(5))
        assert select.select([reader], [], [], 2)[0] == [reader]
        assert len(reader.read(0)) == 1


def test_close_from_another_thread_ends_a_read(kernel: KernelEngine, events: KernelMap) -> None:
    reader = kernel.open_events(events)
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(reader.read()))
    thread.start()
    time.sleep(0.1)
    reader.close()
    thread.join(5)
    assert not thread.is_alive()
    assert got == [[]]
    reader.close()
    with pytest.raises(NotLoaded, match="event reader is closed"):
        reader.read(0)
    with pytest.raises(NotLoaded):
        reader.fileno()


def test_close_gives_the_map_back_empty(kernel: KernelEngine, events: KernelMap) -> None:
    with kernel.load_program(output(), {"events": events}) as program:
        kernel.open_events(events).close()
        program.run(context=u64(5))  # nobody listens
        with kernel.open_events(events) as reader:
            assert reader.read(0) == []
            program.run(context=u64(6))
            assert [event.data[:8] for event in reader.read(1)] == [u64(6)]


def test_map_may_be_closed_before_its_reader(kernel: KernelEngine) -> None:
    events = kernel.create_map(EVENTS)
    reader = kernel.open_events(events)
    events.close()
    assert reader.read(0) == []
    reader.close()


def test_forked_child_may_not_read(kernel: KernelEngine, events: KernelMap) -> None:
    with kernel.open_events(events) as reader:
        child = os.fork()
        if child == 0:
            try:
                reader.read(0)
            except Error as error:
                os._exit(0 if "belongs to the parent process" in str(error) else 1)
            os._exit(2)
        assert os.waitpid(child, 0)[1] == 0


def test_what_is_no_event_array_cannot_be_read(kernel: KernelEngine) -> None:
    with kernel.create_map(COUNTS) as counts, pytest.raises(Error, match="is no perf event array"):
        kernel.open_events(counts)


@pytest.mark.parametrize("size", [0, 1, mmap.PAGESIZE - 1, mmap.PAGESIZE + 1, 3 * mmap.PAGESIZE])
def test_ring_of_impossible_size_is_refused(kernel: KernelEngine, events: KernelMap, size: int) -> None:
    with pytest.raises(Error, match="a power of two and at least a page"):
        kernel.open_events(events, size)


def test_too_few_entries_for_the_cpus_are_refused(kernel: KernelEngine) -> None:
    if max(cpus.online()) == 0:
        pytest.skip("this machine has one CPU only")
    with (
        kernel.create_map(MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 1)) as events,
        pytest.raises(Error, match="has 1 entries, but there is a CPU 1; events there would be lost"),
    ):
        kernel.open_events(events)
