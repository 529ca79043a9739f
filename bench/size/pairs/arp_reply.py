"""Answers ARP requests for one address."""

import purebpf as bpf
from purebpf import be32
from purebpf.net import ARPOP_REPLY, ARPOP_REQUEST, ETH_P_ARP

ADDRESS = 0x0A000001
MAC_HIGH, MAC_LOW = 0x0200, 0x00000001


@bpf.struct(packed=True)
class Arp:
    """With addresses as numbers."""

    kinds: bpf.be32 = 0
    lengths: bpf.be16 = 0
    op: bpf.be16 = 0
    sender_mac_high: bpf.be16 = 0
    sender_mac_low: be32 = 0
    sender: be32 = 0
    target_mac_high: bpf.be16 = 0
    target_mac_low: be32 = 0
    target: be32 = 0


@bpf.struct(packed=True)
class EthernetNumbers:
    dst_high: bpf.be16 = 0
    dst_low: be32 = 0
    src_high: bpf.be16 = 0
    src_low: be32 = 0
    proto: bpf.be16 = 0


@bpf.xdp
def arp_reply(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, EthernetNumbers)
    if eth is None or eth.proto != ETH_P_ARP:
        return bpf.XDP_PASS
    arp = ctx.packet.at(14, Arp)
    if arp is None or arp.op != ARPOP_REQUEST or arp.target != ADDRESS:
        return bpf.XDP_PASS
    arp.op = ARPOP_REPLY
    arp.target_mac_high = arp.sender_mac_high
    arp.target_mac_low = arp.sender_mac_low
    arp.target = arp.sender
    arp.sender_mac_high = MAC_HIGH
    arp.sender_mac_low = MAC_LOW
    arp.sender = ADDRESS
    eth.dst_high = eth.src_high
    eth.dst_low = eth.src_low
    eth.src_high = MAC_HIGH
    eth.src_low = MAC_LOW
    return bpf.XDP_TX
