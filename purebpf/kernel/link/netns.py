"""Programs of a network namespace: which socket a packet is for (sk_lookup, Linux 5.9), what flow it is of (flow_dissector).

By BPF_LINK_CREATE (Linux 5.8, sk_lookup 5.9); a flow dissector before that by BPF_PROG_ATTACH (Linux 4.20), in the namespace
of the calling thread only. kernel/bpf/net_namespace.c.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.errors import Unsupported
from purebpf.kernel.errors import ENOTSUPP, failure, kernel_version
from purebpf.kernel.link.base import KernelLink, create_link, only_here, own
from purebpf.kernel.link.options import Options
from purebpf.kernel.link.places import open_netns
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.syscall import bpf
from purebpf.tables.enums import AttachType, Command, ProgramType

OPTIONS = {"netns": "the network namespace, as a path such as '/run/netns/name' (without it that of the calling thread)"}
NEEDS = ("CAP_BPF", "CAP_NET_ADMIN")
REASONS = {
    errno.EEXIST: "The namespace has a flow dissector already, or the initial one has, which counts for all.",
    errno.E2BIG: "The namespace has as many programs as fit (64), or another flow dissector.",
    errno.EINVAL: "It is no network namespace, or the kernel does not take the program there.",
}


def attach(program: KernelProgram, given: Mapping[str, object], links: bool = True) -> KernelLink:
    """`links=False` takes the older way, which only a flow dissector has."""
    options = Options("netns", given, OPTIONS)
    dissects = program.spec.type is ProgramType.FLOW_DISSECTOR
    hook = AttachType.FLOW_DISSECTOR if dissects else AttachType.SK_LOOKUP
    what = f"the network namespace {options.get('netns') or 'of this thread'}"
    first = (5, 8) if dissects else (5, 9)
    if dissects and (not links or kernel_version() < first):
        if "netns" in options:
            raise Unsupported("A flow dissector is attached to another network namespace than this thread's since Linux 5.8.")
        return _attached(program, what)
    with open_netns(options) as namespace:
        fields = {"target_fd": namespace.number, "attach_type": int(hook)}
        feature = "links of network namespaces" if dissects else "sk_lookup programs"
        made = create_link(program, what, fields, needs=NEEDS, first=first, feature=feature, reasons=REASONS)
    return KernelLink("netns link", (made,))


def _attached(program: KernelProgram, what: str) -> KernelLink:
    held = []

    def put(new: KernelProgram) -> None:
        answer = bpf(Command.PROG_ATTACH, {"attach_bpf_fd": new.handle, "attach_type": int(AttachType.FLOW_DISSECTOR)})
        if answer < 0:
            doing = f"Attaching {new.descriptor.what} to {what}"
            raise failure(-answer, doing, needs=NEEDS, first=(4, 20), feature="flow dissectors", reasons=REASONS)
        held.append(own(new))
        if len(held) > 1:
            held.pop(0).close()

    def detach() -> None:
        fields = {"attach_bpf_fd": held[-1].number, "attach_type": int(AttachType.FLOW_DISSECTOR)}
        answer = bpf(Command.PROG_DETACH, fields)
        if answer < 0 and -answer not in (errno.ENOENT, errno.EINVAL, ENOTSUPP):
            raise failure(-answer, f"Detaching {held[-1].what} from {what}")

    put(program)
    return KernelLink("flow dissector attach", (), only_here(detach), lambda: held[-1].close(), put)
