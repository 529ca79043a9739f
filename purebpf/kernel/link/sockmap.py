"""Programs of a socket map, which run for each message of each socket in it (sk_msg, sk_skb; net/core/sock_map.c).

By BPF_LINK_CREATE (Linux 6.10); before that by BPF_PROG_ATTACH (sk_skb Linux 4.14, sk_msg 4.17).
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.errors import Unsupported
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import ENOTSUPP, failure, kernel_version
from purebpf.kernel.link.base import KernelLink, create_link, only_here, own
from purebpf.kernel.link.options import Options
from purebpf.kernel.link.places import live_map
from purebpf.kernel.privileges import for_program
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.syscall import bpf
from purebpf.tables.enums import AttachType, Command, MapType

OPTIONS = {"map": "the socket map or socket hash whose sockets it is for"}
FIRST = {AttachType.SK_MSG_VERDICT: (4, 17), AttachType.SK_SKB_VERDICT: (5, 13)}  # the others 4.14
LINKS = (6, 10)
REASONS = {
    errno.EBUSY: "The map has a program of the kind already, or one that does not go with it (verdict and stream_verdict).",
    errno.EEXIST: "The map has a program of the kind already.",
    errno.EOPNOTSUPP: "The map takes no programs of this kind.",
}


def attach(program: KernelProgram, given: Mapping[str, object], links: bool = True) -> KernelLink:
    """A map takes one program of each kind; by the older way a later one replaces it. `links=False` takes that way."""
    options = Options("socket map", given, OPTIONS)
    map, hook = live_map(options), program.spec.attach_type
    if map.spec.type not in (MapType.SOCKMAP, MapType.SOCKHASH):
        raise options.wrong(f"got {map.descriptor.what}, which is no socket map or socket hash")
    if hook is None:
        raise options.wrong("needs a program that was loaded for a hook (expected attach type)")
    what = f"{hook.name.lower()} of {map.descriptor.what}"
    needs, first = for_program(program.spec.type), FIRST.get(hook, (4, 14))
    if links and kernel_version() >= LINKS:
        fields = {"target_fd": map.descriptor.number, "attach_type": int(hook)}
        try:
            made = create_link(program, what, fields, needs=needs, first=LINKS, feature="links of maps", reasons=REASONS)
            return KernelLink("socket map link", (made,))
        except Unsupported:
            pass
    return _attached(program, map.descriptor, hook, what, needs, first)


def _attached(
    program: KernelProgram, map: Descriptor, hook: AttachType, what: str, needs: tuple[str, ...], first: tuple[int, int]
) -> KernelLink:
    target = Descriptor(_copy(map), map.what)
    held: list[Descriptor] = []

    def put(new: KernelProgram) -> None:
        fields = {"target_fd": target.number, "attach_bpf_fd": new.handle, "attach_type": int(hook)}
        answer = bpf(Command.PROG_ATTACH, fields)
        if answer < 0:
            doing = f"Attaching {new.descriptor.what} to {what}"
            raise failure(-answer, doing, needs=needs, first=first, feature=f"{hook.name.lower()} programs", reasons=REASONS)
        held.append(own(new))
        if len(held) > 1:
            held.pop(0).close()

    def detach() -> None:
        fields = {"target_fd": target.number, "attach_bpf_fd": held[-1].number, "attach_type": int(hook)}
        answer = bpf(Command.PROG_DETACH, fields)
        if answer < 0 and -answer not in (errno.ENOENT, errno.EINVAL, ENOTSUPP):  # replaced by someone else
            raise failure(-answer, f"Detaching {held[-1].what} from {what}")

    def cleanup() -> None:
        held[-1].close()
        target.close()

    try:
        put(program)
    except BaseException:
        target.close()
        raise
    return KernelLink("socket map attach", (), only_here(detach), cleanup, put)


def _copy(descriptor: Descriptor) -> int:
    import fcntl

    return fcntl.fcntl(descriptor.number, fcntl.F_DUPFD_CLOEXEC, 3)
