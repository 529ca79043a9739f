"""`bpf.events(a, b)`: the records of several rings as one stream, in one thread or event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar, overload

from purebpf.lang import declaring
from purebpf.lang.maps import EventMap

V = TypeVar("V")
W = TypeVar("W")
X = TypeVar("X")


class Events(Generic[V]):
    """Several maps of events. Iterating gives pairs of a map and a record until all are closed, or Ctrl-C while it waits.

    Records of one ring buffer are in order; those of different maps are not. A few hundred of one map come, then those of the
    next, so that none has to wait for another that is always full.
    """

    def __init__(self, *sources: EventMap[Any]) -> None:
        if not sources:
            raise declaring.error("bpf.events() wants the maps to read", "bpf.events(opened, closed)")
        for source in sources:
            if not isinstance(source, EventMap):
                raise declaring.error(f"bpf.events(): {source!r} is no RingBuf or PerfEventArray", "bpf.events(opened, closed)")
        self.sources = tuple(dict.fromkeys(sources))

    def records(self, timeout: float | None = None) -> Iterator[tuple[EventMap[Any], V]]:
        """The pairs; ends when none came for `timeout` seconds. Raises NotLoaded for a map that is not loaded."""
        from purebpf.lang.streaming import together

        return together(self.sources, timeout)

    def __iter__(self) -> Iterator[tuple[EventMap[Any], V]]:
        try:
            yield from self.records()
        except KeyboardInterrupt:
            return

    def __aiter__(self) -> AsyncIterator[tuple[EventMap[Any], V]]:
        """The pairs as they come, while the event loop is free for others."""
        from purebpf.lang.streaming import streams

        return streams(self.sources)

    def dispatch(self, callbacks: Mapping[EventMap[Any], Callable[[Any], object]], timeout: float | None = None) -> int:
        """Call each map's function with every record, until none came for `timeout` seconds or all are closed; how many there
        were. What a function raises ends it, and the next call goes on with the next record."""
        for source in self.sources:
            if source not in callbacks:
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
def events(*sources: EventMap[Any]) -> Events[Any]: ...
def events(*sources: EventMap[Any]) -> Events[Any]:
    """The records of several rings as one stream: `for ring, record in bpf.events(opened, closed)`, `async for`, `.records(
    timeout)`, `.dispatch({opened: f, closed: g})`."""
    return Events(*sources)
