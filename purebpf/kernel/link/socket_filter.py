"""Filters on a socket, by setsockopt SO_ATTACH_BPF (Linux 3.19; net/core/filter.c:sk_attach_bpf). It needs no privilege."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from purebpf.kernel.errors import failure
from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.link.options import Options
from purebpf.kernel.program import KernelProgram

# include/uapi/asm-generic/socket.h; Python's socket module does not name them.
SO_DETACH_FILTER = 27
SO_ATTACH_BPF = 50
OPTIONS = {"socket": "a Python socket (or any object with fileno()) whose packets are filtered"}
REASONS = {
    errno.EPERM: "The socket's filter is locked (SO_LOCK_FILTER).",
    errno.ENOTSOCK: "It is no socket.",
    errno.ENOMEM: "The socket's option memory (net.core.optmem_max) is used up.",
}


@runtime_checkable
class HasFileno(Protocol):
    def fileno(self) -> int: ...


def attach(program: KernelProgram, given: Mapping[str, object]) -> KernelLink:
    """The program decides how many bytes of each packet reach the socket; 0 drops it. A filter that is there is replaced."""
    options = Options("socket filter", given, OPTIONS)
    filtered = options.get("socket")
    if not isinstance(filtered, HasFileno):
        said = "needs the option 'socket'" if filtered is None else f"got socket={filtered!r}, which has no fileno()"
        raise options.wrong(said)
    number = filtered.fileno()
    if number < 0:
        raise options.wrong("got a socket that is closed")
    try:
        set_option(number, SO_ATTACH_BPF, program.handle)
    except OSError as error:
        what = f"Attaching {program.descriptor.what} to a socket"
        raise failure(error.errno or errno.EINVAL, what, reasons=REASONS) from error
    return KernelLink("socket option SO_ATTACH_BPF", (), _detacher(filtered))


def _detacher(filtered: HasFileno) -> Callable[[], None]:
    owner = os.getpid()

    def detach() -> None:
        number = filtered.fileno()
        # A forked child shares the socket with its parent: only the process that attached the filter takes it away.
        if number < 0 or os.getpid() != owner:
            return
        try:
            set_option(number, SO_DETACH_FILTER, 0)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EBADF, errno.ENOTSOCK):
                raise failure(error.errno or errno.EINVAL, "Detaching a socket filter", reasons=REASONS) from error

    return detach


def set_option(number: int, option: int, value: int) -> None:
    duplicate = os.dup(number)
    try:
        shared = socket.socket(fileno=duplicate)
    except BaseException:
        os.close(duplicate)
        raise
    with shared:
        shared.setsockopt(socket.SOL_SOCKET, option, value)
