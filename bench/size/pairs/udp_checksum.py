"""Checks the UDP checksum of IPv4 packets up to 512 bytes of UDP: pseudo header, header and payload; drops what is wrong."""

from random import Random

import purebpf as bpf
from purebpf import u8, u16, u32
from purebpf.net import ETH_P_IP, IPPROTO_UDP, UDP, Ethernet, IPv4

MOST = 256


@bpf.xdp
def udp_checksum(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.ihl != 5 or ip.protocol != IPPROTO_UDP:
        return bpf.XDP_PASS
    udp = ctx.packet.at(34, UDP)
    if udp is None:
        return bpf.XDP_DROP
    if udp.check == 0 or udp.len > MOST * 2:
        return bpf.XDP_PASS
    size = udp.len
    source, dest = bpf.raw(ip.saddr), bpf.raw(ip.daddr)  # the sum is the same in either byte order, but for its own
    total: u32 = (source >> 16) + (source & 0xFFFF) + (dest >> 16) + (dest & 0xFFFF) + (IPPROTO_UDP << 8) + bpf.raw(udp.len)
    for i in range(MOST):
        if i * 2 + 1 >= size:
            break
        word = ctx.packet.at(34 + i * 2, u16)
        if word is None:
            return bpf.XDP_DROP
        total += word
    if size & 1:
        octet = ctx.packet.at(33 + size, u8)
        if octet is None:
            return bpf.XDP_DROP
        total += octet
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return bpf.XDP_PASS if total == 0xFFFF else bpf.XDP_DROP


def packets(rng: Random) -> list[bytes]:
    """With right checksums and with wrong ones."""
    from bench.size.inputs import frame, internet_sum

    made = []
    for each in (bytearray(frame(rng)) for _ in range(1500)):
        if each[12:15] != b"\x08\x00\x45" or each[23] != IPPROTO_UDP:
            continue
        each[40:42] = bytes(2)
        check = internet_sum(each[26:34] + bytes((0, 17)) + each[38:40] + each[34 : 34 + int.from_bytes(each[38:40], "big")])
        each[40:42] = (check ^ rng.choice([0, 0, 1])).to_bytes(2, "big")
        made.append(bytes(each[:1400]))
    return made[:150]
