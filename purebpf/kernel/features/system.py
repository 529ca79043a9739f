"""How the kernel is set up: settings of bpf(2), and what it was built with."""

from __future__ import annotations

import gzip
import os
import re

SETTINGS = {  # bpftool's names, and where they are
    "unprivileged_bpf_disabled": "/proc/sys/kernel/unprivileged_bpf_disabled",
    "bpf_jit_enable": "/proc/sys/net/core/bpf_jit_enable",
    "bpf_jit_harden": "/proc/sys/net/core/bpf_jit_harden",
    "bpf_jit_kallsyms": "/proc/sys/net/core/bpf_jit_kallsyms",
    "bpf_jit_limit": "/proc/sys/net/core/bpf_jit_limit",
}
OPTIONS = (
    "BPF", "BPF_SYSCALL", "HAVE_EBPF_JIT", "BPF_JIT", "BPF_JIT_ALWAYS_ON", "DEBUG_INFO_BTF",
    "DEBUG_INFO_BTF_MODULES", "CGROUPS", "CGROUP_BPF", "CGROUP_NET_CLASSID", "SOCK_CGROUP_DATA", "BPF_EVENTS",
    "KPROBE_EVENTS", "UPROBE_EVENTS", "TRACING", "FTRACE_SYSCALLS", "FUNCTION_ERROR_INJECTION",
    "BPF_KPROBE_OVERRIDE", "NET", "XDP_SOCKETS", "LWTUNNEL_BPF", "NET_ACT_BPF", "NET_CLS_BPF", "NET_CLS_ACT",
    "NET_SCH_INGRESS", "XFRM", "IP_ROUTE_CLASSID", "IPV6_SEG6_BPF", "BPF_LIRC_MODE2", "BPF_STREAM_PARSER",
    "NETFILTER_XT_MATCH_BPF", "BPFILTER", "BPFILTER_UMH", "TEST_BPF", "HZ", "BPF_LSM", "FPROBE", "NETKIT",
    "NETFILTER_BPF_LINK",
)  # fmt: skip
LINE = re.compile(rb"^CONFIG_(\w+)=(.*)$", re.MULTILINE)


def settings() -> dict[str, int | None]:
    """None for one that cannot be read."""
    return {name: _number(path) for name, path in SETTINGS.items()}


def _number(path: str) -> int | None:
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def names() -> list[str]:
    """What `options` tells of."""
    return [f"CONFIG_{name}" for name in OPTIONS]


def options() -> dict[str, str | None]:
    """What this kernel was built with, of what matters here: "y", "m", a number, or None; {} when there is no record of it."""
    found = _config()
    if found is None:
        return {}
    known = {name.decode(): value.decode().strip('"') for name, value in LINE.findall(found)}
    return {f"CONFIG_{name}": known.get(name) for name in OPTIONS}


def _config() -> bytes | None:
    release = os.uname().release
    for path in ("/proc/config.gz", f"/boot/config-{release}", f"/lib/modules/{release}/config"):
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            continue
        return gzip.decompress(data) if path.endswith(".gz") else data
    return None
