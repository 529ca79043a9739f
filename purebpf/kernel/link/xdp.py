"""XDP programs on a network interface, by BPF_LINK_CREATE (Linux 5.9; net/core/dev.c:bpf_xdp_link_attach)."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.errors import Unsupported
from purebpf.kernel.link.base import KernelLink, create_link, interface_index
from purebpf.kernel.link.options import Options
from purebpf.kernel.netlink import xdp_mode
from purebpf.kernel.program import KernelProgram
from purebpf.tables.attr import XDP_FLAGS_DRV_MODE, XDP_FLAGS_HW_MODE, XDP_FLAGS_SKB_MODE
from purebpf.tables.enums import AttachType

MODES = {"auto": 0, "generic": XDP_FLAGS_SKB_MODE, "native": XDP_FLAGS_DRV_MODE, "offload": XDP_FLAGS_HW_MODE}
OPTIONS = {
    "interface": "name or index of the network interface",
    "mode": "'auto' (native where the driver can, else generic), 'generic', 'native' or 'offload'",
}
REASONS = {
    errno.EBUSY: "The interface has an XDP program already; one at a time can be attached.",
    errno.EEXIST: "The interface has an XDP program in another mode already.",
    errno.EINVAL: "The kernel does not take this program for this interface and mode.",
}


def attach(program: KernelProgram, given: Mapping[str, object]) -> KernelLink:
    """Raises Unsupported when the driver cannot do the mode asked for."""
    options = Options("XDP", given, OPTIONS)
    mode = options.choice("mode", tuple(MODES), "auto")
    index = interface_index(options)
    fields = {"target_ifindex": index, "attach_type": int(AttachType.XDP), "flags": MODES[mode]}
    target = f"interface {options.get('interface')} ({mode} mode)"
    try:
        made = create_link(
            program,
            target,
            fields,
            needs=("CAP_NET_ADMIN",),
            first=(5, 9),
            feature="XDP links",
            reasons=REASONS,
        )
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP and mode in ("native", "offload"):
            raise Unsupported(
                f"The driver of interface {options.get('interface')} has no {mode} XDP (or not with this MTU and these "
                "features). Use mode='generic', which every interface can."
            ) from error
        raise
    return KernelLink(f"xdp link, {xdp_mode(index) or mode}", (made,))
