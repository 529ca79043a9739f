"""Names for addresses of a process: its mappings, the symbols of the files in them, its JIT compiler's map, and the vdso.

The mappings are read at once, so that a process may end before its stacks are looked at; files when an address in them is.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable

from purebpf.errors import Error
from purebpf.symbols.elf import ElfSymbols, elf_symbols, symbols_of_bytes
from purebpf.symbols.frame import Frame, Source
from purebpf.symbols.mappings import Mapping, identity, own_number, read_mappings
from purebpf.symbols.perf_map import read_perf_map
from purebpf.symbols.table import Table

VDSO, ANONYMOUS = "[vdso]", "[anon]"


class ProcessSymbols(Source):
    """`name` is the process's (its comm). A process that has loaded another library since is looked at again when an address
    is not covered, as long as it is the same one. Raises Error when there is no such process, or when it may not be looked
    at.

    Files are opened through the process (/proc/PID/map_files, /proc/PID/root), so those of a container, and those replaced
    since, are the right ones as long as it lives; afterwards by path, if that is still the same file.
    """

    def __init__(self, pid: int) -> None:
        super().__init__()
        self.pid = pid
        try:
            self._identity = identity(pid)
            self._mappings = read_mappings(pid)
            self._own_number = own_number(pid)
        except PermissionError as error:
            raise Error(f"The memory map of process {pid} may not be read: that takes its owner or CAP_SYS_PTRACE.") from error
        except OSError as error:
            raise Error(f"There is no process {pid} (any more).") from error
        self._starts = [mapping.start for mapping in self._mappings]
        self._files: dict[Mapping, ElfSymbols | None] = {}
        self._problems: dict[str, str] = {}
        self._jit: Table | None = None
        self._jit_state: tuple[int, ...] = ()
        if any(not mapping.file for mapping in self._mappings):
            self._jit_table()  # now: its folder may go with the process

    @property
    def name(self) -> str:
        return self._identity[1]

    @property
    def problems(self) -> dict[str, str]:
        """Files whose symbols could not be read, and why."""
        return dict(self._problems)

    def frames(self, addresses: Iterable[int]) -> list[Frame]:
        """As of any source, up to the first address that lies in no code at all: there the frame pointers, by which the
        kernel went, have led astray, as in programs built without them. That frame is [unknown], and the last one."""
        found = super().frames(addresses)
        end = next((at for at, frame in enumerate(found) if not frame.module and not frame.kernel), len(found))
        return found[: end + 1]

    def _find(self, address: int) -> Frame:
        mapping = self._mapping(address)
        if mapping is None and self._looked_again():
            mapping = self._mapping(address)
        if mapping is None:
            return self._compiled(address) or Frame(address)
        offset = address - mapping.start + mapping.offset
        symbols = self._symbols(mapping)
        if symbols is None:
            found = self._compiled(address)
            where = mapping.path or ANONYMOUS
            return found or Frame(address, "", where, offset if mapping.file else address - mapping.start)
        name = symbols.find(offset)
        return Frame(address, name[0], mapping.path, name[1]) if name else Frame(address, "", mapping.path, offset)

    def _mapping(self, address: int) -> Mapping | None:
        at = bisect_right(self._starts, address) - 1
        return self._mappings[at] if at >= 0 and address < self._mappings[at].end else None

    def _looked_again(self) -> bool:
        """Read the mappings anew, if the process is still the one it was; those that are gone now are kept."""
        try:
            if identity(self.pid)[0] != self._identity[0]:
                return False
            now = read_mappings(self.pid)
        except OSError:
            return False
        taken = {mapping.start for mapping in now}
        self._mappings = sorted([m for m in self._mappings if m.start not in taken] + now, key=lambda m: m.start)
        self._starts = [mapping.start for mapping in self._mappings]
        return True

    def _symbols(self, mapping: Mapping) -> ElfSymbols | None:
        """The symbols of a mapping's file; None for one that is no ELF file, or none at all."""
        if mapping not in self._files:
            self._files[mapping] = self._opened(mapping)
        return self._files[mapping]

    def _opened(self, mapping: Mapping) -> ElfSymbols | None:
        if mapping.path == VDSO:
            return self._vdso(mapping)
        if not mapping.file:
            return None
        path = next((path for path in self._ways(mapping) if _is(path, mapping)), None)
        if path is None:
            self._problems[mapping.path] = f"{mapping.path} is not there any more as it was when the process mapped it."
            return None
        try:
            return elf_symbols(path, mapping.path)
        except (Error, OSError) as error:
            self._problems[mapping.path] = str(error)
            return None

    def _ways(self, mapping: Mapping) -> tuple[str, ...]:
        through = f"/proc/{self.pid}"
        return f"{through}/map_files/{mapping.start:x}-{mapping.end:x}", f"{through}/root{mapping.path}", mapping.path

    def _vdso(self, mapping: Mapping) -> ElfSymbols | None:
        """The image that the kernel maps into every process; ours, if that of the process may not be read."""
        for pid in (self.pid, os.getpid()):
            try:
                place = next(m for m in read_mappings(pid) if m.path == VDSO)
                if place.end - place.start != mapping.end - mapping.start:
                    continue
                with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
                    memory.seek(place.start)
                    return symbols_of_bytes(memory.read(place.end - place.start), VDSO)
            except (OSError, StopIteration, Error):
                continue
        return None

    def _compiled(self, address: int) -> Frame | None:
        found = self._jit_table().find(address)
        return Frame(address, found[0], "[jit]", found[1]) if found else None

    def _jit_table(self) -> Table:
        """The map of the process's JIT compiler, read anew when it has grown."""
        inside = f"/tmp/perf-{self._own_number}.map"
        for path in (f"/proc/{self.pid}/root{inside}", inside):
            try:
                told = os.stat(path)
            except OSError:
                continue
            state = told.st_ino, told.st_size, told.st_mtime_ns
            if state != self._jit_state or self._jit is None:
                self._jit, self._jit_state = read_perf_map(path), state
            return self._jit
        return self._jit or Table(())


def _is(path: str, mapping: Mapping) -> bool:
    """Whether a path leads to the very file."""
    try:
        return os.stat(path).st_ino == mapping.inode
    except OSError:
        return False
