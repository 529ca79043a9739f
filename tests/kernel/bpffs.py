"""A BPF file system of a test's own."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_libc = ctypes.CDLL(None, use_errno=True)
MNT_DETACH = 2


@contextmanager
def bpf_file_system(folder: Path) -> Iterator[Path]:
    """The folder with a BPF file system mounted on it."""
    if _libc.mount(b"bpf", os.fsencode(folder), b"bpf", 0, None):
        pytest.skip(f"no BPF file system can be mounted here: {os.strerror(ctypes.get_errno())}")
    try:
        yield folder
    finally:
        assert _libc.umount2(os.fsencode(folder), MNT_DETACH) == 0, "the test could not unmount its file system"
