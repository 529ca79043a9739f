"""Dynptrs over ring buffers (kernel/bpf/helpers.c): 16 bytes on the stack that stand for bytes elsewhere.

The stack holds only the address of those bytes, 0 for none; how many there are is in the ring's record.
"""

from __future__ import annotations

from purebpf.vm.facts import E2BIG, EINVAL
from purebpf.vm.machine import Machine
from purebpf.vm.rings import RingBuf, finished, ring_at

SIZE = 16  # struct bpf_dynptr
LARGEST = (1 << 24) - 1  # DYNPTR_MAX_SIZE


def ringbuf_reserve_dynptr(vm: Machine, ringbuf: int, size: int, flags: int, ptr: int) -> int:
    size &= 0xFFFF_FFFF
    ring = ring_at(vm, ringbuf)
    address = 0
    answer = -EINVAL if flags else -E2BIG if size > LARGEST else 0
    if not answer:
        address = ring.reserve_record(size)
        answer = 0 if address else -EINVAL
    vm.memory.write(ptr, vm.bytes(address, 8) + bytes(SIZE - 8))
    return answer


def found(vm: Machine, ptr: int) -> tuple[int, int]:
    """(address, size) of the bytes; (0, 0) for none."""
    address = vm.integer(vm.memory.read(ptr, 8))
    for map in vm.maps.values() if address else ():
        if isinstance(map, RingBuf) and address in map.open:
            data = map.open[address].data
            return address, len(data or b"")
    return 0, 0


def ringbuf_submit_dynptr(vm: Machine, ptr: int, flags: int) -> int:
    return give_back(vm, ptr, True)


def ringbuf_discard_dynptr(vm: Machine, ptr: int, flags: int) -> int:
    return give_back(vm, ptr, False)


def give_back(vm: Machine, ptr: int, keep: bool) -> int:
    address, _ = found(vm, ptr)
    vm.memory.write(ptr, bytes(SIZE))
    return finished(vm, address, keep) if address else 0


def dynptr_write(vm: Machine, dst: int, offset: int, src: int, len: int, flags: int) -> int:
    address, size = found(vm, dst)
    offset, len = offset & 0xFFFF_FFFF, len & 0xFFFF_FFFF
    if not address or flags:
        return -EINVAL
    if offset + len > size:
        return -E2BIG
    vm.memory.write(address + offset, vm.memory.read(src, len))
    return 0


def dynptr_read(vm: Machine, dst: int, len: int, src: int, offset: int, flags: int) -> int:
    address, size = found(vm, src)
    offset, len = offset & 0xFFFF_FFFF, len & 0xFFFF_FFFF
    if not address or flags:
        return -EINVAL
    if offset + len > size:
        return -E2BIG
    vm.memory.write(dst, vm.memory.read(address + offset, len))
    return 0


def dynptr_data(vm: Machine, ptr: int, offset: int, len: int) -> int:
    address, size = found(vm, ptr)
    offset, len = offset & 0xFFFF_FFFF, len & 0xFFFF_FFFF
    return address + offset if address and offset + len <= size else 0


HELPERS = (
    ringbuf_reserve_dynptr, ringbuf_submit_dynptr, ringbuf_discard_dynptr, dynptr_write, dynptr_read, dynptr_data,
)  # fmt: skip
