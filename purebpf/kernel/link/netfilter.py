"""Programs at a hook of netfilter, by BPF_LINK_CREATE (Linux 6.4; net/netfilter/nf_bpf_link.c)."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.kernel.link.base import KernelLink, create_link
from purebpf.kernel.link.options import Options
from purebpf.kernel.program import KernelProgram
from purebpf.tables.enums import AttachType

OPTIONS = {
    "family": "'ipv4' or 'ipv6'",
    "hook": "'prerouting', 'input', 'forward', 'output' or 'postrouting'",
    "priority": "where among the others: lower ones run first (0, as filter tables; not the lowest or highest 32-bit number)",
    "defragment": "True: packets are put together first (Linux 6.6)",
}
FAMILIES = {"ipv4": 2, "ipv6": 10}  # NFPROTO_IPV4, NFPROTO_IPV6
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")  # enum nf_inet_hooks
DEFRAGMENT = 1  # BPF_F_NETFILTER_IP_DEFRAG
REASONS = {
    errno.EBUSY: "Something has that hook with that priority already.",
    errno.EINVAL: "The kernel was built without it (CONFIG_NETFILTER_BPF_LINK), or cannot defragment (before Linux 6.6).",
    errno.EPROTONOSUPPORT: "The kernel was built without netfilter for this family.",
    errno.EOPNOTSUPP: "The kernel was built without netfilter for this family.",
    errno.EAFNOSUPPORT: "The kernel cannot put together packets of this family (nf_defrag_ipv4, nf_defrag_ipv6).",
    errno.ENOENT: "The kernel cannot put together packets of this family (nf_defrag_ipv4, nf_defrag_ipv6).",
    errno.ERANGE: "The lowest priority is below those that put packets together (-400), or it is taken by the kernel itself.",
}


def attach(program: KernelProgram, given: Mapping[str, object]) -> KernelLink:
    """In the network namespace of the calling thread."""
    options = Options("netfilter", given, OPTIONS)
    family = options.choice("family", tuple(FAMILIES))
    hook = options.choice("hook", HOOKS)
    priority = options.number("priority", 0)
    if not -(1 << 31) < priority < (1 << 31) - 1:
        raise options.wrong(f"got priority={priority}, which is beyond 32 bits or one of the two that are the kernel's")
    defragment = options.get("defragment") or False
    if not isinstance(defragment, bool):
        raise options.wrong(f"got defragment={defragment!r}, which is no bool")
    fields = {
        "attach_type": int(AttachType.NETFILTER),
        "netfilter_pf": FAMILIES[family],
        "netfilter_hooknum": HOOKS.index(hook),
        "netfilter_priority": priority & 0xFFFFFFFF,
        "netfilter_flags": DEFRAGMENT * defragment,
    }
    target = f"the {family} hook {hook} of netfilter (priority {priority})"
    made = create_link(
        program,
        target,
        fields,
        needs=("CAP_BPF", "CAP_NET_ADMIN"),
        first=(6, 4),
        feature="netfilter programs",
        reasons=REASONS,
    )
    return KernelLink(f"netfilter link, {family} {hook}", (made,))
