"""Helpers of XDP programs: room in front and behind, copies to and from the frame (net/core/filter.c, include/net/xdp.h)."""

from __future__ import annotations

from purebpf.vm.facts import EACCES, EFAULT, EINVAL
from purebpf.vm.machine import Machine
from purebpf.vm.memory import Fault
from purebpf.vm.packet import ETHERNET, FRAME_INFO, LARGEST_META, XdpPacket
from purebpf.vm.runtime import signed

LARGEST_OFFSET = 0xFFFF  # of bpf_xdp_load_bytes


def frame(vm: Machine) -> XdpPacket:
    if not isinstance(vm.packet, XdpPacket):
        raise Fault("calls a helper of XDP programs, but is none or was given no packet")
    return vm.packet


def xdp_adjust_head(vm: Machine, xdp_md: int, delta: int) -> int:
    """Move the packet's beginning: a negative delta makes room. Metadata moves with it."""
    packet, delta = frame(vm), signed(delta, 32)
    if len(packet.front) + delta < FRAME_INFO or delta > packet.length - ETHERNET:
        return -EINVAL
    packet.shift(delta)
    return 0


def xdp_adjust_tail(vm: Machine, xdp_md: int, delta: int) -> int:
    """Move the packet's end; new bytes are zero."""
    packet, delta = frame(vm), signed(delta, 32)
    if delta > packet.tailroom or packet.length + delta < ETHERNET:
        return -EINVAL
    content = bytes(packet.content)
    packet.resize(content + bytes(delta) if delta > 0 else content[: len(content) + delta], packet.meta)
    return 0


def xdp_adjust_meta(vm: Machine, xdp_md: int, delta: int) -> int:
    """Move the beginning of the metadata; it takes at most 252 bytes, a multiple of 4."""
    packet, delta = frame(vm), signed(delta, 32)
    meta = packet.meta - delta
    if len(packet.front) + delta < FRAME_INFO or meta < 0:
        return -EINVAL
    if meta % 4 or meta > LARGEST_META:
        return -EACCES
    packet.grow_meta(-delta)
    return 0


def xdp_load_bytes(vm: Machine, xdp_md: int, offset: int, buf: int, len: int) -> int:
    packet, offset, size = frame(vm), offset & 0xFFFF_FFFF, len & 0xFFFF_FFFF
    vm.memory.check_writable(buf, size)
    if offset > LARGEST_OFFSET or size > LARGEST_OFFSET:
        return -EFAULT
    found = packet.read(offset, size)
    if found is None:
        return -EINVAL
    vm.memory.write(buf, found)
    return 0


def xdp_store_bytes(vm: Machine, xdp_md: int, offset: int, buf: int, len: int) -> int:
    packet, offset, size = frame(vm), offset & 0xFFFF_FFFF, len & 0xFFFF_FFFF
    data = vm.memory.read(buf, size)
    if offset > LARGEST_OFFSET or size > LARGEST_OFFSET:
        return -EFAULT
    return 0 if packet.write(offset, data) else -EINVAL


def xdp_get_buff_len(vm: Machine, xdp_md: int) -> int:
    return frame(vm).length


HELPERS = (xdp_adjust_head, xdp_adjust_tail, xdp_adjust_meta, xdp_load_bytes, xdp_store_bytes, xdp_get_buff_len)
