"""Linux's numbers that the virtual machine answers with, from the generated tables: the same on every operating system."""

from __future__ import annotations

import os

from purebpf.errors import KernelError
from purebpf.tables.constants import constant


def fact(name: str) -> int:
    """The value of a UAPI constant."""
    value = constant(name)
    if value is None:
        raise LookupError(f"the tables have no constant {name}")
    return value


EPERM, ENOENT, E2BIG, EBADF, ENOMEM, EFAULT = map(fact, ("EPERM", "ENOENT", "E2BIG", "EBADF", "ENOMEM", "EFAULT"))
EEXIST, ENODEV, EINVAL, ENOSPC, ERANGE = map(fact, ("EEXIST", "ENODEV", "EINVAL", "ENOSPC", "ERANGE"))
EACCES, EOPNOTSUPP, EOVERFLOW = map(fact, ("EACCES", "EOPNOTSUPP", "EOVERFLOW"))
ENOTSUPP = 524  # include/linux/errno.h: the kernel's own, in no header that user space sees

BPF_ANY, BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK = map(fact, ("BPF_ANY", "BPF_NOEXIST", "BPF_EXIST", "BPF_F_LOCK"))
BPF_F_RDONLY, BPF_F_WRONLY = fact("BPF_F_RDONLY"), fact("BPF_F_WRONLY")
BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG = fact("BPF_F_RDONLY_PROG"), fact("BPF_F_WRONLY_PROG")

REASONS = {
    E2BIG: "The map is full, or the index is beyond its last entry: max_entries is {entries}.",
    EEXIST: "The key is there already, and the flags ask for a new one (BPF_NOEXIST).",
    ENOENT: "The key is not there, and the flags ask for one that is (BPF_EXIST).",
    EPERM: "The map is frozen, or its flags forbid it to user space.",
    EINVAL: "Flags, value or operation do not fit this type of map.",
    EBADF: "The value is no handle of a program or event of this virtual machine.",
    ENODEV: "The value names a CPU or interface that does not exist.",
    EOVERFLOW: "The queue is longer than the kernel allows.",
    ENOTSUPP: "This type of map does not support it.",
}


class Refused(Exception):
    """An operation on a map that fails with a number. A program gets it as -number, user space as `KernelError`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def kernel_error(number: int, what: str, entries: int = 0, reason: str | None = None) -> KernelError:
    """The exception that user space gets, with the number the kernel would give."""
    words = "not supported (ENOTSUPP)" if number == ENOTSUPP else f"{os.strerror(number).lower()} (errno {number})"
    why = REASONS.get(number, "").format(entries=entries) if reason is None else reason
    return KernelError(number, f"{what} failed: {words}. {why}".rstrip())
