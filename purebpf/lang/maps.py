"""Maps as an author declares them: one object on both sides.

In a program a map is what the compiler makes of it; in user space it is a mapping, once a collection that uses it is loaded.
The declaration describes itself as a `MapSpec`; `collection.py` binds it to the engine's live map.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from purebpf.engine import Engine, EngineMap, EngineProgram, Event, EventReader
from purebpf.errors import Error, NotLoaded
from purebpf.lang import declaring
from purebpf.lang.idioms import _only_in_a_program
from purebpf.lang.types import IntType, KernelType, Type, kept_fields, type_of
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

if TYPE_CHECKING:
    from typing import Self

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

KEY32 = IntType(32)
KEEPERS = {  # map types whose values may hold these
    "bpf_spin_lock": (MapType.HASH, MapType.ARRAY),
    "bpf_timer": (MapType.HASH, MapType.LRU_HASH, MapType.ARRAY),
}


LAYOUTS = "use u8 to s64, be16 to be64, bool or a @bpf.struct"
WORDS = {
    int: "say how wide: u8 to u64, s8 to s64",
    str: "a text is a field of a record: `name: str = bpf.chars(16)`",
    bytes: "raw bytes are a field of a record: `mac: bytes = bpf.bytes(6)`",
    list: "an array is a field of a record: `items: list[u32] = bpf.array(u32, 4)`",
    float: "there are no floats in the kernel",
}


def _check_type(map: type, wanted: Any) -> None:
    """Refuse what is surely no layout; variables of types and quoted ones are looked at when the map is used."""
    if wanted is None or not isinstance(origin := getattr(wanted, "__origin__", wanted), type):
        origin = type(None) if wanted is None else None
    if origin is not None and type_of(wanted) is None and not issubclass(origin, MapDeclaration):
        shown = wanted.__name__ if wanted is origin else wanted
        plain = isinstance(wanted, type) and wanted.__module__ not in ("builtins", "typing")
        hint = f"write `@bpf.struct` above `class {shown}`" if plain else WORDS.get(origin, LAYOUTS)
        raise declaring.error(f"`bpf.{map.__name__}[...]`: `{shown}` has no layout", hint)


class MapDeclaration:
    """What all maps have: a type, sizes, a name (that of the variable a program uses it by) and the live map once loaded."""

    kind: MapType
    parameters = 0  # how many types stand in the brackets
    creates = False  # whether `m[k] += n` may add the entry

    def __new__(cls, *args: Any, **keywords: Any) -> Self:
        """Says what is missing where the arguments do not fit."""
        problem = declaring.mismatch(cls.__init__, (None, *args), keywords)
        if problem is not None:
            raise declaring.error(f"`bpf.{cls.__name__}`: {problem}", cls._usage())
        return super().__new__(cls)

    def __class_getitem__(cls, types: Any) -> Any:
        try:
            made = super().__class_getitem__(types)  # type: ignore[misc]
        except (TypeError, AttributeError):
            many = ("takes no types", "takes one type", "takes two types, of keys and of values")[cls.parameters]
            raise declaring.error(f"`bpf.{cls.__name__}` {many}", cls._usage()) from None
        if hasattr(cls, "kind"):
            for type in types if isinstance(types, tuple) else (types,):
                _check_type(cls, type)
        return made

    @classmethod
    def _usage(cls) -> str:
        """How one is declared."""
        import inspect

        shape = f"[{', '.join(('K', 'V')[-cls.parameters :])}]" if cls.parameters else ""
        needed = [
            name
            for name, parameter in inspect.signature(cls.__init__).parameters.items()
            if name != "self" and parameter.default is parameter.empty
        ]
        return f"bpf.{cls.__name__}{shape}({', '.join(f'{name}=...' for name in needed)})"

    def __init__(self, max_entries: int, *, name: str | None = None, flags: int = 0) -> None:
        if isinstance(max_entries, bool) or not isinstance(max_entries, int) or not 0 < max_entries < 1 << 32:
            raise declaring.error(f"max_entries must be a positive 32-bit integer, not {max_entries!r}", self._usage())
        self.place = declaring.here()  # where it is declared
        self.max_entries = max_entries
        self.name = name
        self.flags = flags
        self._live: EngineMap | None = None
        self._engine: Engine | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = self.name or name

    @property
    def types(self) -> tuple[Type, ...]:
        """The layouts in the brackets."""
        written = getattr(getattr(self, "__orig_class__", None), "__args__", ())
        if self.parameters and len(written) != self.parameters:
            raise declaring.error("the map does not say what it holds", self._usage(), self.place)
        layouts = tuple(type_of(t) for t in written)
        for annotation, layout in zip(written, layouts, strict=True):
            if layout is None:
                shown = getattr(annotation, "__name__", annotation)
                raise declaring.error(f"`bpf.{type(self).__name__}[...]`: `{shown}` has no layout", LAYOUTS, self.place)
        return cast("tuple[Type, ...]", layouts)

    @property
    def has_types(self) -> bool:
        """Whether the brackets are there."""
        return hasattr(self, "__orig_class__")

    @property
    def key_type(self) -> Type:
        return self.types[0] if self.parameters == 2 else KEY32

    @property
    def value_type(self) -> Type:
        return self.types[-1] if self.parameters else KEY32

    def describe(self, name: str) -> MapSpec:
        """The map as plain data, under the name it has in its collection."""
        key, value = self.key_type, self.value_type
        if not (kept := kept_fields(value)) and not kept_fields(key):
            return MapSpec(name, self.kind, key.size, value.size, self.max_entries, self.flags)
        for field in kept_fields(key) or kept:
            allowed = KEEPERS[field.type.name] if isinstance(field.type, KernelType) and not kept_fields(key) else ()
            if self.kind not in allowed:
                where = "a key" if kept_fields(key) else f"{type(self).__name__}"
                what = f"`{name}`: {where} cannot hold `{field.type}`"
                raise declaring.error(what, "a value in Hash and Array can", self.place)
        from purebpf.lang.map_types import map_types

        types = map_types(key, value)
        return MapSpec(name, self.kind, key.size, value.size, self.max_entries, self.flags, types=types)

    def bind(self, live: EngineMap | None, engine: Engine | None) -> None:
        """Connect the declaration with a live map, or disconnect it (None)."""
        self._live, self._engine = live, engine

    @property
    def bound(self) -> bool:
        return self._live is not None

    @property
    def live(self) -> EngineMap:
        if self._live is None:
            raise self.not_loaded()
        return self._live

    def not_loaded(self) -> NotLoaded:
        """The error for a use before it is loaded."""
        names = self.place[2].items()
        name = self.name or next((name for name, value in names if value is self), type(self).__name__)
        return NotLoaded(f"map `{name}` is not loaded: load, run or attach a program that uses it first")

    @property
    def engine(self) -> Engine:
        assert self.live is not None and self._engine is not None
        return self._engine

    def __repr__(self) -> str:
        state = "" if self.bound else ", not loaded"
        return f"<bpf.{type(self).__name__} {self.name or '(unnamed)'}, {self.max_entries} entries{state}>"


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


class PerCpuValue(list[V]):
    """One value per possible CPU."""

    def sum(self) -> Any:
        """All of them added up; records are added field by field."""
        return add_up(self)


def add_up(values: list[Any]) -> Any:
    """The sum of integers, of records field by field, of arrays element by element. What cannot be added (texts, bytes, bools)
    is that of the first."""
    first = values[0] if values else 0
    if hasattr(first, "__bpf_type__"):
        total = type(first).__bpf_type__.zero()
        for field in type(first).__bpf_type__.fields:
            setattr(total, field.name, add_up([getattr(value, field.name) for value in values]))
        return total
    if isinstance(first, list):
        return [add_up(list(elements)) for elements in zip(*values, strict=True)]
    return sum(values) if isinstance(first, int) and not isinstance(first, bool) else first


class PerCpuMap(KeyedMap[K, V]):
    """A map with one value per CPU: programs see their CPU's, user space sees a list with `.sum()`. To a type checker a value
    is either, so `Any`."""

    if TYPE_CHECKING:

        def __getitem__(self, key: K) -> Any: ...

        def __setitem__(self, key: K, value: V | list[V]) -> None: ...

        def get(self, key: K, default: Any = None) -> Any: ...

        def pop(self, key: K) -> Any: ...

        def items(self) -> Iterator[tuple[K, Any]]: ...

        def values(self) -> Iterator[Any]: ...

    def _decode(self, data: bytes) -> Any:
        size = self.value_type.size
        step = -(-size // 8) * 8
        return PerCpuValue(self.value_type.decode(data[i : i + size]) for i in range(0, len(data), step))

    def _encode(self, value: Any) -> bytes:
        """A list gives each CPU its value, anything else is written for every CPU."""
        cpus = self.engine.possible_cpus
        values = list(value) if isinstance(value, list) else [value] * cpus
        if len(values) != cpus:
            raise ValueError(f"a per-CPU value is a list of {cpus} values (one per possible CPU), not {len(values)}")
        step = -(-self.value_type.size // 8) * 8
        return b"".join(self.value_type.encode(item).ljust(step, b"\0") for item in values)

    def sums(self) -> dict[K, Any]:
        """Every key with the sum of its values over all CPUs; for arrays, keys whose sum is zero everywhere are left out."""
        totals = {key: cast(Any, value).sum() for key, value in self.items()}
        if isinstance(self, PerCpuArray):
            zero = self.value_type.zero()
            totals = {key: total for key, total in totals.items() if total != zero}
        return totals


class _Indexed:
    """Array kinds: the key is a u32 index, all entries exist from the start, none can be deleted."""

    parameters = 1


class Hash(KeyedMap[K, V]):
    """A hash table (BPF_MAP_TYPE_HASH, Linux 3.19)."""

    kind = MapType.HASH
    creates = True


class LruHash(KeyedMap[K, V]):
    """A hash table that drops the least recently used entry when full (BPF_MAP_TYPE_LRU_HASH, Linux 4.10)."""

    kind = MapType.LRU_HASH
    creates = True


class PerCpuHash(PerCpuMap[K, V]):
    """A hash table with one value per CPU (BPF_MAP_TYPE_PERCPU_HASH, Linux 4.6)."""

    kind = MapType.PERCPU_HASH
    creates = True


class Array(_Indexed, KeyedMap[int, V], Generic[V]):
    """An array of values (BPF_MAP_TYPE_ARRAY, Linux 3.19)."""

    kind = MapType.ARRAY


class PerCpuArray(_Indexed, PerCpuMap[int, V], Generic[V]):
    """An array with one value per CPU (BPF_MAP_TYPE_PERCPU_ARRAY, Linux 4.6)."""

    kind = MapType.PERCPU_ARRAY


class DevMap(KeyedMap[int, int]):
    """Network interfaces by index, for `redirect` (BPF_MAP_TYPE_DEVMAP, Linux 4.14). Values are interface indexes; 0 means
    none."""

    kind = MapType.DEVMAP
    parameters = 0

    def redirect(self, index: int, flags: int = 0) -> int:
        """Send the packet out of the interface at an index; return its result from an XDP program (helper redirect_map). The
        low bits of `flags` are the result where there is none."""
        _only_in_a_program("DevMap.redirect()")


class ProgArray(MapDeclaration):
    """Programs to tail-call (BPF_MAP_TYPE_PROG_ARRAY, Linux 4.2). In user space `table[i] = program`."""

    kind = MapType.PROG_ARRAY

    def __init__(self, max_entries: int, *, name: str | None = None, flags: int = 0) -> None:
        super().__init__(max_entries, name=name, flags=flags)
        self.entries: dict[int, Any] = {}  # what user space put in: programs, loaded together with the table

    def tail_call(self, ctx: Any, index: int) -> None:
        """Go on in the program at an index, and do not come back; go on here when there is none."""
        _only_in_a_program("ProgArray.tail_call()")

    def __setitem__(self, index: int, program: Any) -> None:
        if not 0 <= index < self.max_entries:
            raise IndexError(f"index {index} is outside the program array of {self.max_entries} entries")
        self.entries[index] = program
        if self._live is not None:
            self.store(index, program.loaded)

    def __delitem__(self, index: int) -> None:
        if index not in self.entries:
            raise KeyError(index)
        del self.entries[index]
        if self._live is not None:
            self._live.delete(KEY32.encode(index))

    def store(self, index: int, program: EngineProgram) -> None:
        """Write a loaded program into the live table."""
        self.live.update(KEY32.encode(index), KEY32.encode(program.handle))


class EventMap(MapDeclaration, Generic[V]):
    """A map whose content is a stream of records of type V, which user space reads. Iterating gives them until it is closed."""

    parameters = 1

    def __init__(self, max_entries: int, *, name: str | None = None) -> None:
        super().__init__(max_entries, name=name)
        self.lost = 0
        self._reader: EventReader | None = None

    def bind(self, live: EngineMap | None, engine: Engine | None) -> None:
        reader, self._reader = self._reader, None
        super().bind(live, engine)
        if reader is not None:
            reader.close()
        if live is not None and engine is not None:
            self._reader = engine.open_events(live)

    def plain(self, name: str) -> None:
        """Raise Error for records with a lock or timer."""
        if kept := kept_fields(self.value_type):
            raise declaring.error(f"`{name}`: a record that is sent cannot hold `{kept[0].type}`", place=self.place)

    def read(self, timeout: float | None = None) -> list[V]:
        """The records that are there, waiting up to `timeout` seconds for the first (None: without end; [] when none came, or
        when another thread closed it)."""
        size, decode = self.value_type.size, self.value_type.decode
        events = self.read_events(timeout)
        for event in events:
            if len(event.data) < size:
                raise Error(
                    f"a record of {len(event.data)} bytes is no `{self.value_type}` ({size}): take it by `read_events()`"
                )
        return [cast(V, decode(event.data[:size])) for event in events]

    def read_events(self, timeout: float | None = None) -> list[Event]:
        """As `read`, but with CPU and raw bytes."""
        reader = self._reader
        if reader is None:
            raise self.not_loaded()
        events = reader.read(timeout)
        self.lost += sum(event.lost for event in events)
        return [event for event in events if not event.lost]

    def records(self, timeout: float | None = None) -> Iterator[V]:
        """The records one by one; ends when none came for `timeout` seconds, or when it is closed."""
        while self.bound:
            try:
                found = self.read(timeout)
            except NotLoaded:  # another thread closed it just now
                return
            if not found and timeout is not None:
                return
            yield from found

    def __iter__(self) -> Iterator[V]:
        return self.records()

    def __aiter__(self) -> AsyncIterator[V]:
        """`async for`: the records as they come, until it is closed."""
        from purebpf.lang.streaming import stream

        return stream(self)

    def fileno(self) -> int:
        """Readable when there are records, for select and the like; -1 in the virtual machine."""
        if self._reader is None:
            raise self.not_loaded()
        return self._reader.fileno()


class PerfEventArray(EventMap[V], Generic[V]):
    """Per-CPU event rings (BPF_MAP_TYPE_PERF_EVENT_ARRAY, Linux 4.3). Iterating gives the records as type V.

    `max_entries` is the number of CPUs and filled in when it is created. `lost` counts events that found a full ring.
    """

    kind = MapType.PERF_EVENT_ARRAY

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(1, name=name)

    def output(self, record: V, flags: int = 0xFFFF_FFFF) -> int:
        """Send a copy of a record to a CPU's ring, this one's unless `flags` says another; 0 or a negative errno."""
        _only_in_a_program("PerfEventArray.output()")

    def describe(self, name: str) -> MapSpec:
        self.plain(name)
        return MapSpec(name, self.kind, 4, 4, 0, self.flags)
