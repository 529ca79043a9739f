"""Helpers on socket buffers, checksums and redirection (net/core/filter.c).

The packet always lies in one piece, and there is no checksum offloading: what the kernel does for a buffer whose checksum is
left to the device does not arise.
"""

from __future__ import annotations

from purebpf.vm import checksum
from purebpf.vm.facts import EFAULT, EINVAL, ENOMEM, fact
from purebpf.vm.machine import Machine, Redirect
from purebpf.vm.memory import Fault
from purebpf.vm.packet import SkbPacket, XdpPacket

LARGEST_OFFSET = 0x7FFF_FFFF
LARGEST_CHECKSUM_OFFSET = 0xFFFF
LARGEST_PACKET = 16384 - 320  # BPF_SKB_MAX_LEN: what four pages hold
WIDTHS = (2, 4)
FIELD_MASK, PSEUDO_HEADER = fact("BPF_F_HDR_FIELD_MASK"), fact("BPF_F_PSEUDO_HDR")
MANGLED_ZERO, ENFORCE, IPV6 = fact("BPF_F_MARK_MANGLED_0"), fact("BPF_F_MARK_ENFORCE"), fact("BPF_F_IPV6")
RECOMPUTE, INVALIDATE_HASH, INGRESS = fact("BPF_F_RECOMPUTE_CSUM"), fact("BPF_F_INVALIDATE_HASH"), fact("BPF_F_INGRESS")
XDP_ABORTED, XDP_REDIRECT = fact("XDP_ABORTED"), fact("XDP_REDIRECT")
TC_ACT_SHOT, TC_ACT_REDIRECT = fact("TC_ACT_SHOT"), fact("TC_ACT_REDIRECT")
HEADERS = {fact("BPF_HDR_START_MAC"): False, fact("BPF_HDR_START_NET"): True}


def buffer(vm: Machine) -> SkbPacket:
    if not isinstance(vm.packet, SkbPacket):
        raise Fault("calls a helper on socket buffers, but is no program on socket buffers or was given no packet")
    return vm.packet


def answer_bytes(vm: Machine, found: bytes | None, to: int, size: int) -> int:
    """Hand over bytes of the packet; outside of it zeros and -EFAULT."""
    vm.memory.write(to, bytes(size) if found is None else found)
    return -EFAULT if found is None else 0


def skb_load_bytes(vm: Machine, skb: int, offset: int, to: int, len: int) -> int:
    packet, offset, size = buffer(vm), offset & 0xFFFF_FFFF, len & 0xFFFF_FFFF
    vm.memory.check_writable(to, size)
    return answer_bytes(vm, packet.read(offset, size) if offset <= LARGEST_OFFSET else None, to, size)


def skb_load_bytes_relative(vm: Machine, skb: int, offset: int, to: int, len: int, start_header: int) -> int:
    """As `skb_load_bytes`, counted from the link or the network header."""
    packet, offset, size = buffer(vm), offset & 0xFFFF_FFFF, len & 0xFFFF_FFFF
    network = HEADERS.get(start_header & 0xFFFF_FFFF)
    vm.memory.check_writable(to, size)
    found = packet.from_header(offset, size, network) if network is not None and offset <= LARGEST_CHECKSUM_OFFSET else None
    return answer_bytes(vm, found, to, size)


def skb_store_bytes(vm: Machine, skb: int, offset: int, from_: int, len: int, flags: int) -> int:
    packet, offset = buffer(vm), offset & 0xFFFF_FFFF
    data = vm.memory.read(from_, len & 0xFFFF_FFFF)
    if flags & ~(RECOMPUTE | INVALIDATE_HASH):
        return -EINVAL
    if offset > LARGEST_OFFSET or not packet.write(offset, data):
        return -EFAULT
    if flags & INVALIDATE_HASH:
        packet.set("hash", 0)
    return 0


def updated(old: int, before: int, after: int, width: int) -> int | None:
    """A checksum after a field of `width` bytes changed; width 0: after is the difference. None for what is not possible."""
    if width == 0:
        return None if before else checksum.replace_by_difference(old, after & 0xFFFF_FFFF)
    if width == 2:
        return checksum.replace2(old, before & 0xFFFF, after & 0xFFFF)
    return checksum.replace4(old, before & 0xFFFF_FFFF, after & 0xFFFF_FFFF) if width == 4 else None


def l3_csum_replace(vm: Machine, skb: int, offset: int, from_: int, to: int, size: int) -> int:
    packet, offset = buffer(vm), offset & 0xFFFF_FFFF
    if size & ~FIELD_MASK:
        return -EINVAL
    old = packet.read(offset, 2)
    if offset > LARGEST_CHECKSUM_OFFSET or offset & 1 or old is None:
        return -EFAULT
    new = updated(vm.integer(old), from_, to, size & FIELD_MASK)
    if new is None:
        return -EINVAL
    packet.write(offset, vm.bytes(new, 2))
    return 0


def l4_csum_replace(vm: Machine, skb: int, offset: int, from_: int, to: int, flags: int) -> int:
    packet, offset = buffer(vm), offset & 0xFFFF_FFFF
    if flags & ~(MANGLED_ZERO | ENFORCE | PSEUDO_HEADER | IPV6 | FIELD_MASK):
        return -EINVAL
    old = packet.read(offset, 2)
    if offset > LARGEST_CHECKSUM_OFFSET or offset & 1 or old is None:
        return -EFAULT
    if flags & MANGLED_ZERO and not flags & ENFORCE and old == b"\0\0":
        return 0
    new = updated(vm.integer(old), from_, to, flags & FIELD_MASK)
    if new is None:
        return -EINVAL
    packet.write(offset, vm.bytes(new or (checksum.MANGLED_ZERO if flags & MANGLED_ZERO else 0), 2))
    return 0


def csum_diff(vm: Machine, from_: int, from_size: int, to: int, to_size: int, seed: int) -> int:
    """The sum of `to` less that of `from`, plus `seed`, in 16 bits. (Older kernels: 32 bits, and only multiples of 4 bytes.)"""
    before_size, after_size, seed = from_size & 0xFFFF_FFFF, to_size & 0xFFFF_FFFF, seed & 0xFFFF_FFFF
    before, after = vm.memory.read(from_, before_size), vm.memory.read(to, after_size)
    if before and after:
        total = checksum.sub(checksum.partial(after, seed), checksum.partial(before))
    elif after:
        total = checksum.partial(after, seed)
    else:
        total = ~checksum.partial(before, ~seed & 0xFFFF_FFFF) & 0xFFFF_FFFF if before else seed
    return checksum.fold(total)


def skb_change_tail(vm: Machine, skb: int, len: int, flags: int) -> int:
    """Cut the packet or lengthen it with zeros."""
    packet, size = buffer(vm), len & 0xFFFF_FFFF
    if flags or not packet.network_offset <= size <= LARGEST_PACKET:
        return -EINVAL
    packet.resize(bytes(packet.content[:size]).ljust(size, b"\0"), 0)
    return 0


def skb_pull_data(vm: Machine, skb: int, len: int) -> int:
    """Nothing to do: the packet lies in one piece. Asking for more than there is fails."""
    return -ENOMEM if len & 0xFFFF_FFFF > buffer(vm).length else 0


def redirect(vm: Machine, ifindex: int, flags: int) -> int:
    """Send the packet to an interface; the run's result says so, and the machine remembers where."""
    xdp = isinstance(vm.packet, XdpPacket)
    if flags & ~(0 if xdp else INGRESS):
        return XDP_ABORTED if xdp else TC_ACT_SHOT
    vm.redirect = Redirect(ifindex=ifindex & 0xFFFF_FFFF, flags=flags)
    return XDP_REDIRECT if xdp else TC_ACT_REDIRECT


HELPERS = (
    skb_load_bytes, skb_load_bytes_relative, skb_store_bytes, l3_csum_replace, l4_csum_replace, csum_diff, skb_change_tail,
    skb_pull_data, redirect,
)  # fmt: skip
