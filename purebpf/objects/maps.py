"""A loaded map with keys and values as Python data, as the map's types tell.

Without types, what has 1, 2, 4 or 8 bytes is an unsigned integer in this machine's byte order, all else bytes. Bytes are taken
as keys and values everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from purebpf.engine import Engine, EngineMap, EventReader
from purebpf.errors import Error
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.btf.reader import Btf
    from purebpf.isa.codec import ByteOrder

PLAIN = (1, 2, 4, 8)
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
        """Raises Error for a value that the type does not have."""
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


class LoadedMap(MutableMapping[Any, Any]):
    """A map by its entries. In a per-CPU map a value is a list, one value for each possible CPU.

    `raw` is the map as the engine has it: bytes, batches, pins.
    """

    def __init__(self, engine: Engine, raw: EngineMap, spec: MapSpec, btf: Btf | None, order: ByteOrder) -> None:
        types = spec.types
        self.engine, self.raw, self.spec = engine, raw, spec
        self.keys_as = Codec(btf if types else None, types.key if types else 0, spec.key_size, order)
        self.values_as = Codec(btf if types else None, types.value if types else 0, spec.value_size, order)

    @property
    def name(self) -> str:
        """What the map is called in the object; the kernel may know it by another name, see `raw.spec.name`."""
        return self.spec.name

    def _key(self, key: object) -> bytes:
        try:
            return self.keys_as.encode(key)
        except Error as error:
            raise Error(f"A key of the map {self.name!r}: {error}") from None

    def _value(self, value: object) -> bytes:
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
        self.raw.update(self._key(key), self._value(value), flags)

    def __delitem__(self, key: object) -> None:
        if not self.raw.delete(self._key(key)):
            raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return (self._hashable(self.keys_as.decode(key)) for key in self.raw.keys())  # noqa: SIM118

    @staticmethod
    def _hashable(key: Any) -> Any:
        """A key as one can use it again; a list as a tuple."""
        return tuple(key) if isinstance(key, list) else key

    def items(self) -> Any:
        """(key, value) pairs; an entry that goes meanwhile is left out."""
        return self._items()

    def _items(self) -> Iterator[tuple[Any, Any]]:
        for key in self.raw.keys():  # noqa: SIM118
            value = self.raw.lookup(key)
            if value is not None:
                yield self._hashable(self.keys_as.decode(key)), self._decoded(value)

    def __len__(self) -> int:
        """How many entries there are: it counts them."""
        return sum(1 for _ in self.raw.keys())  # noqa: SIM118

    def push(self, value: object) -> None:
        """Add to a queue or stack, or to a Bloom filter."""
        self.raw.update(b"", self._value(value))

    def take(self, key: object = b"") -> Any:
        """Remove an entry, or the next value of a queue or stack, and give its value; None when there is none."""
        found = self.raw.take(self._key(key) if self.spec.key_size else b"")
        return None if found is None else self._decoded(found)

    def events(self) -> EventReader:
        """Start reading a ring buffer or a perf event array."""
        if self.spec.type not in (MapType.RINGBUF, MapType.PERF_EVENT_ARRAY):
            kind = self.spec.type.name.lower()
            raise Error(f"The map {self.name!r} ({kind}) has no events: ring buffers and perf event arrays have.")
        return self.engine.open_events(self.raw)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<map {self.name} ({self.spec.type.name.lower()})>"
