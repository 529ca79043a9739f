"""Maps without keys: queues, stacks and Bloom filters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, cast

from purebpf.lang import declaring
from purebpf.lang.map_types import value_types
from purebpf.lang.maps.declaration import MapDeclaration
from purebpf.lang.maps.keyed import V
from purebpf.lang.types import kept_fields
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

MOST_HASHES = 15  # the low four bits of map_extra


class ValueMap(MapDeclaration, Generic[V]):
    """A map of values of one type."""

    parameters = 1

    def describe(self, name: str) -> MapSpec:
        layout = self.value_type
        if kept := kept_fields(layout):
            raise declaring.error(f"`{name}`: {type(self).__name__} cannot hold `{kept[0].type}`", place=self.place)
        types, extra, pin = value_types(layout), self._extra(), self.pin_path
        return MapSpec(name, self.kind, 0, layout.size, self.max_entries, self.flags, types=types, extra=extra, pin=pin)

    def _extra(self) -> int:
        return 0

    def _packed(self, value: Any) -> bytes:
        try:
            return self.value_type.encode(value)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"a value of `{self.name}` is a `{self.value_type}`: {error}") from None


class Queue(ValueMap[V], Generic[V]):
    """Values that come out in the order they went in (BPF_MAP_TYPE_QUEUE, Linux 4.20)."""

    kind = MapType.QUEUE

    def push(self, value: V, flags: int = 0) -> int:
        """Put a value in. When it is full: -E2BIG in a program and KernelError in user space; with `bpf.BPF_EXIST` the oldest
        value goes instead. 0 when it is in."""
        self.live.update(b"", self._packed(value), flags)
        return 0

    def pop(self) -> V | None:
        """Take the next value out; None when there is none."""
        data = self.live.take(b"")
        return None if data is None else cast(V, self.value_type.decode(data))

    def peek(self) -> V | None:
        """The next value, which stays; None when there is none."""
        data = self.live.lookup(b"")
        return None if data is None else cast(V, self.value_type.decode(data))

    def drain(self) -> Iterator[V]:
        """Take the values out one by one until there is none. User space only."""
        while (data := self.live.take(b"")) is not None:
            yield cast(V, self.value_type.decode(data))

    def clear(self) -> None:
        """Take all values out. User space only."""
        for _ in self.drain():
            pass


class Stack(Queue[V], Generic[V]):
    """Values of which the last one in comes out first (BPF_MAP_TYPE_STACK, Linux 4.20)."""

    kind = MapType.STACK


class BloomFilter(ValueMap[V], Generic[V]):
    """A set that forgets nothing and takes little memory, but may take a value for a member that is none
    (BPF_MAP_TYPE_BLOOM_FILTER, Linux 5.16).

    `max_entries` is how many values it is made for, `hashes` (1 to 15) the number of bits each sets: more make fewer mistakes
    and take longer.
    """

    kind = MapType.BLOOM_FILTER

    def __init__(self, max_entries: int, *, hashes: int = 5, name: str | None = None, flags: int = 0, pin: str = "") -> None:
        super().__init__(max_entries, name=name, flags=flags, pin=pin)
        if isinstance(hashes, bool) or not isinstance(hashes, int) or not 1 <= hashes <= MOST_HASHES:
            raise declaring.error(f"a Bloom filter has 1 to {MOST_HASHES} hashes, not {hashes!r}")
        self.hashes = hashes

    def _extra(self) -> int:
        return self.hashes

    def add(self, value: V) -> int:
        """Put a value in; nothing takes it out again. 0."""
        self.live.update(b"", self._packed(value))
        return 0

    def __contains__(self, value: object) -> bool:
        """False is certain, True is probable."""
        return self.live.ask(self._packed(value))
