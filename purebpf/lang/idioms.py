"""What a program calls by a short name: printing, time, the current task, redirects, and any helper.

These objects are for the compiler and for type checkers. Called from ordinary Python they say that they only run in a program.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from purebpf.errors import Error

if TYPE_CHECKING:
    from purebpf.lang.sockets import Socket, SocketCommon, TcpSocket


def _only_in_a_program(name: str) -> NoReturn:
    raise Error(f"bpf.{name} runs only inside a program: decorate the function, with @bpf.xdp for example")


def printk(text: str) -> int:
    """Print to the kernel's trace pipe. A text or an f-string with integers and texts; at most three values before Linux 5.16.
    Gives the number of bytes or a negative errno."""
    _only_in_a_program("printk()")


def ktime() -> int:
    """Nanoseconds since boot, without time in suspend (helper ktime_get_ns, Linux 4.1)."""
    _only_in_a_program("ktime()")


def cpu() -> int:
    """The number of the CPU the program runs on (helper get_smp_processor_id, Linux 4.1)."""
    _only_in_a_program("cpu()")


def cookie() -> int:
    """The number that `attach(cookie=...)` was given, 0 without: it tells apart what one program is attached to (helper
    get_attach_cookie, Linux 5.15; fentry, fexit, fmod_ret and lsm 5.19, tp_btf and raw tracepoints 6.10)."""
    _only_in_a_program("cookie()")


def returning() -> bool:
    """Whether a program at both ends of functions (`@bpf.kprobe_session`, Linux 6.10) runs where one returns."""
    _only_in_a_program("returning()")


def random() -> int:
    """A pseudo-random u32 (helper get_prandom_u32, Linux 4.1)."""
    _only_in_a_program("random()")


def raw(field: int) -> int:
    """The bits of a `be16`, `be32` or `be64` field as they lie in memory, where the field itself reads as a number: for kernel
    interfaces that take addresses and ports in network order."""
    _only_in_a_program("raw()")


def redirect(ifindex: int, flags: int = 0) -> int:
    """Send the packet out of another interface; return its result from an XDP or TC program (helper redirect, Linux 4.4,
    XDP 4.14)."""
    _only_in_a_program("redirect()")


def loop(n: int, f: Callable[[int], bool | None]) -> int:
    """Call `f(0)` to `f(n - 1)` until one gives True; how many calls were made (helper loop, Linux 5.17). `n` is at most 2**23;
    beyond it the kernel makes none and the result is -7 (E2BIG)."""
    _only_in_a_program("loop()")


class Current:
    """The task that the program runs in."""

    @property
    def pid(self) -> int:
        """The thread's id."""
        _only_in_a_program("current.pid")

    @property
    def tgid(self) -> int:
        """The process's id (what user space calls its pid)."""
        _only_in_a_program("current.tgid")

    @property
    def uid(self) -> int:
        _only_in_a_program("current.uid")

    @property
    def gid(self) -> int:
        _only_in_a_program("current.gid")

    @property
    def comm(self) -> str:
        """The task's name, at most 15 bytes."""
        _only_in_a_program("current.comm")

    @property
    def cgroup_id(self) -> int:
        _only_in_a_program("current.cgroup_id")

    @property
    def task(self) -> Any:
        """The kernel's `task_struct` of it."""
        _only_in_a_program("current.task")


class HelperName:
    """A helper by name, to be called in a program."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.__name__ = f"bpf.helpers.{name}"

    def __call__(self, *args: Any) -> int:
        _only_in_a_program(f"helpers.{self.name}()")


class Helpers:
    """Every helper of the kernel by name, without `bpf_`: `bpf.helpers.ktime_get_ns()`."""

    if TYPE_CHECKING:  # those that give something else than a number
        sk_lookup_tcp: Callable[..., Socket | None]
        sk_lookup_udp: Callable[..., Socket | None]
        skc_lookup_tcp: Callable[..., SocketCommon | None]
        sk_fullsock: Callable[..., Socket | None]
        get_listener_sock: Callable[..., Socket | None]
        tcp_sock: Callable[..., TcpSocket | None]
        skc_to_tcp_sock: Callable[..., Any]
        skc_to_tcp6_sock: Callable[..., Any]
        skc_to_tcp_request_sock: Callable[..., Any]
        skc_to_tcp_timewait_sock: Callable[..., Any]
        skc_to_udp6_sock: Callable[..., Any]
        skc_to_unix_sock: Callable[..., Any]
        skc_to_mptcp_sock: Callable[..., Any]

    def __getattr__(self, name: str) -> Callable[..., int]:
        return HelperName(name)


current = Current()
helpers = Helpers()


def license(name: str) -> None:
    """Set the licence of the programs of the calling module (default "GPL"), as the kernel's rules for GPL-only helpers
    need it."""
    import sys

    sys._getframe(1).f_globals["__bpf_license__"] = name


class Ticks:
    """What `every` gives."""

    def __init__(self, seconds: float, count: int | None) -> None:
        self.seconds, self.count = seconds, count

    def _waits(self) -> Iterator[float]:
        """How long to wait for each, so that late ones do not put off the others."""
        due, tick = time.monotonic(), 0
        while self.count is None or tick < self.count:
            due += self.seconds
            tick += 1
            yield max(0.0, due - time.monotonic())

    def __iter__(self) -> Iterator[int]:
        try:
            for tick, wait in enumerate(self._waits()):
                time.sleep(wait)
                yield tick
        except KeyboardInterrupt:
            return

    async def __aiter__(self) -> AsyncIterator[int]:
        import asyncio

        for tick, wait in enumerate(self._waits()):
            await asyncio.sleep(wait)
            yield tick


def every(seconds: float, *, count: int | None = None) -> Ticks:
    """Tick every so many seconds: 0, 1, 2 ... until `count`, or until Ctrl-C, which ends the loop quietly. `async for` ticks in
    an event loop. Raises Error for what is no time to wait."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise Error(f"`every` takes how many seconds are between two ticks, such as 1.0, not {seconds!r}")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        raise Error(f"`every` takes how often to tick as count=10, not {count!r}")
    return Ticks(seconds, count)
