"""Order between accesses to memory that the kernel writes at the same time."""

from __future__ import annotations

import os
from _thread import allocate_lock

# Machines that keep loads in order, and stores in order.
ORDERED = frozenset({"x86_64", "s390x"})


class Fence:
    """Keeps memory accesses before and after `pass_` apart, where the machine itself does not.

    Python offers no fence; releasing a lock and then taking it is one: no access moves down past the release or up past the
    acquisition, and those two keep their order (they are sequentially consistent in C11 and on arm64).
    """

    __slots__ = ("_lock", "_needed")

    def __init__(self) -> None:
        self._needed = os.uname().machine not in ORDERED
        self._lock = allocate_lock()
        self._lock.acquire()

    def pass_(self) -> None:
        if self._needed:
            self._lock.release()
            self._lock.acquire()
