"""What Python may compute while a program is compiled: calls whose result depends on their arguments alone.

Anything else would run in the compiling process, with its effects, and its answer (a time, a process id) would be frozen into
the program.
"""

from __future__ import annotations

import binascii
import enum
import socket
import struct
import zlib
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from purebpf.lang.layout import exists, offsetof, sizeof

FUNCTIONS = (
    abs, all, any, bin, bool, bytes, chr, divmod, enumerate, frozenset, hex, int, isinstance, issubclass, len, max, min, oct,
    ord, pow, range, reversed, round, sorted, str, sum, tuple, zip,
    struct.pack, struct.unpack, struct.calcsize, binascii.crc32, zlib.crc32, zlib.adler32,
    socket.htons, socket.htonl, socket.ntohs, socket.ntohl, socket.inet_aton, socket.inet_pton,
    IPv4Address, IPv4Network, IPv6Address, IPv6Network,
    sizeof, offsetof, exists,
)  # fmt: skip
MODULES = frozenset({"ipaddress", "math", "operator", "_operator", "_struct"})
RECEIVERS = (str, bytes, int, tuple, frozenset, range, IPv4Address, IPv4Network, IPv6Address, IPv6Network)
PROCESS = "`bpf.current.tgid`, `bpf.current.pid`, `bpf.current.uid` and `bpf.current.gid` tell about the process that runs"
INSTEAD = {
    "time.sleep": "a program runs to its end at once; to act later, `bpf.Timer`",
    "builtins.hash": "`bpf.jhash(record)` or `bpf.jhash((a, b))` is the kernel's hash",
    "time": "`bpf.ktime()` is the time when the program runs, in nanoseconds since the machine started",
    "random": "`bpf.random()` is a random u32 when the program runs",
    "secrets": "`bpf.random()` is a random u32 when the program runs",
    **dict.fromkeys(("posix.getpid", "posix.getppid", "posix.getuid", "posix.getgid", "_thread.get_native_id"), PROCESS),
}


def computable(function: Any) -> bool:
    """Whether a call of it may be computed at compile time."""
    if getattr(function, "__module__", None) in MODULES:
        return True
    if isinstance(function, enum.EnumType):
        return True
    return any(function is known for known in FUNCTIONS)


def hint(function: Any) -> str:
    """What to write instead of a call that may not."""
    home = getattr(function, "__module__", None) or type(getattr(function, "__self__", None)).__module__
    name = f"{home}.{getattr(function, '__name__', '')}"
    return INSTEAD.get(name) or INSTEAD.get(home) or "compute it at module level and use the name here"
