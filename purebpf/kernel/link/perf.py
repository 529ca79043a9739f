"""Programs on a perf event: by BPF_LINK_CREATE (Linux 5.15), before that by ioctl (kernel/events/core.c)."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Mapping

from purebpf.errors import KernelError, Unsupported
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import EMPTY, failure
from purebpf.kernel.link.base import create_link
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.syscall import perf_event_open
from purebpf.tables.attr import PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_SET_BPF
from purebpf.tables.enums import AttachType

LINKS_SINCE = (5, 15)
NEEDS = ("CAP_PERFMON",)
REASONS = {
    errno.EEXIST: "This program is attached there already: close that attachment first, or load the program twice.",
    errno.E2BIG: "An event takes 64 programs, and these are there already.",
}


def open_event(what: str, fields: Mapping[str, int], pid: int, cpu: int, reasons: Mapping[int, str] = EMPTY) -> Descriptor:
    """A perf event, counting from the start unless `disabled` is set. Raises KernelError."""
    answer = perf_event_open(fields, pid, cpu)
    if answer < 0:
        raise failure(-answer, f"Opening {what}", needs=NEEDS, reasons=reasons)
    return Descriptor(answer, what)


def attach_to_event(
    program: KernelProgram, event: Descriptor, cookie: int = 0, links: bool = True
) -> tuple[str, tuple[Descriptor, ...]]:
    """Attach to an open event, which belongs to the result afterwards, and start it: (mechanism, what to close in this order).

    `links=False` takes the older way. On an error the event is closed.
    """
    try:
        made = _link(program, event, cookie) if links else None
        if made is None:
            _by_ioctl(program, event)
    except BaseException:
        event.close()
        raise
    held = (event,) if made is None else (made, event)
    try:
        fcntl.ioctl(event.number, PERF_EVENT_IOC_ENABLE, 0)
    except BaseException:
        for descriptor in held:
            descriptor.close()
        raise
    return ("perf event, ioctl" if made is None else "perf event link"), held


def _link(program: KernelProgram, event: Descriptor, cookie: int) -> Descriptor | None:
    """A link; None on a kernel that has none, where the cookie was not asked for."""
    fields = {"target_fd": event.number, "attach_type": int(AttachType.PERF_EVENT), "perf_event_bpf_cookie": cookie}
    try:
        return create_link(
            program, event.what, fields, needs=NEEDS, first=LINKS_SINCE, feature="perf event links", reasons=REASONS
        )
    except Exception as error:
        if cookie or not _older(error):
            raise
        return None


def _older(error: Exception) -> bool:
    """Whether the failure may come from a kernel without these links: if not, the older way fails as well, and tells."""
    return isinstance(error, Unsupported) or (isinstance(error, KernelError) and error.errno == errno.EINVAL)


def _by_ioctl(program: KernelProgram, event: Descriptor) -> None:
    try:
        fcntl.ioctl(event.number, PERF_EVENT_IOC_SET_BPF, program.handle)
    except OSError as error:
        raise failure(
            error.errno or errno.EINVAL, f"Attaching {program.descriptor.what} to {event.what}", needs=NEEDS, reasons=REASONS
        ) from error
