"""The contexts of programs, for annotations, editors and type checkers.

The compiler takes fields and offsets from the generated tables; these classes only say what there is. None can be made:
a context exists while its program runs in the kernel.
"""

from __future__ import annotations

from purebpf.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias, TypeVar

    from purebpf.lang.sockets import SocketCommon

    T = TypeVar("T")

XdpAction: TypeAlias = int
TcAction: TypeAlias = int


class _KernelOnly:
    def __init__(self, *_: object, **__: object) -> None:
        raise Error(
            f"`{type(self).__name__}` exists only inside a program that runs; annotate a program's parameter with it, and use "
            f"`run(packet=..., ctx=...)` to try the program out"
        )


class Packet(_KernelOnly):
    """The packet behind a context; `len(packet)` is its size in bytes."""

    def at(self, offset: int, type: type[T], /) -> T | None:
        """The bytes at an offset as a record or a scalar; None when the packet is too short."""
        raise Error("ctx.packet.at() runs only inside a program")

    def load(self, offset: int, type: type[T], /) -> T | None:
        """A copy of the bytes at an offset as a record or a scalar, also from its paged part (helpers skb_load_bytes,
        Linux 4.5, xdp_load_bytes, Linux 5.18); None when the packet is too short."""
        raise Error("ctx.packet.load() runs only inside a program")

    def store(self, offset: int, data: Any, /, flags: int = 0) -> int:
        """Copy a record, array, text or bytes into the packet, also into its paged part (helpers skb_store_bytes, Linux 4.1,
        xdp_store_bytes, Linux 5.18); 0 or a negative errno. In TC programs earlier references become unusable, and `flags`
        may be `bpf.BPF_F_RECOMPUTE_CSUM`."""
        raise Error("ctx.packet.store() runs only inside a program")

    def __getitem__(self, bounds: slice, /) -> bytes | None:
        """`packet[0:6]`: the bytes between constant bounds; None when the packet is shorter."""
        raise Error("ctx.packet[a:b] runs only inside a program")

    def adjust_head(self, delta: int, /) -> int:
        """Move the start (negative: grow). XDP only, Linux 4.10; gives 0 or a negative errno; earlier references become
        unusable."""
        raise Error("ctx.packet.adjust_head() runs only inside a program")

    def adjust_tail(self, delta: int, /) -> int:
        """Move the end (positive: grow, Linux 5.8). XDP only, Linux 4.18; gives 0 or a negative errno; earlier references
        become unusable."""
        raise Error("ctx.packet.adjust_tail() runs only inside a program")

    def adjust_meta(self, delta: int, /) -> int:
        """Move the metadata's start (negative: grow). XDP only, Linux 4.15; gives 0 or a negative errno; earlier references
        become unusable."""
        raise Error("ctx.packet.adjust_meta() runs only inside a program")

    def __len__(self) -> int:
        raise Error("len(ctx.packet) runs only inside a program")


class XdpContext(_KernelOnly):
    """`struct xdp_md` (Linux 4.8; the indexes 4.16). `egress_ifindex` can be read by programs in a device map (Linux 5.8)."""

    __bpf_context__ = "xdp"
    packet: Packet
    ingress_ifindex: int
    rx_queue_index: int
    egress_ifindex: int


class _SocketBuffer(_KernelOnly):
    """Fields of `struct __sk_buff` that programs on socket buffers share; `sk` is the socket it belongs to (Linux 5.1)."""

    packet: Packet
    sk: SocketCommon | None
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
    tc_index: int
    cb: list[int]
    hash: int
    napi_id: int
    gso_segs: int
    gso_size: int


class TcContext(_SocketBuffer):
    """`struct __sk_buff` as programs of TC see it (Linux 4.1). `tstamp` and `hwtstamp` are nanoseconds. Of all these, `mark`,
    `queue_mapping`, `priority`, `tc_index`, `cb`, `tc_classid` and `tstamp` can be written."""

    __bpf_context__ = "tc"
    tc_classid: int
    tstamp: int
    wire_len: int
    tstamp_type: int
    hwtstamp: int


class SocketFilterContext(_SocketBuffer):
    """`struct __sk_buff` as socket filters see it (Linux 3.19, its fields 4.1). Only `cb` can be written."""

    __bpf_context__ = "socket_filter"


class TracepointContext(_KernelOnly):
    """Its attributes are the event's fields, by the names in its format (Linux 4.7)."""

    __bpf_context__ = "tracepoint"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class RawTracepointContext(_KernelOnly):
    """`args[i]` are the event's arguments as 64-bit integers (`struct bpf_raw_tracepoint_args`, Linux 4.17)."""

    __bpf_context__ = "raw_tracepoint"
    args: list[int]


class PerfEventContext(_KernelOnly):
    """`struct bpf_perf_event_data` (Linux 4.9; `addr` 4.17): the event's period, and the address it sampled."""

    __bpf_context__ = "perf_event"
    sample_period: int
    addr: int


class LircContext(_KernelOnly):
    """What an infrared receiver has heard (Linux 4.18): `sample` is a pulse or a space, its kind (`LIRC_MODE2_PULSE` and others
    of linux/lirc.h) in the upper 8 bits, microseconds in the lower 24."""

    __bpf_context__ = "lirc_mode2"
    sample: int


class ProbeContext(_KernelOnly):
    """The registers where a kprobe or uprobe is (Linux 4.1), by the names of `struct pt_regs` on the machine: `ctx.di`,
    `ctx.ip` on x86-64, `ctx.regs[0]`, `ctx.pc` on arm64."""

    __bpf_context__ = "probe"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class TracingContext(_KernelOnly):
    """What `fentry`, `fexit`, `fmod_ret`, `lsm` and `tp_btf` programs get (Linux 5.5 and later). It has no fields."""

    __bpf_context__ = "tracing"


class IterContext(_KernelOnly):
    """What an iterator's program gets (Linux 5.8): by it the program writes the rows that reading the iterator gives."""

    __bpf_context__ = "iter"

    def emit(self, record: object, /) -> None:
        """Write one record, of the type that the decorator names (helper seq_write)."""
        raise Error("ctx.emit() runs only inside a program")


class SyscallContext(_KernelOnly):
    """What a syscall program gets (Linux 5.14) whose parameter is no record: bytes without names."""

    __bpf_context__ = "syscall"


class StructOpsContext(_KernelOnly):
    """What an operation of the kernel that is a program gets (Linux 5.6). It has no fields: take the operation's parameters."""

    __bpf_context__ = "struct_ops"
