"""Variables of a loaded object: their values as Python data, in the memory that the programs see.

A section that can be mapped into memory is; of any other the whole section is read and written, so what a program writes to it
meanwhile may be lost. What programs only read is frozen when it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from purebpf.engine import EngineMap
from purebpf.errors import Error
from purebpf.objects.maps import Codec
from purebpf.objects.named import unknown
from purebpf.spec import MapSpec, VariableSpec
from purebpf.tables.enums import MapType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.btf.reader import Btf
    from purebpf.isa.codec import ByteOrder

MMAPABLE = 1 << 10  # BPF_F_MMAPABLE
KEY = bytes(4)


class Variables(MutableMapping[str, Any]):
    """`variables.limit` and `variables["limit"]` read and write. Raises Error for a name that is not there, and for writing
    what is frozen."""

    __slots__ = ("_btf", "_found", "_maps", "_order", "_specs", "_views")

    def __init__(
        self,
        found: Mapping[str, VariableSpec],
        maps: Mapping[str, EngineMap],
        specs: Mapping[str, MapSpec],
        btf: Btf | None,
        order: ByteOrder,
    ) -> None:
        set_own = object.__setattr__
        set_own(self, "_found", found)
        set_own(self, "_maps", maps)
        set_own(self, "_specs", specs)
        set_own(self, "_btf", btf)
        set_own(self, "_order", order)
        set_own(self, "_views", {})

    def spec(self, name: str) -> VariableSpec:
        try:
            found: VariableSpec = self._found[name]
        except KeyError:
            raise unknown("variable", name, self._found) from None
        return found

    def _codec(self, variable: VariableSpec) -> Codec:
        return Codec(self._btf, variable.type, variable.size, self._order)

    def _memory(self, name: str) -> memoryview | None:
        """The section's memory; None where it cannot be shared."""
        map = self._maps[name]
        if not map.spec.flags & MMAPABLE and map.spec.type is not MapType.ARENA:
            return None
        if name not in self._views:
            self._views[name] = map.memory()
        found: memoryview = self._views[name]
        return found

    def _section(self, name: str) -> bytes:
        found = self._maps[name].lookup(KEY)
        assert found is not None
        return bytes(found)

    def __getitem__(self, name: str) -> Any:
        variable = self.spec(name)
        memory = self._memory(variable.map)
        whole = memory if memory is not None else self._section(variable.map)
        return self._codec(variable).decode(bytes(whole[variable.offset : variable.offset + variable.size]))

    def __setitem__(self, name: str, value: object) -> None:
        variable = self.spec(name)
        if self._specs[variable.map].frozen:
            raise Error(
                f"The variable {name!r} is in {variable.map}, which is frozen once it is loaded: set it before, with "
                f"`variables={{{name!r}: ...}}` of `load`."
            )
        try:
            raw = self._codec(variable).encode(value)
        except Error as error:
            raise Error(f"The variable {name!r}: {error}") from None
        memory = self._memory(variable.map)
        if memory is not None:
            memory[variable.offset : variable.offset + variable.size] = raw
            return
        whole = bytearray(self._section(variable.map))
        whole[variable.offset : variable.offset + variable.size] = raw
        self._maps[variable.map].update(KEY, bytes(whole))

    def __contains__(self, name: object) -> bool:
        return name in self._found

    def __delitem__(self, name: str) -> None:
        raise Error(f"The variable {name!r} cannot be deleted.")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in self._found:
            raise AttributeError(str(unknown("variable", name, self._found)))
        return self[name]

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._found]

    def _release(self) -> None:
        """Give the memory back, before the maps are closed."""
        for view in self._views.values():
            view.release()
        self._views.clear()

    def __repr__(self) -> str:
        return f"<variables {', '.join(self._found)}>"
