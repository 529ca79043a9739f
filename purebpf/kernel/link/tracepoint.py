"""Programs on a tracepoint of tracefs: a perf event with its id, which runs the program on every CPU for every process.

Programs on tracepoints: Linux 4.7. The program itself filters by process if it wants to; pid and cpu of the perf event have no
effect on it (kernel/trace/trace_event_perf.c).
"""

from __future__ import annotations

from collections.abc import Mapping

from purebpf.kernel import cpus, tracefs
from purebpf.kernel.link.base import KernelLink, hook
from purebpf.kernel.link.options import Options
from purebpf.kernel.link.perf import attach_to_event, open_event
from purebpf.kernel.program import KernelProgram
from purebpf.tables.attr import PERF_TYPE_TRACEPOINT

OPTIONS = {
    "event": "the tracepoint as 'category/name', when the program does not name it itself",
    "cookie": "a number that bpf_get_attach_cookie returns (Linux 5.15)",
}


def attach(program: KernelProgram, given: Mapping[str, object], links: bool = True) -> KernelLink:
    """Raises Error when there is no such tracepoint, and when tracefs is not mounted."""
    options = Options("tracepoint", given, OPTIONS)
    name = hook(program, options)
    category, slash, event = name.partition("/")
    if not slash or not category or not event or "/" in event:
        raise options.wrong(f"got the tracepoint {name!r}, which is not of the form 'category/name'")
    cookie = options.number("cookie", 0)
    fields = {"type": PERF_TYPE_TRACEPOINT, "config": tracefs.tracepoint_id(category, event), "sample_period": 1}
    opened = open_event(f"the tracepoint {name}", {**fields, "wakeup_events": 1}, pid=-1, cpu=cpus.online()[0])
    mechanism, held = attach_to_event(program, opened, cookie, links)
    return KernelLink(f"tracepoint, {mechanism}", held)
