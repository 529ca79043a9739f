"""Programs on the traffic of an interface: by a TCX link (Linux 6.6), of a netkit interface by its own (Linux 6.7); before
that, or with a priority, by a filter of clsact. kernel/bpf/tcx.c, drivers/net/netkit.c.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.errors import Unsupported
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.link import order
from purebpf.kernel.link.base import KernelLink, create_link, interface_index
from purebpf.kernel.link.options import Options
from purebpf.kernel.program import KernelProgram
from purebpf.tables.enums import AttachType

DIRECTIONS = {"ingress": AttachType.TCX_INGRESS, "egress": AttachType.TCX_EGRESS}
SIDES = {"primary": AttachType.NETKIT_PRIMARY, "peer": AttachType.NETKIT_PEER}
BY_TYPE = {type: direction for direction, type in (DIRECTIONS | SIDES).items()}
OPTIONS = {
    "interface": "name or index of the network interface",
    "direction": "'ingress' or 'egress' (as the program was declared, else ingress); of a netkit interface 'primary' or "
    "'peer': what that side sends",
    **order.OPTIONS,
    "priority": "among the filters of clsact, lower ones first (0: before those that are there); attached without a link",
}
TCX, NETKIT = (6, 6), (6, 7)
LARGEST_PRIORITY = 0xFFFF
REASONS = {
    errno.EEXIST: "This program is attached there already; to run it twice, load it twice.",
    errno.EINVAL: "The kernel was built without TCX (CONFIG_NET_XGRESS); with priority=0 it is attached by clsact.",
    errno.ESTALE: "The programs there have been changed since that revision.",
    errno.ENOENT: "The program or attachment that it should stand beside is not there.",
    errno.EDOM: "The program or attachment that it should stand beside is not there.",
    errno.ERANGE: "The hook has as many programs as fit (64).",
    errno.ENODEV: "The interface is gone.",
}
OF_NETKIT = {errno.EINVAL: "The interface is no primary one of a pair of netkit interfaces: both sides are attached there."}


def attach(program: KernelProgram, given: Mapping[str, object], links: bool = True) -> KernelLink:
    """It runs after those that are there already, unless told otherwise. `links=False` takes the older way."""
    options = Options("tc", given, OPTIONS)
    declared = BY_TYPE.get(program.spec.attach_type, "ingress") if program.spec.attach_type is not None else "ingress"
    direction = options.choice("direction", (*DIRECTIONS, *SIDES), declared)
    index = interface_index(options)
    target = f"{direction} of interface {options.get('interface')}"
    if direction in SIDES:
        return _netkit(program, options, direction, index, target)
    fields = order.ordered(options, "tcx")
    priority = options.number("priority", 0)
    if not 0 <= priority <= LARGEST_PRIORITY:
        raise options.wrong(f"got priority={priority}, which is not 0 to {LARGEST_PRIORITY}")
    if fields and "priority" in options:
        raise options.wrong("got a priority, which is for clsact, and an order, which is for TCX")
    if not links or "priority" in options or kernel_version() < TCX:
        if fields:
            raise Unsupported("The order of programs on an interface can be chosen so since Linux 6.6 (TCX); use priority=...")
        from purebpf.kernel.link.clsact import attach_filter

        return attach_filter(program, index, direction, priority, target)
    wanted = {"target_ifindex": index, "attach_type": int(DIRECTIONS[direction]), **fields}
    made = create_link(program, target, wanted, needs=("CAP_NET_ADMIN",), first=TCX, feature="TCX links", reasons=REASONS)
    return KernelLink(f"tcx link, {direction}", (made,))


def _netkit(program: KernelProgram, options: Options, side: str, index: int, target: str) -> KernelLink:
    if "priority" in options:
        raise options.wrong("got a priority, which a netkit interface has not; use before and after")
    fields = {"target_ifindex": index, "attach_type": int(SIDES[side]), **order.ordered(options, "netkit")}
    reasons = REASONS | OF_NETKIT
    made = create_link(program, target, fields, needs=("CAP_NET_ADMIN",), first=NETKIT, feature="netkit", reasons=reasons)
    return KernelLink(f"netkit link, {side}", (made,))
