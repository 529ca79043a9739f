"""`bpf.events(a, b)`: the records of several rings as one stream, in one thread or event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Generic, Protocol, TypeVar, overload

from purebpf.lang import declaring
from purebpf.lang.maps import EventMap

V = TypeVar("V")
W = TypeVar("W")
X = TypeVar("X")


class Loaded(Protocol):
    """A ring of a loaded object, which says what it is read as."""

    def of(self, type: None = None, /) -> EventMap[Any]: ...


def _ring(source: Any) -> EventMap[Any]:
    """What is read of a source."""
    if isinstance(source, EventMap):
        return source
    if not hasattr(source, "of"):
        hint = "bpf.events(opened, closed)"
        raise declaring.error(f"bpf.events(): {source!r} is no RingBuf or PerfEventArray, and no ring of a loaded object", hint)
    ring: EventMap[Any] = source.of()
    return ring


class Events(Generic[V]):
    """Several maps of events. Iterating gives pairs of a map and a record until all are closed, or Ctrl-C while it waits.

    Records of one ring buffer are in order; those of different maps are not. A few hundred of one map come, then those of the
    next, so that none has to wait for another that is always full.
    """

    def __init__(self, *sources: EventMap[Any] | Loaded) -> None:
        if not sources:
            raise declaring.error("bpf.events() wants the maps to read", "bpf.events(opened, closed)")
        self._given = {_ring(source): source for source in sources}
        self.sources = tuple(self._given)

    def records(self, timeout: float | None = None) -> Iterator[tuple[Any, V]]:
        """The pairs, with the maps that were given; ends when none came for `timeout` seconds. Raises NotLoaded for a map that
        is not loaded."""
        from purebpf.lang.streaming import together

        return ((self._given[source], record) for source, record in together(self.sources, timeout))

    def __iter__(self) -> Iterator[tuple[Any, V]]:
        try:
            yield from self.records()
        except KeyboardInterrupt:
            return

    async def __aiter__(self) -> AsyncIterator[tuple[Any, V]]:
        """The pairs as they come, while the event loop is free for others."""
        from purebpf.lang.streaming import streams

        async with aclosing(streams(self.sources)) as pairs:  # type: ignore[type-var]
            async for source, record in pairs:
                yield self._given[source], record

    def dispatch(self, callbacks: Mapping[Any, Callable[[Any], object]], timeout: float | None = None) -> int:
        """Call each map's function with every record, until none came for `timeout` seconds or all are closed; how many there
        were. What a function raises ends it, and the next call goes on with the next record."""
        for source, given in self._given.items():
            if given not in callbacks:
                raise declaring.error(f"dispatch() has no function for the records of `{source.called}`")
        count = 0
        for source, record in self.records(timeout):
            callbacks[source](record)
            count += 1
        return count


@overload
def events(one: EventMap[V], /, *more: EventMap[V]) -> Events[V]: ...
@overload
def events(one: EventMap[V], other: EventMap[W], /) -> Events[V | W]: ...
@overload
def events(one: EventMap[V], other: EventMap[W], third: EventMap[X], /) -> Events[V | W | X]: ...
@overload
def events(*sources: EventMap[Any] | Loaded) -> Events[Any]: ...
def events(*sources: EventMap[Any] | Loaded) -> Events[Any]:
    """The records of several rings as one stream: `for ring, record in bpf.events(opened, closed)`, `async for`, `.records(
    timeout)`, `.dispatch({opened: f, closed: g})`."""
    return Events(*sources)
