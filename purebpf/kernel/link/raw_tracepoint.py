"""Programs on a raw tracepoint, by BPF_RAW_TRACEPOINT_OPEN (Linux 4.17; kernel/bpf/syscall.c:bpf_raw_tracepoint_open)."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.link.base import KernelLink, hook
from purebpf.kernel.link.options import Options
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.syscall import address, bpf, pin
from purebpf.tables.enums import Command

OPTIONS = {
    "event": "the tracepoint's name, such as 'sched_switch', when the program does not name it itself",
    "cookie": "a number that bpf_get_attach_cookie returns (Linux 6.10)",
}
REASONS = {
    errno.ENOENT: "There is no tracepoint of that name; names are those under /sys/kernel/tracing/events, less the category.",
    errno.EACCES: "The program reads more arguments than the tracepoint has.",
}


def attach(program: KernelProgram, given: Mapping[str, object]) -> KernelLink:
    options = Options("raw tracepoint", given, OPTIONS)
    name = hook(program, options)
    cookie = options.number("cookie", 0)
    text = pin(name.encode() + b"\0")
    answer = bpf(Command.RAW_TRACEPOINT_OPEN, {"name": address(text), "prog_fd": program.handle, "cookie": cookie})
    target = f"the raw tracepoint {name}"
    if answer < 0:
        raise failure(
            -answer,
            f"Attaching {program.descriptor.what} to {target}",
            needs=("CAP_PERFMON",),
            first=(6, 10) if cookie else (4, 17),
            feature="cookies of raw tracepoints" if cookie else "raw tracepoints",
            reasons=REASONS,
        )
    made = Descriptor(answer, f"the link of {program.descriptor.what} to {target}")
    return KernelLink("raw tracepoint link", (made,))
