"""Why no test passed for a kind in some kernels that are new enough for it: what keeps those kernels from it."""

from __future__ import annotations

POLICY = "6.18 ran on a machine whose policy refuses it even to root"
NOT_BUILT = "6.18 ran on a machine whose kernel was built without it"
FPROBE = f"{NOT_BUILT}, and 6.1 has no CONFIG_FPROBE"
LIRC = "none of these kernels was built with CONFIG_BPF_LIRC_MODE2"
FEW = "the guests ran a part of the tests"
REASONS = {
    "map STACK_TRACE": FEW,
    "program RAW_TRACEPOINT_WRITABLE": FEW,
    "program SYSCALL": FEW,
    "program LIRC_MODE2": LIRC,
    "attach LIRC_MODE2": LIRC,
    "attach SK_REUSEPORT_SELECT_OR_MIGRATE": FEW,
    "program EXT": f"{POLICY}; {FEW}",
    "program LSM": POLICY,
    "attach TRACE_FENTRY": POLICY,
    "attach TRACE_FEXIT": POLICY,
    "attach MODIFY_RETURN": POLICY,
    "attach LSM_MAC": POLICY,
    "attach LSM_CGROUP": POLICY,
    "link TRACING": POLICY,
    "attach TRACE_KPROBE_MULTI": FPROBE,
    "attach TRACE_KPROBE_SESSION": f"{NOT_BUILT}; {FEW}",
    "link KPROBE_MULTI": FPROBE,
    "attach NETKIT_PRIMARY": NOT_BUILT,
    "attach NETKIT_PEER": f"{NOT_BUILT}; {FEW}",
    "link NETKIT": NOT_BUILT,
}
