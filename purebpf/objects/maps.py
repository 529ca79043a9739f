"""A loaded map with keys and values as Python data, as the map's types tell.

Without types, what has 1, 2, 4 or 8 bytes is an unsigned integer in this machine's byte order, all else bytes. Bytes are taken
as keys and values everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, TypeVar, overload

from purebpf.engine import Engine, EngineMap, EventReader
from purebpf.errors import Error
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.btf.reader import Btf
    from purebpf.isa.codec import ByteOrder
    from purebpf.lang.maps import EventMap

T = TypeVar("T")
PLAIN = (1, 2, 4, 8)
RINGS = (MapType.RINGBUF, MapType.PERF_EVENT_ARRAY)
HOLDERS = (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS, MapType.PROG_ARRAY)
WITHOUT_KEYS = (MapType.QUEUE, MapType.STACK, MapType.BLOOM_FILTER)
STRIDE = 8  # bytes: values of per-CPU maps are at multiples of it


class Codec:
    """Bytes to Python data and back: `size` bytes of the type `number` in `btf`, or plain where there is none."""

    def __init__(self, btf: Btf | None, number: int, size: int, order: ByteOrder) -> None:
        self.btf, self.number, self.size, self.order = btf, number, size, order

    def decode(self, data: bytes) -> Any:
        if self.btf is not None and self.number:
            return self.btf.value(self.number, data)
        return int.from_bytes(data, self.order) if self.size in PLAIN else data

    def encode(self, value: object) -> bytes:
        """The bytes of Python data, of bytes, or of a record. Raises Error for a value that the type does not have."""
        if hasattr(type(value), "__bpf_type__"):
            value = _of_record(value, self.size)
        if self.btf is not None and self.number:
            from purebpf.btf.pack import bytes_of

            return bytes_of(self.btf, self.number, value)
        if isinstance(value, bytes | bytearray | memoryview):
            if len(value) != self.size:
                raise Error(f"there are {len(value)} bytes where {self.size} belong")
            return bytes(value)
        if not isinstance(value, int) or self.size not in PLAIN:
            raise Error(f"{value!r} is no {self.size} bytes, and nothing is known of what is in them")
        try:
            return value.to_bytes(self.size, self.order, signed=value < 0)
        except OverflowError:
            raise Error(f"{value} does not fit into {self.size} bytes") from None


def _of_record(record: Any, size: int) -> bytes:
    """The bytes of a record that somebody has made by a class, `@bpf.struct` for example."""
    layout = type(record).__bpf_type__
    if layout.size != size:
        raise Error(f"a `{layout}` has {layout.size} bytes, and {size} belong there")
    try:
        data: bytes = layout.encode(record)
    except (TypeError, ValueError) as error:
        raise Error(str(error)) from None
    return data


class StructKey(dict[str, Any]):
    """A key that is a struct: a dictionary of its members that can be a key of another dictionary; leave it as it is."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(sorted(self.items())))


class LoadedMap(MutableMapping[Any, Any]):
    """A map by its entries. In a per-CPU map a value is a list, one value for each possible CPU.

    `raw` is the map as the engine has it: bytes, batches, pins.
    """

    def __init__(self, engine: Engine, raw: EngineMap, spec: MapSpec, btf: Btf | None, order: ByteOrder) -> None:
        types = spec.types
        self.engine, self.raw, self.spec, self._btf = engine, raw, spec, btf
        self._stream: tuple[Any, EventMap[Any]] | None = None  # what it is read as
        self._readers: list[EventReader] = []
        self.keys_as = Codec(btf if types else None, types.key if types else 0, spec.key_size, order)
        self.values_as = Codec(btf if types else None, types.value if types else 0, spec.value_size, order)

    @property
    def name(self) -> str:
        """What the map is called in the object; the kernel may know it by another name, see `raw.spec.name`."""
        return self.spec.name

    def _check_entries(self) -> None:
        if self.spec.type in RINGS:
            kind = self.spec.type.name.lower()
            raise Error(f"The map {self.name!r} ({kind}) has records, no entries: `for record in maps.{self.name}.of(Event)`.")

    def _key(self, key: object) -> bytes:
        self._check_entries()
        try:
            return self.keys_as.encode(key)
        except Error as error:
            raise Error(f"A key of the map {self.name!r}: {error}") from None

    def _value(self, value: object) -> bytes:
        if self.spec.type in HOLDERS and (handle := getattr(getattr(value, "raw", value), "handle", None)) is not None:
            return int(handle).to_bytes(4, self.values_as.order)
        try:
            if not self.spec.per_cpu or isinstance(value, bytes):
                return value if isinstance(value, bytes) and self.spec.per_cpu else self.values_as.encode(value)
            cpus = self.engine.possible_cpus
            if not isinstance(value, list | tuple) or len(value) != cpus:
                raise Error(f"it has a value for each of {cpus} CPUs: give a list of as many, not {value!r:.60}")
            encoded = (self.values_as.encode(one) for one in value)
            return b"".join(one.ljust(-(-len(one) // STRIDE) * STRIDE, b"\0") for one in encoded)
        except Error as error:
            raise Error(f"A value of the map {self.name!r}: {error}") from None

    def _decoded(self, data: bytes) -> Any:
        if not self.spec.per_cpu:
            return self.values_as.decode(data)
        stride = -(-self.spec.value_size // STRIDE) * STRIDE
        starts = range(0, len(data), stride)
        return [self.values_as.decode(data[start : start + self.spec.value_size]) for start in starts]

    def __getitem__(self, key: object) -> Any:
        found = self.raw.lookup(self._key(key))
        if found is None:
            raise KeyError(key)
        return self._decoded(found)

    def __setitem__(self, key: object, value: object) -> None:
        self.raw.update(self._key(key), self._value(value))

    def put(self, key: object, value: object, flags: int = 0) -> None:
        """Write an entry: only a new one (BPF_NOEXIST, 1) or only one that is there (BPF_EXIST, 2)."""
        if not isinstance(flags, int):
            raise Error(f"Flags of `put` are a number, bpf.BPF_NOEXIST or bpf.BPF_EXIST, not {flags!r:.60}")
        self.raw.update(self._key(key), self._value(value), flags)

    def __delitem__(self, key: object) -> None:
        if not self.raw.delete(self._key(key)):
            raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        self._check_entries()
        return (self._hashable(self.keys_as.decode(key)) for key in self.raw.keys())  # noqa: SIM118

    @staticmethod
    def _hashable(key: Any) -> Any:
        """A key as one can use it again, in a dictionary, too."""
        if isinstance(key, dict):
            return StructKey(key)
        return tuple(key) if isinstance(key, list) else key

    def items(self) -> Any:
        """(key, value) pairs; an entry that goes meanwhile is left out."""
        return self._items()

    def _items(self) -> Iterator[tuple[Any, Any]]:
        self._check_entries()
        for key in self.raw.keys():  # noqa: SIM118
            value = self.raw.lookup(key)
            if value is not None:
                yield self._hashable(self.keys_as.decode(key)), self._decoded(value)

    def __len__(self) -> int:
        """How many entries there are: it counts them."""
        self._check_entries()
        return sum(1 for _ in self.raw.keys())  # noqa: SIM118

    def push(self, value: object) -> None:
        """Add to a queue or stack, or to a Bloom filter."""
        if self.spec.type not in WITHOUT_KEYS:
            kind = self.spec.type.name.lower()
            raise Error(f"`push` is for queues, stacks and Bloom filters; {self.name!r} ({kind}) has keys: `map[key] = value`.")
        self.raw.update(b"", self._value(value))

    def take(self, key: object = None) -> Any:
        """Remove an entry, or the next value of a queue or stack, and give its value; None when there is none."""
        if key is None and self.spec.key_size:
            raise Error(f"`take` of {self.name!r} ({self.spec.type.name.lower()}) wants the key of the entry to take.")
        found = self.raw.take(self._key(key) if self.spec.key_size else b"")
        return None if found is None else self._decoded(found)

    def events(self) -> EventReader:
        """Start reading a ring buffer or a perf event array: records as bytes, with the CPU. It is closed with the object."""
        if self.spec.type not in RINGS:
            kind = self.spec.type.name.lower()
            raise Error(f"The map {self.name!r} ({kind}) has no events: ring buffers and perf event arrays have.")
        self._readers.append(self.engine.open_events(self.raw))
        return self._readers[-1]

    @overload
    def of(self, type: type[T]) -> EventMap[T]: ...
    @overload
    def of(self, type: str | None = None) -> EventMap[Any]: ...
    def of(self, type: Any = None) -> EventMap[Any]:
        """A ring buffer or perf event array as in Python's programs, to be read until the object is closed (docs/events.md):
        `for event in ring.of(Event)`, `read`, `read_batch`, `async for`, `bpf.events`. `type` is a class with `@bpf.struct`, a
        scalar, the name of a struct in the object, or `bytes`; without it what the object says, else bytes. It is the same one
        each time. Raises Error for another type than it is read as."""
        if self._stream is not None and type in (None, self._stream[0]):
            return self._stream[1]
        if self._stream is not None:
            shown = getattr(self._stream[0], "__name__", self._stream[0]) or "what the object says"
            raise Error(
                f"The ring {self.name!r} is read as `{shown}` already. Where records are of several types, read them as "
                "`bytes`, and make each by its class: `Event.from_bytes(record)`."
            )
        from purebpf.objects.rings import stream

        made = stream(self.spec, type, self._btf)
        made.bind(self.raw, self.engine)
        made.settle()
        self._stream = type, made
        return made

    def _release(self) -> None:
        """End what reads it, before it is closed."""
        if self._stream is not None:
            self._stream[1].bind(None, None)
        for reader in self._readers:
            reader.close()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<map {self.name} ({self.spec.type.name.lower()})>"
