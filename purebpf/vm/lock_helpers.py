"""Spin locks and timers in map values (kernel/bpf/helpers.c).

One program runs at a time, so a lock never waits; that locks are held and given back as they must be is checked. Time is
simulated: when a run has ended, the timers that were started fire in the order of their time, each at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from purebpf.data import data
from purebpf.vm.facts import EINVAL, fact
from purebpf.vm.machine import Machine
from purebpf.vm.memory import Fault

if TYPE_CHECKING:
    from purebpf.vm.maps import VmMap

LOCK_BYTES, TIMER_BYTES = 4, 16
MOST_FIRINGS = 1000  # of one run: a timer that starts itself anew would go on for ever
EBUSY = fact("EBUSY")


@data(frozen=False)
class Timer:
    """A timer that was prepared: `due` is when it fires, None while it is stopped."""

    map: VmMap
    key: bytes
    value: int
    callback: int | Callable[[bytes, int], None] = 0
    due: int | None = None

    @property
    def alive(self) -> bool:
        """Whether its entry is still the map's."""
        return any(value == self.value for _, value in self.map.walk())


def spin_lock(vm: Machine, lock: int) -> int:
    vm.memory.check_writable(lock, LOCK_BYTES)
    if vm.held_lock:
        raise Fault("takes a spin lock while it holds one already")
    vm.held_lock = lock
    return 0


def spin_unlock(vm: Machine, lock: int) -> int:
    if vm.held_lock != lock:
        raise Fault("gives back a spin lock that it does not hold")
    vm.held_lock = 0
    return 0


def timer_init(vm: Machine, timer: int, map: int, flags: int) -> int:
    vm.memory.check_writable(timer, TIMER_BYTES)
    if timer in vm.timers and vm.timers[timer].alive:
        return -EBUSY
    found = vm.map_at(map)
    entry = next(((key, value) for key, value in found.walk() if value <= timer < value + found.spec.value_size), None)
    if entry is None:
        return -EINVAL
    vm.timers[timer] = Timer(found, *entry)
    return 0


def timer_set_callback(vm: Machine, timer: int, callback_fn: int) -> int:
    found = vm.timers.get(timer)
    if found is None:
        return -EINVAL
    found.callback = callback_fn
    return 0


def timer_start(vm: Machine, timer: int, nsecs: int, flags: int) -> int:
    found = vm.timers.get(timer)
    if found is None or not found.callback or flags & ~(fact("BPF_F_TIMER_ABS") | fact("BPF_F_TIMER_CPU_PIN")):
        return -EINVAL
    found.due = nsecs if flags & fact("BPF_F_TIMER_ABS") else vm.timer_clock + nsecs
    return 0


def timer_cancel(vm: Machine, timer: int) -> int:
    found = vm.timers.get(timer)
    if found is None:
        return -EINVAL
    waiting, found.due = found.due is not None, None
    return int(waiting)


class Runs(Protocol):
    """A program's code, see `interpreter.Code`."""

    def run(self, main: Callable[..., int], *arguments: int) -> int: ...


def fire(vm: Machine, code: Runs) -> None:
    """After a run: let the timers fire that were started, in the order of their time; at most `MOST_FIRINGS`, those that are
    left wait for the next run's end. Raises VmError."""
    for _ in range(MOST_FIRINGS):
        waiting = [(timer.due, address) for address, timer in vm.timers.items() if timer.due is not None]
        if not waiting:
            return
        due, address = min(waiting)
        timer = vm.timers[address]
        vm.timer_clock, timer.due = max(vm.timer_clock, due), None
        if timer.alive:
            _call(vm, code, timer)
        else:
            del vm.timers[address]


def _call(vm: Machine, code: Runs, timer: Timer) -> None:
    """Call a timer's function with map, key and value."""
    if not isinstance(timer.callback, int):
        vm.start()
        try:
            timer.callback(timer.key, timer.value)
        finally:
            vm.finish()
        return
    entry = vm.functions.get(timer.callback)
    if entry is None:  # its program is gone
        return
    region = vm.memory.reserve(1, lambda _: f"a key of {timer.map.what}, which is gone when the callback returns")
    arguments = (timer.map.address, vm.memory.map(region, bytearray(timer.key), writable=False), timer.value)
    values = [arguments[number - 1] for number in entry.parameters]
    try:
        code.run(lambda pointer: entry.call(pointer, *values))
    finally:
        vm.memory.release(region)


def bpf_rcu_read_lock(vm: Machine) -> int:
    """Nothing is freed during a run, so there is nothing to hold."""
    return 0


def bpf_rcu_read_unlock(vm: Machine) -> int:
    return 0


KFUNCS = (bpf_rcu_read_lock, bpf_rcu_read_unlock)
HELPERS = (spin_lock, spin_unlock, timer_init, timer_set_callback, timer_start, timer_cancel)
