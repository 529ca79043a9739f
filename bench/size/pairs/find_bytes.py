"""Drops packets that have the bytes "needle" in the first 64 bytes behind the Ethernet header."""

import purebpf as bpf
from purebpf import be16, be32

PLACES = 64
HEAD, TAIL = int.from_bytes(b"need", "big"), int.from_bytes(b"le", "big")


@bpf.struct(packed=True)
class Word:
    head: be32 = 0
    tail: be16 = 0


@bpf.xdp
def find_bytes(ctx: bpf.XdpContext) -> bpf.XdpAction:
    for i in range(PLACES):
        word = ctx.packet.at(14 + i, Word)
        if word is None:
            break
        if word.head == HEAD and word.tail == TAIL:
            return bpf.XDP_DROP
    return bpf.XDP_PASS
