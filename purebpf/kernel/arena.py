"""Memory that programs and this process share (BPF_MAP_TYPE_ARENA, Linux 6.9; kernel/bpf/arena.c).

A program addresses it by the low half of the addresses that it has in this process. It is placed where that half begins at 0,
so that an offset is an address. All its pages are made at once: programs read zeros from a page that is not there, and their
writes to it vanish.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import weakref
from itertools import count

from purebpf.data import replace
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.spec import MapSpec

FIRST = 0x1000  # upper halves of addresses to try, far from where anything else is put
ATTEMPTS = 64
MAP_FIXED_NOREPLACE = 0x100000  # include/uapi/asm-generic/mman-common.h
FAILED = ctypes.c_void_p(-1).value
_upper = count(FIRST)


def placed(spec: MapSpec) -> MapSpec:
    """The map with an address that no other arena of this process has."""
    return replace(spec, extra=next(_upper) << 32)


def shared(spec: MapSpec, descriptor: Descriptor) -> memoryview | None:
    """The arena's memory in this process, zeroed; None when something else has its address. Raises KernelError."""
    size = spec.max_entries * mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
    flags = mmap.MAP_SHARED | MAP_FIXED_NOREPLACE
    address = libc.mmap(spec.extra, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, descriptor.number, 0)
    if address == FAILED or address is None:
        number = ctypes.get_errno()
        if number == errno.EEXIST:
            return None
        raise failure(number, f"Mapping {size >> 10} KiB of {descriptor.what}", first=(6, 9), feature="arenas")
    memory: ctypes.Array[ctypes.c_char] = type("Memory", (ctypes.c_char * size,), {}).from_address(address)  # type: ignore[attr-defined]
    weakref.finalize(memory, _unmap, address, size)
    ctypes.memset(address, 0, size)
    return memoryview(memory).cast("B")


def _unmap(address: int, size: int) -> None:
    ctypes.CDLL(None).munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
