"""Counts packets and bytes per IP protocol on an interface.

    sudo purebpf run examples/packet_count.py eth0
    purebpf run examples/packet_count.py --pcap examples/packet_count.pcap

`count` runs in the kernel for every packet that arrives; the rest is ordinary Python that reads the same map.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import purebpf as bpf
from purebpf import u64
from purebpf.net import ETH_P_IP, ETH_P_IPV6, Ethernet, IPv4, IPv6

if TYPE_CHECKING:
    from rich.table import Table

PROTOCOLS = {0: "IPv6 options", 1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 47: "GRE", 58: "ICMPv6"}


@bpf.struct
class Traffic:
    packets: u64 = 0
    octets: u64 = 0


traffic = bpf.PerCpuArray[Traffic](max_entries=256)  # by IP protocol


@bpf.xdp
def count(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return bpf.XDP_PASS
    if eth.proto == ETH_P_IP:
        ip = ctx.packet.at(14, IPv4)
        if ip is None:
            return bpf.XDP_PASS
        protocol = ip.protocol
    elif eth.proto == ETH_P_IPV6:
        ip6 = ctx.packet.at(14, IPv6)
        if ip6 is None:
            return bpf.XDP_PASS
        protocol = ip6.nexthdr
    else:
        return bpf.XDP_PASS
    entry = traffic[protocol]
    entry.packets += 1
    entry.octets += len(ctx.packet)
    return bpf.XDP_PASS


def totals() -> dict[str, tuple[int, int]]:
    """(packets, bytes) by protocol name, the busiest first."""
    rows = sorted(traffic.sums().items(), key=lambda row: -row[1].packets)
    return {PROTOCOLS.get(number, str(number)): (each.packets, each.octets) for number, each in rows}


def table() -> Table:
    """The totals of this moment."""
    from rich.table import Table  # imported here, so that compiling this file does not wait for it

    shown = Table("protocol", title="packets by protocol")
    shown.add_column("packets", justify="right")
    shown.add_column("bytes", justify="right")
    for name, (packets, octets) in totals().items():
        shown.add_row(name, f"{packets:,}", f"{octets:,}")
    return shown


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} INTERFACE")
    from rich.live import Live

    interface = sys.argv[1]
    with count.attach(interface) as attached:  # leaving the block detaches
        print(f"counting on {interface} by {attached.mechanism}; Ctrl-C ends", flush=True)
        with Live(table(), refresh_per_second=4) as live:
            for _ in bpf.every(0.5):
                live.update(table())
            live.update(table())


if __name__ == "__main__":
    main()
