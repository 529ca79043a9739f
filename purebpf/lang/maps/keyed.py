"""Maps that are mappings in user space: keys and values of the declared types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar, cast, overload

from purebpf.errors import Error
from purebpf.lang.maps.declaration import MapDeclaration
from purebpf.lang.types import Type
from purebpf.tables.enums import MapType

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


class KeyedMap(MapDeclaration, Generic[K, V]):
    """A map that behaves as a mapping in user space."""

    parameters = 2

    def _decode(self, data: bytes) -> Any:
        return self.value_type.decode(data)

    def _encode(self, value: Any) -> bytes:
        return self._fitted("value", self.value_type, value)

    def _key(self, key: Any) -> bytes:
        return self._fitted("key", self.key_type, key)

    def _fitted(self, what: str, layout: Type, value: Any) -> bytes:
        """A key or value as it lies in memory; what does not fit is told with the map's name."""
        try:
            return layout.encode(value)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"the {what} of `{self.name}` is a `{layout}`: {error}") from None

    def __getitem__(self, key: K) -> V:
        data = self.live.lookup(self._key(key))
        if data is None:
            raise KeyError(key)
        return cast(V, self._decode(data))

    @overload
    def get(self, key: K) -> V | None: ...

    @overload
    def get(self, key: K, default: D) -> V | D: ...

    def get(self, key: K, default: Any = None) -> Any:
        data = self.live.lookup(self._key(key))
        return default if data is None else self._decode(data)

    def __setitem__(self, key: K, value: V) -> None:
        self.live.update(self._key(key), self._encode(value))

    def set(self, key: K, value: V, flags: int = 0) -> int:
        """Write an entry with update flags (`bpf.BPF_NOEXIST`, `bpf.BPF_EXIST`); raises KernelError where a program would
        get -errno."""
        self.live.update(self._key(key), self._encode(value), flags)
        return 0

    def delete(self, key: K) -> int:
        """In a program: delete an entry, 0 or -errno. In user space: raises KeyError when there is none."""
        del self[key]
        return 0

    def pop(self, key: K) -> V | None:
        """Take an entry out: a copy of its value, or None when there is none."""
        value: V | None = self.get(key)
        self.live.delete(self._key(key))
        return value

    def setdefault(self, key: K, default: V) -> V:
        """The value of a key, which is `default` from now on if it had none. User space only."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, entries: Mapping[K, V] | Iterable[tuple[K, V]]) -> None:
        """Write several entries, one after the other. User space only."""
        for key, value in entries.items() if isinstance(entries, Mapping) else entries:
            self[key] = value

    def for_each(self, f: Callable[[K, V], bool | None]) -> int:
        """In a program: call `f(key, value)` for each entry until one gives True; how many were visited (helper
        for_each_map_elem, Linux 5.13). In user space the same over a snapshot of each entry."""
        visited = 0
        for key, value in self.items():
            visited += 1
            if f(key, value):
                break
        return visited

    def __delitem__(self, key: K) -> None:
        if self.kind in (MapType.ARRAY, MapType.PERCPU_ARRAY):
            raise Error(f"all entries of `{self.name}`, an array, always exist: assign 0")
        if not self.live.delete(self._key(key)):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return self.live.lookup(self._key(key)) is not None

    def __iter__(self) -> Iterator[K]:
        """The keys. An entry added or removed meanwhile may or may not be seen; it ends after at most `max_entries` keys."""
        position: bytes | None = None
        for _ in range(self.max_entries):
            position = self.live.next_key(position)
            if position is None:
                return
            yield cast(K, self.key_type.decode(position))

    def keys(self) -> Iterator[K]:
        return iter(self)

    def items(self) -> Iterator[tuple[K, V]]:
        """(key, value) pairs; an entry that vanishes while they are read is left out."""
        for key in self:
            data = self.live.lookup(self._key(key))
            if data is not None:
                yield key, cast(V, self._decode(data))

    def values(self) -> Iterator[V]:
        for _, value in self.items():
            yield value

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def clear(self) -> None:
        for key in list(self):
            self.live.delete(self._key(key))
