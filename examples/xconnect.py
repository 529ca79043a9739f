"""Connects two interfaces: what arrives on one leaves by the other, in the driver, before the network stack sees it.

sudo purebpf run examples/xconnect.py eth0 eth1
"""

from __future__ import annotations

import socket
import sys

import purebpf as bpf

peers = bpf.DevMap(max_entries=256)  # interface index to the index of the one it is connected with


@bpf.xdp
def xconnect(ctx: bpf.XdpContext) -> bpf.XdpAction:
    return peers.redirect(ctx.ingress_ifindex, bpf.XDP_ABORTED)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} INTERFACE INTERFACE")
    one, other = sys.argv[1:]
    with xconnect.attach(one), xconnect.attach(other):
        a, b = socket.if_nametoindex(one), socket.if_nametoindex(other)
        peers[a], peers[b] = b, a
        print(f"{one} and {other} are connected; Ctrl-C ends")
        for _ in bpf.every(3600):
            pass


if __name__ == "__main__":
    main()
