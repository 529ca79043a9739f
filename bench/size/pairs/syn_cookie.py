"""Answers a TCP SYN itself, with a cookie as sequence number: a keyed mixing of addresses and ports in the manner of SipHash.

Addresses, ports and numbers are turned around; the checksum is made anew, for a header without options.
"""

from random import Random

import purebpf as bpf
from purebpf import be16, u32, u64
from purebpf.net import ETH_P_IP, IPPROTO_TCP, TCP, Ethernet, IPv4

SECRET0, SECRET1 = 0x736F6D6570736575, 0x646F72616E646F6D
PORT = 80


@bpf.struct
class Words:
    words: list[be16] = bpf.array(be16, 10)


@bpf.struct
class Addresses:
    words: list[be16] = bpf.array(be16, 4)


def rotated(x: u64, by: int) -> u64:
    return x << by | x >> 64 - by


def cookie_of(saddr: u32, daddr: u32, ports: u32) -> u32:
    a: u64 = SECRET0 ^ (saddr << 32 | daddr)
    b: u64 = SECRET1 ^ ports
    for _ in range(3):
        a = u64(a + b)
        b = u64(rotated(b, 13)) ^ a
        a = u64(rotated(a, 32))
        a = u64(a + b)
        b = u64(rotated(b, 17)) ^ a
    return u32((a ^ b) >> 16)


def folded(total: u32) -> u32:
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


@bpf.xdp
def syn_cookie(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.ihl != 5 or ip.protocol != IPPROTO_TCP:
        return bpf.XDP_PASS
    tcp = ctx.packet.at(34, TCP)
    if tcp is None or tcp.doff != 5 or tcp.dest != PORT or not tcp.syn or tcp.ack:
        return bpf.XDP_PASS
    cookie = cookie_of(ip.saddr, ip.daddr, tcp.source << 16 | tcp.dest)
    eth.dst, eth.src = eth.src, eth.dst
    ip.saddr, ip.daddr = ip.daddr, ip.saddr
    tcp.source, tcp.dest = tcp.dest, tcp.source
    tcp.ack_seq = tcp.seq + 1
    tcp.seq = cookie
    tcp.ack = 1
    tcp.window = 0
    tcp.check = 0
    total: u32 = IPPROTO_TCP + 20
    words = ctx.packet.at(34, Words)
    addresses = ctx.packet.at(26, Addresses)
    if words is None or addresses is None:
        return bpf.XDP_ABORTED
    for i in range(4):
        total += addresses.words[i]
    for i in range(10):
        total += words.words[i]
    tcp.check = ~folded(total) & 0xFFFF
    return bpf.XDP_TX


def packets(rng: Random) -> list[bytes]:
    """Connection requests to the port."""
    from bench.size.inputs import frame

    made = [bytearray(frame(rng).ljust(60, b"\0")) for _ in range(200)]
    for each in made:
        each[12:15] = b"\x08\x00\x45"
        each[23] = IPPROTO_TCP
        each[36:38] = PORT.to_bytes(2, "big")
        each[46] = rng.choice([0x50, 0x50, 0x60])
        each[47] = rng.choice([2, 2, 0x42, 0x12, 0x10])
    return [bytes(each) for each in made]
