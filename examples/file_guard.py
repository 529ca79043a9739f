"""A file that nobody may open, not even root, while this runs. Needs root and Linux 5.8 with BTF and the security module bpf.

python examples/file_guard.py /etc/secret          for all processes
python examples/file_guard.py /etc/secret 1000     for those of one user
PID    UID    COMM
4711   1000   cat
"""

from __future__ import annotations

import errno
import os
import sys

import purebpf as bpf
from purebpf import u32, u64
from purebpf.vmlinux import file

ALL = 0xFFFFFFFF
MINOR_BITS = 20  # of a device's number inside the kernel


@bpf.struct
class Denied:
    pid: u32
    uid: u32
    comm: str = bpf.chars(16)


@bpf.config
class settings:
    inode: u64
    device: u32
    only_uid: u32 = ALL
    only_pid: u32 = 0  # 0: all


denials = bpf.RingBuf[Denied](size=1 << 16)


@bpf.lsm("file_open")
def guard(file: file, ret: int) -> int:
    if ret != 0:
        return ret  # another program has refused already
    inode = file.f_inode
    if inode.i_ino != settings.inode or inode.i_sb.s_dev != settings.device:
        return 0
    if settings.only_uid != ALL and bpf.current.uid != settings.only_uid:
        return 0
    if settings.only_pid != 0 and bpf.current.tgid != settings.only_pid:
        return 0
    denials.emit(Denied(pid=bpf.current.tgid, uid=bpf.current.uid, comm=bpf.current.comm))
    return -errno.EACCES


def choose(path: str) -> None:
    """The file itself is guarded, under all of its names. (Not on btrfs and overlayfs: their `stat` tells other numbers.)"""
    found = os.stat(path)
    settings.inode = found.st_ino
    settings.device = os.major(found.st_dev) << MINOR_BITS | os.minor(found.st_dev)


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    choose(sys.argv[1])
    settings.only_uid = int(sys.argv[2]) if len(sys.argv) > 2 else ALL
    with guard.attach():
        print(f"{'PID':<7}{'UID':<7}COMM")
        for one in denials:
            print(f"{one.pid:<7}{one.uid:<7}{one.comm}", flush=True)


if __name__ == "__main__":
    main()
