"""Records of one map or of several as they come: waiting for all of them at once, in a thread or in an event loop."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from selectors import EVENT_READ, DefaultSelector
from socket import socketpair
from typing import TYPE_CHECKING, Any, Self, TypeVar

from purebpf.engine import EventReader, deadline
from purebpf.errors import NotLoaded

if TYPE_CHECKING:
    from purebpf.lang.maps import EventMap

V = TypeVar("V")
UNFINISHED = 50e-6  # seconds to leave to a program that is about to finish a record, of which the descriptor tells already


class Watch:
    """Hears of several readers: `wake` is called when they are closed, and when there are events where there is no descriptor.
    `descriptors` are copies, which nobody closes meanwhile."""

    def __init__(self, sources: Iterable[EventMap[Any]], wake: Callable[[], None]) -> None:
        self._wake = wake
        self._readers: list[EventReader] = []
        self.descriptors: list[int] = []
        try:
            for source in sources:
                reader = source.backlog.reader
                if (number := reader.fileno()) >= 0:
                    self.descriptors.append(os.dup(number))
                self._readers.append(reader)
                reader.watch(wake)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for reader in self._readers:
            reader.unwatch(self._wake)
        descriptors, self.descriptors = self.descriptors, []
        for descriptor in descriptors:
            os.close(descriptor)


class Waiter:
    """Waits for any of several readers, in one thread, and for `others`, descriptors that can be read."""

    def __init__(self, sources: Iterable[EventMap[Any]], others: Iterable[int] = ()) -> None:
        self._here, self._there = socketpair()
        self._here.setblocking(False)
        self._there.setblocking(False)
        self._selector = DefaultSelector()
        try:
            self._watch = Watch(sources, self._wake)
        except BaseException:
            self._free()
            raise
        for descriptor in (self._here.fileno(), *self._watch.descriptors, *others):
            self._selector.register(descriptor, EVENT_READ)

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # full of calls that nobody has heard yet
            self._there.send(b"!")

    def wait(self, timeout: float | None) -> bool:
        """Until one has events or is closed; False when that took longer than `timeout` seconds."""
        ready = self._selector.select(timeout)
        with suppress(BlockingIOError):
            self._here.recv(1 << 12)
        return bool(ready)

    def _free(self) -> None:
        self._selector.close()
        self._here.close()
        self._there.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.close()
        self._free()


class Arrivals:
    """The same in an event loop, which is free meanwhile."""

    def __init__(self, sources: Iterable[EventMap[Any]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._some = asyncio.Event()
        self._watch = Watch(sources, self._wake)

    def _wake(self) -> None:
        with suppress(RuntimeError):  # by any thread, perhaps after the loop has ended
            self._loop.call_soon_threadsafe(self._some.set)

    async def wait(self) -> None:
        """Until one has events or is closed."""
        descriptors = self._watch.descriptors
        for descriptor in descriptors:
            self._loop.add_reader(descriptor, self._some.set)
        try:
            await self._some.wait()
        finally:
            for descriptor in descriptors:
                self._loop.remove_reader(descriptor)
            self._some.clear()

    def close(self) -> None:
        self._watch.close()


def _there(sources: Iterable[EventMap[V]]) -> Iterator[tuple[EventMap[V], Iterator[V]]]:
    """Some of the records that each has."""
    for source in sources:
        with suppress(NotLoaded):  # another thread closed it just now
            if source.bound and (values := source.backlog.values(0)) is not None:
                yield source, values


def together(sources: tuple[EventMap[V], ...], timeout: float | None) -> Iterator[tuple[EventMap[V], V]]:
    """The records of several maps, each with its map, until all are closed, or none came for `timeout` seconds."""
    with Waiter(sources) as waiter:
        until = deadline(timeout)
        waited = False
        while any(source.bound for source in sources):
            came = False
            for source, values in _there(sources):
                for value in values:
                    yield source, value
                came = True
            if came:
                until = deadline(timeout)
                waited = False
                continue
            if waited:
                time.sleep(UNFINISHED)
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return
            waited = waiter.wait(left)


async def _arriving(sources: tuple[EventMap[V], ...]) -> AsyncIterator[tuple[EventMap[V], Iterator[V]]]:
    """Some of the records at a time, as they come, until all maps are closed."""
    arrivals = Arrivals(sources)
    try:
        waited = False
        while any(source.bound for source in sources):
            came = False
            for found in _there(sources):
                yield found
                came = True
            if came:
                await asyncio.sleep(0)  # others have their turn, however many records there are
                waited = False
                continue
            if waited:
                await asyncio.sleep(UNFINISHED)
            await arrivals.wait()
            waited = True
    finally:
        arrivals.close()


async def stream(source: EventMap[V]) -> AsyncIterator[V]:
    """The records one by one, until the map is closed. Raises NotLoaded if it is not loaded."""
    async with aclosing(_arriving((source,))) as arriving:  # type: ignore[type-var]
        async for _, values in arriving:
            for value in values:
                yield value


async def streams(sources: tuple[EventMap[V], ...]) -> AsyncIterator[tuple[EventMap[V], V]]:
    """The same of several, each record with its map."""
    async with aclosing(_arriving(sources)) as arriving:  # type: ignore[type-var]
        async for source, values in arriving:
            for value in values:
                yield source, value
