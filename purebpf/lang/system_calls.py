"""System calls as functions of the kernel: how their wrappers are called on each machine, and where those find the arguments.

A wrapper takes the registers that the process came in with (CONFIG_ARCH_HAS_SYSCALL_WRAPPER: x86-64 since Linux 4.17, arm64
since 4.19; arch/*/include/asm/syscall_wrapper.h).
"""

from __future__ import annotations

PREFIXES = {"x86_64": "__x64_sys_", "aarch64": "__arm64_sys_"}
REGISTERS = {  # byte offsets in struct pt_regs of a system call's arguments
    "x86_64": (112, 104, 96, 56, 72, 64),  # di si dx r10 r8 r9
    "aarch64": tuple(range(0, 48, 8)),  # x0 to x5
}
FIRST, STEP = 16, 8  # where a sys_enter event has its arguments


def function_of(call: str, machine: str) -> str:
    """The kernel's function of a system call."""
    return f"{PREFIXES.get(machine, 'sys_')}{call}"
