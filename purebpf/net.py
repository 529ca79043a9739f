"""Packet headers as records, and the numbers that stand in them.

Field names are the kernel's without prefixes such as `h_` (include/uapi/linux/if_ether.h, ip.h, tcp.h ...). All
fields have zero defaults. Every protocol number of the UAPI headers is here by its own name (`ETH_P_ARP`, `IPPROTO_GRE`).
"""

from __future__ import annotations

from purebpf.lang.records import bits, struct
from purebpf.lang.records import bytes_ as raw
from purebpf.lang.scalars import be16, be32, u8

ETH_P_IP = 0x0800
ETH_P_ARP = 0x0806
ETH_P_8021Q = 0x8100
ETH_P_IPV6 = 0x86DD
IPPROTO_ICMP = 1
IPPROTO_TCP = 6
IPPROTO_UDP = 17
IPPROTO_GRE = 47
IPPROTO_ICMPV6 = 58


@struct
class Ethernet:
    dst: bytes = raw(6)
    src: bytes = raw(6)
    proto: be16 = 0


@struct
class Vlan:
    """What follows an Ethernet header with the protocol ETH_P_8021Q."""

    tci: be16 = 0
    proto: be16 = 0


@struct
class Arp:
    """ARP for Ethernet and IPv4."""

    hrd: be16 = 0
    pro: be16 = 0
    hln: u8 = 0
    pln: u8 = 0
    op: be16 = 0
    sha: bytes = raw(6)
    sip: bytes = raw(4)
    tha: bytes = raw(6)
    tip: bytes = raw(4)


@struct
class IPv4:
    """`ihl` counts 4-byte words; the next header starts at `ihl * 4`."""

    ihl: u8 = bits(4)
    version: u8 = bits(4)
    tos: u8 = 0
    tot_len: be16 = 0
    id: be16 = 0
    frag_off: be16 = 0
    ttl: u8 = 0
    protocol: u8 = 0
    check: be16 = 0
    saddr: be32 = 0
    daddr: be32 = 0


@struct
class IPv6:
    priority: u8 = bits(4)
    version: u8 = bits(4)
    flow_lbl: bytes = raw(3)
    payload_len: be16 = 0
    nexthdr: u8 = 0
    hop_limit: u8 = 0
    saddr: bytes = raw(16)
    daddr: bytes = raw(16)


@struct
class TCP:
    """`doff` counts 4-byte words."""

    source: be16 = 0
    dest: be16 = 0
    seq: be32 = 0
    ack_seq: be32 = 0
    res1: u8 = bits(4)
    doff: u8 = bits(4)
    fin: u8 = bits(1)
    syn: u8 = bits(1)
    rst: u8 = bits(1)
    psh: u8 = bits(1)
    ack: u8 = bits(1)
    urg: u8 = bits(1)
    ece: u8 = bits(1)
    cwr: u8 = bits(1)
    window: be16 = 0
    check: be16 = 0
    urg_ptr: be16 = 0


@struct
class UDP:
    source: be16 = 0
    dest: be16 = 0
    len: be16 = 0
    check: be16 = 0


@struct
class ICMP:
    """Also ICMPv6. `id` and `sequence` are those of echo messages."""

    type: u8 = 0
    code: u8 = 0
    checksum: be16 = 0
    id: be16 = 0
    sequence: be16 = 0


@struct
class VXLAN:
    """Follows UDP, port 4789."""

    flags: be32 = 0
    vni: be32 = 0


@struct
class GRE:
    flags: be16 = 0
    proto: be16 = 0


def __getattr__(name: str) -> int:
    if name.startswith(("ETH_P_", "IPPROTO_", "ARPOP_", "ICMP_")):
        from purebpf.tables.constants import constant

        value = constant(name)
        if value is not None:
            return value
    raise AttributeError(f"module 'purebpf.net' has no attribute '{name}'")
