"""The programs that fill the rings."""

from __future__ import annotations

import purebpf as bpf
from purebpf import u16, u32, u64

SIZE = 1 << 24


@bpf.struct
class Event:
    number: u64
    cpu: u16
    kind: u16
    size: u32


ring = bpf.RingBuf[Event](size=SIZE)
stream = bpf.RingBuf[Event](size=SIZE)
sent = bpf.PerCpuArray[u64](max_entries=1)
refused = bpf.PerCpuArray[u64](max_entries=1)


@bpf.socket_filter
def fill(ctx):
    """A thousand records, nobody woken."""
    for i in range(1000):
        ring.emit(Event(number=i, cpu=1, kind=2, size=3), bpf.BPF_RB_NO_WAKEUP)
    return 0


@bpf.socket_filter
def send(ctx):
    """A hundred numbered records of this CPU; every seventh is reserved and dropped, then sent after all."""
    for _ in range(100):
        number = sent[0]
        sent[0] = number + 1
        if number % 7 == 0:
            with stream.reserve() as event:
                if event is not None:
                    stream.discard(event)
        if not stream.emit(Event(number=number, cpu=u16(bpf.cpu()), kind=0, size=0)):
            refused[0] += 1
    return 0
