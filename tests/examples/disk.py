"""A disk of a test's own: a loop device over a file, and reads and writes that go to it and not to the page cache."""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CONTROL = "/dev/loop-control"
CONTROL_NUMBER = os.makedev(10, 237)  # Documentation/admin-guide/devices.txt
SET_FD, CLR_FD, GET_FREE = 0x4C00, 0x4C01, 0x4C82  # include/uapi/linux/loop.h
BLOCK = 4096


@contextmanager
def loop_device(file: Path, blocks: int) -> Iterator[str]:
    """The name of a loop device, such as loop3, over a new file of so many blocks. A skip where there are none."""
    try:
        if not os.path.exists(CONTROL):  # the kernel loads its module when a file with this number is opened
            os.mknod(CONTROL, stat.S_IFCHR | 0o600, CONTROL_NUMBER)
        control = os.open(CONTROL, os.O_RDWR)
    except OSError as error:
        pytest.skip(f"no loop devices here: {error}")
    try:
        name = f"loop{fcntl.ioctl(control, GET_FREE)}"
    finally:
        os.close(control)
    with file.open("w+b") as backing:
        backing.truncate(blocks * BLOCK)
        device = os.open(f"/dev/{name}", os.O_RDWR)
        try:
            fcntl.ioctl(device, SET_FD, backing.fileno())
            try:
                yield name
            finally:
                fcntl.ioctl(device, CLR_FD)
        finally:
            os.close(device)


@contextmanager
def direct(name: str) -> Iterator[tuple[int, mmap.mmap]]:
    """The device, opened so that each read and write is one of the disk, and a block of memory for them."""
    device = os.open(f"/dev/{name}", os.O_RDWR | os.O_DIRECT)
    memory = mmap.mmap(-1, BLOCK)
    try:
        yield device, memory
    finally:
        memory.close()
        os.close(device)


def done(name: str) -> tuple[int, int]:
    """Reads and writes that the disk has done, by the kernel's own account (Documentation/block/stat.rst)."""
    fields = Path(f"/sys/class/block/{name}/stat").read_text().split()
    return int(fields[0]), int(fields[4])
