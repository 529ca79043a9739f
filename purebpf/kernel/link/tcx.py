"""Programs on the traffic of an interface, by a TCX link (Linux 6.6; kernel/bpf/tcx.c). Not by the older netlink filters."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.kernel.link.base import KernelLink, create_link, interface_index
from purebpf.kernel.link.options import Options
from purebpf.kernel.program import KernelProgram
from purebpf.tables.enums import AttachType

DIRECTIONS = {"ingress": AttachType.TCX_INGRESS, "egress": AttachType.TCX_EGRESS}
BY_TYPE = {type: direction for direction, type in DIRECTIONS.items()}
OPTIONS = {
    "interface": "name or index of the network interface",
    "direction": "'ingress' or 'egress' (as the program was declared, else ingress)",
}
REASONS = {
    errno.EEXIST: "This program is attached there already; to run it twice, load it twice.",
    errno.EINVAL: "The kernel has no TCX (Linux 6.6 brought it), or was built without it (CONFIG_NET_XGRESS).",
}


def attach(program: KernelProgram, given: Mapping[str, object]) -> KernelLink:
    """It runs after those that are there already. Raises Unsupported before Linux 6.6."""
    options = Options("tc", given, OPTIONS)
    declared = BY_TYPE.get(program.spec.attach_type, "ingress") if program.spec.attach_type is not None else "ingress"
    direction = options.choice("direction", tuple(DIRECTIONS), declared)
    fields = {"target_ifindex": interface_index(options), "attach_type": int(DIRECTIONS[direction])}
    target = f"{direction} of interface {options.get('interface')}"
    made = create_link(program, target, fields, needs=("CAP_NET_ADMIN",), first=(6, 6), feature="TCX links", reasons=REASONS)
    return KernelLink(f"tcx link, {direction}", (made,))
