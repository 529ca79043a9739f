"""Events at full rate for some time: as many come as were sent and not dropped, in their order, and memory does not grow."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import purebpf as bpf
from tests.soak.left import resident
from tests.soak.programs import soak_counts, soak_ring, soak_to_ring

AT_ONCE = 20_000  # runs of the program by one system call
SENT, DROPPED = 2, 3  # in soak_counts


@dataclass(frozen=True, slots=True)
class Events:
    sent: int
    read: int
    dropped: int
    seconds: float
    kib: int  # by how much memory grew after the first tenth

    @property
    def lost(self) -> int:
        """What was sent, not dropped for want of room, and not read; below 0: read twice."""
        return self.sent - self.dropped - self.read

    def __str__(self) -> str:
        rate = self.read / max(self.seconds, 0.001) / 1e6
        return (
            f"{self.sent} events sent in {self.seconds:.0f} s, {self.dropped} dropped in the kernel as the ring was full, "
            f"{self.read} read ({rate:.2f} million/s), {self.lost} lost, memory {self.kib:+} KiB"
        )


def run(seconds: float) -> Events:
    """A program that is run as fast as it goes, and a reader. Raises AssertionError when events come out of order."""
    with bpf.load(soak_to_ring, engine="kernel"):
        soak_to_ring.run(bytes(64))
        stop = threading.Event()
        sender = threading.Thread(target=send, args=(stop,))
        read, last, before, end = 0, -1, 0, time.monotonic() + seconds
        sender.start()
        try:
            while time.monotonic() < end:
                read, last = take(read, last)
                if not before and time.monotonic() > end - 0.9 * seconds:
                    before = resident()
        finally:
            stop.set()
            sender.join()
        while (after := take(read, last)) != (read, last):
            read, last = after
        return Events(soak_counts[SENT], read, soak_counts[DROPPED], seconds, resident() - before)


def send(stop: threading.Event) -> None:
    while not stop.is_set():
        soak_to_ring.run(bytes(64), repeat=AT_ONCE)


def take(read: int, last: int) -> tuple[int, int]:
    """Read what there is: how many came by now, and the last one's number."""
    numbers = soak_ring.read_batch(0.05)
    if not len(numbers):
        return read, last
    assert numbers[0] > last and (numbers[1:] > numbers[:-1]).all(), "events came out of order"
    return read + len(numbers), int(numbers[-1])
