"""XDP programs on a network interface: by BPF_LINK_CREATE (Linux 5.9), before that by rtnetlink (Linux 4.8;
net/core/dev.c:bpf_xdp_link_attach, dev_change_xdp_fd).
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.errors import Error, Unsupported
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.link.base import KernelLink, create_link, interface_index, only_here
from purebpf.kernel.link.options import Options
from purebpf.kernel.netlink import xdp_mode
from purebpf.kernel.program import KernelProgram
from purebpf.tables.attr import IFLA_XDP, XDP_FLAGS_DRV_MODE, XDP_FLAGS_HW_MODE, XDP_FLAGS_SKB_MODE
from purebpf.tables.enums import AttachType

MODES = {"auto": 0, "generic": XDP_FLAGS_SKB_MODE, "native": XDP_FLAGS_DRV_MODE, "offload": XDP_FLAGS_HW_MODE}
OPTIONS = {
    "interface": "name or index of the network interface",
    "mode": "'auto' (native where the driver can, else generic), 'generic', 'native' or 'offload'",
    "replace": "True: in the place of a program that is there and has no link; attached without a link",
}
LINKS = (5, 9)
BOUND_ONLY = 1 << 6  # BPF_F_XDP_DEV_BOUND_ONLY, of a program that only asks its device about packets
ONLY_IF_NONE = 1 << 0  # XDP_FLAGS_UPDATE_IF_NOEXIST
RTM_SETLINK, IFLA_XDP_FD, IFLA_XDP_FLAGS = 19, 1, 3  # include/uapi/linux/rtnetlink.h, if_link.h
NOBODY = 0xFFFF_FFFF  # a descriptor of -1 takes the program away
ONE = (
    "one at a time can be attached. `update` of its attachment puts another in its place; to run several, let one call the "
    "others (tail calls), or use tc programs."
)
REASONS = {
    errno.EBUSY: f"The interface has an XDP program already; {ONE}",
    errno.EEXIST: "The interface has an XDP program in another mode already.",
    errno.EINVAL: "The kernel does not take this program for this interface and mode: entries of device and CPU maps are not "
    "attached to interfaces, and an offloaded program must be loaded for its device.",
    errno.ERANGE: "The interface's MTU is too large for XDP in one piece; declare it with frags=True, or lower the MTU.",
}


def attach(program: KernelProgram, given: Mapping[str, object], links: bool = True) -> KernelLink:
    """Raises Unsupported when the driver cannot do the mode asked for. `links=False` takes the older way."""
    options = Options("XDP", given, OPTIONS)
    mode = options.choice("mode", tuple(MODES), "auto")
    replace = options.get("replace") or False
    if not isinstance(replace, bool):
        raise options.wrong(f"got replace={replace!r}, which is no bool")
    index = interface_index(options)
    _check_device(program, index, mode)
    target = f"interface {options.get('interface')} ({mode} mode)"
    try:
        if not links or replace or kernel_version() < LINKS:
            return _by_netlink(program, index, mode, replace, target)
        fields = {"target_ifindex": index, "attach_type": int(AttachType.XDP), "flags": MODES[mode]}
        needs = ("CAP_NET_ADMIN",)
        made = create_link(program, target, fields, needs=needs, first=LINKS, feature="XDP links", reasons=REASONS)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP and mode in ("native", "offload"):
            raise Unsupported(
                f"The driver of interface {options.get('interface')} has no {mode} XDP (or not with this MTU and these "
                "features). Use mode='generic', which every interface can."
            ) from error
        raise
    return KernelLink(f"xdp link, {xdp_mode(index) or mode}", (made,))


def _check_device(program: KernelProgram, index: int, mode: str) -> None:
    """Raises Error where program and device do not belong together."""
    device, offloaded = program.spec.device, program.spec.device and not program.spec.flags & BOUND_ONLY
    what = program.descriptor.what
    if device and device != index:
        raise Error(f"{what} belongs to the device of the interface {device}, not to {index}: load it for that.")
    if mode == "offload" and not offloaded:
        raise Error(
            f"{what} was loaded for the processor, not for a device: give mode='offload' when it is attached and not loaded "
            "yet, or load it with DeviceEngine(interface, offload=True)."
        )
    if offloaded and mode != "offload":
        raise Error(f"{what} is on its device: attach it with mode='offload'.")
    if device and mode == "generic":
        raise Error(f"{what} asks its device about packets, which only native mode lets it.")


def _by_netlink(program: KernelProgram, index: int, mode: str, replace: bool, target: str) -> KernelLink:
    put(
        index,
        program.handle,
        MODES[mode] | (0 if replace else ONLY_IF_NONE),
        f"Attaching {program.descriptor.what} to {target}",
    )
    used = xdp_mode(index) or mode

    def another(new: KernelProgram) -> None:
        put(index, new.handle, MODES[used], f"Attaching {new.descriptor.what} to {target}")

    def detach() -> None:
        try:
            put(index, NOBODY, MODES[used], f"Detaching from {target}")
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise

    return KernelLink(f"xdp by netlink, {used}", (), only_here(detach), replace=another)


def put(index: int, program: int, flags: int, what: str) -> None:
    """Have the interface run a program, by its descriptor. Raises KernelError."""
    from purebpf.kernel.attr import pack
    from purebpf.kernel.rtnetlink import ask, nested, number

    body = bytes(pack("ifinfomsg", {"ifi_index": index})[0])
    ask(RTM_SETLINK, 0, body + nested(IFLA_XDP, number(IFLA_XDP_FD, program), number(IFLA_XDP_FLAGS, flags)), what, REASONS)
