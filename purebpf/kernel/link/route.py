"""Programs of a route (lightweight tunnels, Linux 4.10; net/core/lwt_bpf.c), and of a segment routing action (seg6local,
Linux 4.18; net/ipv6/seg6_local.c). They belong to the route, which is made for them by rtnetlink.
"""

from __future__ import annotations

import errno
import ipaddress
import struct
from collections.abc import Mapping

from purebpf.kernel.link.base import KernelLink, interface_index, only_here
from purebpf.kernel.link.options import Options
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.rtnetlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, ask, attribute, nested, number, request
from purebpf.tables.enums import ProgramType

# include/uapi/linux/rtnetlink.h, lwtunnel.h, seg6_local.h
RTM_NEWROUTE, RTM_DELROUTE = 24, 25
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_TABLE, RTA_ENCAP_TYPE, RTA_ENCAP = 1, 4, 5, 15, 21, 22
ENCAP_BPF, ENCAP_SEG6_LOCAL = 6, 7
SIDES = {ProgramType.LWT_IN: 1, ProgramType.LWT_OUT: 2, ProgramType.LWT_XMIT: 3}  # LWT_BPF_IN, _OUT, _XMIT
LWT_BPF_XMIT_HEADROOM = 4
PROG_FD, PROG_NAME = 1, 2  # LWT_BPF_PROG_FD, _NAME, and SEG6_LOCAL_BPF_PROG, _NAME
SEG6_LOCAL_ACTION, SEG6_LOCAL_BPF, END_BPF = 1, 8, 15
MAIN_TABLE, STATIC, UNICAST, SCOPE_LINK, SCOPE_UNIVERSE = 254, 4, 1, 253, 0
RTMSG = struct.Struct("=8BI")  # struct rtmsg: family, destination's and source's bits, tos, table, protocol, scope, type, flags
OPTIONS = {
    "destination": "the network the route is for, such as '192.0.2.0/24' or '2001:db8::/32'",
    "interface": "name or index of the network interface that it leads to",
    "gateway": "the address of the next router, if there is one",
    "table": "the routing table's number (254, the main one)",
    "headroom": "of lwt_xmit: bytes that it may put before a packet, up to 256",
}
REASONS = {
    errno.EEXIST: "There is such a route already.",
    errno.EOPNOTSUPP: "The kernel was built without it (CONFIG_LWTUNNEL_BPF; CONFIG_IPV6_SEG6_BPF for lwt_seg6local).",
    errno.ENETUNREACH: "The gateway cannot be reached.",
    errno.ENETDOWN: "The interface is down.",
    errno.ENODEV: "There is no such interface, or it has no such protocol.",
    errno.EINVAL: "The kernel does not take the route, such as a gateway that does not fit.",
}
LARGEST_HEADROOM = 256  # LWT_BPF_MAX_HEADROOM


def attach(program: KernelProgram, given: Mapping[str, object]) -> KernelLink:
    """In the network namespace of the calling thread; closing it removes the route."""
    options = Options("route", given, OPTIONS)
    network = _network(options)
    kind = program.spec.type.name.lower()
    parts = _parts(options, network)
    target = f"the route to {network}"

    def put(new: KernelProgram, flags: int) -> None:
        doing = f"Attaching {new.descriptor.what} to {target}"
        ask(RTM_NEWROUTE, flags, parts + _encapsulation(new, options), doing, REASONS)

    def detach() -> None:
        answer = request(RTM_DELROUTE, 0, parts)
        if answer.number not in (0, errno.ESRCH, errno.ENODEV):
            raise OSError(answer.number, f"Removing {target} failed. {answer.text}")

    put(program, NLM_F_CREATE | NLM_F_EXCL)
    return KernelLink(
        f"route to {network}, {kind}", (), only_here(detach), replace=lambda new: put(new, NLM_F_CREATE | NLM_F_REPLACE)
    )


def _network(options: Options) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    given = options.get("destination")
    if isinstance(given, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return given
    try:
        return ipaddress.ip_network(options.text("destination"))
    except ValueError as error:
        said = "needs the option 'destination'" if given is None else f"got destination={given!r}: {error}"
        raise options.wrong(said) from None


def _parts(options: Options, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bytes:
    """The route, but for its encapsulation."""
    family = 2 if network.version == 4 else 10
    gateway = options.text("gateway")
    scope = SCOPE_LINK if network.version == 4 and not gateway else SCOPE_UNIVERSE
    head = RTMSG.pack(family, network.prefixlen, 0, 0, 0, STATIC, scope, UNICAST, 0)
    body = attribute(RTA_DST, network.network_address.packed) + number(RTA_OIF, interface_index(options))
    body += number(RTA_TABLE, options.number("table", MAIN_TABLE))
    if gateway:
        try:
            address = ipaddress.ip_address(gateway)
        except ValueError as error:
            raise options.wrong(f"got gateway={gateway!r}: {error}") from None
        if address.version != network.version:
            raise options.wrong(f"got gateway={gateway!r}, which is of another protocol than {network}")
        body += attribute(RTA_GATEWAY, address.packed)
    return head + body


def _encapsulation(program: KernelProgram, options: Options) -> bytes:
    """The program as the route's tunnel."""
    what = number(PROG_FD, program.handle), attribute(PROG_NAME, program.spec.name.encode()[:200] + b"\0")
    headroom = options.number("headroom", 0)
    if not 0 <= headroom <= LARGEST_HEADROOM or (headroom and program.spec.type is not ProgramType.LWT_XMIT):
        raise options.wrong(f"got headroom={headroom}; it is up to {LARGEST_HEADROOM}, and of lwt_xmit programs only")
    if program.spec.type is ProgramType.LWT_SEG6LOCAL:
        inside = number(SEG6_LOCAL_ACTION, END_BPF) + nested(SEG6_LOCAL_BPF, *what)
        return number(RTA_ENCAP_TYPE, ENCAP_SEG6_LOCAL, 2) + nested(RTA_ENCAP, inside)
    more = number(LWT_BPF_XMIT_HEADROOM, headroom) if headroom else b""
    return number(RTA_ENCAP_TYPE, ENCAP_BPF, 2) + nested(RTA_ENCAP, nested(SIDES[program.spec.type], *what), more)
