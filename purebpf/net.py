"""Packet headers as records, and the numbers that stand in them.

Field names are the kernel's without prefixes such as `h_` (include/uapi/linux/if_ether.h, ip.h, tcp.h ...). All fields have
zero defaults. The numbers of the UAPI headers are here by their own names (`ETH_P_LLDP`, `ICMP_ECHO`): the common ones written
out for editors and type checkers, the rest from the generated tables when asked for.
"""

from __future__ import annotations

import typing

from purebpf.lang.records import bits, struct
from purebpf.lang.records import bytes_ as raw
from purebpf.lang.scalars import be16, be32, u8

ETH_ALEN = 6
ETH_HLEN = 14
ETH_P_IP = 0x0800
ETH_P_ARP = 0x0806
ETH_P_8021Q = 0x8100
ETH_P_IPV6 = 0x86DD
ETH_P_MPLS_UC = 0x8847
ETH_P_8021AD = 0x88A8
ARPOP_REQUEST = 1
ARPOP_REPLY = 2
IPPROTO_IP = 0
IPPROTO_ICMP = 1
IPPROTO_IGMP = 2
IPPROTO_IPIP = 4
IPPROTO_TCP = 6
IPPROTO_UDP = 17
IPPROTO_IPV6 = 41
IPPROTO_ROUTING = 43
IPPROTO_FRAGMENT = 44
IPPROTO_GRE = 47
IPPROTO_ESP = 50
IPPROTO_AH = 51
IPPROTO_ICMPV6 = 58
IPPROTO_SCTP = 132
ICMP_ECHOREPLY = 0
ICMP_DEST_UNREACH = 3
ICMP_ECHO = 8
ICMP_TIME_EXCEEDED = 11
ICMPV6_DEST_UNREACH = 1
ICMPV6_PKT_TOOBIG = 2
ICMPV6_TIME_EXCEED = 3
ICMPV6_ECHO_REQUEST = 128
ICMPV6_ECHO_REPLY = 129

GROUPS = ("ether", "arp", "vlan", "packet", "ip", "icmp", "tcp_flags")  # of purebpf.tables.constants

if typing.TYPE_CHECKING:
    from typing import Self

    class Header:
        """What a type checker knows of each header; at run time `@struct` adds it."""

        def to_bytes(self) -> bytes: ...

        @classmethod
        def from_bytes(cls, data: bytes) -> Self: ...

else:
    Header = object


@struct
class Ethernet(Header):
    """`proto` names what follows at 14 bytes: ETH_P_IP, ETH_P_IPV6, ETH_P_8021Q ..."""

    dst: bytes = raw(6)
    src: bytes = raw(6)
    proto: be16 = 0


@struct
class Vlan(Header):
    """What follows an Ethernet header with the protocol ETH_P_8021Q."""

    tci: be16 = 0
    proto: be16 = 0


@struct
class Arp(Header):
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
class IPv4(Header):
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
class IPv6(Header):
    """The fixed header; `nexthdr` names what follows at 40 bytes, which may be an extension header."""

    priority: u8 = bits(4)
    version: u8 = bits(4)
    flow_lbl: bytes = raw(3)
    payload_len: be16 = 0
    nexthdr: u8 = 0
    hop_limit: u8 = 0
    saddr: bytes = raw(16)
    daddr: bytes = raw(16)


@struct
class TCP(Header):
    """`doff` counts 4-byte words; what follows starts at `doff * 4`. `ae` is the flag of accurate ECN (RFC 9768)."""

    source: be16 = 0
    dest: be16 = 0
    seq: be32 = 0
    ack_seq: be32 = 0
    ae: u8 = bits(1)
    res1: u8 = bits(3)
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
class UDP(Header):
    """`len` counts header and data; what follows starts at 8 bytes. A `check` of 0 is none."""

    source: be16 = 0
    dest: be16 = 0
    len: be16 = 0
    check: be16 = 0


@struct
class ICMP(Header):
    """`id` and `sequence` are those of echo messages; other types keep other things in these 4 bytes."""

    type: u8 = 0
    code: u8 = 0
    checksum: be16 = 0
    id: be16 = 0
    sequence: be16 = 0


@struct
class ICMPv6(Header):
    """`id` and `sequence` are those of echo messages; other types keep other things in these 4 bytes."""

    type: u8 = 0
    code: u8 = 0
    cksum: be16 = 0
    id: be16 = 0
    sequence: be16 = 0


@struct
class VXLAN(Header):
    """Follows UDP, port 4789 (RFC 7348). The network's number is the upper 24 bits of `vni`: `vni >> 8`."""

    flags: be32 = 0
    vni: be32 = 0


@struct
class GRE(Header):
    """The part that is always there; `flags` tell which of checksum, key and sequence number follow (RFC 2784, RFC 2890)."""

    flags: be16 = 0
    protocol: be16 = 0


def __getattr__(name: str) -> int:
    if name.isupper():
        from purebpf.tables.constants import group

        for each in GROUPS:
            if name in group(each):
                return group(each)[name]
    from difflib import get_close_matches

    near = "".join(f"; did you mean '{other}'?" for other in get_close_matches(name, __dir__(), 1) if name[:1] != "_")
    raise AttributeError(f"module 'purebpf.net' has no attribute '{name}'{near}")


def __dir__() -> list[str]:
    from purebpf.tables.constants import group

    return sorted({name for each in GROUPS for name in group(each)} | globals().keys())
