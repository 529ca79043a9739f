"""Lowers the MSS option of TCP connection requests to 1400 and repairs the checksum (RFC 1624); walks the options."""

from random import Random

import purebpf as bpf
from purebpf import be16, u8
from purebpf.net import ETH_P_IP, IPPROTO_TCP, TCP, Ethernet, IPv4

END, NOP, MSS = 0, 1, 2
MOST = 1400


@bpf.struct
class Option:
    kind: u8 = 0
    size: u8 = 0


@bpf.struct
class Word:
    value: be16 = 0


@bpf.xdp
def mss_clamp(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.ihl != 5 or ip.protocol != IPPROTO_TCP:
        return bpf.XDP_PASS
    tcp = ctx.packet.at(34, TCP)
    if tcp is None or not tcp.syn:
        return bpf.XDP_PASS
    at = 54
    end = 34 + tcp.doff * 4
    for _ in range(10):
        if at >= end:
            break
        option = ctx.packet.at(at, Option)
        if option is None or option.kind == END:
            break
        if option.kind == NOP:
            at += 1
            continue
        if option.size < 2:
            break
        if option.kind == MSS:
            place = ctx.packet.at(at + 2, Word)
            if place is not None and place.value > MOST:
                total = (~tcp.check & 0xFFFF) + (~place.value & 0xFFFF) + MOST
                total = (total & 0xFFFF) + (total >> 16)
                total = (total & 0xFFFF) + (total >> 16)
                tcp.check = ~total & 0xFFFF
                place.value = MOST
            break
        at += option.size
    return bpf.XDP_PASS


def packets(rng: Random) -> list[bytes]:
    """Connection requests with options, the MSS at an even place."""
    from bench.size.inputs import frame

    made = []
    for each in (bytearray(frame(rng).ljust(94, b"\0")) for _ in range(200)):
        each[12:15] = b"\x08\x00\x45"
        each[23] = IPPROTO_TCP
        each[46] = 0xA0
        each[47] = rng.choice([2, 2, 0x12, 0x10])
        parts = [b"\x02\x04" + rng.choice([536, 1400, 1460, 9000]).to_bytes(2, "big"), b"\x01\x01", b"\x04\x02", b"\x03\x03"]
        rng.shuffle(parts)
        options = b"".join(parts)
        each[54 : 54 + len(options)] = options
        made.append(bytes(each[: rng.choice([94, 94, 60, 57])]))
    return made
