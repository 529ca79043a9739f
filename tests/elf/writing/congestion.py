"""A congestion control in Python, to be written into an object file."""

from __future__ import annotations

import purebpf as bpf
from purebpf.vmlinux import tcp_sock

calls = bpf.Array[bpf.u64](max_entries=2)


@bpf.struct_ops("tcp_congestion_ops")
class pure_steady:
    """Ten segments, whatever happens."""

    name = "pure_steady"
    flags = 2  # TCP_CONG_NEEDS_ECN

    def init(sk: tcp_sock) -> None:  # type: ignore[valid-type]
        calls[0] += 1
        sk.snd_cwnd = 10

    def ssthresh(sk):  # type: ignore[no-untyped-def]
        return max(sk.snd_cwnd >> 1, 2)

    def cong_avoid(sk, ack, acked):  # type: ignore[no-untyped-def]
        calls[1] += acked
        sk.snd_cwnd = 10

    def undo_cwnd(sk):  # type: ignore[no-untyped-def]
        return 10
