"""Dynptrs over ring buffers, map values and packets (kernel/bpf/helpers.c, net/core/filter.c): 16 bytes on the stack that stand
for bytes elsewhere.

The stack holds the address of those bytes, 0 for none, and a word that says what they are: their number, and a mark for
memory or for the packet. How many bytes a ring's record has is in the ring.
"""

from __future__ import annotations

from purebpf.data import data
from purebpf.vm.facts import E2BIG, EINVAL
from purebpf.vm.machine import Machine
from purebpf.vm.memory import Fault
from purebpf.vm.packet import Packet
from purebpf.vm.rings import RingBuf, finished, ring_at

SIZE = 16  # struct bpf_dynptr
LARGEST = (1 << 24) - 1  # DYNPTR_MAX_SIZE
MEMORY, PACKET = 1 << 32, 2 << 32  # marks


@data
class Bytes:
    """What a dynptr stands for: `size` bytes at an address, or the packet's. No address and no packet: nothing."""

    address: int = 0
    size: int = 0
    packet: Packet | None = None

    @property
    def there(self) -> bool:
        return bool(self.address) or self.packet is not None

    def has(self, offset: int, length: int) -> bool:
        return self.there and offset + length <= self.size


def made(vm: Machine, ptr: int, address: int, size: int, mark: int) -> None:
    vm.memory.write(ptr, vm.bytes(address, 8) + vm.bytes(mark | size if mark else 0, 8))


def ringbuf_reserve_dynptr(vm: Machine, ringbuf: int, size: int, flags: int, ptr: int) -> int:
    size &= 0xFFFF_FFFF
    ring = ring_at(vm, ringbuf)
    address = 0
    answer = -EINVAL if flags else -E2BIG if size > LARGEST else 0
    if not answer:
        address = ring.reserve_record(size)
        answer = 0 if address else -EINVAL
    made(vm, ptr, address, 0, 0)
    return answer


def dynptr_from_mem(vm: Machine, data: int, size: int, flags: int, ptr: int) -> int:
    size &= 0xFFFF_FFFF
    answer = -EINVAL if flags else -E2BIG if size > LARGEST else 0
    vm.memory.check_writable(data, size)
    made(vm, ptr, 0 if answer else data, size, MEMORY)
    return answer


def bpf_dynptr_from_xdp(vm: Machine, xdp: int, flags: int, ptr: int) -> int:
    if vm.packet is None:
        raise Fault("makes a dynptr of the packet, but was given none")
    made(vm, ptr, 0, vm.packet.length, 0 if flags else PACKET)
    return -EINVAL if flags else 0


def bpf_dynptr_from_skb(vm: Machine, skb: int, flags: int, ptr: int) -> int:
    return bpf_dynptr_from_xdp(vm, skb, flags, ptr)


def found(vm: Machine, ptr: int) -> Bytes:
    """What a dynptr stands for."""
    whole = vm.memory.read(ptr, SIZE)
    address, word = vm.integer(whole[:8]), vm.integer(whole[8:])
    if word & PACKET:
        return Bytes(0, word & 0xFFFF_FFFF, vm.packet)
    if word & MEMORY:
        return Bytes(address, word & 0xFFFF_FFFF)
    for map in vm.maps.values() if address else ():
        if isinstance(map, RingBuf) and address in map.open:
            return Bytes(address, len(map.open[address].data or b""))
    return Bytes()


def ringbuf_submit_dynptr(vm: Machine, ptr: int, flags: int) -> int:
    return give_back(vm, ptr, True)


def ringbuf_discard_dynptr(vm: Machine, ptr: int, flags: int) -> int:
    return give_back(vm, ptr, False)


def give_back(vm: Machine, ptr: int, keep: bool) -> int:
    address = found(vm, ptr).address
    vm.memory.write(ptr, bytes(SIZE))
    return finished(vm, address, keep) if address else 0


def dynptr_write(vm: Machine, dst: int, offset: int, src: int, len: int, flags: int) -> int:
    there = found(vm, dst)
    offset, len = offset & 0xFFFF_FFFF, len & 0xFFFF_FFFF
    if not there.there or flags or (there.packet is not None and not there.packet.writable):
        return -EINVAL
    if not there.has(offset, len):
        return -E2BIG
    new = vm.memory.read(src, len)
    if there.packet is not None:
        return 0 if there.packet.write(offset, new) else -EINVAL
    vm.memory.write(there.address + offset, new)
    return 0


def dynptr_read(vm: Machine, dst: int, len: int, src: int, offset: int, flags: int) -> int:
    there = found(vm, src)
    offset, len = offset & 0xFFFF_FFFF, len & 0xFFFF_FFFF
    if not there.there or flags:
        return -EINVAL
    if not there.has(offset, len):
        return -E2BIG
    old = there.packet.read(offset, len) if there.packet is not None else vm.memory.read(there.address + offset, len)
    if old is None:
        return -EINVAL
    vm.memory.write(dst, old)
    return 0


def dynptr_data(vm: Machine, ptr: int, offset: int, len: int) -> int:
    there = found(vm, ptr)
    offset, len = offset & 0xFFFF_FFFF, len & 0xFFFF_FFFF
    return there.address + offset if there.address and there.has(offset, len) else 0


def bpf_dynptr_slice(vm: Machine, p: int, offset: int, buffer__opt: int, buffer__szk: int) -> int:
    """The bytes where they lie, or a copy in the buffer where programs cannot reach them."""
    there = found(vm, p)
    offset, len = offset & 0xFFFF_FFFF, buffer__szk & 0xFFFF_FFFF
    if not there.has(offset, len):
        return 0
    if there.packet is None:
        return there.address + offset
    if there.packet.direct:
        return there.packet.get("data") + offset
    old = there.packet.read(offset, len)
    if old is None or not buffer__opt:
        return 0
    vm.memory.write(buffer__opt, old)
    return buffer__opt


def bpf_dynptr_size(vm: Machine, p: int) -> int:
    there = found(vm, p)
    return there.size if there.there else -EINVAL & 0xFFFF_FFFF


KFUNCS = (bpf_dynptr_from_xdp, bpf_dynptr_from_skb, bpf_dynptr_slice, bpf_dynptr_size)
HELPERS = (
    ringbuf_reserve_dynptr, ringbuf_submit_dynptr, ringbuf_discard_dynptr, dynptr_from_mem, dynptr_write, dynptr_read,
    dynptr_data,
)  # fmt: skip
