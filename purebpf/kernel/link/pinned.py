"""Links that an earlier process pinned, opened again."""

from __future__ import annotations

import os

from purebpf.errors import Error
from purebpf.kernel.info import link_info
from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.link.iter import IterLink
from purebpf.kernel.pins import open_pinned
from purebpf.tables.enums import LinkType


def open_link(path: str | os.PathLike[str]) -> KernelLink:
    """A link by the name it was pinned under; an iterator can be read. Closing it leaves it attached as long as the pin is
    there: `unpin`, or `detach`. Raises KernelError where nothing is pinned, Error for something else than a link."""
    descriptor = open_pinned(path, "the link")
    try:
        if "link" not in os.readlink(f"/proc/self/fd/{descriptor.number}"):  # bpf_link, or bpf-link
            raise Error(f"What is pinned as {os.fspath(path)} is no link.")
        number = link_info(descriptor).type
        if not any(number == known for known in LinkType):
            raise Error(f"{os.fspath(path)} is a link of the type {number}, which purebpf does not know.")
    except BaseException:
        descriptor.close()
        raise
    kind = IterLink if number == LinkType.ITER else KernelLink
    link = kind(f"pinned {LinkType(number).name.lower()} link", (descriptor,))
    link.pinned = os.path.abspath(path)
    return link
