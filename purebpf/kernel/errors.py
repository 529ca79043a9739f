"""The kernel's errno as a sentence: what failed, why most likely, what to do.

Sources: bpf(2), perf_event_open(2), kernel/bpf/syscall.c.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Mapping

from purebpf.errors import KernelError, Unsupported
from purebpf.kernel import privileges
from purebpf.tables.enums import AttachType, MapType, ProgramType
from purebpf.tables.since import parse, since

ENOTSUPP = 524  # the kernel's own; it is in no errno.h that user space sees
EMPTY: Mapping[int, str] = {}

# What an errno means for nearly every command. A caller's own reasons come first.
REASONS: dict[int, str] = {
    errno.E2BIG: "The kernel does not know a field that was set: it is older than the feature, or a size is beyond its limit.",
    errno.EAGAIN: "The kernel asks to try again later.",
    errno.EBADF: "A descriptor in the request is closed or of the wrong kind.",
    errno.EBUSY: "Something else is there already or in use.",
    errno.EEXIST: "It is there already.",
    errno.EFAULT: "The kernel could not read or write the memory it was given.",
    errno.EINVAL: "The kernel takes it for invalid: an unknown type, a flag or size that does not fit, or it is too old.",
    errno.EMFILE: "This process has too many open files (`ulimit -n` raises the limit).",
    errno.ENFILE: "The whole machine has too many open files.",
    errno.ENODEV: "There is no such device (any more).",
    errno.ENOENT: "There is no such thing.",
    errno.ENOMEM: "The kernel has not enough memory for it.",
    errno.ENOSPC: "There is no room left.",
    errno.EOPNOTSUPP: "The kernel, or this device, does not support it.",
    errno.ENOSYS: "This kernel was built without it (CONFIG_BPF_SYSCALL), or a seccomp filter hides it.",
    ENOTSUPP: "The kernel does not support it.",
}


def kernel_version() -> tuple[int, int]:
    """The running kernel's version, such as (6, 18). Distributions backport features, so it is a hint, not a verdict."""
    return parse(os.uname().release)


def minimum(member: ProgramType | MapType | AttachType) -> tuple[int, int] | None:
    """The first mainline kernel with a type of program or map, or a hook; None when that is not known."""
    try:
        return parse(since(member))
    except KeyError:
        return None


def came_with(first: tuple[int, int], verb: str = "") -> str:
    """In brackets, for a message: the kernel that brought something, and this one."""
    major, minor = kernel_version()
    return f"(Linux {first[0]}.{first[1]}{verb}; this is {major}.{minor})"


def strerror(number: int) -> str:
    """errno's own words, with its name."""
    name = "ENOTSUPP" if number == ENOTSUPP else errno.errorcode.get(number, str(number))
    text = "not supported" if number == ENOTSUPP else os.strerror(number).lower()
    return f"{text} ({name})"


def failure(
    number: int,
    what: str,
    *,
    needs: tuple[str, ...] = (),
    first: tuple[int, int] | None = None,
    feature: str = "this",
    reasons: Mapping[int, str] = EMPTY,
) -> KernelError | Unsupported:
    """The exception for a failed call. `what` is what was tried, as in "Creating the map 'counts' (hash)".

    `needs` are the capabilities it takes; `first` the first mainline kernel with `feature`; `reasons` this caller's own words
    for an errno. A feature that an older kernel lacks is Unsupported, all else KernelError.
    """
    said = f"{what} failed: {strerror(number)}."
    if number in (errno.EPERM, errno.EACCES) and number not in reasons:
        return KernelError(number, f"{said} {_denied(needs)}")
    if first and kernel_version() < first and number in (errno.EINVAL, errno.E2BIG, errno.EOPNOTSUPP, ENOTSUPP, errno.ENODEV):
        major, minor = kernel_version()
        return Unsupported(f"{said} It needs {feature}, which Linux {first[0]}.{first[1]} brought; this is {major}.{minor}.")
    reason = reasons.get(number) or REASONS.get(number, "")
    return KernelError(number, f"{said} {reason}".rstrip())


def _denied(needs: tuple[str, ...]) -> str:
    reason = privileges.why_not_permitted(needs)
    if reason:
        return reason
    if kernel_version() < (5, 11):
        limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
        if limit != resource.RLIM_INFINITY:
            return (
                f"Before Linux 5.11 maps and programs count against RLIMIT_MEMLOCK, which is {limit >> 10} KiB here. "
                "Raise it: `ulimit -l unlimited`, or LimitMEMLOCK=infinity for a service."
            )
    return (
        "No capability is missing, so a policy forbids it: kernel lockdown (/sys/kernel/security/lockdown), "
        "a security module, a seccomp filter (containers have one), or /proc/sys/kernel/unprivileged_bpf_disabled."
    )
