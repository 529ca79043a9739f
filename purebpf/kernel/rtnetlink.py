"""Requests to rtnetlink that change something: routes, filters, an interface's program; one at a time, in this network
namespace (rtnetlink(7), include/uapi/linux/netlink.h). What the kernel says beside the errno comes with the answer.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Mapping

from purebpf.data import data
from purebpf.kernel.errors import EMPTY, failure
from purebpf.kernel.netlink import attributes

NLM_F_REQUEST, NLM_F_ACK, NLM_F_ECHO, NLM_F_DUMP = 1, 4, 8, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200  # of an acknowledgement
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLMSGERR_ATTR_MSG = 1
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11
NESTED = 1 << 15
HEADER = struct.Struct("=IHHII")
LARGEST = 1 << 17
TIMEOUT = 5.0


@data
class Answer:
    """The errno (0: done), the kernel's own words about it, and the messages that came back: type and body."""

    number: int
    text: str
    messages: tuple[tuple[int, bytes], ...]


def attribute(type: int, payload: bytes) -> bytes:
    """One attribute, padded."""
    return struct.pack("=HH", 4 + len(payload), type) + payload.ljust(-(-len(payload) // 4) * 4, b"\0")


def number(type: int, value: int, size: int = 4) -> bytes:
    """An attribute that is an integer, in the machine's byte order."""
    return attribute(type, struct.pack({1: "=B", 2: "=H", 4: "=I"}[size], value))


def nested(type: int, *parts: bytes) -> bytes:
    """An attribute made of others."""
    return attribute(type | NESTED, b"".join(parts))


def request(type: int, flags: int, body: bytes) -> Answer:
    """Send one request, and read its answer."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as asked:
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
            asked.setsockopt(SOL_NETLINK, option, 1)
        asked.settimeout(TIMEOUT)
        asked.send(HEADER.pack(HEADER.size + len(body), type, NLM_F_REQUEST | NLM_F_ACK | flags, 1, 0) + body)
        messages: list[tuple[int, bytes]] = []
        while True:
            data = asked.recv(LARGEST)
            while len(data) >= HEADER.size:
                length, kind, marks, _, _ = HEADER.unpack_from(data)
                content, data = data[HEADER.size : length], data[-(-length // 4) * 4 :]
                if kind == NLMSG_DONE:
                    return Answer(0, "", tuple(messages))
                if kind == NLMSG_ERROR:
                    return Answer(-struct.unpack_from("=i", content)[0], _said(content, marks), tuple(messages))
                messages.append((kind, content))


def _said(content: bytes, marks: int) -> str:
    """The text behind an acknowledgement."""
    if not marks & NLM_F_ACK_TLVS:
        return ""
    start = 4 + (HEADER.size if marks & NLM_F_CAPPED else struct.unpack_from("=I", content, 4)[0])
    found = dict(attributes(content[start:])).get(NLMSGERR_ATTR_MSG, b"")
    return found.rstrip(b"\0").decode("utf-8", "replace")


def ask(type: int, flags: int, body: bytes, what: str, reasons: Mapping[int, str] = EMPTY) -> Answer:
    """The same; an error is KernelError, with what the kernel says about it."""
    answer = request(type, flags, body)
    if answer.number:
        said = f' The kernel says: "{answer.text.rstrip(".")}".' if answer.text else ""
        why = reasons.get(answer.number, "")
        if answer.number in (errno.EPERM, errno.EACCES) and not why:
            raise failure(answer.number, what, needs=("CAP_NET_ADMIN",))
        text = f"{why}{said}".strip() or os.strerror(answer.number) + "."
        raise failure(answer.number, what, reasons={answer.number: text})
    return answer
