"""Spin locks and timers in records, for runs as Python."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from purebpf.errors import Error, Unsupported
from purebpf.lang.locks import rcu
from purebpf.lang.types import KernelType
from purebpf.runner.maps import Keyed
from purebpf.runner.names import stands_for
from purebpf.runner.views import VIEWS, View, place_of
from purebpf.vm import lock_helpers

if TYPE_CHECKING:
    from purebpf.runner.session import Runner

CLOCK_MONOTONIC = 1
OF_THE_KERNEL = frozenset({"xchg", "get", "push_front", "push_back", "pop_front", "pop_back", "add", "first", "remove"})


class Kept(View):
    """A lock or timer in a map's value. Nothing else runs here while a program does, so a lock has nothing to do."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    def start(self, callback: Callable[[Any, Any], None], nanoseconds: int) -> int:
        """Call `callback(key, record)` when the run has ended; 0 or -errno."""
        owner, address = self._bpf_entry()
        machine = owner._runner.machine
        lock_helpers.timer_init(machine, address, owner.live.address, CLOCK_MONOTONIC)
        machine.timers[address].callback = lambda key, value: callback(owner.key_at(key), owner.value_at(value))
        return lock_helpers.timer_start(machine, address, nanoseconds, 0)

    def cancel(self) -> int:
        """1 when it was waiting, else 0 or -errno."""
        owner, address = self._bpf_entry()
        return lock_helpers.timer_cancel(owner._runner.machine, address)

    def __getattr__(self, name: str) -> Any:
        if name in OF_THE_KERNEL:
            raise Unsupported(f"{name}: lists, trees and references of the kernel are not there when a program runs as Python.")
        raise AttributeError(name)

    def _bpf_entry(self) -> tuple[Keyed, int]:
        """The map it lies in, and its address."""
        block, at, type = place_of(self)
        if not isinstance(block.owner, Keyed) or block.address is None:
            raise Error(f"a `{type}` works in a record that lies in a map")
        return block.owner, block.address + at


VIEWS[KernelType] = Kept


@stands_for(rcu)
def held(runner: Runner, _: Any) -> Callable[[], nullcontext[None]]:
    """Nothing is freed during a run, so there is nothing to hold."""
    return nullcontext
