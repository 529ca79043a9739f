"""A process in a user namespace of its own, with a BPF file system that delegates rights to it, as a container has one.

The process opens the file system, so that it belongs to its namespace; its parent, who is privileged, says what it delegates.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from purebpf.kernel.errors import kernel_version

ROOT = Path(__file__).resolve().parents[2]
NEW_NAMESPACES = 0x10000000 | 0x00020000 | 0x40000000  # CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET
FSCONFIG, SET_STRING, CREATE = 431, 1, 6  # the system call is the same on every machine; include/uapi/linux/mount.h
CHILD = """
import array, ctypes, os, socket, sys, tempfile
FSOPEN, FSMOUNT, MOVE_MOUNT, AT_FDCWD, EMPTY_PATH = 430, 432, 429, -100, 4
sys.path.insert(0, {root!r})
parent = socket.socket(fileno={socket})
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def done(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
done(libc.unshare({namespaces}))
parent.send(b"unshared")
assert parent.recv(16) == b"mapped"
if {delegates}:
    bpffs = done(libc.syscall(FSOPEN, b"bpf", 0))
    socket.send_fds(parent, [b"opened"], [bpffs])
    assert parent.recv(16) == b"configured"
    mount = done(libc.syscall(FSMOUNT, bpffs, 0, 0))
    done(libc.mount(b"none", b"/", None, 0x44000, None))  # MS_REC | MS_PRIVATE
    os.makedirs({place!r}, exist_ok=True)
    done(libc.syscall(MOVE_MOUNT, mount, b"", AT_FDCWD, {place!r}.encode(), EMPTY_PATH))
    os.close(mount), os.close(bpffs)
{code}
"""


def delegated(code: str, place: str, options: dict[str, str]) -> str:
    """What `code` prints in a new user namespace, where a BPF file system with these mount options is at `place`; none without
    options. Skips where the kernel has no user namespaces, or no delegation."""
    if os.geteuid():
        pytest.skip("only root can delegate")
    if options and kernel_version() < (6, 9):
        pytest.skip("BPF file systems delegate rights since Linux 6.9")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    namespaces, number = NEW_NAMESPACES, theirs.fileno()
    text = CHILD.format(root=str(ROOT), socket=number, namespaces=namespaces, delegates=bool(options), place=place, code=code)
    with (
        ours,
        subprocess.Popen(
            [sys.executable, "-I", "-c", text], pass_fds=[number], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child,
    ):
        theirs.close()
        ours.settimeout(20)
        try:
            if ours.recv(16) != b"unshared":
                pytest.skip(f"no user namespace of its own: {child.communicate()[1][-300:]}")
            for name in ("uid_map", "gid_map"):
                Path(f"/proc/{child.pid}/{name}").write_text("0 0 1000")
            ours.send(b"mapped")
            if options:
                _, (bpffs,), _, _ = socket.recv_fds(ours, 16, 1)
                try:
                    _configure(bpffs, options)
                finally:
                    os.close(bpffs)
                ours.send(b"configured")
            told, complaints = child.communicate(timeout=60)
        except BaseException:
            child.kill()
            raise
    assert child.returncode == 0, complaints
    return told


def _configure(bpffs: int, options: dict[str, str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for name, value in options.items():
        if libc.syscall(FSCONFIG, bpffs, SET_STRING, name.encode(), value.encode(), 0) < 0:
            pytest.skip(f"this kernel delegates nothing by a BPF file system: {os.strerror(ctypes.get_errno())} (Linux 6.9)")
    assert libc.syscall(FSCONFIG, bpffs, CREATE, None, None, 0) == 0, os.strerror(ctypes.get_errno())
