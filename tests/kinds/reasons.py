"""Why no test passed for a kind in some kernels that are new enough for it: what keeps those kernels from it."""

from __future__ import annotations

POLICY = "6.18 ran on a machine whose policy refuses it even to root"
NOT_BUILT = "6.18 ran on a machine whose kernel was built without it"
FPROBE = f"{NOT_BUILT}, and 6.1 has no CONFIG_FPROBE"
LIRC = "none of these kernels was built with CONFIG_BPF_LIRC_MODE2"
LATER = "operations as the tests write them came with Linux 6.1"
REASONS = {
    "map CGROUP_STORAGE": "its tests use storage at sockets as well, which programs on addresses have since Linux 5.15",
    "map STRUCT_OPS": LATER,
    "program STRUCT_OPS": LATER,
    "program LIRC_MODE2": LIRC,
    "attach LIRC_MODE2": LIRC,
    "program EXT": POLICY,
    "program LSM": POLICY,
    "attach TRACE_FENTRY": POLICY,
    "attach TRACE_FEXIT": POLICY,
    "attach MODIFY_RETURN": POLICY,
    "attach LSM_MAC": f"{POLICY}; in 5.10 the security module bpf was not active",
    "attach LSM_CGROUP": POLICY,
    "link TRACING": POLICY,
    "attach TRACE_KPROBE_MULTI": NOT_BUILT,
    "attach TRACE_KPROBE_SESSION": NOT_BUILT,
    "link KPROBE_MULTI": FPROBE,
    "attach NETKIT_PRIMARY": NOT_BUILT,
    "attach NETKIT_PEER": NOT_BUILT,
    "link NETKIT": NOT_BUILT,
}
