"""The contexts of programs of sockets, cgroups, routes and netfilter, for annotations, editors and type checkers.

As in `contexts.py` these classes only say what there is; offsets and access come from the generated tables.
"""

from __future__ import annotations

from purebpf.lang.contexts import Packet, _KernelOnly, _SocketBuffer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from purebpf.lang.sockets import FlowKeys, Socket, SocketCommon


class _Addresses(_KernelOnly):
    """Both ends of a socket. Addresses and the remote port lie in network order and read as integers."""

    family: int
    remote_ip4: int
    local_ip4: int
    remote_ip6: list[int]
    local_ip6: list[int]
    remote_port: int
    local_port: int


class CgroupSkbContext(_SocketBuffer, _Addresses):
    """`struct __sk_buff` as programs of a cgroup see it (Linux 4.10); the packet begins at the network header and can be read
    only. `mark`, `priority`, `cb` and `tstamp` can be written."""

    __bpf_context__ = "cgroup_skb"
    tstamp: int
    hwtstamp: int


class CgroupSockContext(_KernelOnly):
    """`struct bpf_sock` (Linux 4.10, `post_bind` 4.17, `release` 5.9). `bound_dev_if`, `mark` and `priority` are for `create`
    and `release`, and can be written; what it is bound to (`src_ip4`, `src_ip6`, `src_port`) for `post_bind`."""

    __bpf_context__ = "cgroup_sock"
    bound_dev_if: int
    family: int
    type: int
    protocol: int
    mark: int
    priority: int
    src_ip4: int
    src_ip6: list[int]
    src_port: int
    dst_port: int
    dst_ip4: int
    dst_ip6: list[int]
    state: int
    rx_queue_mapping: int


class SockAddrContext(_KernelOnly):
    """`struct bpf_sock_addr` (Linux 4.17): the address that a system call was given or gives back. `user_ip4` or `user_ip6` by
    the hook's family, `user_port` and, of `sendmsg`, the source `msg_src_ip4` or `msg_src_ip6` can be written."""

    __bpf_context__ = "cgroup_sock_addr"
    user_family: int
    user_ip4: int
    user_ip6: list[int]
    user_port: int
    family: int
    type: int
    protocol: int
    msg_src_ip4: int
    msg_src_ip6: list[int]
    sk: Socket


class CgroupDeviceContext(_KernelOnly):
    """`struct bpf_cgroup_dev_ctx` (Linux 4.15). `access_type` has the kind of device (`bpf.BPF_DEVCG_DEV_CHAR`) in its lower 16
    bits, what is wanted (`bpf.BPF_DEVCG_ACC_READ` ...) above."""

    __bpf_context__ = "cgroup_device"
    access_type: int
    major: int
    minor: int


class SysctlContext(_KernelOnly):
    """`struct bpf_sysctl` (Linux 5.2). `write` is 1 for writing; `file_pos` can be written."""

    __bpf_context__ = "cgroup_sysctl"
    write: int
    file_pos: int


class SockoptContext(_KernelOnly):
    """`struct bpf_sockopt` (Linux 5.3). `optval.at(0, T)` is the option's value, to be read and written. `optlen` can be
    written, `level` and `optname` by setsockopt, `retval` (what the kernel answered) by getsockopt."""

    __bpf_context__ = "cgroup_sockopt"
    sk: Socket
    optval: Packet
    level: int
    optname: int
    optlen: int
    retval: int


class TcpState:
    """What the kernel tells of a TCP connection: windows in packets, round trips in µs, counts since it began."""

    snd_cwnd: int
    srtt_us: int
    rtt_min: int
    snd_ssthresh: int
    rcv_nxt: int
    snd_nxt: int
    snd_una: int
    mss_cache: int
    ecn_flags: int
    rate_delivered: int
    rate_interval_us: int
    packets_out: int
    retrans_out: int
    total_retrans: int
    segs_in: int
    data_segs_in: int
    segs_out: int
    data_segs_out: int
    lost_out: int
    sacked_out: int
    bytes_received: int
    bytes_acked: int


class SockOpsContext(TcpState, _Addresses):
    """`struct bpf_sock_ops` (Linux 4.13): what happens to a TCP socket. `op` tells (`bpf.BPF_SOCK_OPS_STATE_CB` ...), `args`
    have its arguments; the answer goes to `reply`. `sk_txhash` can be written too."""

    __bpf_context__ = "sockops"
    op: int
    args: list[int]
    reply: int
    replylong: list[int]
    is_fullsock: int
    bpf_sock_ops_cb_flags: int
    state: int
    sk_txhash: int
    sk: Socket | None
    skb_len: int
    skb_tcp_flags: int
    skb_hwtstamp: int


class SkMsgContext(_Addresses):
    """`struct sk_msg_md` (Linux 4.17): bytes that a process sends; `size` of them, of which the packet has the first piece."""

    __bpf_context__ = "sk_msg"
    packet: Packet
    size: int
    sk: Socket


class SkSkbContext(_SocketBuffer, _Addresses):
    """`struct __sk_buff` as the programs of a socket map see it (Linux 4.14). `priority` and `tc_index` can be written."""

    __bpf_context__ = "sk_skb"


class SkLookupContext(_Addresses):
    """`struct bpf_sk_lookup` (Linux 5.9): a packet that looks for its socket; `sk` is the one chosen so far."""

    __bpf_context__ = "sk_lookup"
    sk: Socket | None
    protocol: int
    ingress_ifindex: int


class SkReuseportContext(_KernelOnly):
    """`struct sk_reuseport_md` (Linux 4.19; `sk`, `migrating_sk` 5.14): a packet for a group of sockets. It begins at the
    transport header."""

    __bpf_context__ = "sk_reuseport"
    packet: Packet
    len: int
    eth_protocol: int
    ip_protocol: int
    bind_inany: int
    hash: int
    sk: Socket
    migrating_sk: SocketCommon | None


class FlowDissectorContext(_KernelOnly):
    """`struct __sk_buff` of a packet that is looked into (Linux 4.20); the answer goes to `flow_keys`."""

    __bpf_context__ = "flow_dissector"
    packet: Packet
    flow_keys: FlowKeys


class LwtContext(_SocketBuffer):
    """`struct __sk_buff` as programs of a route see it (Linux 4.10); the packet begins at the network header. `mark`,
    `priority` and `cb` can be written."""

    __bpf_context__ = "lwt"


class NetfilterContext(_KernelOnly):
    """`struct bpf_nf_ctx` (Linux 6.4): the packet and where it is, as the kernel's own `sk_buff` and `nf_hook_state`. The
    packet begins at the network header, and can be read only."""

    __bpf_context__ = "netfilter"
    packet: Packet
    skb: Any
    state: Any
