"""Maps and readers used from many threads, and after a fork."""

from __future__ import annotations

import os
import select
import threading
import time

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.errors import Error

pytestmark = pytest.mark.kernel

counts = bpf.Hash[u32, u64](max_entries=4096)
ring = bpf.RingBuf[u64](size=1 << 12)
old = bpf.PerfEventArray[u64]()


@bpf.xdp
def send(ctx: bpf.XdpContext) -> bpf.XdpAction:
    ring.emit(u64(len(ctx.packet)))
    old.output(u64(len(ctx.packet)))
    counts[0] += 1
    return bpf.XDP_PASS


def test_many_threads_use_one_map() -> None:
    failed: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for n in range(300):
                key = thread * 300 + n
                counts[key] = key * 2
                assert counts[key] == key * 2
                if n % 3 == 0:
                    assert counts.pop(key) == key * 2
                if n % 100 == 99:
                    entries = dict(counts.items())  # while others write
                    assert all(value == key * 2 for key, value in entries.items())
        except BaseException as error:
            failed.append(error)

    with bpf.load(counts, engine="kernel"):
        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert not failed
        assert counts.to_dict() == {key: key * 2 for key in range(2400) if key % 300 % 3}


def in_a_child(work: object) -> int:
    child = os.fork()
    if child == 0:
        try:
            os._exit(work())  # type: ignore[operator]
        except BaseException:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_child_that_closes_does_not_disturb_its_parent() -> None:
    with send.load("kernel") as collection:
        send.run(packet=bytes(60))

        def child() -> int:
            for source in (ring, old):
                try:
                    source.read(0)
                except Error as error:
                    assert "belongs to the parent process" in str(error)
                else:
                    return 1
            counts[5] = 7  # maps are shared
            collection.close()
            return 0

        assert in_a_child(child) == 0
        assert counts[5] == 7
        assert ring.read(0) == [60]
        assert select.select([ring], [], [], 0)[0] == []  # what woke the child's readers does not wake the parent's
        send.run(packet=bytes(61))
        assert ring.read(5) == [61]
        assert sorted(old.read(5)) == [60, 61]  # each CPU has its own order


def test_a_child_may_load_and_read_for_itself() -> None:
    def child() -> int:
        with send.load("kernel"):
            send.run(packet=bytes(77))
            return 0 if ring.read(5) == [77] and old.read(5) == [77] else 1

    assert in_a_child(child) == 0


def test_a_view_in_a_child_does_not_move_the_parents_ring() -> None:
    pytest.importorskip("numpy")
    with send.load("kernel") as collection:
        send.run(packet=bytes(62))
        view = ring.read_batch(0, copy=False)

        def child() -> int:
            values = view.tolist()
            collection.close()
            return 0 if values == [62] else 1

        assert in_a_child(child) == 0
        assert view.tolist() == [62]
        available = 1 << 12
        sent = 0
        while sent < available // 16 and ring.dropped == 0:
            send.run(packet=bytes(63))
            sent += 1
        assert ring.dropped  # the first record's room was not given back


def test_a_record_that_is_being_written_is_waited_for_without_spinning(monkeypatch: pytest.MonkeyPatch) -> None:
    from purebpf.kernel.ring_memory import BUSY, RingMemory

    looks = 0
    header = RingMemory.header

    def unfinished(self: RingMemory, position: int) -> int:
        nonlocal looks
        looks += 1
        return header(self, position) | (BUSY if looks < 20 else 0)

    with send.load("kernel"):
        send.run(packet=bytes(60))
        monkeypatch.setattr(RingMemory, "header", unfinished)
        pauses: list[float] = []
        monkeypatch.setattr(time, "sleep", pauses.append)
        assert ring.read(5) == [60]
    assert looks >= 20 and len(pauses) >= 17
