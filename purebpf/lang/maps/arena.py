"""Memory that programs and user space share, laid out as an array."""

from __future__ import annotations

from typing import Any, Generic, cast

from purebpf.lang import declaring
from purebpf.lang.maps.declaration import MapDeclaration
from purebpf.lang.maps.keyed import V
from purebpf.lang.types import kept_fields
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

PAGE = 4096
LARGEST = 1 << 32  # bytes
BPF_F_MMAPABLE = 1 << 10


class Arena(MapDeclaration, Generic[V]):
    """Values of one type in memory that both sides read and write directly (BPF_MAP_TYPE_ARENA, Linux 6.9), up to 4 GiB.

    In a program `arena[i]` with an index proven in range; in user space `arena[i]`, `len`, iteration, and `view()` as a NumPy
    array. The values lie one behind the other.
    """

    kind = MapType.ARENA
    parameters = 1

    def __init__(self, max_entries: int, *, name: str | None = None) -> None:
        super().__init__(max_entries, name=name, flags=BPF_F_MMAPABLE)

    def describe(self, name: str) -> MapSpec:
        layout = self.value_type
        if kept := kept_fields(layout):
            raise declaring.error(f"`{name}`: an arena cannot hold `{kept[0].type}`", place=self.place)
        size = layout.size * self.max_entries
        if size > LARGEST:
            raise declaring.error(f"`{name}` has {size} bytes, and an arena at most {LARGEST}", place=self.place)
        return MapSpec(name, self.kind, 0, 0, -(-size // PAGE), self.flags)

    @property
    def _memory(self) -> memoryview:
        return self.live.memory()

    def _at(self, index: int) -> slice:
        if isinstance(index, bool) or not isinstance(index, int):
            raise TypeError(f"an index of `{self.name}` is an integer, not {index!r}")
        if not 0 <= index < self.max_entries:
            raise IndexError(f"index {index} is outside `{self.name}`, which has {self.max_entries} entries")
        return slice(index * self.value_type.size, (index + 1) * self.value_type.size)

    def __getitem__(self, index: int) -> V:
        return cast(V, self.value_type.decode(bytes(self._memory[self._at(index)])))

    def __setitem__(self, index: int, value: V) -> None:
        where = self._at(index)
        self._memory[where] = self.value_type.encode(value)

    def __len__(self) -> int:
        return self.max_entries

    def view(self) -> Any:
        """The values as a NumPy array that is the memory itself."""
        from purebpf.lang.dtypes import dtype_of, numpy_module

        return numpy_module().frombuffer(self._memory, dtype_of(self.value_type), self.max_entries)
