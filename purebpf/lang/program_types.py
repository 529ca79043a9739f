"""Descriptions of program types: what a decorator makes, which context it gets, what it returns."""

from __future__ import annotations

from purebpf.data import data, replace
from purebpf.tables.enums import AttachType, ProgramType

SLEEPABLE = 1 << 4  # BPF_F_SLEEPABLE
FRAGS = 1 << 5  # BPF_F_XDP_HAS_FRAGS


@data
class ProgramKind:
    """`section` is libbpf's name; with `hook` one follows after a slash. `returns` says what a result means (empty: nothing, 0
    for the kernel), `results` which ones the kernel takes (None: any). `packet`: "direct" (checked access in place), "read" (as
    that, without writing), "copy" (read-only through a helper), "dynptr" (read-only through a kfunc) or "" (none). `attach` is
    the expected attach type, for kinds that share a program type. `may_sleep`: it can be made `sleepable`, and then may call
    what sleeps. `frags`: XDP packets may have several pieces. Types of the network and of cgroups are in `network_types.py`.
    `row`: the type of what an iterator's program emits. `of`: the type of the program that this one traces."""

    decorator: str
    type: ProgramType
    section: str
    context: str
    returns: str = ""
    hook: str = ""
    packet: str = ""
    sleepable: bool = False
    attach: AttachType | None = None
    may_sleep: bool = False
    results: tuple[int, int] | None = None
    row: object = None
    frags: bool = False
    of: ProgramType | None = None

    def sleeping(self) -> ProgramKind:
        """The same kind, made sleepable."""
        return replace(self, section=f"{self.section}.s", sleepable=True)

    def many(self) -> ProgramKind:
        """A probe's kind, on many functions at once: of the kernel (Linux 5.18), of a file (Linux 6.6)."""
        user = self.decorator in ("uprobe", "uretprobe")
        attach = AttachType.TRACE_UPROBE_MULTI if user else AttachType.TRACE_KPROBE_MULTI
        return replace(self, section=f"{self.section}.multi", attach=attach)

    def changing(self) -> ProgramKind:
        """A raw tracepoint's kind, for events whose arguments a program may change (Linux 5.2)."""
        return replace(self, type=ProgramType.RAW_TRACEPOINT_WRITABLE, section=f"{self.section}.w")

    @property
    def flags(self) -> int:
        """What a program of this kind is loaded with."""
        return SLEEPABLE * self.sleepable | FRAGS * self.frags


FUNCTION = 'a function of the kernel, such as "tcp_v4_connect"'
TRACED = f"{FUNCTION}, or a program"
PROBE = 'functions of the kernel: "tcp_v4_connect", several, or a pattern such as "tcp_v4_*"'
USER = 'a binary or library and a symbol or pattern in it, such as "libc.so.6", "malloc"'
CALL = 'a system call, such as "openat"'
OWN = 'a binary or library, a provider and a name, such as "libstdc++.so.6", "libstdcxx", "throw"'

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
        ProgramKind("lirc_mode2", ProgramType.LIRC_MODE2, "lirc_mode2", "LircContext", attach=AttachType.LIRC_MODE2),
        ProgramKind("syscall", ProgramType.SYSCALL, "syscall", "SyscallContext", sleepable=True),
        ProgramKind(
            "struct_ops",
            ProgramType.STRUCT_OPS,
            "struct_ops",
            "StructOpsContext",
            hook='a struct of operations, such as "tcp_congestion_ops"',
            may_sleep=True,
        ),
        ProgramKind("kprobe", ProgramType.KPROBE, "kprobe", "ProbeContext", hook=PROBE),
        ProgramKind("kretprobe", ProgramType.KPROBE, "kretprobe", "ProbeContext", hook=PROBE),
        ProgramKind("ksyscall", ProgramType.KPROBE, "ksyscall", "ProbeContext", hook=CALL),
        ProgramKind("kretsyscall", ProgramType.KPROBE, "kretsyscall", "ProbeContext", hook=CALL),
        ProgramKind(
            "kprobe_session",
            ProgramType.KPROBE,
            "kprobe.session",
            "ProbeContext",
            hook=PROBE,
            attach=AttachType.TRACE_KPROBE_SESSION,
            results=(0, 1),
        ),
        ProgramKind("uprobe", ProgramType.KPROBE, "uprobe", "ProbeContext", hook=USER, may_sleep=True),
        ProgramKind("uretprobe", ProgramType.KPROBE, "uretprobe", "ProbeContext", hook=USER, may_sleep=True),
        ProgramKind(
            "uprobe_session",
            ProgramType.KPROBE,
            "uprobe.session",
            "ProbeContext",
            hook=USER,
            attach=AttachType.TRACE_UPROBE_SESSION,
            may_sleep=True,
            results=(0, 1),
        ),
        ProgramKind("usdt", ProgramType.KPROBE, "usdt", "ProbeContext", hook=OWN, may_sleep=True),
        ProgramKind(
            "fentry",
            ProgramType.TRACING,
            "fentry",
            "TracingContext",
            hook=TRACED,
            attach=AttachType.TRACE_FENTRY,
            may_sleep=True,
            results=(0, 0),
        ),
        ProgramKind(
            "fexit",
            ProgramType.TRACING,
            "fexit",
            "TracingContext",
            hook=TRACED,
            attach=AttachType.TRACE_FEXIT,
            may_sleep=True,
            results=(0, 0),
        ),
        ProgramKind(
            "fmod_ret",
            ProgramType.TRACING,
            "fmod_ret",
            "TracingContext",
            hook="a function of the kernel whose result may be replaced: a security hook or one open to error injection",
            attach=AttachType.MODIFY_RETURN,
            may_sleep=True,
        ),
        ProgramKind(
            "lsm",
            ProgramType.LSM,
            "lsm",
            "TracingContext",
            hook='a security hook, such as "file_open"',
            attach=AttachType.LSM_MAC,
            may_sleep=True,
            results=(-4095, 0),
        ),
        ProgramKind(
            "lsm_cgroup",
            ProgramType.LSM,
            "lsm_cgroup",
            "TracingContext",
            "1 to allow, 0 to refuse",
            hook='a security hook, such as "socket_bind"',
            attach=AttachType.LSM_CGROUP,
            results=(0, 1),
        ),
        ProgramKind(
            "tp_btf",
            ProgramType.TRACING,
            "tp_btf",
            "TracingContext",
            hook='the event\'s name, such as "sched_switch"',
            attach=AttachType.TRACE_RAW_TP,
        ),
        ProgramKind(
            "iter",
            ProgramType.TRACING,
            "iter",
            "IterContext",
            hook='what to go through, such as "task"',
            attach=AttachType.TRACE_ITER,
            may_sleep=True,
            results=(0, 1),
        ),
    )
}
