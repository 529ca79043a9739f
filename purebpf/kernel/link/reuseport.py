"""Programs that choose among the sockets of a reuseport group, by setsockopt SO_ATTACH_REUSEPORT_EBPF (Linux 4.19)."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.kernel.errors import failure
from purebpf.kernel.link.base import KernelLink, only_here
from purebpf.kernel.link.options import Options
from purebpf.kernel.link.socket_filter import HasFileno, set_option
from purebpf.kernel.program import KernelProgram

# include/uapi/asm-generic/socket.h; Python's socket module does not name them.
SO_ATTACH_REUSEPORT_EBPF = 52
SO_DETACH_REUSEPORT_BPF = 68  # Linux 5.3
OPTIONS = {"socket": "a Python socket of the group: SO_REUSEPORT is set and it is bound"}
REASONS = {
    errno.EINVAL: "The socket is in no reuseport group: set SO_REUSEPORT before it is bound.",
    errno.ENOTSOCK: "It is no socket.",
    errno.ENOENT: "The group has no program.",
}


def attach(program: KernelProgram, given: Mapping[str, object]) -> KernelLink:
    """For the whole group that the socket is in. A program that is there is replaced."""
    options = Options("reuseport", given, OPTIONS)
    member = options.get("socket")
    if not isinstance(member, HasFileno):
        said = "needs the option 'socket'" if member is None else f"got socket={member!r}, which has no fileno()"
        raise options.wrong(said)
    if member.fileno() < 0:
        raise options.wrong("got a socket that is closed")

    def put(new: KernelProgram) -> None:
        try:
            set_option(member.fileno(), SO_ATTACH_REUSEPORT_EBPF, new.handle)
        except OSError as error:
            what = f"Attaching {new.descriptor.what} to a group of sockets"
            raise failure(error.errno or errno.EINVAL, what, reasons=REASONS) from error

    def detach() -> None:
        if member.fileno() < 0:
            return
        try:
            set_option(member.fileno(), SO_DETACH_REUSEPORT_BPF, 0)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EBADF, errno.ENOTSOCK, errno.ENOPROTOOPT):
                raise failure(error.errno or errno.EINVAL, "Detaching from a group of sockets", reasons=REASONS) from error

    put(program)
    return KernelLink("socket option SO_ATTACH_REUSEPORT_EBPF", (), only_here(detach), replace=put)
