"""Pins: names in a BPF file system under which programs, maps and links live on without a process (BPF_OBJ_PIN, Linux 4.4)."""

from __future__ import annotations

import errno
import os

from purebpf.errors import Error
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.syscall import address, bpf, pin
from purebpf.tables.enums import Command

NO_BPFFS = "The folder is in no BPF file system; mount one: mount -t bpf bpf /sys/fs/bpf."
REASONS = {
    errno.EINVAL: f"{NO_BPFFS} Names in it have no dots.",
    errno.ENOENT: "There is no such folder; make it first.",
    errno.EPERM: NO_BPFFS,
    errno.EEXIST: "Something is pinned there already; remove the file first.",
}
OPENING = {errno.ENOENT: "Nothing is pinned there.", errno.EACCES: "It is no pin, or belongs to somebody else."}


def pin_object(descriptor: Descriptor, path: str | os.PathLike[str]) -> str:
    """Give an object of the kernel a name in a BPF file system; the absolute path. Raises KernelError."""
    name = os.path.abspath(path)
    text = pin(os.fsencode(name) + b"\0")
    answer = bpf(Command.OBJ_PIN, {"pathname": address(text), "bpf_fd": descriptor.number})
    if answer < 0:
        raise failure(-answer, f"Pinning {descriptor.what} as {name}", first=(4, 4), feature="pins", reasons=REASONS)
    return name


def open_pinned(path: str | os.PathLike[str], what: str) -> Descriptor:
    """The object that is pinned there, whatever it is; `what` names it. Raises KernelError."""
    name = os.path.abspath(path)
    text = pin(os.fsencode(name) + b"\0")
    answer = bpf(Command.OBJ_GET, {"pathname": address(text)})
    if answer < 0:
        raise failure(-answer, f"Opening {what} that is pinned as {name}", first=(4, 4), feature="pins", reasons=OPENING)
    return Descriptor(answer, f"{what} pinned as {name}")


def unpin(path: str | os.PathLike[str]) -> None:
    """Remove a pin. Raises Error when there is none."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        raise Error(f"Nothing is pinned as {os.path.abspath(path)}.") from None
