"""Descriptions of program types: what a decorator makes, which context it gets, what it returns."""

from __future__ import annotations

from purebpf.data import data
from purebpf.tables.enums import ProgramType


@data
class ProgramKind:
    """`section` is libbpf's name; with `hook` one follows after a slash. `returns` says what a result means (empty:
    nothing, 0 for
    the kernel). `packet`: "direct" (checked access in place), "copy" (read-only through a helper) or "" (none). `sleepable`: it
    may call what sleeps."""

    decorator: str
    type: ProgramType
    section: str
    context: str
    returns: str = ""
    hook: str = ""
    packet: str = ""
    sleepable: bool = False


KINDS = {
    kind.decorator: kind
    for kind in (
        ProgramKind("xdp", ProgramType.XDP, "xdp", "XdpContext", "an XDP action such as `bpf.XDP_PASS`", packet="direct"),
        ProgramKind("tc", ProgramType.SCHED_CLS, "tc", "TcContext", "a TC action such as `bpf.TC_ACT_OK`", packet="direct"),
        ProgramKind(
            "socket_filter",
            ProgramType.SOCKET_FILTER,
            "socket",
            "SocketFilterContext",
            "the bytes to keep, 0 to drop",
            packet="copy",
        ),
        ProgramKind(
            "tracepoint",
            ProgramType.TRACEPOINT,
            "tracepoint",
            "TracepointContext",
            hook='category/name, such as "syscalls/sys_enter_openat"',
        ),
        ProgramKind(
            "raw_tracepoint",
            ProgramType.RAW_TRACEPOINT,
            "raw_tracepoint",
            "RawTracepointContext",
            hook='the event\'s name, such as "sys_enter"',
        ),
        ProgramKind("perf_event", ProgramType.PERF_EVENT, "perf_event", "PerfEventContext"),
    )
}
