"""What the kernel keeps inside of a map's value: spin locks and timers; and RCU, which is held like a lock.

The first two are annotations of a record's field; they start at zero and are no part of the constructor and of equality.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from purebpf.lang.idioms import _only_in_a_program
from purebpf.lang.types import KernelType


class SpinLock:
    """`lock: bpf.SpinLock` in the record of a hash or array (Linux 5.1). In a program `with record.lock:` holds it."""

    __bpf_type__ = KernelType("bpf_spin_lock", 4, 4)

    def __enter__(self) -> None:
        _only_in_a_program("SpinLock")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _only_in_a_program("SpinLock")


def rcu() -> AbstractContextManager[None]:
    """In a program `with bpf.rcu():` holds the RCU read lock (kernel function bpf_rcu_read_lock, Linux 6.2)."""
    _only_in_a_program("rcu()")


class Timer:
    """`timer: bpf.Timer` in the record of a hash, LRU hash or array (Linux 5.15)."""

    __bpf_type__ = KernelType("bpf_timer", 16, 8)

    def start(self, callback: Callable[[Any, Any], None], nanoseconds: int) -> int:
        """Call `callback(key, record)` after so many nanoseconds; 0 or a negative errno. Starting it again moves it."""
        _only_in_a_program("Timer.start()")

    def cancel(self) -> int:
        """Stop it: 1 if it was waiting, 0 if not, or a negative errno."""
        _only_in_a_program("Timer.cancel()")
