"""Which capability a use of bpf(2) needs, and which of them this process lacks.

Rules: capabilities(7) and the checks in kernel/bpf/syscall.c. CAP_BPF and CAP_PERFMON exist since Linux 5.8; before that, and
still instead of any of them, CAP_SYS_ADMIN.
"""

from __future__ import annotations

from purebpf.tables.enums import MapType, ProgramType

# include/uapi/linux/capability.h
CAPABILITIES = {
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_ADMIN": 21,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}
COVERED_BY_SYS_ADMIN = frozenset({"CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"})
WHOLE_RANGE = 4294967295

NETWORK_MAPS = frozenset({MapType.SOCKMAP, MapType.SOCKHASH, MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.XSKMAP})
BARE_PROGRAMS = frozenset(
    {
        ProgramType.SOCKET_FILTER,
        ProgramType.CGROUP_SKB,
        ProgramType.SK_REUSEPORT,
        ProgramType.SK_LOOKUP,
        ProgramType.SYSCALL,
    }
)
TRACING_PROGRAMS = frozenset(
    {
        ProgramType.KPROBE,
        ProgramType.TRACEPOINT,
        ProgramType.PERF_EVENT,
        ProgramType.RAW_TRACEPOINT,
        ProgramType.RAW_TRACEPOINT_WRITABLE,
        ProgramType.TRACING,
        ProgramType.LSM,
        ProgramType.STRUCT_OPS,
    }
)


def for_map(type: MapType) -> tuple[str, ...]:
    """The capabilities it takes to create a map."""
    return ("CAP_BPF", "CAP_NET_ADMIN") if type in NETWORK_MAPS else ("CAP_BPF",)


def for_program(type: ProgramType) -> tuple[str, ...]:
    """The capabilities it takes to load a program."""
    if type in BARE_PROGRAMS:
        return ("CAP_BPF",)
    if type is ProgramType.EXT:
        return ("CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN")
    return ("CAP_BPF", "CAP_PERFMON" if type in TRACING_PROGRAMS else "CAP_NET_ADMIN")


def effective() -> frozenset[str]:
    """The capabilities above that this thread has now."""
    with open("/proc/thread-self/status") as file:
        mask = next((int(line.split()[1], 16) for line in file if line.startswith("CapEff:")), 0)
    return frozenset(name for name, bit in CAPABILITIES.items() if mask >> bit & 1)


def missing(needed: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the needed ones that this thread lacks."""
    held = effective()
    return tuple(name for name in needed if name not in held and not (name in COVERED_BY_SYS_ADMIN and "CAP_SYS_ADMIN" in held))


def in_user_namespace() -> bool:
    """True when the capabilities are only worth something inside a user namespace, where bpf(2) does not count them."""
    try:
        with open("/proc/self/uid_map") as file:
            rows = [tuple(map(int, line.split())) for line in file]
    except (OSError, ValueError):
        return False
    return rows != [(0, 0, WHOLE_RANGE)]


def why_not_permitted(needed: tuple[str, ...]) -> str:
    """Why the kernel answered EPERM, as a sentence with what to do; "" when no privilege is missing."""
    lacking = missing(needed)
    if lacking:
        names = " and ".join(lacking)
        return (
            f"It needs {' and '.join(needed)}; this process lacks {names}. Run it as root, or as a service with "
            f"AmbientCapabilities={' '.join(lacking)}."
        )
    if in_user_namespace():
        from purebpf.kernel.token import why_not_enough

        return why_not_enough()
    return ""
