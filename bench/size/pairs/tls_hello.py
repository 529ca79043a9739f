"""A socket filter that keeps TLS client hellos and notes the version they offer."""

import purebpf as bpf
from purebpf import be16, u8, u16, u64
from purebpf.net import IPPROTO_TCP, TCP

HANDSHAKE, CLIENT_HELLO = 22, 1
versions = bpf.Hash[u16, u64](max_entries=16)


@bpf.struct(packed=True)
class Hello:
    content: u8 = 0
    record_version: be16 = 0
    record_length: be16 = 0
    kind: u8 = 0
    length_high: u8 = 0
    length_low: be16 = 0
    version: be16 = 0


@bpf.socket_filter
def tls_hello(ctx: bpf.SocketFilterContext) -> int:
    first = ctx.packet.at(0, u8)
    protocol = ctx.packet.at(9, u8)
    if first is None or first >> 4 != 4 or protocol is None or protocol != IPPROTO_TCP:
        return 0
    start = (first & 15) * 4
    tcp = ctx.packet.at(start, TCP)
    if tcp is None:
        return 0
    hello = ctx.packet.at(start + tcp.doff * 4, Hello)
    if hello is None or hello.content != HANDSHAKE or hello.kind != CLIENT_HELLO:
        return 0
    versions[hello.version] += 1
    return len(ctx.packet)
