"""Ids of the kernel's objects, and descriptors for them (bpf(2): *_GET_NEXT_ID, *_GET_FD_BY_ID)."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from purebpf.data import data
from purebpf.errors import Error
from purebpf.kernel.attr import pack, read
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.syscall import bpf, bpf_buffer
from purebpf.tables.enums import Command

NEEDS = ("CAP_SYS_ADMIN",)


@data
class Kind:
    """A kind of object: its word, the commands for its ids, and the first kernel that has them."""

    name: str
    following: Command
    opening: Command
    first: tuple[int, int]


KINDS = {
    kind.name: kind
    for kind in (
        Kind("program", Command.PROG_GET_NEXT_ID, Command.PROG_GET_FD_BY_ID, (4, 13)),
        Kind("map", Command.MAP_GET_NEXT_ID, Command.MAP_GET_FD_BY_ID, (4, 13)),
        Kind("link", Command.LINK_GET_NEXT_ID, Command.LINK_GET_FD_BY_ID, (5, 8)),
        Kind("BTF", Command.BTF_GET_NEXT_ID, Command.BTF_GET_FD_BY_ID, (5, 4)),
    )
}


def ids(kind: str) -> Iterator[int]:
    """The ids of all objects of a kind: "program", "map", "link" or "BTF", rising. Raises KernelError and Unsupported."""
    last, found = 0, KINDS[kind]
    while True:
        attribute, _ = pack(found.following.name, {"start_id": last})
        answer = bpf_buffer(found.following, attribute, len(attribute))
        if answer == -errno.ENOENT:
            return
        if answer < 0:
            raise failure(-answer, f"Listing each {kind}", needs=NEEDS, first=found.first, feature=f"the ids of each {kind}")
        last = read("ID", attribute, "next_id")
        yield last


def open_id(kind: str, number: int) -> Descriptor | None:
    """A descriptor for the object of an id; None when there is none of that id (any more). Raises KernelError."""
    found = KINDS[kind]
    answer = bpf(found.opening, {"start_id": number})
    if answer == -errno.ENOENT:
        return None
    if answer < 0:
        raise failure(-answer, f"Opening the {kind} {number}", needs=NEEDS, first=found.first, feature=f"each {kind} by its id")
    return Descriptor(answer, f"the {kind} {number}")


def opened(kind: str, number: int) -> Descriptor:
    """The same. Raises Error when there is none of that id."""
    found = open_id(kind, number)
    if found is None:
        raise Error(f"There is no {kind} with the id {number} (any more).")
    return found
