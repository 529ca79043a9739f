"""Splits a parser into programs that call one another by number: one for each IP protocol.

    purebpf run examples/tail_calls.py --pcap examples/packet_count.pcap

A tail call does not return; where the table has no program, the caller goes on.
"""

from __future__ import annotations

import sys

import purebpf as bpf
from purebpf import u16, u64
from purebpf.net import ETH_P_IP, TCP, UDP, Ethernet, IPv4

handlers = bpf.ProgArray(max_entries=256)  # by IP protocol
ports = bpf.Hash[u16, u64](max_entries=1024)  # packets by destination port
others = bpf.Array[u64](max_entries=1)


@bpf.xdp
def entry(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is not None:
        handlers.tail_call(ctx, ip.protocol)
    others[0] += 1  # there is no handler for this protocol
    return bpf.XDP_PASS


@bpf.xdp
def tcp(ctx: bpf.XdpContext) -> bpf.XdpAction:
    header = ctx.packet.at(34, TCP)
    if header is not None:
        ports[header.dest] += 1
    return bpf.XDP_PASS


@bpf.xdp
def udp(ctx: bpf.XdpContext) -> bpf.XdpAction:
    header = ctx.packet.at(34, UDP)
    if header is not None:
        ports[header.dest] += 1
    return bpf.XDP_PASS


handlers[6] = tcp
handlers[17] = udp


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} INTERFACE")
    with entry.attach(sys.argv[1]):
        for _ in bpf.every(1.0):
            print(dict(ports.items()), "others:", others[0])


if __name__ == "__main__":
    main()
