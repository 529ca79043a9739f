"""Programs on the traffic of an interface as a filter of the queueing discipline clsact, by rtnetlink (Linux 4.5;
net/sched/cls_bpf.c). TCX links replaced it (Linux 6.6): this is for older kernels, and to stand among other filters.
"""

from __future__ import annotations

import errno
import struct

from purebpf.data import data
from purebpf.kernel.link.base import KernelLink, only_here
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.rtnetlink import (
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_ECHO,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    ask,
    attribute,
    nested,
    number,
    request,
)

# include/uapi/linux/rtnetlink.h, pkt_sched.h, pkt_cls.h
RTM_NEWQDISC, RTM_DELQDISC, RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER = 36, 37, 44, 45, 46
TCA_KIND, TCA_OPTIONS, TCA_BPF_FD, TCA_BPF_NAME, TCA_BPF_FLAGS = 1, 2, 6, 7, 8
ACT_DIRECT = 1  # TCA_BPF_FLAG_ACT_DIRECT
CLSACT, HANDLE = 0xFFFFFFF1, 0xFFFF0000
PARENTS = {"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3}  # TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), _EGRESS
ALL_PROTOCOLS = 0x0003  # ETH_P_ALL
TCMSG = struct.Struct("=BxHiIII")  # struct tcmsg: family, interface, handle, parent, info
REASONS = {
    errno.EEXIST: "There is a filter with this priority already.",
    errno.EINVAL: "The interface takes no such filter, or has an ingress discipline of another kind.",
    errno.ENOENT: "The kernel was built without it (CONFIG_NET_CLS_BPF, CONFIG_NET_CLS_ACT).",
}


@data
class Filter:
    """A filter's place: interface, direction, and what the kernel numbered it with."""

    interface: int
    direction: str
    handle: int = 0
    priority: int = 0

    def message(self, *parts: bytes) -> bytes:
        info = self.priority << 16 | int.from_bytes(ALL_PROTOCOLS.to_bytes(2, "big"), "little")
        return TCMSG.pack(0, 0, self.interface, self.handle, PARENTS[self.direction], info) + b"".join(parts)


def attach_filter(program: KernelProgram, index: int, direction: str, priority: int, what: str) -> KernelLink:
    """`priority`: lower ones run first; 0 leaves it to the kernel, which puts it first. Raises KernelError."""
    made = _add_discipline(index, what)
    place = Filter(index, direction, priority=priority)
    try:
        place = _put(program, place, NLM_F_CREATE | NLM_F_EXCL, what)
    except BaseException:
        _remove_discipline(index, made)
        raise

    def detach() -> None:
        answer = request(RTM_DELTFILTER, 0, place.message(attribute(TCA_KIND, b"bpf\0")))
        if answer.number not in (0, errno.ENOENT, errno.ENODEV, errno.EINVAL):  # it, its discipline or its interface is gone
            raise OSError(answer.number, f"Detaching from {what} failed. {answer.text}")
        _remove_discipline(index, made)

    def replace(new: KernelProgram) -> None:
        _put(new, place, NLM_F_CREATE | NLM_F_REPLACE, what)

    mechanism = f"clsact filter, {direction}, priority {place.priority}"
    return KernelLink(mechanism, (), only_here(detach), replace=replace)


def _put(program: KernelProgram, place: Filter, flags: int, what: str) -> Filter:
    """Write the filter; its place as the kernel numbered it."""
    name = program.spec.name.encode()[:200] + b"\0"
    parts = number(TCA_BPF_FD, program.handle), attribute(TCA_BPF_NAME, name), number(TCA_BPF_FLAGS, ACT_DIRECT)
    body = place.message(attribute(TCA_KIND, b"bpf\0"), nested(TCA_OPTIONS, *parts))
    doing = f"Attaching {program.descriptor.what} to {what}"
    answer = ask(RTM_NEWTFILTER, flags | NLM_F_ECHO, body, doing, REASONS)
    for kind, content in answer.messages:
        if kind == RTM_NEWTFILTER:
            _, _, _, handle, _, info = TCMSG.unpack_from(content)
            return Filter(place.interface, place.direction, handle, info >> 16)
    return place


def _add_discipline(index: int, what: str) -> bool:
    """Whether it was not there."""
    body = TCMSG.pack(0, 0, index, HANDLE, CLSACT, 0) + attribute(TCA_KIND, b"clsact\0")
    answer = request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, body)
    if answer.number == errno.EEXIST:
        return False
    if answer.number:
        ask(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, body, f"Adding the queueing discipline clsact for {what}", REASONS)
    return True


def _remove_discipline(index: int, made: bool) -> None:
    """Take away what was added, if it has no filters of others."""
    if made and not any(_filters(index, direction) for direction in PARENTS):
        request(RTM_DELQDISC, 0, TCMSG.pack(0, 0, index, HANDLE, CLSACT, 0))


def _filters(index: int, direction: str) -> int:
    body = TCMSG.pack(0, 0, index, 0, PARENTS[direction], 0)
    return sum(kind == RTM_NEWTFILTER for kind, _ in request(RTM_GETTFILTER, NLM_F_DUMP, body).messages)
