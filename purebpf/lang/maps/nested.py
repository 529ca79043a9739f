"""Maps of maps: programs look an inner map up and use it; user space puts maps in, and changes them under running programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar, cast

from purebpf.data import data, replace
from purebpf.engine import Engine, EngineMap
from purebpf.errors import Error
from purebpf.lang import declaring
from purebpf.lang.maps.declaration import KEY32, MapDeclaration
from purebpf.lang.maps.keyed import K
from purebpf.lang.types import KernelType, Type
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

M = TypeVar("M", bound=MapDeclaration)


@data
class InnerMapType(KernelType):
    """A map that lies in another one. `declaration` is what all of them are like."""

    declaration: Any = None

    def __str__(self) -> str:
        return f"inner {type(self.declaration).__name__}"


def clone(template: M) -> M:
    """Another declaration of the same kind, types and sizes, not loaded."""
    made: M = object.__new__(type(template))
    vars(made).update(
        {name: value for name, value in vars(template).items() if not name.startswith(("_pack", "_unpack", "_lookup"))}
    )
    made._live = made._engine = made.holder = None
    return made


def _alike(spec: MapSpec) -> MapSpec:
    """A map as those of one outer map are made: without types, unless the kernel must know them. Before Linux 6.2 it takes one
    that has types for another kind of map than one that has none."""
    return spec if spec.types is None or spec.types.required else replace(spec, types=None)


class Outer(MapDeclaration, Generic[K, M]):
    """What arrays and hash tables of maps have in common.

    `inner` is a map that the inner ones are like: of its kind, types and flags (and size, if they are arrays). In user space
    `outer[k] = map` puts one in, which is loaded then if it is not yet; `outer[k]` is the map that is there.
    """

    def __init__(self, inner: M, max_entries: int, *, name: str | None = None, flags: int = 0, pin: str = "") -> None:
        super().__init__(max_entries, name=name, flags=flags, pin=pin)
        if not isinstance(inner, MapDeclaration) or isinstance(inner, Outer):
            raise declaring.error(f"`inner` is a map that is like the inner ones, not {inner!r}", self._usage())
        self.inner: M = inner
        self.entries: dict[Any, M] = {}  # what user space put in
        self._own: list[M] = []  # those that were loaded for it

    @property
    def value_type(self) -> Type:
        return InnerMapType("bpf_map", 8, 8, declaration=self.inner)

    def describe(self, name: str) -> MapSpec:
        inner = replace(_alike(self.inner.describe(self.inner.name or f"{name}.inner")), pin="")
        return MapSpec(name, self.kind, self.key_type.size, 4, self.max_entries, self.flags, pin=self.pin_path, inner=inner)

    def bind(self, live: EngineMap | None, engine: Engine | None) -> None:
        own, self._own = self._own, []
        for made in own:
            closing = made.live
            made.bind(None, None)
            closing.close()
        super().bind(live, engine)
        if live is not None:
            for key, inner in self.entries.items():
                self._put(key, inner)

    def _check_alike(self, inner: M) -> None:
        """Raise TypeError for a map that the kernel would not take for one of these (bpf_map_meta_equal)."""
        wanted, given = self.inner.describe("inner"), inner.describe("inner")
        for what in ("key_size", "value_size", "flags"):
            one, other = getattr(given, what), getattr(wanted, what)
            if one != other:
                raise TypeError(
                    f"`{self.called}` holds maps as `{self.inner.called}`: {what} of `{inner.called}` is {one}, not {other}"
                )

    def _put(self, key: Any, inner: M) -> None:
        self._check_alike(inner)
        if not inner.bound:
            name = inner.name = inner.name or f"{self.name}_{len(self._own)}"
            inner.bind(self.engine.create_map(_alike(inner.describe(name))), self.engine)
            self._own.append(inner)
        if inner._engine is not self._engine and inner.engine.name != self.engine.name:
            raise Error(f"`{inner.name}` is loaded in another engine than `{self.name}`")
        self.live.update(self.key_type.encode(key), KEY32.encode(inner.live.handle))

    def __setitem__(self, key: Any, inner: M) -> None:
        if not isinstance(inner, type(self.inner)):
            raise TypeError(f"`{self.name}` holds maps as {self.inner!r}, not {inner!r}")
        self.key_type.encode(key)
        if self.bound:
            self._put(key, inner)
        self.entries[key] = inner

    def create(self, key: Any) -> M:
        """Put a new inner map in; it lives as long as the outer one is loaded."""
        made = clone(self.inner)
        made.name = None
        self[key] = made
        return made

    def __getitem__(self, key: Any) -> M:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def get(self, key: Any) -> M | None:
        """The inner map of a key, or None."""
        data = self.live.lookup(self.key_type.encode(key))
        if data is None:
            return None
        number = KEY32.decode(data)
        known = [inner for inner in (*self.entries.values(), *self._own) if inner.bound]
        found = next((inner for inner in known if inner.live.identity == number), None)
        if found is None:  # another process put it there
            found = clone(self.inner)
            found.bind(self.engine.open_map(found.describe(found.name or "inner"), number), self.engine)
            self._own.append(found)
        return found

    def __contains__(self, key: object) -> bool:
        return self.live.lookup(self.key_type.encode(key)) is not None

    def __delitem__(self, key: Any) -> None:
        if self.entries.pop(key, None) is None and not self.bound:
            raise KeyError(key)
        if self.bound and not self.live.delete(self.key_type.encode(key)):
            raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        """The keys that have an inner map."""
        for key in self.live.keys():  # noqa: SIM118
            if self.live.lookup(key) is not None:
                yield cast(Any, self.key_type.decode(key))

    def keys(self) -> Iterator[Any]:
        return iter(self)

    def values(self) -> Iterator[M]:
        """The inner maps."""
        return (inner for _, inner in self.items())

    def items(self) -> Iterator[tuple[Any, M]]:
        """The keys that have an inner map, each with it."""
        for key in self:
            if (inner := self.get(key)) is not None:
                yield key, inner

    def __len__(self) -> int:
        return sum(1 for _ in self)


class ArrayOfMaps(Outer[int, M], Generic[M]):
    """Maps by index (BPF_MAP_TYPE_ARRAY_OF_MAPS, Linux 4.12)."""

    kind = MapType.ARRAY_OF_MAPS


class HashOfMaps(Outer[K, Any], Generic[K]):
    """Maps by key, `bpf.HashOfMaps[K](inner, max_entries)` (BPF_MAP_TYPE_HASH_OF_MAPS, Linux 4.12)."""

    kind = MapType.HASH_OF_MAPS
    parameters = 1

    @property
    def key_type(self) -> Type:
        return self.types[0]
