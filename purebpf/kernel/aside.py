"""File systems of the kernel's that are mounted nowhere, to read one file of (fsopen(2), fsmount(2); Linux 5.2)."""

from __future__ import annotations

import ctypes

from purebpf.kernel.descriptor import Descriptor

FSOPEN, FSCONFIG, FSMOUNT = 430, 431, 432  # the same on every machine
CLOEXEC = 1  # FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC
CREATE = 6  # FSCONFIG_CMD_CREATE
READ_ONLY = 1  # MOUNT_ATTR_RDONLY


def aside(kind: str) -> Descriptor | None:
    """The root of a file system that only the descriptor holds; None where the kernel or a lack of privilege forbids it."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    number = call(FSOPEN, kind.encode(), CLOEXEC)
    if number < 0:
        return None
    with Descriptor(number, f"a context of {kind}") as context:
        if call(FSCONFIG, context.number, CREATE, None, None, 0) < 0:
            return None
        root = call(FSMOUNT, context.number, CLOEXEC, READ_ONLY)
    return None if root < 0 else Descriptor(root, f"{kind}, mounted nowhere")
