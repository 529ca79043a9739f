"""Helpers that tell about the machine: time, CPU, current task, random numbers (kernel/bpf/helpers.c, kernel/time)."""

from __future__ import annotations

import time

from purebpf.vm.facts import EINVAL
from purebpf.vm.machine import Machine
from purebpf.vm.trace import COMM_BYTES

NANOSECONDS = 1_000_000_000
TICKS_PER_SECOND = 1000  # CONFIG_HZ of the kernel that is played
FIRST_JIFFIES = (1 << 32) - 300 * TICKS_PER_SECOND  # INITIAL_JIFFIES: five minutes before the lower half overflows


def clock(name: str) -> int:
    """A clock of the operating system in nanoseconds, or the monotonic one where it has no such clock."""
    number = getattr(time, name, None)
    return time.monotonic_ns() if number is None else time.clock_gettime_ns(number)


def ktime_get_ns(vm: Machine) -> int:
    return time.monotonic_ns()


def ktime_get_boot_ns(vm: Machine) -> int:
    return clock("CLOCK_BOOTTIME")


def ktime_get_coarse_ns(vm: Machine) -> int:
    """The time of the last tick."""
    tick = NANOSECONDS // TICKS_PER_SECOND
    return time.monotonic_ns() // tick * tick


def ktime_get_tai_ns(vm: Machine) -> int:
    return clock("CLOCK_TAI") if hasattr(time, "CLOCK_TAI") else time.time_ns()


def jiffies64(vm: Machine) -> int:
    return FIRST_JIFFIES + time.monotonic_ns() * TICKS_PER_SECOND // NANOSECONDS


def get_prandom_u32(vm: Machine) -> int:
    return vm.random.getrandbits(32)


def get_smp_processor_id(vm: Machine) -> int:
    return vm.cpu


def get_numa_node_id(vm: Machine) -> int:
    return 0


def get_current_pid_tgid(vm: Machine) -> int:
    return vm.task.pid << 32 | vm.task.tid


def get_current_uid_gid(vm: Machine) -> int:
    return vm.task.gid << 32 | vm.task.uid


def get_current_comm(vm: Machine, buf: int, size_of_buf: int) -> int:
    """The name of the task, cut to the buffer and filled up with zeros."""
    size = size_of_buf & 0xFFFF_FFFF
    if not size:
        return -EINVAL
    name = vm.task.comm[: min(size, COMM_BYTES) - 1]
    vm.memory.write(buf, name.ljust(size, b"\0"))
    return 0


def get_attach_cookie(vm: Machine, ctx: int) -> int:
    return vm.cookie


HELPERS = (
    ktime_get_ns, ktime_get_boot_ns, ktime_get_coarse_ns, ktime_get_tai_ns, jiffies64, get_prandom_u32, get_smp_processor_id,
    get_numa_node_id, get_current_pid_tgid, get_current_uid_gid, get_current_comm, get_attach_cookie,
)  # fmt: skip
