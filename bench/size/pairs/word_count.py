"""Counts words, letters and digits in the first 48 bytes of a UDP payload, byte by byte with a small state machine."""

import purebpf as bpf
from purebpf import u8, u64
from purebpf.net import ETH_P_IP, IPPROTO_UDP, UDP, Ethernet, IPv4

MOST = 48


@bpf.struct
class Totals:
    words: u64 = 0
    letters: u64 = 0
    digits: u64 = 0


totals = bpf.PerCpuArray[Totals](max_entries=1)


@bpf.xdp
def word_count(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.ihl != 5 or ip.protocol != IPPROTO_UDP:
        return bpf.XDP_PASS
    if ctx.packet.at(34, UDP) is None:
        return bpf.XDP_PASS
    inside = False
    words = letters = digits = 0
    for i in range(MOST):
        octet = ctx.packet.at(42 + i, u8)
        if octet is None:
            break
        if 97 <= octet | 32 <= 122:
            letters += 1
        elif 48 <= octet <= 57:
            digits += 1
        else:
            inside = False
            continue
        if not inside:
            words += 1
            inside = True
    total = totals[0]
    total.words += words
    total.letters += letters
    total.digits += digits
    return bpf.XDP_PASS
