"""ELF section names and the programs they stand for, as libbpf's loader reads them (its table of section definitions).

A name stands for itself alone, or a suffix follows it after a slash: the hook (`tracepoint/syscalls/sys_enter_openat`). The
longest name that fits wins. Left out are libbpf's names for attach types newer than `enums.py` (fsession, fentry.multi).
"""

from __future__ import annotations

from functools import cache

from purebpf.data import data
from purebpf.tables.enums import AttachType, ProgramType

SLEEPABLE = 1 << 4  # BPF_F_SLEEPABLE
FRAGS = 1 << 5  # BPF_F_XDP_HAS_FRAGS


@data
class Section:
    """`attach` is the expected attach type, None where the type needs none. `suffix`: a hook may follow the name.
    `flags` are load flags that the name asks for: sleepable (".s", and system calls) or XDP with fragments (".frags")."""

    name: str
    type: ProgramType
    attach: AttachType | None
    suffix: bool
    flags: int


# name ("+": a hook may follow), program type, attach type. Of a name with {} there are several: "" and what is in braces.
_ROWS = """
socket SOCKET_FILTER
sk_reuseport SK_REUSEPORT SK_REUSEPORT_SELECT
sk_reuseport/migrate SK_REUSEPORT SK_REUSEPORT_SELECT_OR_MIGRATE
kprobe+ KPROBE
kretprobe+ KPROBE
uprobe{.s}+ KPROBE
uretprobe{.s}+ KPROBE
kprobe.multi+ KPROBE TRACE_KPROBE_MULTI
kretprobe.multi+ KPROBE TRACE_KPROBE_MULTI
kprobe.session+ KPROBE TRACE_KPROBE_SESSION
uprobe.multi{.s}+ KPROBE TRACE_UPROBE_MULTI
uretprobe.multi{.s}+ KPROBE TRACE_UPROBE_MULTI
uprobe.session{.s}+ KPROBE TRACE_UPROBE_SESSION
ksyscall+ KPROBE
kretsyscall+ KPROBE
usdt{.s}+ KPROBE
tc/ingress SCHED_CLS TCX_INGRESS
tc/egress SCHED_CLS TCX_EGRESS
tcx/ingress SCHED_CLS TCX_INGRESS
tcx/egress SCHED_CLS TCX_EGRESS
tc SCHED_CLS
classifier SCHED_CLS
action SCHED_ACT
netkit/primary SCHED_CLS NETKIT_PRIMARY
netkit/peer SCHED_CLS NETKIT_PEER
tracepoint{.s}+ TRACEPOINT
tp{.s}+ TRACEPOINT
raw_tracepoint{.s}+ RAW_TRACEPOINT
raw_tp{.s}+ RAW_TRACEPOINT
raw_tracepoint.w+ RAW_TRACEPOINT_WRITABLE
raw_tp.w+ RAW_TRACEPOINT_WRITABLE
tp_btf{.s}+ TRACING TRACE_RAW_TP
fentry{.s}+ TRACING TRACE_FENTRY
fmod_ret{.s}+ TRACING MODIFY_RETURN
fexit{.s}+ TRACING TRACE_FEXIT
freplace+ EXT
lsm{.s}+ LSM LSM_MAC
lsm_cgroup+ LSM LSM_CGROUP
iter{.s}+ TRACING TRACE_ITER
syscall SYSCALL
xdp{.frags}/devmap XDP XDP_DEVMAP
xdp{.frags}/cpumap XDP XDP_CPUMAP
xdp{.frags} XDP XDP
perf_event PERF_EVENT
lwt_in LWT_IN
lwt_out LWT_OUT
lwt_xmit LWT_XMIT
lwt_seg6local LWT_SEG6LOCAL
sockops SOCK_OPS CGROUP_SOCK_OPS
sk_skb/stream_parser SK_SKB SK_SKB_STREAM_PARSER
sk_skb/stream_verdict SK_SKB SK_SKB_STREAM_VERDICT
sk_skb/verdict SK_SKB SK_SKB_VERDICT
sk_skb SK_SKB
sk_msg SK_MSG SK_MSG_VERDICT
lirc_mode2 LIRC_MODE2 LIRC_MODE2
flow_dissector FLOW_DISSECTOR FLOW_DISSECTOR
cgroup_skb/ingress CGROUP_SKB CGROUP_INET_INGRESS
cgroup_skb/egress CGROUP_SKB CGROUP_INET_EGRESS
cgroup/skb CGROUP_SKB
cgroup/sock_create CGROUP_SOCK CGROUP_INET_SOCK_CREATE
cgroup/sock_release CGROUP_SOCK CGROUP_INET_SOCK_RELEASE
cgroup/sock CGROUP_SOCK CGROUP_INET_SOCK_CREATE
cgroup/post_bind4 CGROUP_SOCK CGROUP_INET4_POST_BIND
cgroup/post_bind6 CGROUP_SOCK CGROUP_INET6_POST_BIND
cgroup/bind4 CGROUP_SOCK_ADDR CGROUP_INET4_BIND
cgroup/bind6 CGROUP_SOCK_ADDR CGROUP_INET6_BIND
cgroup/connect4 CGROUP_SOCK_ADDR CGROUP_INET4_CONNECT
cgroup/connect6 CGROUP_SOCK_ADDR CGROUP_INET6_CONNECT
cgroup/connect_unix CGROUP_SOCK_ADDR CGROUP_UNIX_CONNECT
cgroup/sendmsg4 CGROUP_SOCK_ADDR CGROUP_UDP4_SENDMSG
cgroup/sendmsg6 CGROUP_SOCK_ADDR CGROUP_UDP6_SENDMSG
cgroup/sendmsg_unix CGROUP_SOCK_ADDR CGROUP_UNIX_SENDMSG
cgroup/recvmsg4 CGROUP_SOCK_ADDR CGROUP_UDP4_RECVMSG
cgroup/recvmsg6 CGROUP_SOCK_ADDR CGROUP_UDP6_RECVMSG
cgroup/recvmsg_unix CGROUP_SOCK_ADDR CGROUP_UNIX_RECVMSG
cgroup/getpeername4 CGROUP_SOCK_ADDR CGROUP_INET4_GETPEERNAME
cgroup/getpeername6 CGROUP_SOCK_ADDR CGROUP_INET6_GETPEERNAME
cgroup/getpeername_unix CGROUP_SOCK_ADDR CGROUP_UNIX_GETPEERNAME
cgroup/getsockname4 CGROUP_SOCK_ADDR CGROUP_INET4_GETSOCKNAME
cgroup/getsockname6 CGROUP_SOCK_ADDR CGROUP_INET6_GETSOCKNAME
cgroup/getsockname_unix CGROUP_SOCK_ADDR CGROUP_UNIX_GETSOCKNAME
cgroup/sysctl CGROUP_SYSCTL CGROUP_SYSCTL
cgroup/getsockopt CGROUP_SOCKOPT CGROUP_GETSOCKOPT
cgroup/setsockopt CGROUP_SOCKOPT CGROUP_SETSOCKOPT
cgroup/dev CGROUP_DEVICE CGROUP_DEVICE
struct_ops{.s}+ STRUCT_OPS
sk_lookup SK_LOOKUP SK_LOOKUP
netfilter NETFILTER NETFILTER
"""

_FLAGS = {"": 0, ".s": SLEEPABLE, ".frags": FRAGS}
_ALWAYS = {"syscall": SLEEPABLE}


@cache
def sections() -> dict[str, Section]:
    """All section names, without the "+"."""
    found = {}
    for row in _ROWS.split("\n"):
        if not row:
            continue
        name, type, *attach = row.split()
        before, brace, rest = name.partition("{")
        option, _, after = rest.partition("}")
        for variant in ("", option) if brace else ("",):
            full = before + variant + after
            expected = AttachType[attach[0]] if attach else None
            plain = full.removesuffix("+")
            flags = _FLAGS[variant] | _ALWAYS.get(plain, 0)
            found[plain] = Section(plain, ProgramType[type], expected, full.endswith("+"), flags)
    return found


def find_section(name: str) -> tuple[Section, str] | None:
    """The section definition that fits a section's name, and the hook that follows; None if no name fits. A leading "?" (for
    libbpf: do not load by default) does not matter."""
    known = sections()
    plain = name.removeprefix("?")
    exact = known.get(plain)
    if exact:
        return exact, ""
    end = plain.rfind("/")
    while end > 0:
        found = known.get(plain[:end])
        if found and found.suffix:
            return found, plain[end + 1 :]
        end = plain.rfind("/", 0, end)
    return None


NEAR, VERY_NEAR = 0.65, 0.85  # of the letters are the same, in order


def similar_section(name: str) -> str:
    """The section that may be meant by a name that stands for no program: `xdp` by `xpd`, `kprobe/f` by `kprobes/f`; "" where
    none is like it."""
    from difflib import get_close_matches

    plain = name.removeprefix("?").lower()
    first, slash, rest = name.removeprefix("?").partition("/")
    whole = get_close_matches(plain, sections(), 1, VERY_NEAR if slash else NEAR)
    if whole or not slash:
        return whole[0] if whole else ""
    with_hooks = [section.name for section in sections().values() if section.suffix]
    found = get_close_matches(first.lower(), with_hooks, 1, NEAR)
    return f"{found[0]}/{rest}" if found else ""


def parse_section(name: str) -> tuple[ProgramType, AttachType | None, str] | None:
    """Program type, expected attach type and hook: `tracepoint/syscalls/sys_enter_open` gives TRACEPOINT, None and
    "syscalls/sys_enter_open". None if the name stands for no program."""
    found = find_section(name)
    return None if found is None else (found[0].type, found[0].attach, found[1])


def section_name(type: ProgramType, attach: AttachType | None = None, hook: str = "", flags: int = 0) -> str:
    """The first section name that stands for such a program. Raises KeyError if none does."""
    for section in sections().values():
        if section.type == type and section.attach == attach and section.flags == flags and (section.suffix or not hook):
            return f"{section.name}/{hook}" if hook else section.name
    raise KeyError(f"no section name stands for {type.name} programs for {attach.name if attach else 'no attach type'}")
