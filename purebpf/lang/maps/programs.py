"""Maps of programs, for tail calls."""

from __future__ import annotations

from typing import Any

from purebpf.engine import EngineProgram
from purebpf.lang.idioms import _only_in_a_program
from purebpf.lang.maps.declaration import KEY32, MapDeclaration
from purebpf.tables.enums import MapType


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
        if not getattr(program, "__bpf_program__", False):
            raise TypeError(f"`{self.called}` holds programs, decorated functions, not {program!r:.60}")
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
