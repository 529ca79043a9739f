"""Hash tables and arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic

from purebpf.errors import Error
from purebpf.lang.maps.keyed import K, KeyedMap, V
from purebpf.lang.maps.percpu import PerCpuMap
from purebpf.tables.enums import MapType

if TYPE_CHECKING:
    from purebpf.engine import EngineMap

BPF_F_MMAPABLE = 1 << 10


class _Indexed:
    """Array kinds: the key is a u32 index, all entries exist from the start, none can be deleted."""

    parameters = 1

    if TYPE_CHECKING:

        @property
        def live(self) -> EngineMap: ...

    def __len__(self) -> int:
        return self.live.spec.max_entries

    def __iter__(self) -> Iterator[int]:
        """The indexes."""
        return iter(range(self.live.spec.max_entries))


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


class LruPerCpuHash(PerCpuMap[K, V]):
    """A hash table with one value per CPU that drops old entries when full (BPF_MAP_TYPE_LRU_PERCPU_HASH, Linux 4.10)."""

    kind = MapType.LRU_PERCPU_HASH
    creates = True


class Array(_Indexed, KeyedMap[int, V], Generic[V]):
    """An array of values (BPF_MAP_TYPE_ARRAY, Linux 3.19). With `flags=bpf.BPF_F_MMAPABLE` (Linux 5.5) `view()` gives its
    memory, which programs read and write too."""

    kind = MapType.ARRAY

    def view(self) -> Any:
        """The values as a NumPy array that is the map's own memory: no system call reads or writes it. User space only. Let go
        of it before the map is closed."""
        from purebpf.lang.maps.numbers import view

        if not self.flags & BPF_F_MMAPABLE:
            raise Error(f"`{self.name}` is not shared as memory: declare it with `flags=bpf.BPF_F_MMAPABLE`")
        return view(self)


class PerCpuArray(_Indexed, PerCpuMap[int, V], Generic[V]):
    """An array with one value per CPU (BPF_MAP_TYPE_PERCPU_ARRAY, Linux 4.6)."""

    kind = MapType.PERCPU_ARRAY
