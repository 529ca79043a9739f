"""Links: programs attached to their hooks, one module a kind. `attach` finds the module by the program's type."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from purebpf.errors import Unsupported
from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.program import KernelProgram
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import AttachType, ProgramType

KINDS = {
    ProgramType.XDP: "xdp",
    ProgramType.SCHED_CLS: "tcx",
    ProgramType.TRACEPOINT: "tracepoint",
    ProgramType.RAW_TRACEPOINT: "raw_tracepoint",
    ProgramType.RAW_TRACEPOINT_WRITABLE: "raw_tracepoint",
    ProgramType.PERF_EVENT: "perf_event",
    ProgramType.SOCKET_FILTER: "socket_filter",
    ProgramType.LIRC_MODE2: "lirc",
    ProgramType.KPROBE: "kprobe",
    ProgramType.TRACING: "tracing",
    ProgramType.LSM: "lsm",
    ProgramType.EXT: "freplace",
    ProgramType.CGROUP_SKB: "cgroup",
    ProgramType.CGROUP_SOCK: "cgroup",
    ProgramType.CGROUP_SOCK_ADDR: "cgroup",
    ProgramType.CGROUP_DEVICE: "cgroup",
    ProgramType.CGROUP_SYSCTL: "cgroup",
    ProgramType.CGROUP_SOCKOPT: "cgroup",
    ProgramType.SOCK_OPS: "cgroup",
    ProgramType.SK_MSG: "sockmap",
    ProgramType.SK_SKB: "sockmap",
    ProgramType.SK_REUSEPORT: "reuseport",
    ProgramType.SK_LOOKUP: "netns",
    ProgramType.FLOW_DISSECTOR: "netns",
    ProgramType.NETFILTER: "netfilter",
    ProgramType.LWT_IN: "route",
    ProgramType.LWT_OUT: "route",
    ProgramType.LWT_XMIT: "route",
    ProgramType.LWT_SEG6LOCAL: "route",
}
BY_ATTACH_TYPE = {  # of programs that share a type
    AttachType.TRACE_ITER: "iter",
    AttachType.LSM_CGROUP: "cgroup",
    AttachType.TRACE_KPROBE_MULTI: "kprobe_multi",
    AttachType.TRACE_KPROBE_SESSION: "kprobe_multi",
    AttachType.TRACE_UPROBE_MULTI: "uprobe_multi",
    AttachType.TRACE_UPROBE_SESSION: "uprobe_multi",
}
BY_SECTION = {  # of kprobes, but for processes and system calls
    "uprobe": "uprobe",
    "uretprobe": "uprobe",
    "usdt": "usdt",
    "ksyscall": "ksyscall",
    "kretsyscall": "ksyscall",
}


def kind_of(spec: ProgramSpec) -> str | None:
    """The module for a program; None where there is none."""
    if spec.attach_type in BY_ATTACH_TYPE:
        return BY_ATTACH_TYPE[spec.attach_type]
    section = spec.section.partition("/")[0].partition(".")[0]
    return BY_SECTION.get(section) if spec.type is ProgramType.KPROBE and section in BY_SECTION else KINDS.get(spec.type)


def attach(program: KernelProgram, options: Mapping[str, object]) -> KernelLink:
    """Attach a program to the hook of its type; each kind's module lists its options in `OPTIONS`."""
    kind = kind_of(program.spec)
    if kind is None:
        kinds = ", ".join(sorted({type.name.lower() for type in KINDS}))
        raise Unsupported(f"{program.descriptor.what} cannot be attached yet. These types can: {kinds}.")
    made: KernelLink = import_module(f"{__name__}.{kind}").attach(program, options)
    return made
