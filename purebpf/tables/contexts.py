"""What a program gets as its argument: the context of each program type, its fields, and what may be done with each.

The rows are in `context_rows.py`, generated from the kernel's BTF and from what its verifier accepts. Offsets and sizes are
bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType

from purebpf.tables.context_rows import ACCESS, STRUCTS
from purebpf.tables.enums import AttachType, ProgramType


class FieldKind(StrEnum):
    """What a load of the field gives."""

    SCALAR = "scalar"
    """An integer."""
    PACKET = "packet"
    """Pointer to the packet's first byte; to be checked against PACKET_END before it is used."""
    PACKET_END = "packet_end"
    """Pointer behind the packet's last linear byte."""
    PACKET_META = "packet_meta"
    """Pointer to the metadata before the packet; ends at PACKET."""
    SOCKET = "socket"
    """Pointer to a `struct bpf_sock`."""
    FLOW_KEYS = "flow_keys"
    """Pointer to a `struct bpf_flow_keys`, to be read and written."""
    BTF = "btf"
    """Pointer to the kernel structure `pointee`."""


class ContextKind(StrEnum):
    """How to read a context."""

    STRUCT = "struct"
    """The fields of a UAPI structure; every access is rewritten by the kernel."""
    EVENT = "event"
    """The record of the tracepoint, as its format in tracefs says; the first 8 bytes may not be read."""
    ARGUMENTS = "arguments"
    """8 bytes for each argument of the hook; typed by BTF except for raw tracepoints, whose arguments are integers."""
    MEMORY = "memory"
    """Whatever the caller passes, to be read and written."""


@dataclass(frozen=True, slots=True)
class ContextField:
    """One field as programs of one type see it.

    `size` are the bytes that carry the value (for an array: of the whole array); `declared` those of the C field, of which a
    16-bit value may fill only the first two. `count` is an array's length, 0 for a single value. `big_endian`: the value is in
    network byte order. `read_sizes` and `write_sizes` are the access widths that the verifier allows; empty: never. Where they
    are not empty, `read_attach` and `write_attach` are the attach types that may (empty: all of this program type).
    `nullable`: a pointer that must be tested.
    """

    name: str
    offset: int
    size: int
    declared: int
    count: int
    signed: bool
    big_endian: bool
    kind: FieldKind
    nullable: bool
    pointee: str
    read_sizes: frozenset[int]
    write_sizes: frozenset[int]
    read_attach: frozenset[AttachType]
    write_attach: frozenset[AttachType]

    @property
    def readable(self) -> bool:
        """Whether some program of this type may read it."""
        return bool(self.read_sizes)

    @property
    def writable(self) -> bool:
        """Whether some program of this type may write it."""
        return bool(self.write_sizes)


@dataclass(frozen=True, slots=True)
class Context:
    """`fields` are those that can be read or written, in order of offset; only STRUCT contexts and raw tracepoints have some.
    `machine` is the architecture the offsets hold for where they depend on it ("" where not)."""

    kind: ContextKind
    struct: str
    size: int
    machine: str
    fields: Mapping[str, ContextField]


SETTABLE = {
    "__sk_buff": (
        "mark",
        "priority",
        "ingress_ifindex",
        "ifindex",
        "cb",
        "tstamp",
        "wire_len",
        "gso_segs",
        "gso_size",
        "hwtstamp",
    ),
    "xdp_md": ("ingress_ifindex", "rx_queue_index"),
}
"""By struct, the fields that a test run takes from its caller (net/bpf/test_run.c, Linux 6.18); it makes the others itself."""

RAW_ARGUMENTS = 12  # MAX_BPF_FUNC_ARGS, include/linux/bpf.h
# arm64's registers: name, offset, array length (struct user_pt_regs, arch/arm64/include/uapi/asm/ptrace.h)
ARM64: tuple[tuple[str, int, int], ...] = (("regs", 0, 31), ("sp", 248, 0), ("pc", 256, 0), ("pstate", 264, 0))
REGISTERS = 8 * 34  # bytes of them
ARM64_OF_EVENT = tuple((f"regs.{name}", offset, count) for name, offset, count in ARM64)
BEHIND_REGISTERS = (("sample_period", REGISTERS, 0), ("addr", REGISTERS + 8, 0))  # struct bpf_perf_event_data

_OTHERS = {
    ProgramType.TRACEPOINT: ContextKind.EVENT,
    ProgramType.RAW_TRACEPOINT: ContextKind.ARGUMENTS,
    ProgramType.RAW_TRACEPOINT_WRITABLE: ContextKind.ARGUMENTS,
    ProgramType.TRACING: ContextKind.ARGUMENTS,
    ProgramType.LSM: ContextKind.ARGUMENTS,
    ProgramType.STRUCT_OPS: ContextKind.ARGUMENTS,
    ProgramType.SYSCALL: ContextKind.MEMORY,
}
_RAW = (ProgramType.RAW_TRACEPOINT, ProgramType.RAW_TRACEPOINT_WRITABLE)


@cache
def context(program_type: ProgramType, machine: str = "") -> Context | None:
    """The context of a program type; None for UNSPEC and for EXT, whose programs have that of the program they replace.
    `machine` (this one) matters for kprobes, whose context are the registers, and for perf events, where they come first; of
    another than x86_64 and aarch64 no names are known."""
    machine = machine or (os.uname().machine if hasattr(os, "uname") else "x86_64")
    if program_type is ProgramType.KPROBE and machine != "x86_64":
        registers = ARM64 if machine == "aarch64" else ()
        every = {name: _scalar(name, 8 * max(count, 1), count, 8, offset) for name, offset, count in registers}
        return Context(ContextKind.STRUCT, "pt_regs", REGISTERS, machine, MappingProxyType(every))
    if program_type is ProgramType.PERF_EVENT and machine != "x86_64":
        registers = (*ARM64_OF_EVENT, *BEHIND_REGISTERS) if machine == "aarch64" else ()
        every = {name: _scalar(name, 8 * max(count, 1), count, 8, offset) for name, offset, count in registers}
        return Context(ContextKind.STRUCT, "bpf_perf_event_data", REGISTERS + 16, machine, MappingProxyType(every))
    if program_type is ProgramType.LIRC_MODE2:
        # one unsigned int, not a struct; drivers/media/rc/bpf-lirc.c
        return Context(ContextKind.STRUCT, "", 4, "", MappingProxyType({"sample": _scalar("sample", 4, 0, 4)}))
    kind = _OTHERS.get(program_type)
    if kind is not None:
        if program_type not in _RAW:
            return Context(kind, "", 0, "", MappingProxyType({}))
        size = 8 * RAW_ARGUMENTS
        fields = {"args": _scalar("args", size, RAW_ARGUMENTS, 8)}
        return Context(kind, "bpf_raw_tracepoint_args", size, "", MappingProxyType(fields))
    for type, struct, accesses in ACCESS:
        if type == program_type:
            return _build(struct, accesses)
    return None


def _scalar(name: str, size: int, count: int, width: int, offset: int = 0) -> ContextField:
    every: frozenset[AttachType] = frozenset()
    sizes, none = frozenset({width}), frozenset[int]()
    return ContextField(name, offset, size, size, count, False, False, FieldKind.SCALAR, False, "", sizes, none, every, every)


def _build(struct: str, accesses: tuple[tuple[str, str, int, int, int, int], ...]) -> Context:
    _name, size, machine, layout = next(row for row in STRUCTS if row[0] == struct)
    places = {row[0]: row for row in layout}
    fields = {}
    for name, gives, read, write, read_attach, write_attach in accesses:
        _, offset, declared, count, signed, pointee, network = places[name]
        fields[name] = ContextField(
            name=name,
            offset=offset,
            size=network * max(count, 1) if network else declared,
            declared=declared,
            count=count,
            signed=bool(signed),
            big_endian=bool(network),
            kind=FieldKind(gives.removesuffix("?")),
            nullable=gives.endswith("?"),
            pointee=pointee,
            read_sizes=_sizes(read),
            write_sizes=_sizes(write),
            read_attach=_attach_types(read_attach),
            write_attach=_attach_types(write_attach),
        )
    return Context(ContextKind.STRUCT, struct, size, machine, MappingProxyType(fields))


def _sizes(mask: int) -> frozenset[int]:
    return frozenset(size for size in (1, 2, 4, 8) if mask & size)


def _attach_types(mask: int) -> frozenset[AttachType]:
    return frozenset(AttachType(bit) for bit in range(mask.bit_length()) if mask >> bit & 1)
