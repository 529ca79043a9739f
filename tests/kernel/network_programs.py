"""Programs of every network type, each with much of what the language has: the verifier must take them all."""

from __future__ import annotations

import purebpf as bpf
from purebpf import be16, be32, u8, u32, u64
from purebpf.net import TCP, IPv4


@bpf.struct
class Key:
    addr: list[be32] = bpf.array(be32, 4)
    port: u32 = 0


@bpf.struct
class Four:
    a: u32 = 0


counts = bpf.Hash[Key, u64](max_entries=8)
small = bpf.Hash[Four, u64](max_entries=8)
ring = bpf.RingBuf[Key](size=4096)
seen = bpf.Hash[u32, u64](max_entries=8)


@bpf.sk_lookup
def lookup(ctx):
    k = Key(port=ctx.local_port)
    k.addr = ctx.remote_ip6
    counts[k] += 1
    ring.emit(Key(addr=ctx.local_ip6, port=ctx.protocol))
    return bpf.SK_PASS


@bpf.cgroup_skb("egress")
def egress(ctx):
    t = 0
    for i in range(64):
        b = ctx.packet.at(i, u8)
        if b is None:
            break
        t += b
    ip = ctx.packet.at(0, IPv4)
    if ip is not None:
        tcp = ctx.packet.at(ip.ihl * 4, TCP)
        if tcp is not None:
            t += tcp.dest
        f = ctx.packet.at(12, Four)
        if f is not None:
            small[f] += 1
    d = bpf.dynptr(ctx.packet)
    x = d.at(4, u32)
    if x is not None:
        t += x
    s = ctx.packet[0:4]
    if s is not None:
        t += s[0]
    seen[0] = t
    return 1 if t % 3 else 0


@bpf.sk_msg
def message(ctx):
    f = ctx.packet.at(0, Four)
    if f is not None:
        f.a = 3
        if f in small:
            seen[1] += 1
    n = len(ctx.packet)
    if n > 10:
        for i in range(n):
            b = ctx.packet.at(i, u8)
            if b is not None and b == 10:
                return bpf.SK_DROP
    return bpf.SK_PASS


@bpf.sk_skb("stream_verdict")
def verdict(ctx):
    f = ctx.packet.at(0, Four)
    if f is not None:
        f.a = 1
    ctx.packet.store(4, Four(a=3))
    ctx.priority = 3
    return bpf.SK_PASS


@bpf.sk_reuseport
def group(ctx):
    f = ctx.packet.at(8, Four)
    if f is not None and f in small:
        return bpf.SK_DROP
    h = ctx.packet.load(0, be16)
    return bpf.SK_PASS if h is not None and h > 3 else bpf.SK_DROP


@bpf.cgroup_sockopt("setsockopt")
def setting(ctx):
    n = 0
    for i in range(16):
        b = ctx.optval.at(i, u8)
        if b is not None:
            n += b
    s = ctx.optval[0:4]
    if s is not None:
        n += s[3]
    if len(ctx.optval) > 8:
        n += 1
    f = ctx.optval.at(0, Four)
    if f is not None:
        f.a = 7
        if f in small:
            return 0
    ctx.optlen = -1
    return n < 1000


@bpf.cgroup_sockopt("getsockopt")
def getting(ctx):
    if ctx.retval < 0:
        return 1
    ctx.optlen = 4
    return 1


@bpf.lwt_xmit
def sending(ctx):
    ip = ctx.packet.at(0, IPv4)
    if ip is None:
        return bpf.BPF_DROP
    ip.ttl -= 1
    c = bpf.checksum(ip)
    seen[6] = c
    return bpf.redirect(3)


@bpf.lwt_in
def arriving(ctx):
    ip = ctx.packet.at(0, IPv4)
    if ip is not None:
        seen[2] = ip.daddr
    return bpf.BPF_OK


@bpf.lwt_seg6local
def segment(ctx):
    ip = ctx.packet.at(0, u32)
    if ip is not None:
        seen[2] = ip
    return bpf.BPF_OK


@bpf.flow_dissector
def flow(ctx):
    k = ctx.flow_keys
    ip = ctx.packet.at(k.nhoff, IPv4)
    if ip is None or k.n_proto != 0x800:
        return bpf.BPF_FLOW_DISSECTOR_CONTINUE
    k.ipv4_src = ip.saddr
    k.ipv4_dst = ip.daddr
    k.thoff = k.nhoff + ip.ihl * 4
    k.ip_proto = ip.protocol
    k.addr_proto = 0x800
    k.is_frag = 0
    for i in (0, 1, 2, 3):
        k.ipv6_dst[i] = 0
    t = ctx.packet.at(k.thoff, TCP)
    if t is not None:
        k.sport, k.dport = t.source, t.dest
    return bpf.BPF_OK


@bpf.cgroup_sock_addr("sendmsg6")
def sendmsg6(ctx):
    k = Key()
    k.addr = ctx.user_ip6
    counts[k] += 1
    ctx.msg_src_ip6[0] = 0
    sk = ctx.sk
    k2 = Key(port=sk.src_port)
    k2.addr = sk.dst_ip6
    counts[k2] = sk.mark
    a = ctx.user_ip6 == sk.src_ip6
    return not a


@bpf.cgroup_sysctl
def sysctl(ctx):
    v = bpf.chars(32)
    n = bpf.helpers.sysctl_get_current_value(ctx, v)
    if ctx.write:
        bpf.helpers.sysctl_set_new_value(ctx, b"7")
        ctx.file_pos = 0
    return n >= 0 and v != "1"


@bpf.sockops
def connection(ctx):
    k = Key(port=ctx.remote_port)
    k.addr = ctx.remote_ip6
    counts[k] += ctx.bytes_received
    sk = ctx.sk
    if sk is not None:
        t = bpf.helpers.tcp_sock(sk)
        if t is not None:
            seen[3] = t.srtt_us // 8
    if ctx.family == 2 and ctx.is_fullsock:
        bpf.helpers.setsockopt(ctx, 6, 1, 1)
    if ctx.op in (1, 2):
        ctx.reply = 5
    ctx.sk_txhash = 4
    return True


@bpf.netfilter
def filtered(ctx):
    t = 0
    for i in range(20):
        b = ctx.packet.at(i, u8)
        if b is not None:
            t += b
    k = Key(port=t)
    counts[k] += 1
    dev = ctx.skb.dev
    if dev is not None:
        seen[4] = dev.ifindex
    return t > 5


@bpf.cgroup_device
def device(ctx):
    return (ctx.major, ctx.minor) in ((1, 3), (1, 5)) or ctx.access_type & 0xFFFF == 1


@bpf.tc
def classified(ctx):
    sk = ctx.sk
    n = sk.family if sk is not None else 0
    full = bpf.helpers.sk_fullsock(sk) if sk is not None else None
    if full is not None:
        n += full.mark
    seen[5] = n
    return 0


@bpf.flow_dissector
def whole_packet(ctx):
    n, t = len(ctx.packet), 0
    for i in range(n):
        b = ctx.packet.at(i, u8)
        if b is not None:
            t += b
    seen[0] = t + n
    return 0


@bpf.cgroup_sockopt("setsockopt")
def whole_option(ctx):
    n, t = len(ctx.optval), 0
    i = 0
    while i < n:
        b = ctx.optval.at(i, u8)
        if b is not None:
            t += b
        i += 1
    seen[0] = t + n
    return 0
