"""Makes examples/packet_count.pcap: 60 frames of UDP, TCP, ICMP, IPv6 and ARP, the same bytes each time."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from purebpf.net import ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, ICMP, TCP, UDP, Ethernet, IPv4, IPv6
from purebpf.pcap import write_packets

HERE, THERE = (int(ipaddress.IPv4Address(a)) for a in ("192.0.2.1", "192.0.2.2"))


def frame(proto: int, payload: bytes) -> bytes:
    header = Ethernet(dst=b"\x02\0\0\0\0\1", src=b"\x02\0\0\0\0\2", proto=proto)
    return (header.to_bytes() + payload).ljust(60, b"\0")


def ipv4(protocol: int, payload: bytes) -> bytes:
    header = IPv4(version=4, ihl=5, ttl=64, protocol=protocol, tot_len=20 + len(payload), saddr=THERE, daddr=HERE)
    return frame(ETH_P_IP, header.to_bytes() + payload)


def packets() -> list[bytes]:
    made = []
    for n in range(10):
        made.append(ipv4(17, UDP(source=40000 + n, dest=53, len=8 + 10 * n).to_bytes() + bytes(10 * n)))
        made.append(ipv4(17, UDP(source=40000 + n, dest=123, len=48).to_bytes() + bytes(40)))
        made.append(ipv4(6, TCP(source=50000 + n, dest=80, doff=5, syn=1, window=1024).to_bytes()))
        made.append(ipv4(1, ICMP(type=8, id=7, sequence=n).to_bytes() + bytes(48)))
        udp6 = UDP(source=40000 + n, dest=53, len=8).to_bytes()
        made.append(frame(ETH_P_IPV6, IPv6(version=6, nexthdr=17, hop_limit=64, payload_len=len(udp6)).to_bytes() + udp6))
        made.append(frame(ETH_P_ARP, bytes(28)))
    return made


if __name__ == "__main__":
    write_packets(Path(__file__).with_name("packet_count.pcap"), packets())
