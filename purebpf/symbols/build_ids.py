"""Names for places in files: a build id, which each file has that a linker made, and an offset.

Which file has a build id is learned from processes that have it mapped, or from paths: a file of the same name on another
machine, or after an update, has another build id, and no wrong name is given.
"""

from __future__ import annotations

import os

from purebpf.errors import Error
from purebpf.symbols.elf import ElfSymbols, elf_symbols
from purebpf.symbols.frame import Frame
from purebpf.symbols.mappings import read_mappings


class BuildIdSymbols:
    """Files by their build ids. `learn` them from processes while they run, or by their paths."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[str, ElfSymbols]] = {}
        self._seen: set[str] = set()

    def learn(self, pid: int) -> None:
        """All files that a process has mapped to be run. Raises Error when there is no such process, or it may not be looked
        at."""
        try:
            mappings = read_mappings(pid)
        except OSError as error:
            raise Error(f"The memory map of process {pid} cannot be read: {error.strerror}.") from error
        for mapping in mappings:
            if mapping.file and mapping.path not in self._seen:
                self._seen.add(mapping.path)
                self.add(f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}", mapping.path) or self.add(mapping.path)

    def add(self, path: str, name: str = "") -> bool:
        """A file; whether it has a build id and could be read. `name` is its name where the path is another way to it."""
        try:
            found = elf_symbols(path, name)
        except (Error, OSError):
            return False
        if found.build_id:
            self._files[found.build_id] = (name or os.path.abspath(path), found)
        return bool(found.build_id)

    def frame(self, build_id: str, offset: int) -> Frame:
        """Where an offset in the file of a build id is; a frame without a name, "[build-id ...]" as its module, when that
        file is not known. Offsets of callers are those of return addresses: ask for one less."""
        if build_id not in self._files:
            return Frame(0, "", f"[build-id {build_id}+{offset:#x}]" if build_id else "", offset)
        path, symbols = self._files[build_id]
        found = symbols.find(offset)
        return Frame(0, found[0], path, found[1]) if found else Frame(0, "", path, offset)
