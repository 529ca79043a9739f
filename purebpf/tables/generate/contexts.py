"""The contexts of all program types: layout from BTF, and which fields may be read or written as the verifier says.

`measure` asks the running kernel for `facts/contexts.tsv`; `render` writes `context_rows.py` from it. For every field, every
size and every attach type that may matter a program of one load or one store is loaded; the verifier's log tells what the load
gives.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from purebpf.tables.enums import AttachType, ProgramType
from purebpf.tables.generate.arguments import valid
from purebpf.tables.generate.kernel import EXIT, Kernel, Target, instruction, move
from purebpf.tables.generate.kernelbtf import KernelBtf, Member
from purebpf.tables.generate.measured import FACTS
from purebpf.tables.generate.targets import ATTACH, targets
from purebpf.tables.generate.text import header, rows

SKB = "SOCKET_FILTER SCHED_CLS SCHED_ACT CGROUP_SKB LWT_IN LWT_OUT LWT_XMIT LWT_SEG6LOCAL SK_SKB FLOW_DISSECTOR"
STRUCTS: dict[str, str] = {
    **dict.fromkeys(SKB.split(), "__sk_buff"),
    "XDP": "xdp_md",
    "KPROBE": "pt_regs",
    "PERF_EVENT": "bpf_perf_event_data",
    "CGROUP_SOCK": "bpf_sock",
    "SOCK_OPS": "bpf_sock_ops",
    "CGROUP_DEVICE": "bpf_cgroup_dev_ctx",
    "SK_MSG": "sk_msg_md",
    "CGROUP_SOCK_ADDR": "bpf_sock_addr",
    "SK_REUSEPORT": "sk_reuseport_md",
    "CGROUP_SYSCTL": "bpf_sysctl",
    "CGROUP_SOCKOPT": "bpf_sockopt",
    "SK_LOOKUP": "bpf_sk_lookup",
    "NETFILTER": "bpf_nf_ctx",
}
MACHINE_DEPENDENT = {"pt_regs", "bpf_perf_event_data"}
SIZES = {1: (0x71, 0x73), 2: (0x69, 0x6B), 4: (0x61, 0x63), 8: (0x79, 0x7B)}  # bytes -> opcode of load, of store
GIVEN = re.compile(r"R0(?:_w)?=([a-z_0-9]+?)(?:\(|\d|$)")

# what the verifier calls a register after the load -> kind, nullable
KINDS: dict[str, tuple[str, bool]] = {
    "scalar": ("scalar", False),
    "pkt": ("packet", False),
    "pkt_end": ("packet_end", False),
    "pkt_meta": ("packet_meta", False),
    "sock": ("socket", False),
    "sock_or_null": ("socket", True),
    "sock_common": ("socket", False),
    "sock_common_or_null": ("socket", True),
    "flow_keys": ("flow_keys", False),
}

# Fields in network byte order (comments of include/uapi/linux/bpf.h), with the bytes that carry the value: a 16-bit one may
# lie in the first half of a 32-bit field. The kernel shifts a remote port of 4 bytes so that all four are in order.
NETWORK: dict[str, dict[str, int]] = {
    "__sk_buff": {
        "protocol": 2, "vlan_proto": 2, "remote_ip4": 4, "local_ip4": 4, "remote_ip6": 4, "local_ip6": 4, "remote_port": 4,
    },
    "bpf_sock": {"src_ip4": 4, "src_ip6": 4, "dst_port": 2, "dst_ip4": 4, "dst_ip6": 4},
    "bpf_sock_addr": {"user_ip4": 4, "user_ip6": 4, "user_port": 2, "msg_src_ip4": 4, "msg_src_ip6": 4},
    "bpf_sock_ops": {"remote_ip4": 4, "local_ip4": 4, "remote_ip6": 4, "local_ip6": 4, "remote_port": 4},
    "sk_msg_md": {"remote_ip4": 4, "local_ip4": 4, "remote_ip6": 4, "local_ip6": 4, "remote_port": 4},
    "sk_reuseport_md": {"eth_protocol": 2},
    "bpf_sk_lookup": {"remote_ip4": 4, "local_ip4": 4, "remote_ip6": 4, "local_ip6": 4, "remote_port": 2},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Access:
    """A field of one program type; the attach types are those where it may be read or written, empty for all."""

    gives: str
    nullable: bool
    read: frozenset[int]
    write: frozenset[int]
    read_attach: frozenset[str]
    write_attach: frozenset[str]


def fields(btf: KernelBtf, struct: str) -> list[Member]:
    """The members a program can name: those of nested structs as "regs.ip", no padding, no bit fields."""
    found = []
    for member in btf.members(btf.struct_number(struct)):
        if not member.name or member.bits:
            continue
        if member.size > 8 and not member.count:
            inner = {"regs": "pt_regs"}.get(member.name)
            if inner:
                found += [_within(member, each) for each in fields(btf, inner)]
            continue
        found.append(member)
    pointers = {member.offset for member in found if member.target}
    return [
        member for member in found if member.target or member.offset not in pointers
    ]  # an integer over a pointer is not read


def _within(outer: Member, inner: Member) -> Member:
    position = outer.offset + inner.offset
    return Member(f"{outer.name}.{inner.name}", position, inner.size, inner.signed, inner.count, inner.element, inner.target)


def probe(kernel: Kernel, type: str, ways: dict[str, list[Target]], member: Member) -> Access | None:
    """What programs of a type may do with a field; None if nothing."""
    read: dict[str, set[int]] = {}
    write: dict[str, set[int]] = {}
    gives, nullable = "scalar", False
    for name, found in ways.items():
        attach = name.partition("/")[2] or "*"
        for size, (load, store) in SIZES.items():
            if size > (member.element or member.size):
                continue
            epilogue = move(0, 0) + EXIT
            verdict = kernel.load(found[0], instruction(load, 0, 1, member.offset) + epilogue, level=2)
            if valid(verdict):
                read.setdefault(attach, set()).add(size)
                log = next((line for line in verdict.log.splitlines() if line.startswith("0: (") and "R0" in line), "")
                match = GIVEN.search(log)
                if match and match[1] != "scalar":
                    gives, nullable = ("btf", False) if "ptr_" in match[1] else KINDS[match[1]]
            places = (member.offset, member.offset + member.size - member.element) if member.count else (member.offset,)
            stores = (move(2, 0) + instruction(store, 1, 2, place) + epilogue for place in places)
            if all(valid(kernel.load(found[0], code)) for code in stores):  # of an array, the first and the last element
                write.setdefault(attach, set()).add(size)
    if not read and not write:
        return None
    every = len(ways)
    sizes = [frozenset[int]().union(*table.values()) for table in (read, write)]
    limits = [frozenset[str]() if len(table) == every else frozenset(table) for table in (read, write)]
    return Access(gives, nullable, sizes[0], sizes[1], limits[0], limits[1])


def measure() -> str:
    """The text of `facts/contexts.tsv`. Raises OSError where bpf(2) is not permitted, KeyError for an unknown register kind."""
    btf = KernelBtf()
    kernel = Kernel(btf)
    everything = targets(btf)
    release = os.uname().release.partition("-")[0].partition("+")[0]
    machine = os.uname().machine
    lines = [
        f"# Measured on Linux {release} {machine} by `python -m purebpf.tables.generate --contexts`.",
        "# struct: name, size, machine if it matters. field: struct, name, offset, size, array length, signed, pointee.",
        "# access: program type, field, what a load gives, sizes of reads, of writes, attach types of reads, of writes.",
    ]
    for struct in dict.fromkeys(STRUCTS.values()):
        size = btf.size(btf.struct_number(struct))
        lines.append(f"struct\t{struct}\t{size}\t{machine if struct in MACHINE_DEPENDENT else ''}")
        for each in fields(btf, struct):
            row = (struct, each.name, each.offset, each.size, each.count, int(each.signed), each.target)
            lines.append("\t".join(("field", *map(str, row))))
    for type, struct in STRUCTS.items():
        ways = {name: found for name, found in everything.items() if name.partition("/")[0] == type}
        for member in fields(btf, struct):
            access = probe(kernel, type, ways, member)
            if access:
                lines.append("\t".join(("access", type, member.name, *_columns(access))))
    return "\n".join(lines) + "\n"


def _columns(access: Access) -> tuple[str, ...]:
    return (
        access.gives + ("?" if access.nullable else ""),
        ",".join(map(str, sorted(access.read))),
        ",".join(map(str, sorted(access.write))),
        " ".join(sorted(access.read_attach)),
        " ".join(sorted(access.write_attach)),
    )


def _sum(text: str) -> int:
    """Sizes 1, 2, 4 and 8 are bits already."""
    return sum(int(size) for size in text.split(",") if size)


def _attach(text: str, type: str) -> int:
    """Attach types as a mask; 0 for all."""
    assert not text or len(ATTACH[ProgramType[type]]) > 1
    return sum(1 << int(AttachType[name]) for name in text.split())


def render() -> str:
    """The whole text of `context_rows.py`."""
    structs: dict[str, tuple[int, str]] = {}
    layout: dict[str, list[tuple[str, int, int, int, int, str, int]]] = {}
    access: dict[str, list[tuple[str, str, int, int, int, int]]] = {type: [] for type in STRUCTS}
    for line in (FACTS / "contexts.tsv").read_text().splitlines():
        kind, *cells = line.split("\t")
        if kind == "struct":
            structs[cells[0]] = (int(cells[1]), cells[2])
        elif kind == "field":
            numbers = int(cells[2]), int(cells[3]), int(cells[4]), int(cells[5])
            layout.setdefault(cells[0], []).append((cells[1], *numbers, cells[6], NETWORK.get(cells[0], {}).get(cells[1], 0)))
        elif kind == "access":
            type, name, gives, read, write, reading, writing = cells
            access[type].append((name, gives, _sum(read), _sum(write), _attach(reading, type), _attach(writing, type)))
    lines = header(
        "context_rows", "Contexts of all program types; `contexts.py` tells what the columns mean.", "facts/contexts.tsv"
    )
    lines += ["# ruff: noqa: E501", "# fmt: off", "from __future__ import annotations", ""]
    lines += ["# struct, bytes, machine, fields: name, offset, bytes, array length, signed, pointee, bytes in network order"]
    layouts = [repr((name, size, machine, tuple(layout[name]))) for name, (size, machine) in structs.items()]
    lines += rows("STRUCTS", "tuple[tuple[str, int, str, tuple[tuple[str, int, int, int, int, str, int], ...]], ...]", layouts)
    lines += ["", "# program type, struct, fields: name, gives, read sizes, write sizes, attach types of reading, of writing"]
    accesses = [repr((int(ProgramType[type]), STRUCTS[type], tuple(found))) for type, found in access.items()]
    lines += rows("ACCESS", "tuple[tuple[int, str, tuple[tuple[str, str, int, int, int, int], ...]], ...]", accesses)
    return "\n".join(lines) + "\n"
