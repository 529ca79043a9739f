"""Follows TCP connections from SYN to FIN, one entry for both directions; drops what belongs to none."""

from random import Random

import purebpf as bpf
from purebpf import u8, u16, u32, u64
from purebpf.net import ETH_P_IP, IPPROTO_TCP, TCP, Ethernet, IPv4

NEW, ANSWERED, OPEN, CLOSING, CLOSED = range(5)


@bpf.struct
class Tuple:
    """The lower end first, so that both directions have the same key."""

    low: u32 = 0
    high: u32 = 0
    low_port: u16 = 0
    high_port: u16 = 0


@bpf.struct
class Connection:
    packets: list[u64] = bpf.array(u64, 2)
    octets: list[u64] = bpf.array(u64, 2)
    changed: u64 = 0
    state: u8 = 0
    opener: u8 = 0  # which end sent the first SYN
    unused: bytes = bpf.bytes(6)


connections = bpf.LruHash[Tuple, Connection](max_entries=65536)


@bpf.xdp
def conntrack(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.protocol != IPPROTO_TCP:
        return bpf.XDP_PASS
    tcp = ctx.packet.at(14 + ip.ihl * 4, TCP)
    if tcp is None:
        return bpf.XDP_DROP
    key = Tuple()
    if ip.saddr < ip.daddr or (ip.saddr == ip.daddr and tcp.source <= tcp.dest):
        direction = 0
        key.low, key.high = ip.saddr, ip.daddr
        key.low_port, key.high_port = tcp.source, tcp.dest
    else:
        direction = 1
        key.low, key.high = ip.daddr, ip.saddr
        key.low_port, key.high_port = tcp.dest, tcp.source
    connection = connections.get(key)
    if connection is None:
        if not tcp.syn or tcp.ack:
            return bpf.XDP_DROP
        connections.set(key, Connection(state=NEW, opener=direction), bpf.BPF_NOEXIST)
        connection = connections.get(key)
        if connection is None:
            return bpf.XDP_DROP
    connection.packets[direction] += 1
    connection.octets[direction] += len(ctx.packet)
    state = connection.state
    if tcp.rst:
        state = CLOSED
    else:
        match state:
            case 0:
                if direction != connection.opener and tcp.syn and tcp.ack:
                    state = ANSWERED
            case 1:
                if direction == connection.opener and tcp.ack:
                    state = OPEN
            case 2:
                if tcp.fin:
                    state = CLOSING
            case 3:
                if tcp.fin and tcp.ack:
                    state = CLOSED
            case _:
                if tcp.syn and not tcp.ack:
                    state = NEW
                    connection.opener = direction
    if state != connection.state:
        connection.state = state
        connection.changed = bpf.ktime()
    return bpf.XDP_PASS


def packets(rng: Random) -> list[bytes]:
    """TCP between few ends, with all kinds of flags."""
    from bench.size.inputs import frame

    made = []
    for each in (bytearray(frame(rng).ljust(60, b"\0")) for _ in range(600)):
        each[12:15] = b"\x08\x00\x45"
        each[23] = IPPROTO_TCP
        each[26:34] = b"\x0a\0\0" + bytes((rng.randrange(2),)) + b"\x0a\0\0" + bytes((rng.randrange(2),))
        each[34:38] = rng.choice([b"\0\x50\0\x51", b"\0\x51\0\x50"])
        each[47] = rng.choice([2, 2, 0x12, 0x12, 0x10, 0x10, 0x10, 0x11, 0x11, 0x14, 1])
        made.append(bytes(each))
    return made
