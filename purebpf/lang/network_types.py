"""Program types of the network and of cgroups: what a decorator's hook stands for.

One type serves several hooks; each has libbpf's section name, an attach type, and the results that the verifier takes
(check_return_code, kernel/bpf/verifier.c).
"""

from __future__ import annotations

from purebpf.data import data, replace
from purebpf.lang import declaring
from purebpf.lang.program_types import ProgramKind
from purebpf.tables.enums import AttachType, ProgramType

ALLOW, ONLY_ALLOW, EGRESS = (0, 1), (1, 1), (0, 3)
VERDICT = "`bpf.SK_PASS` or `bpf.SK_DROP`"
TO_ALLOW = "1 to allow, 0 to refuse"


@data
class Hook:
    """One hook of a type: its section, attach type and results (None: any)."""

    section: str
    attach: AttachType
    results: tuple[int, int] | None = ALLOW


def _address(section: str) -> Hook:
    """A hook of `cgroup_sock_addr`, by its name."""
    call, last = section.rstrip("46"), section[-1:]
    call, _, unix = call.partition("_")
    family = "UNIX" if unix else "UDP" + last if call in ("sendmsg", "recvmsg") else "INET" + last
    later = call in ("recvmsg", "getpeername", "getsockname")  # the call is made already
    results = (0, 3) if call == "bind" else ONLY_ALLOW if later else ALLOW
    return Hook(f"cgroup/{section}", AttachType[f"CGROUP_{family}_{call.upper()}"], results)


CALLS = ("connect", "sendmsg", "recvmsg", "getpeername", "getsockname")
HOOKS: dict[str, dict[str, Hook]] = {
    "cgroup_skb": {
        "ingress": Hook("cgroup_skb/ingress", AttachType.CGROUP_INET_INGRESS),
        "egress": Hook("cgroup_skb/egress", AttachType.CGROUP_INET_EGRESS, EGRESS),
    },
    "cgroup_sock": {
        "create": Hook("cgroup/sock_create", AttachType.CGROUP_INET_SOCK_CREATE),
        "release": Hook("cgroup/sock_release", AttachType.CGROUP_INET_SOCK_RELEASE),
        "post_bind4": Hook("cgroup/post_bind4", AttachType.CGROUP_INET4_POST_BIND),
        "post_bind6": Hook("cgroup/post_bind6", AttachType.CGROUP_INET6_POST_BIND),
    },
    "cgroup_sock_addr": {
        name: _address(name)
        for name in ("bind4", "bind6", *(f"{call}{family}" for call in CALLS for family in ("4", "6", "_unix")))
    },
    "cgroup_sockopt": {
        "getsockopt": Hook("cgroup/getsockopt", AttachType.CGROUP_GETSOCKOPT),
        "setsockopt": Hook("cgroup/setsockopt", AttachType.CGROUP_SETSOCKOPT),
    },
    "sk_skb": {
        "stream_parser": Hook("sk_skb/stream_parser", AttachType.SK_SKB_STREAM_PARSER, None),
        "stream_verdict": Hook("sk_skb/stream_verdict", AttachType.SK_SKB_STREAM_VERDICT, None),
        "verdict": Hook("sk_skb/verdict", AttachType.SK_SKB_VERDICT, None),
    },
    "sk_reuseport": {
        "migrate": Hook("sk_reuseport/migrate", AttachType.SK_REUSEPORT_SELECT_OR_MIGRATE, None),
    },
    "xdp": {
        "devmap": Hook("xdp/devmap", AttachType.XDP_DEVMAP, None),
        "cpumap": Hook("xdp/cpumap", AttachType.XDP_CPUMAP, None),
    },
}
"""By decorator, the hooks that its argument names."""


def known(decorator: str, hook: object, otherwise: str = "") -> str:
    """The hook, if the decorator has it; else an error. `otherwise` is the hint for decorators that need none."""
    names = HOOKS[decorator]
    if not isinstance(hook, str) or hook not in names:
        listed = ", ".join(map(repr, names))
        said = f"takes no argument, or one of {listed}" if otherwise else f"has no hook {hook!r}"
        said = f"@bpf.{decorator} {said}"
        raise declaring.error(said, otherwise or f"its hooks are: {', '.join(names)}")
    return hook


def hooked(kind: ProgramKind, name: str) -> ProgramKind:
    """The kind for one of a decorator's hooks."""
    hook = HOOKS[kind.decorator][name]
    returns = kind.returns
    if kind.decorator == "cgroup_skb" and name == "egress":
        returns = "1 to allow, 0 to drop (2 and 3: the same, and tell the sender of congestion)"
    elif hook.results == ONLY_ALLOW:
        returns = "1: the call has been made, and only what it tells can be changed"
    elif name in ("bind4", "bind6"):
        returns = "1 to allow, 0 to refuse (3 and 2: the same, where the port needs no privilege)"
    elif name == "stream_parser":
        returns = "the length of the message, 0 to wait for more, or a negative errno"
    return replace(kind, section=hook.section, attach=hook.attach, results=hook.results, returns=returns, hook="")


def fragmented(kind: ProgramKind) -> ProgramKind:
    """An XDP kind that takes packets of several pieces (Linux 5.18)."""
    name, slash, rest = kind.section.partition("/")
    return replace(kind, section=f"{name}.frags{slash}{rest}", frags=True)


def _choice(decorator: str) -> str:
    return " or ".join(f'"{name}"' for name in HOOKS[decorator])


def _cgroup(name: str, type: ProgramType, section: str, context: str, **more: object) -> ProgramKind:
    made = {"returns": TO_ALLOW, "results": ALLOW} | more
    return ProgramKind(name, type, section, context, **made)  # type: ignore[arg-type]


def _skb(name: str, type: ProgramType, context: str, packet: str) -> ProgramKind:
    routed = "`bpf.BPF_OK`, `bpf.BPF_DROP` or another of these"
    return ProgramKind(name, type, name, context, routed, packet=packet)


NETWORK_KINDS = (
    _cgroup(
        "cgroup_skb",
        ProgramType.CGROUP_SKB,
        "cgroup_skb",
        "CgroupSkbContext",
        hook=_choice("cgroup_skb"),
        packet="read",
        returns="1 to allow, 0 to drop",
    ),
    _cgroup("cgroup_sock", ProgramType.CGROUP_SOCK, "cgroup/sock", "CgroupSockContext", hook=_choice("cgroup_sock")),
    _cgroup(
        "cgroup_sock_addr",
        ProgramType.CGROUP_SOCK_ADDR,
        "cgroup",
        "SockAddrContext",
        hook=_choice("cgroup_sock_addr"),
    ),
    _cgroup(
        "cgroup_device",
        ProgramType.CGROUP_DEVICE,
        "cgroup/dev",
        "CgroupDeviceContext",
        attach=AttachType.CGROUP_DEVICE,
    ),
    _cgroup("cgroup_sysctl", ProgramType.CGROUP_SYSCTL, "cgroup/sysctl", "SysctlContext", attach=AttachType.CGROUP_SYSCTL),
    _cgroup("cgroup_sockopt", ProgramType.CGROUP_SOCKOPT, "cgroup", "SockoptContext", hook=_choice("cgroup_sockopt")),
    _cgroup(
        "sockops",
        ProgramType.SOCK_OPS,
        "sockops",
        "SockOpsContext",
        attach=AttachType.CGROUP_SOCK_OPS,
        returns="1; what the kernel asked for goes to `ctx.reply`",
    ),
    ProgramKind(
        "sk_msg",
        ProgramType.SK_MSG,
        "sk_msg",
        "SkMsgContext",
        VERDICT,
        packet="direct",
        attach=AttachType.SK_MSG_VERDICT,
    ),
    ProgramKind("sk_skb", ProgramType.SK_SKB, "sk_skb", "SkSkbContext", VERDICT, hook=_choice("sk_skb"), packet="direct"),
    ProgramKind(
        "sk_lookup",
        ProgramType.SK_LOOKUP,
        "sk_lookup",
        "SkLookupContext",
        VERDICT,
        attach=AttachType.SK_LOOKUP,
        results=ALLOW,
    ),
    ProgramKind(
        "sk_reuseport",
        ProgramType.SK_REUSEPORT,
        "sk_reuseport",
        "SkReuseportContext",
        VERDICT,
        packet="read",
        attach=AttachType.SK_REUSEPORT_SELECT,
    ),
    ProgramKind(
        "flow_dissector",
        ProgramType.FLOW_DISSECTOR,
        "flow_dissector",
        "FlowDissectorContext",
        "`bpf.BPF_OK`, `bpf.BPF_DROP`, or `bpf.BPF_FLOW_DISSECTOR_CONTINUE` to leave it to the kernel",
        packet="read",
        attach=AttachType.FLOW_DISSECTOR,
    ),
    _skb("lwt_in", ProgramType.LWT_IN, "LwtContext", "read"),
    _skb("lwt_out", ProgramType.LWT_OUT, "LwtContext", "read"),
    _skb("lwt_xmit", ProgramType.LWT_XMIT, "LwtContext", "direct"),
    _skb("lwt_seg6local", ProgramType.LWT_SEG6LOCAL, "LwtContext", "copy"),
    ProgramKind(
        "netfilter",
        ProgramType.NETFILTER,
        "netfilter",
        "NetfilterContext",
        "`bpf.NF_ACCEPT` or `bpf.NF_DROP`",
        packet="dynptr",
        attach=AttachType.NETFILTER,
        results=ALLOW,
    ),
)


def all_kinds() -> dict[str, ProgramKind]:
    """Every program type by its decorator's name."""
    from purebpf.lang.program_types import KINDS

    return KINDS | {kind.decorator: kind for kind in NETWORK_KINDS}
