"""The contexts of programs, for annotations, editors and type checkers.

The compiler takes fields and offsets from the generated tables; these classes only say what there is. None can be made:
a context exists while its program runs in the kernel.
"""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

from purebpf.errors import Error

T = TypeVar("T")

XdpAction: TypeAlias = int
TcAction: TypeAlias = int


class _KernelOnly:
    def __init__(self) -> None:
        raise Error(f"a {type(self).__name__} exists only inside a program that runs")


class Packet(_KernelOnly):
    """The packet behind a context; `len(packet)` is its size in bytes."""

    def at(self, offset: int, type: type[T]) -> T | None:
        """The bytes at an offset as a record or a scalar; None when the packet is too short."""
        raise Error("ctx.packet.at() runs only inside a program")

    def adjust_head(self, delta: int) -> int:
        """Move the start (negative: grow). XDP only; gives 0 or a negative errno; earlier references become unusable."""
        raise Error("ctx.packet.adjust_head() runs only inside a program")

    def adjust_tail(self, delta: int) -> int:
        """Move the end. XDP only; gives 0 or a negative errno; earlier references become unusable."""
        raise Error("ctx.packet.adjust_tail() runs only inside a program")

    def adjust_meta(self, delta: int) -> int:
        """Move the metadata's start. XDP only; gives 0 or a negative errno; earlier references become unusable."""
        raise Error("ctx.packet.adjust_meta() runs only inside a program")

    def __len__(self) -> int:
        raise Error("len(ctx.packet) runs only inside a program")


class XdpContext(_KernelOnly):
    __bpf_context__ = "xdp"
    packet: Packet
    ingress_ifindex: int
    rx_queue_index: int
    egress_ifindex: int


class _SocketBuffer(_KernelOnly):
    """Fields of `struct __sk_buff` that TC programs and socket filters share."""

    packet: Packet
    len: int
    pkt_type: int
    mark: int
    queue_mapping: int
    protocol: int
    vlan_present: int
    vlan_tci: int
    vlan_proto: int
    priority: int
    ingress_ifindex: int
    ifindex: int
    cb: list[int]
    hash: int
    napi_id: int


class TcContext(_SocketBuffer):
    __bpf_context__ = "tc"
    tc_index: int
    tc_classid: int
    tstamp: int
    wire_len: int
    gso_segs: int
    gso_size: int
    tstamp_type: int
    hwtstamp: int


class SocketFilterContext(_SocketBuffer):
    __bpf_context__ = "socket_filter"


class TracepointContext(_KernelOnly):
    """Its attributes are the event's fields, by the names in its format."""

    __bpf_context__ = "tracepoint"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class RawTracepointContext(_KernelOnly):
    """`args[i]` are the event's arguments as 64-bit integers."""

    __bpf_context__ = "raw_tracepoint"
    args: list[int]


class PerfEventContext(_KernelOnly):
    __bpf_context__ = "perf_event"
    sample_period: int
    addr: int

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)
