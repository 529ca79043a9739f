"""Pins: names in a BPF file system that keep maps, programs and links alive without a process (BPF_OBJ_PIN, Linux 4.4).

A BPF file system is usually mounted at /sys/fs/bpf.
"""

from __future__ import annotations

import ctypes
import errno
import os

from purebpf.errors import Error
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.syscall import address, bpf, room
from purebpf.kernel.syscall import pin as kept_at
from purebpf.tables.enums import Command

BPF_FS_MAGIC = 0xCAFE4A11  # include/uapi/linux/magic.h
RENAME_NOREPLACE = 1
CWD = -100  # AT_FDCWD
MOUNT = "mount -t bpf bpf /sys/fs/bpf"
PIN_REASONS = {
    errno.EEXIST: "There is something of that name already; unpin it first.",
    errno.ENOENT: "The folder does not exist.",
    errno.EACCES: "This process may not write there.",
}


NOTHING = {errno.ENOENT: "Nothing is pinned there."}


def on_bpffs(folder: str) -> bool:
    """Whether a folder that exists lies in a BPF file system (statfs(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    answer = room(256)
    if libc.statfs(os.fsencode(folder), answer) != 0:
        return False
    return ctypes.c_long.from_buffer(answer).value & 0xFFFF_FFFF == BPF_FS_MAGIC


def _checked(path: str, what: str) -> str:
    """The path, absolute, in a folder of a BPF file system. Raises Error."""
    path = os.path.abspath(path)
    folder = os.path.dirname(path)
    if os.path.isdir(folder) and not on_bpffs(folder):
        raise Error(f"{what} can be pinned in a BPF file system only, and {folder} is none: `{MOUNT}` makes one.")
    return path


def _new(path: str, what: str) -> str:
    """The same for a name that is to be given. Raises Error."""
    path = os.path.abspath(path)
    if os.path.isdir(path) and on_bpffs(path):
        raise Error(f"{what} needs a name to be pinned by, and {path} is a folder: give one in it, such as {path}/counts.")
    if "." in os.path.basename(path):
        raise Error(f"{what} cannot be pinned as {path}: a BPF file system takes no name with a dot in it.")
    return _checked(path, what)


def pin(descriptor: Descriptor, path: str) -> None:
    """Give a map, program or link a name. Raises KernelError, with EEXIST when the name is taken; Error outside of a BPF file
    system."""
    path = _new(path, descriptor.what)
    held = kept_at(os.fsencode(path) + b"\0")
    answer = bpf(Command.OBJ_PIN, {"pathname": address(held), "bpf_fd": descriptor.number})
    if answer < 0:
        raise failure(-answer, f"Pinning {descriptor.what} at {path}", reasons=PIN_REASONS, first=(4, 4), feature="pins")


def unpin(path: str) -> None:
    """Take a name away; what it named goes when nobody else has it. Raises Error where there is none."""
    try:
        os.unlink(_checked(path, path))
    except FileNotFoundError:
        raise Error(f"There is no pin {path}.") from None


def move(old: str, new: str) -> None:
    """Rename a pin, in one step, if the new name is free (renameat2(2), Linux 3.15). Raises KernelError."""
    old, new = _checked(old, old), _new(new, f"What is pinned as {old}")
    if not os.path.lexists(old):
        raise Error(f"There is no pin {old}.")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(CWD, os.fsencode(old), CWD, os.fsencode(new), RENAME_NOREPLACE) != 0:
        raise failure(ctypes.get_errno(), f"Renaming the pin {old} to {new}", reasons=PIN_REASONS)


def opened(path: str, what: str) -> Descriptor | None:
    """What a path names; None when there is no such name. Raises KernelError."""
    held = kept_at(os.fsencode(os.path.abspath(path)) + b"\0")
    answer = bpf(Command.OBJ_GET, {"pathname": address(held)})
    if answer == -errno.ENOENT:
        return None
    if answer < 0:
        reasons = {
            errno.EINVAL: "It is nothing that is pinned.",
            errno.EACCES: "It is in no BPF file system (/sys/fs/bpf is one), or this process may not read it.",
        }
        raise failure(-answer, f"Opening the pin {path}", reasons=reasons)
    return Descriptor(answer, what)


def open_pinned(path: str | os.PathLike[str], what: str) -> Descriptor:
    """The same, of something that must be there; `what` names it. Raises KernelError, with ENOENT when nothing is."""
    name = os.path.abspath(path)
    found = opened(name, f"{what} pinned as {name}")
    if found is None:
        raise failure(errno.ENOENT, f"Opening {what} that is pinned as {name}", reasons=NOTHING)
    return found
