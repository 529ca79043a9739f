"""Helpers that read memory which may not be there, and compare it (kernel/trace/bpf_trace.c, kernel/bpf/helpers.c).

What a kernel or user address means is the caller's business here: both are looked up in the machine's one address space, in
which a caller can place memory of its own.
"""

from __future__ import annotations

from purebpf.vm.facts import EFAULT
from purebpf.vm.machine import Machine
from purebpf.vm.memory import Fault


def probe_read(vm: Machine, dst: int, size: int, unsafe_ptr: int) -> int:
    """Copy memory; where it cannot be read, zeros and -EFAULT."""
    size &= 0xFFFF_FFFF
    vm.memory.check_writable(dst, size)
    try:
        data = vm.memory.read(unsafe_ptr, size)
    except Fault:
        vm.memory.write(dst, bytes(size))
        return -EFAULT
    vm.memory.write(dst, data)
    return 0


def probe_read_str(vm: Machine, dst: int, size: int, unsafe_ptr: int) -> int:
    """Copy a text and its NUL, at most `size` bytes with it; how many bytes that were."""
    size &= 0xFFFF_FFFF
    if size == 0:
        return 0
    vm.memory.check_writable(dst, size)
    try:
        text = vm.memory.read_text(unsafe_ptr, size)
    except Fault:
        vm.memory.write(dst, bytes(size))
        return -EFAULT
    text = text[: size - 1] + b"\0"
    vm.memory.write(dst, text)
    return len(text)


def probe_read_kernel(vm: Machine, dst: int, size: int, unsafe_ptr: int) -> int:
    return probe_read(vm, dst, size, unsafe_ptr)


def probe_read_user(vm: Machine, dst: int, size: int, unsafe_ptr: int) -> int:
    return probe_read(vm, dst, size, unsafe_ptr)


def probe_read_kernel_str(vm: Machine, dst: int, size: int, unsafe_ptr: int) -> int:
    return probe_read_str(vm, dst, size, unsafe_ptr)


def probe_read_user_str(vm: Machine, dst: int, size: int, unsafe_ptr: int) -> int:
    return probe_read_str(vm, dst, size, unsafe_ptr)


def strncmp(vm: Machine, s1: int, s1_sz: int, s2: int) -> int:
    """-1, 0 or 1."""
    size = s1_sz & 0xFFFF_FFFF
    left = vm.memory.read(s1, size).split(b"\0", 1)[0]
    right = vm.memory.read_text(s2, size)
    return (left > right) - (left < right)


HELPERS = (
    probe_read, probe_read_str, probe_read_kernel, probe_read_user, probe_read_kernel_str, probe_read_user_str, strncmp,
)  # fmt: skip
