"""Sends the number 123 through a perf event ring, from Python source.

    sudo purebpf run examples/perf_ring_123.py

examples/perf_ring_123_asm.py is the same program in assembly; both are the same bytes.
"""

from __future__ import annotations

import os

import purebpf as bpf
from purebpf import u32

events = bpf.PerfEventArray[u32]()


@bpf.tracepoint("syscalls/sys_enter_getpgid")
def send(ctx: bpf.TracepointContext) -> None:
    events.output(123)


def main() -> None:
    with send.attach():
        os.getpgid(0)  # the system call that the program waits for
        print("got", events.read(timeout=2.0)[0])


if __name__ == "__main__":
    main()
