"""Maps that are mappings in user space: keys and values of the declared types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from errno import EEXIST
from typing import Any, Generic, TypeVar, cast, overload

from purebpf.engine import Engine, EngineMap
from purebpf.errors import Error, KernelError
from purebpf.lang.maps.declaration import KEY32, MapDeclaration
from purebpf.lang.packing import Decoder, Encoder, decoder, encoder
from purebpf.lang.types import Type
from purebpf.tables.enums import MapType

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

BPF_NOEXIST = 1
SPARE_ROOM = 64


class KeyedMap(MapDeclaration, Generic[K, V]):
    """A map that behaves as a mapping in user space."""

    parameters = 2

    def bind(self, live: EngineMap | None, engine: Engine | None) -> None:
        super().bind(live, engine)
        if live is None:
            for name in ("_pack", "_unpack", "_unpack_key", "_lookup"):
                vars(self).pop(name, None)
            return
        self._unpack_key = self._key_unpacker(decoder(self.key_type))  # type: ignore[method-assign,assignment]
        self._pack = self._key_packer(encoder(self.key_type))  # type: ignore[method-assign,assignment]
        self._unpack = self._unpacker(decoder(self.value_type))  # type: ignore[method-assign,assignment]
        self._lookup = live.lookup  # type: ignore[method-assign]

    def _pack(self, key: Any) -> bytes:
        raise self.not_loaded()

    def _unpack(self, data: bytes) -> Any:
        raise self.not_loaded()

    def _unpack_key(self, data: bytes) -> Any:
        raise self.not_loaded()

    def _lookup(self, key: bytes) -> bytes | None:
        raise self.not_loaded()

    def _key_packer(self, plain: Encoder) -> Encoder:
        """Makes the engine's bytes of a key."""
        return plain

    def _key_unpacker(self, plain: Decoder) -> Decoder:
        return plain

    def _unpacker(self, one: Decoder) -> Decoder:
        """Makes a value of what the engine gives for one; `one` makes it of the bytes of one CPU."""
        return one

    def _encode(self, value: Any) -> bytes:
        """A value as the engine takes it."""
        return self._fitted("value", self.value_type, value)

    def _key(self, key: Any) -> bytes:
        try:
            return self._pack(key)
        except (TypeError, ValueError) as error:
            raise self._misfit("key", self.key_type, error) from None

    def _fitted(self, what: str, layout: Type, value: Any) -> bytes:
        """A key or value as it lies in memory; what does not fit is told with the map's name."""
        try:
            return layout.encode(value)
        except (TypeError, ValueError) as error:
            raise self._misfit(what, layout, error) from None

    def _misfit(self, what: str, layout: Type, error: TypeError | ValueError) -> TypeError | ValueError:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        return kind(f"the {what} of `{self.name}` is a `{layout}`: {error}")

    def __getitem__(self, key: K) -> V:
        try:
            data = self._lookup(self._pack(key))
        except (TypeError, ValueError) as error:
            raise self._misfit("key", self.key_type, error) from None
        if data is None:
            raise KeyError(key)
        return cast(V, self._unpack(data))

    @overload
    def get(self, key: K) -> V | None: ...

    @overload
    def get(self, key: K, default: D) -> V | D: ...

    def get(self, key: K, default: Any = None) -> Any:
        data = self._lookup(self._key(key))
        return default if data is None else self._unpack(data)

    def __setitem__(self, key: K, value: V) -> None:
        self.live.update(self._key(key), self._encode(value))

    def set(self, key: K, value: V, flags: int = 0) -> int:
        """Write an entry with update flags (`bpf.BPF_NOEXIST`, `bpf.BPF_EXIST`); raises KernelError where a program would
        get -errno."""
        self._check_flags(flags)
        self.live.update(self._key(key), self._encode(value), flags)
        return 0

    def _check_flags(self, flags: object) -> None:
        if not isinstance(flags, int):
            raise TypeError(f"flags of `{self.name}` are a number, bpf.BPF_NOEXIST or bpf.BPF_EXIST, not {flags!r:.60}")

    def delete(self, key: K) -> int:
        """In a program: delete an entry, 0 or -errno. In user space: raises KeyError when there is none."""
        del self[key]
        return 0

    @overload
    def pop(self, key: K) -> V | None: ...

    @overload
    def pop(self, key: K, default: D) -> V | D: ...

    def pop(self, key: K, default: Any = None) -> Any:
        """Take an entry out: its value, or None when there is none (in user space `default`)."""
        data = self.live.take(self._key(key))
        return default if data is None else self._unpack(data)

    def popitem(self) -> tuple[K, V]:
        """Take some entry out. Raises KeyError when there is none. User space only."""
        while (key := self.live.next_key(None)) is not None:
            if (data := self.live.take(key)) is not None:
                return cast(K, self._unpack_key(key)), cast(V, self._unpack(data))
        raise KeyError(f"`{self.name}` is empty")

    def setdefault(self, key: K, default: V) -> V:
        """The value of a key, which is `default` from now on if it had none. User space only."""
        packed = self._key(key)
        while (data := self._lookup(packed)) is None:
            try:
                self.live.update(packed, self._encode(default), BPF_NOEXIST)
            except KernelError as error:
                if error.errno != EEXIST:  # a program was quicker
                    raise
        return cast(V, self._unpack(data))

    def update(self, entries: Mapping[K, V] | Iterable[tuple[K, V]], flags: int = 0) -> None:
        """Write several entries, where the kernel can (Linux 5.6) with one call; `mechanism` says how. Raises KernelError,
        whose text tells how many were written. User space only."""
        self._check_flags(flags)
        if not isinstance(entries, Mapping | KeyedMap | Iterable):
            raise TypeError(f"`{self.name}` is updated by a dictionary, or pairs of a key and a value, not by {entries!r:.60}")
        given = list(entries.items() if isinstance(entries, Mapping | KeyedMap) else entries)
        try:
            pairs = [(key, value) for key, value in given]
        except (TypeError, ValueError):
            hint = ": `update(enumerate(values))`" if self.kind in (MapType.ARRAY, MapType.PERCPU_ARRAY) else ""
            what = f"a list of {type(given[0]).__name__}"
            raise TypeError(f"`{self.name}` is updated by pairs of a key and a value, not by {what}{hint}") from None
        keys = b"".join(self._key(key) for key, _ in pairs)
        values = b"".join(self._encode(value) for _, value in pairs)
        self.live.update_batch(keys, values, len(pairs), flags)

    def delete_many(self, keys: Iterable[K]) -> int:
        """Delete several entries; how many there were. User space only."""
        packed = [self._key(key) for key in keys]
        return self.live.delete_batch(b"".join(packed), len(packed))

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
        """The keys that are there when the first is asked for: what happens to the map meanwhile does no harm."""
        for key, _ in self._read():
            yield cast(K, self._unpack_key(key))

    def keys(self) -> Iterator[K]:
        return iter(self)

    def items(self) -> Iterator[tuple[K, V]]:
        """(key, value) pairs as they were when the first is asked for; `mechanism` says how they were read."""
        for key, value in self._read():
            yield cast(K, self._unpack_key(key)), cast(V, self._unpack(value))

    def values(self) -> Iterator[V]:
        for _, value in self._read():
            yield cast(V, self._unpack(value))

    def to_dict(self) -> dict[K, V]:
        """All entries. User space only."""
        return dict(self.items())

    def take_all(self) -> dict[K, V]:
        """All entries, which are removed as they are read: what programs add to one of them meanwhile is in the result or in
        the map, in none of both never. User space only."""
        pairs = list(self._read(take=True))
        return {self._unpack_key(key): self._unpack(value) for key, value in pairs}

    def _read(self, take: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """The entries as bytes."""
        live = self.live
        key_size, value_size = live.spec.key_size, len(self._zeros())
        room = self.room()
        keys, values = bytearray(room * key_size), bytearray(room * value_size)
        count = live.read_into(keys, values, room, take)
        for index in range(count):
            yield (
                bytes(keys[index * key_size : (index + 1) * key_size]),
                bytes(values[index * value_size : (index + 1) * value_size]),
            )

    def _zeros(self) -> bytes:
        """A value of zeros as the engine has it."""
        return bytes(self.value_type.size)

    def room(self) -> int:
        """How many entries reading them all may give: a table that changes meanwhile may show one twice."""
        entries = self.live.spec.max_entries
        return entries if self.kind in (MapType.ARRAY, MapType.PERCPU_ARRAY) else entries + SPARE_ROOM

    def __len__(self) -> int:
        return sum(1 for _ in self._read())

    def clear(self) -> None:
        """Remove all entries; those of an array become zero."""
        if self.kind in (MapType.ARRAY, MapType.PERCPU_ARRAY):
            keys = [KEY32.encode(index) for index in range(self.live.spec.max_entries)]
            self.live.update_batch(b"".join(keys), self._zeros() * len(keys), len(keys))
        else:
            self.delete_many(list(self))

    def to_numpy(self) -> tuple[Any, Any]:
        """Keys and values as two arrays of the types' dtypes, an array's values in order of its indexes; of a per-CPU map the
        values have one column per CPU. User space only; raises Unsupported without NumPy."""
        from purebpf.lang.maps.numbers import to_numpy

        return to_numpy(self)

    def from_numpy(self, keys: Any, values: Any, flags: int = 0) -> None:
        """Write entries from two arrays; of a per-CPU map each row has one value per CPU, or one value for all. User space
        only."""
        from purebpf.lang.maps.numbers import from_numpy

        from_numpy(self, keys, values, flags)
