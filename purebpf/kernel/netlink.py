"""One question to rtnetlink: in which mode an interface runs its XDP program (RTM_GETLINK, IFLA_XDP; rtnetlink(7)).

BPF_LINK_CREATE does not tell which mode it chose.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

from purebpf.kernel.attr import pack, read
from purebpf.tables.attr import (
    IFLA_XDP,
    IFLA_XDP_ATTACHED,
    NLM_F_REQUEST,
    NLMSG_ERROR,
    RTM_GETLINK,
    SIZES,
    XDP_ATTACHED_DRV,
    XDP_ATTACHED_HW,
    XDP_ATTACHED_SKB,
)

MODES = {XDP_ATTACHED_DRV: "native", XDP_ATTACHED_SKB: "generic", XDP_ATTACHED_HW: "offload"}
TYPE_MASK = 0x3FFF  # the two high bits of an attribute's type are flags
LARGEST = 1 << 17
TIMEOUT = 1.0


def xdp_mode(index: int) -> str:
    """ "native", "generic" or "offload"; "" when there is no program or the kernel does not say."""
    request, body = pack("nlmsghdr", {})[0], pack("ifinfomsg", {"ifi_index": index})[0]
    fields = {"nlmsg_len": len(request) + len(body), "nlmsg_type": RTM_GETLINK, "nlmsg_flags": NLM_F_REQUEST}
    request, _ = pack("nlmsghdr", fields)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as asked:
            asked.settimeout(TIMEOUT)
            asked.send(request + body)
            answer = asked.recv(LARGEST)
    except OSError:
        return ""
    if len(answer) < SIZES["nlmsghdr"] or read("nlmsghdr", answer, "nlmsg_type") == NLMSG_ERROR:
        return ""
    for kind, payload in attributes(answer[SIZES["nlmsghdr"] + SIZES["ifinfomsg"] :]):
        if kind == IFLA_XDP:
            nested = dict(attributes(payload))
            return MODES.get(nested.get(IFLA_XDP_ATTACHED, b"\0")[0], "")
    return ""


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, payload) of each netlink attribute; stops at what is not well-formed."""
    header = SIZES["nlattr"]
    while len(data) >= header:
        size = read("nlattr", data, "nla_len")
        if not header <= size <= len(data):
            return
        yield read("nlattr", data, "nla_type") & TYPE_MASK, data[header:size]
        data = data[(size + 3) // 4 * 4 :]
