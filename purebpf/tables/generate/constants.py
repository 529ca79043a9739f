"""Writes `constant_rows.py`: UAPI constants by name, from the headers of the kernel and of the C library, and from BTF.

A header gives `#define`s and enumerators; an enum that the running kernel has more names for than the header is taken from BTF.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from purebpf.tables.generate.kernelbtf import KernelBtf
from purebpf.tables.generate.text import header, rows
from purebpf.tables.generate.uapi import constants


@dataclass(frozen=True, slots=True)
class Group:
    """Constants from some headers, relative to the include directory, whose names match."""

    name: str
    headers: tuple[str, ...]
    names: str


GROUPS = (
    Group("bpf", ("linux/bpf.h",), r"(BPF|BTF|XDP|TCX|SK|LWT|TCP_BPF)_\w+|BPF_ANY"),
    Group("btf", ("linux/btf.h",), r"BTF_\w+"),
    Group("tc", ("linux/pkt_cls.h",), r"TC_\w+|TCA_BPF_\w+"),
    Group("sched", ("linux/pkt_sched.h",), r"TC_(PRIO|H)_\w+"),
    Group("ether", ("linux/if_ether.h",), r"ETH_\w+"),
    Group("arp", ("linux/if_arp.h",), r"ARP(HRD|OP)_\w+"),
    Group("vlan", ("linux/if_vlan.h",), r"VLAN_\w+"),
    Group("interface", ("linux/if.h", "linux/if_link.h"), r"IFF_\w+|IF_OPER_\w+|IFNAMSIZ|XDP_\w+"),
    Group("packet", ("linux/if_packet.h",), r"PACKET_(HOST|BROADCAST|MULTICAST|OTHERHOST|OUTGOING|LOOPBACK|USER|KERNEL)"),
    Group("xsk", ("linux/if_xdp.h",), r"XDP_\w+|XSK_\w+"),
    Group("ip", ("linux/in.h", "linux/in6.h", "linux/ip.h"), r"IPPROTO_\w+|INADDR_\w+|IPTOS_\w+|IPPORT_\w+|IPVERSION|IPDEFTTL"),
    Group("icmp", ("linux/icmp.h", "linux/icmpv6.h"), r"ICMP(V6)?_\w+"),
    Group("tcp", ("linux/tcp.h",), r"TCP_(?!FLAG|NLA|METRIC|REPAIR_|QUEUE|CA_)[A-Z_]+"),
    Group("netfilter", ("linux/netfilter.h", "linux/netfilter_ipv4.h"), r"NF_\w+|NFPROTO_\w+|NF_IP_PRI_\w+"),
    Group("socket", ("asm-generic/socket.h", "{libc}/bits/socket.h", "{libc}/bits/socket_type.h"), r"(AF|SO|SOL|SOCK)_\w+"),
    Group("perf", ("linux/perf_event.h",), r"PERF_\w+"),
    Group("errno", ("asm-generic/errno-base.h", "asm-generic/errno.h"), r"E[A-Z0-9]+"),
    Group("file", ("asm-generic/fcntl.h", "linux/fcntl.h", "linux/stat.h"), r"(O|AT|S)_[A-Z_]+"),
)

EXTENDED = ("bpf", "perf")  # groups whose enums grow with the kernel
HELPERS = "bpf_func_id"  # the header writes this enum with macros

# The flag bits in byte 13 of a TCP header (RFC 9293, section 3.1) by the kernel's names (include/net/tcp.h). The UAPI's
# TCP_FLAG_* are 32-bit words in network order, so their numbers depend on the machine; they are left out.
TCP_FLAGS = {"FIN": 0x01, "SYN": 0x02, "RST": 0x04, "PSH": 0x08, "ACK": 0x10, "URG": 0x20, "ECE": 0x40, "CWR": 0x80}


def version(headers: Path) -> str:
    """ "6.12.107", from `linux/version.h`. Raises ValueError when it does not tell."""
    text = (headers / "linux/version.h").read_text()
    match = re.search(r"LINUX_VERSION_CODE (\d+)", text)
    if match is None:
        raise ValueError(f"{headers}/linux/version.h does not define LINUX_VERSION_CODE")
    code = int(match[1])
    return f"{code >> 16}.{code >> 8 & 255}.{code & 255}"


def collect(headers: Path, libc: Path, btf: KernelBtf) -> dict[str, dict[str, int]]:
    """Constants by group. Raises ValueError when two groups give one name different values."""
    found: dict[str, dict[str, int]] = {}
    seen: dict[str, int] = {}
    for group in GROUPS:
        values: dict[str, int] = {}
        known: dict[str, int] = {}
        for name in group.headers:
            path = libc / name.removeprefix("{libc}/") if name.startswith("{libc}") else headers / name
            known |= constants(path, known)
        for name, value in known.items():
            if re.fullmatch(group.names, name) and not name.endswith("_MAX"):
                values[name] = value
        for enum, members in btf.enums.items() if group.name in EXTENDED else ():
            if enum == HELPERS or any(values.get(name) == value for name, value in members):
                values |= {name: value for name, value in members if re.fullmatch(group.names, name)}
        for name, value in values.items():
            if seen.setdefault(name, value) != value:
                raise ValueError(f"{name} is {seen[name]} in one group and {value} in {group.name}")
        found[group.name] = {name: value for name, value in values.items() if name not in found.get("bpf", {})}
    found["tcp_flags"] = {f"TCPHDR_{name}": value for name, value in TCP_FLAGS.items()}
    return found


def render(headers: Path, libc: Path, btf: KernelBtf) -> str:
    """The whole text of `constant_rows.py`."""
    source = f"the headers of Linux {version(headers)} and of the C library, and the kernel's BTF"
    lines = header("constant_rows", "UAPI constants by group: names, and their values in the same order.", source)
    lines += ["# ruff: noqa: E501", "# fmt: off", "from __future__ import annotations", ""]
    literals = [repr((group, tuple(values), tuple(values.values()))) for group, values in collect(headers, libc, btf).items()]
    return "\n".join([*lines, *rows("GROUPS", "tuple[tuple[str, tuple[str, ...], tuple[int, ...]], ...]", literals)]) + "\n"
