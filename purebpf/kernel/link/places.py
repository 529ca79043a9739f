"""What network programs are attached to: cgroups, network namespaces and maps, as a path, a descriptor or an object."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os

from purebpf.errors import KernelError
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.link.options import Options
from purebpf.kernel.link.socket_filter import HasFileno
from purebpf.kernel.map import KernelMap

OWN_NETNS = "/proc/thread-self/ns/net"
MOUNTS = "/proc/self/mounts"
CGROUP2_MAGIC = 0x63677270  # include/uapi/linux/magic.h
CGROUP2_MOUNT = "mount -t cgroup2 none /sys/fs/cgroup"


def open_cgroup(options: Options) -> Descriptor:
    """The folder of the cgroup (version 2) that the option `cgroup` names. Raises Error and KernelError."""
    given = options.get("cgroup")
    if given is None:
        raise options.wrong("needs the option 'cgroup', a folder such as '/sys/fs/cgroup/my.slice'")
    found = _open(options, "cgroup", given, os.O_DIRECTORY)
    if not on_cgroup2(found.number):
        found.close()
        raise KernelError(errno.EBADF, f"Opening the cgroup {given} failed: it is no cgroup of version 2{_where()}.")
    return found


def on_cgroup2(descriptor: int) -> bool:
    """Whether a folder lies in a file system of cgroups of version 2 (fstatfs(2))."""
    answer = ctypes.create_string_buffer(256)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fstatfs(descriptor, answer) != 0:
        return False
    return ctypes.c_long.from_buffer(answer).value & 0xFFFF_FFFF == CGROUP2_MAGIC


def _where() -> str:
    """Where those are, to stand in a sentence; "" where that cannot be found out."""
    try:
        with open(MOUNTS) as mounts:
            folders = [fields[1] for line in mounts if (fields := line.split())[2] == "cgroup2"]
    except OSError:
        return ""
    return f"; these are below {folders[0]}" if folders else f": none is mounted (`{CGROUP2_MOUNT}`)"


def open_netns(options: Options) -> Descriptor:
    """The network namespace that the option `netns` names; without it that of the calling thread."""
    given = options.get("netns")
    return _open(options, "netns", OWN_NETNS if given is None else given, 0)


def _open(options: Options, name: str, given: object, flags: int) -> Descriptor:
    what = f"the {name} {given}"
    if isinstance(given, int) and not isinstance(given, bool):
        return _copy(given, what)
    if isinstance(given, HasFileno):
        return _copy(given.fileno(), what)
    if not isinstance(given, str | os.PathLike):
        raise options.wrong(f"got {name}={given!r}, which is no path and no open file")
    try:
        return Descriptor(os.open(given, os.O_RDONLY | os.O_CLOEXEC | flags), what)
    except OSError as error:
        why = "it is no folder" if error.errno == errno.ENOTDIR else os.strerror(error.errno or 0).lower()
        raise KernelError(error.errno or errno.ENOENT, f"Opening {what} failed: {why}.") from error


def _copy(number: int, what: str) -> Descriptor:
    try:
        return Descriptor(fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3), what)
    except (OSError, OverflowError, ValueError) as error:
        raise KernelError(errno.EBADF, f"Opening {what} failed: there is no such open file.") from error


def live_map(options: Options, name: str = "map") -> KernelMap:
    """The map in the kernel that an option names: a declaration whose programs are loaded, or the map itself."""
    given = options.get(name)
    found = given if isinstance(given, KernelMap) else getattr(given, "live", None)
    if not isinstance(found, KernelMap):
        said = f"needs the option {name!r}" if given is None else f"got {name}={given!r}, which is no map in the kernel"
        raise options.wrong(said)
    return found
