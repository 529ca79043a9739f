"""What contexts and helpers point to: sockets (`struct bpf_sock`) and the answer of a flow dissector (`bpf_flow_keys`).

A program reads their fields in place: `ctx.sk.family`, `ctx.flow_keys.thoff = 34`. In user space there are none.
"""

from __future__ import annotations

from purebpf.errors import Error
from purebpf.lang.network_contexts import TcpState
from purebpf.lang.records import array, struct
from purebpf.lang.scalars import be16, be32
from purebpf.lang.types import ArrayType, Field, IntType, StructType, Type
from purebpf.tables.context_rows import STRUCTS

COMMON = ("type", "protocol", "mark", "priority")
"""Fields that only a full socket has (bpf_sock_common_is_valid_access, net/core/filter.c)."""


class _KernelOnly:
    def __init__(self) -> None:
        raise Error(f"`{type(self).__name__}` is the kernel's: a program gets it from its context")


class SocketCommon(_KernelOnly):
    """A socket that may be none of a connection yet, or any more; `bpf.helpers.sk_fullsock(sk)` gives the whole one or None."""

    __bpf_lacks__ = dict.fromkeys(COMMON, "a whole socket has it: `full = bpf.helpers.sk_fullsock(sk)`, which may be None")
    bound_dev_if: int
    family: int
    src_ip4: int
    src_ip6: list[int]
    src_port: int
    dst_port: int
    dst_ip4: int
    dst_ip6: list[int]
    state: int
    rx_queue_mapping: int


class Socket(SocketCommon):
    """A socket, `struct bpf_sock`. Addresses and the destination port lie in network order and read as integers."""

    type: int
    protocol: int
    mark: int
    priority: int


class TcpSocket(TcpState, _KernelOnly):
    """What `bpf.helpers.tcp_sock(sk)` gives (Linux 5.1), `struct bpf_tcp_sock`: the state of a TCP connection."""

    dsack_dups: int
    delivered: int
    delivered_ce: int
    icsk_retransmits: int


class FlowKeys(_KernelOnly):
    """`struct bpf_flow_keys`: where headers begin (`nhoff`, `thoff`) and what identifies the flow. Can be written."""

    nhoff: int
    thoff: int
    addr_proto: int
    is_frag: int
    is_first_frag: int
    is_encap: int
    ip_proto: int
    n_proto: int
    sport: int
    dport: int
    ipv4_src: int
    ipv4_dst: int
    ipv6_src: list[int]
    ipv6_dst: list[int]
    flags: int
    flow_label: int


@struct
class SockTuple:
    """A connection over IPv4, for `bpf.helpers.sk_lookup_tcp` and its like: where the packet comes from and goes to
    (`struct bpf_sock_tuple`)."""

    saddr: be32 = 0
    daddr: be32 = 0
    sport: be16 = 0
    dport: be16 = 0


@struct
class SockTuple6:
    """The same over IPv6."""

    saddr: list[be32] = array(be32, 4)
    daddr: list[be32] = array(be32, 4)
    sport: be16 = 0
    dport: be16 = 0


def _socket_fields() -> tuple[Field, ...]:
    rows = next(row for row in STRUCTS if row[0] == "bpf_sock")[3]
    found = []
    for name, offset, size, count, signed, _, network in rows:
        bits = 8 * (network or size // max(count, 1))
        element = IntType(bits, bool(signed), bool(network))
        found.append(Field(name, ArrayType(element, count) if count else element, offset))
    return tuple(found)


def _keys() -> tuple[Field, ...]:
    """include/uapi/linux/bpf.h, struct bpf_flow_keys; IPv4 and IPv6 addresses share their bytes."""
    address = IntType(32, big=True)
    layout: tuple[tuple[str, Type, int], ...] = (
        ("nhoff", IntType(16), 0),
        ("thoff", IntType(16), 2),
        ("addr_proto", IntType(16), 4),
        ("is_frag", IntType(8), 6),
        ("is_first_frag", IntType(8), 7),
        ("is_encap", IntType(8), 8),
        ("ip_proto", IntType(8), 9),
        ("n_proto", IntType(16, big=True), 10),
        ("sport", IntType(16, big=True), 12),
        ("dport", IntType(16, big=True), 14),
        ("ipv4_src", address, 16),
        ("ipv4_dst", address, 20),
        ("ipv6_src", ArrayType(address, 4), 16),
        ("ipv6_dst", ArrayType(address, 4), 32),
        ("flags", IntType(32), 48),
        ("flow_label", address, 52),
    )
    return tuple(Field(*row) for row in layout)


def _tcp() -> tuple[Field, ...]:
    """include/uapi/linux/bpf.h, struct bpf_tcp_sock: words in the order above, but two of 8 bytes."""
    found, offset = [], 0
    for name in (*TcpState.__annotations__, *TcpSocket.__annotations__):
        layout = IntType(64 if name.startswith("bytes_") else 32)
        found.append(Field(name, layout, offset))
        offset += layout.size
    return tuple(found)


_FIELDS = _socket_fields()
TCP_SOCKET = StructType("bpf_tcp_sock", _tcp(), 112, 8, TcpSocket)
SOCKET = StructType("bpf_sock", _FIELDS, 80, 8, Socket)
SOCKET_COMMON = StructType(
    "bpf_sock (not known to be full)", tuple(f for f in _FIELDS if f.name not in COMMON), 80, 8, SocketCommon
)
FLOW_KEYS = StructType("bpf_flow_keys", _keys(), 56, 4, FlowKeys)
