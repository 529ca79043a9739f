"""Order between accesses to memory that the kernel writes at the same time.

Three orders matter in the rings. A reader loads how far the kernel has written, then the records (and of a ring buffer's record
first its header, then what is in it): load before load. It loads the records, then stores that their room is free: load before
store. A writer stores a record, then stores that it is there: store before store. x86-64 and s390x keep these by themselves; a
store and a later load, which they do not keep apart, need not be: a reader that has emptied the ring waits by a system call, in
which the kernel looks at the ring once more. Nothing between the interpreter and the processor reorders: each access to a
`memoryview` of 64-bit numbers is a call, and one aligned load or store of a 64-bit machine, which are all that there are rings
on.
"""

from __future__ import annotations

import os
from _thread import allocate_lock

# Machines that keep loads in order, stores in order, and stores behind earlier loads.
ORDERED = frozenset({"x86_64", "s390x"})


class Fence:
    """Keeps memory accesses before and after `pass_` apart, where the machine itself does not. Any thread may pass it.

    Python offers no fence, but locks: it takes one and gives it back, twice. No access before that moves down past the first
    release, and none behind it up past the second acquisition; what is left is that these two keep their order. They do: the
    acquisition reads what the release has written, in the same word of memory. On arm64 both are atomic operations, a release
    and an acquire (of C11's kind, or a pair of exclusive instructions), and the architecture orders an acquire that reads from
    an atomic operation of its own thread behind it ("atomic-ordered-before"). On POWER the release begins with lwsync, which by
    itself keeps all three orders above.
    """

    __slots__ = ("_lock", "_needed")

    def __init__(self) -> None:
        self._needed = os.uname().machine not in ORDERED
        self._lock = allocate_lock()

    def pass_(self) -> None:
        if self._needed:
            for _ in range(2):
                with self._lock:
                    pass
