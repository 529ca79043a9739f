"""What the generator asks the kernel about: every program type, with each attach type that may change the answer."""

from __future__ import annotations

from purebpf.btf.types import Kind
from purebpf.tables.enums import AttachType, ProgramType
from purebpf.tables.generate.kernel import Target
from purebpf.tables.generate.kernelbtf import KernelBtf

SLEEPABLE = 1 << 4  # BPF_F_SLEEPABLE

# Program types whose helpers and context fields depend on the attach type; "" stands for none given.
ATTACH: dict[ProgramType, tuple[str, ...]] = {
    ProgramType.KPROBE: ("", "TRACE_KPROBE_MULTI", "TRACE_KPROBE_SESSION", "TRACE_UPROBE_MULTI", "TRACE_UPROBE_SESSION"),
    ProgramType.CGROUP_SKB: ("CGROUP_INET_INGRESS", "CGROUP_INET_EGRESS"),
    ProgramType.CGROUP_SOCK: (
        "CGROUP_INET_SOCK_CREATE",
        "CGROUP_INET_SOCK_RELEASE",
        "CGROUP_INET4_POST_BIND",
        "CGROUP_INET6_POST_BIND",
    ),
    ProgramType.CGROUP_SOCK_ADDR: tuple(
        [f"CGROUP_INET{v}_{what}" for what in ("BIND", "CONNECT", "GETPEERNAME", "GETSOCKNAME") for v in "46"]
        + [f"CGROUP_UDP{v}_{what}" for what in ("SENDMSG", "RECVMSG") for v in "46"]
        + [f"CGROUP_UNIX_{what}" for what in ("CONNECT", "SENDMSG", "RECVMSG", "GETPEERNAME", "GETSOCKNAME")]
    ),
    ProgramType.CGROUP_DEVICE: ("CGROUP_DEVICE",),
    ProgramType.CGROUP_SYSCTL: ("CGROUP_SYSCTL",),
    ProgramType.SOCK_OPS: ("CGROUP_SOCK_OPS",),
    ProgramType.CGROUP_SOCKOPT: ("CGROUP_GETSOCKOPT", "CGROUP_SETSOCKOPT"),
    ProgramType.SK_REUSEPORT: ("SK_REUSEPORT_SELECT", "SK_REUSEPORT_SELECT_OR_MIGRATE"),
    ProgramType.SK_LOOKUP: ("SK_LOOKUP",),
    ProgramType.NETFILTER: ("NETFILTER",),
    ProgramType.XDP: ("XDP", "XDP_DEVMAP", "XDP_CPUMAP"),
    ProgramType.TRACING: ("TRACE_RAW_TP", "TRACE_FENTRY", "TRACE_FEXIT", "MODIFY_RETURN", "TRACE_ITER"),
    ProgramType.LSM: ("LSM_MAC", "LSM_CGROUP"),
}

# The functions that programs of a BTF-typed attach type are loaded for, by what they are in BTF.
HOOKS: dict[str, tuple[tuple[Kind, str], ...]] = {
    "TRACE_RAW_TP": ((Kind.TYPEDEF, "btf_trace_sched_switch"), (Kind.TYPEDEF, "btf_trace_kfree_skb")),
    "TRACE_FENTRY": ((Kind.FUNC, "vfs_getattr"),),
    "TRACE_FEXIT": ((Kind.FUNC, "vfs_getattr"),),
    "MODIFY_RETURN": ((Kind.FUNC, "security_file_open"), (Kind.FUNC, "bpf_modify_return_test")),
    "TRACE_ITER": ((Kind.FUNC, "bpf_iter_task"), (Kind.FUNC, "bpf_iter_bpf_map_elem")),
    "LSM_MAC": ((Kind.FUNC, "bpf_lsm_file_open"), (Kind.FUNC, "bpf_lsm_bprm_committed_creds")),
    "LSM_CGROUP": ((Kind.FUNC, "bpf_lsm_socket_post_create"), (Kind.FUNC, "bpf_lsm_inet_conn_established")),
}
STRUCT_OPS = ("tcp_congestion_ops", "bpf_dummy_ops")  # the functions a struct_ops program may be differ in their helpers
MEMBERS = 4  # of each such structure; the helpers differ between `init`, `release` and the others
SLEEPABLE_HOOKS = {"LSM_MAC"}  # program types where a sleepable program is loaded besides the plain one


def targets(btf: KernelBtf) -> dict[str, list[Target]]:
    """By name, such as "XDP" or "CGROUP_SKB/CGROUP_INET_EGRESS": the ways to load such a program, of which one has to allow a
    helper for the helper to count as allowed. A hook that this kernel does not have is left out."""
    found: dict[str, list[Target]] = {}
    for type in ProgramType:
        if type in (ProgramType.UNSPEC, ProgramType.EXT):
            continue  # an extension has the helpers of the program it extends
        if type is ProgramType.STRUCT_OPS:
            numbers = _known(btf, tuple((Kind.STRUCT, name) for name in STRUCT_OPS))
            found[type.name] = [Target(type, AttachType(member), number) for number in numbers for member in range(MEMBERS)]
            continue
        flags = SLEEPABLE if type is ProgramType.SYSCALL else 0
        for attach in ATTACH.get(type, ("",)):
            name = f"{type.name}/{attach}" if len(ATTACH.get(type, ())) > 1 else type.name
            value = AttachType[attach] if attach else None
            if attach in HOOKS:
                numbers = _known(btf, HOOKS[attach])
                found[name] = [Target(type, value, number) for number in numbers]
                if attach in SLEEPABLE_HOOKS:
                    found[name] += [Target(type, value, number, SLEEPABLE) for number in numbers]
            else:
                found[name] = [Target(type, value, flags=flags)]
    return found


def _known(btf: KernelBtf, names: tuple[tuple[Kind, str], ...]) -> list[int]:
    """The numbers of those types that this kernel has."""
    found = [btf.find(kind, name) for kind, name in names]
    return [number for number in found if number is not None]
