"""Attachments that the kernel would keep when this process has ended, since no descriptor holds them: they end with it.

So are those by netlink, by attaching to a cgroup in a mode, and the events of probes in tracefs. What still stays, when the
process is killed before it can do anything: docs/kernel.md.
"""

from __future__ import annotations

import atexit
import os
import sys

from purebpf.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.kernel.link.base import KernelLink

_open: dict[KernelLink, int] = {}  # and the process that attached it


def close_at_exit(link: KernelLink) -> None:
    """Have a link closed when this process, and no child of it, ends; until then it is kept even if nobody else keeps it."""
    if not _open:
        atexit.unregister(_close_all)
        atexit.register(_close_all)
    _open[link] = os.getpid()


def forget(link: KernelLink) -> None:
    """It is being closed."""
    _open.pop(link, None)


def _close_all() -> None:
    for link, owner in reversed(list(_open.items())):
        if owner != os.getpid():
            continue
        try:
            link.close()
        except (Error, OSError) as error:
            print(f"purebpf: {error}", file=sys.stderr)
