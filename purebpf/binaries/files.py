"""Programs and libraries on disk: where one is that is only named, and where in the file a symbol is.

Libraries are looked for as the loader does, in LD_LIBRARY_PATH and /etc/ld.so.cache (glibc's sysdeps/generic/dl-cache.h), then
in the usual folders. Symbols come from the dynamic table, or from the full one where a file is not stripped.
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase

from purebpf.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CACHE = "/etc/ld.so.cache"
MAGIC = b"glibc-ld.so.cache1.1"
HEADER, ENTRY = 48, 24
FLAGS = {"x86_64": 0x0303, "aarch64": 0x0A03}  # a library of glibc for this machine
FOLDERS = ("/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib", "/lib/{}-linux-gnu", "/usr/lib/{}-linux-gnu")
EXECUTABLE = 1  # PF_X
UNDEFINED = "SHN_UNDEF"
CODE = ("STT_FUNC", "STT_LOOS", "STT_GNU_IFUNC", "STT_NOTYPE")


def find_binary(name: str) -> str:
    """The file's path: as given where it has a slash, else that of the library or command of this name. Raises Error."""
    if "/" in name:
        path = os.path.abspath(name)
        if not os.path.isfile(path):
            raise Error(f"There is no file {path} to probe.")
        return path
    found = next(_places(name), None) or shutil.which(name)
    if found is None:
        raise Error(
            f"There is no library or command {name!r}: it is not in LD_LIBRARY_PATH, {CACHE}, the usual folders or PATH. Give "
            "a path, with a slash in it."
        )
    return os.path.realpath(found)


def _places(name: str) -> Iterator[str]:
    machine = os.uname().machine
    for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":"):
        if folder and os.path.isfile(path := os.path.join(folder, name)):
            yield path
    try:
        with open(CACHE, "rb") as file:
            yield from (path for path in cached(file.read(), name, machine) if os.path.isfile(path))
    except OSError:
        pass
    for folder in FOLDERS:
        if ".so" in name and os.path.isfile(path := os.path.join(folder.format(machine), name)):
            yield path


def cached(cache: bytes, name: str, machine: str) -> Iterator[str]:
    """The paths that the loader's cache has for a library: of exactly this name, else with a version behind it."""
    start = cache.find(MAGIC)  # an older format may come first, with the same libraries
    if start < 0:
        return
    number = struct.unpack_from("=I", cache, start + 20)[0]
    paths: dict[str, str] = {}
    for at in range(start + HEADER, start + HEADER + ENTRY * number, ENTRY):
        flags, key, value = struct.unpack_from("=iII", cache, at)
        if flags == FLAGS.get(machine, flags):
            paths.setdefault(_text(cache, start + key), _text(cache, start + value))
    if name in paths:
        yield paths[name]
    elif ".so" in name:
        yield from (path for key, path in paths.items() if key.startswith(f"{name}."))


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode("utf-8", "surrogateescape")


def symbol_offset(path: str, name: str) -> int:
    """The offset in the file of a function. Raises Error, with similar names, when the file has none of that name."""
    return _symbol(path, name)[1]


def symbol_address(path: str, name: str) -> int:
    """The address of a function, as the file itself gives it. Raises Error, with similar names, when there is none."""
    return _symbol(path, name)[0]


def _symbol(path: str, name: str) -> tuple[int, int]:
    with opened(path) as (elf, tables):
        for table in tables:
            for address in _addresses(elf, table, name):
                if (offset := in_file(elf, address)) is not None:
                    return address, offset
        raise Error(f"{path} has no function {name!r}{_similar(tables, name)}")


def matching_offsets(path: str, pattern: str) -> dict[int, str]:
    """The offsets in the file of all functions that a pattern fits, and a name for each. Raises Error when there is none."""
    found: dict[int, str] = {}
    with opened(path) as (elf, tables):
        for table in tables:
            for symbol in table.iter_symbols():
                if fnmatchcase(symbol.name, pattern) and _is_code(symbol):
                    offset = in_file(elf, symbol["st_value"])
                    if offset is not None:
                        found.setdefault(offset, symbol.name)
        if not found:
            raise Error(f"{path} has no function that fits the pattern {pattern!r}")
    return found


@contextmanager
def opened(path: str) -> Iterator[tuple[Any, list[Any]]]:
    """The file and its symbol tables. Raises Error for a file that is no ELF file."""
    from elftools.common.exceptions import DWARFError, ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            elf: Any = ELFFile(mapped)  # type: ignore[arg-type]
            yield elf, [table for kind in (".dynsym", ".symtab") if (table := elf.get_section_by_name(kind)) is not None]
    except (ELFError, DWARFError, ValueError, OSError) as error:
        raise Error(f"{path} cannot be read as an ELF file: {error}.") from error


def _is_code(symbol: Any) -> bool:
    """Whether it is a function that this file has itself."""
    return symbol["st_shndx"] != UNDEFINED and symbol["st_info"]["type"] in CODE and symbol["st_value"] != 0


def _addresses(elf: Any, table: Any, name: str) -> Iterator[int]:
    """The addresses of the functions of a name in one symbol table."""
    hashed = elf.get_section_by_name(".gnu.hash") if table.name == ".dynsym" else None
    symbols = [hashed.get_symbol(name)] if hashed is not None else table.get_symbol_by_name(name) or []
    for symbol in symbols:
        if symbol is not None and _is_code(symbol):
            yield symbol["st_value"]


def in_file(elf: Any, address: int) -> int | None:
    """Where in the file the code at an address is; None where there is none."""
    for segment in elf.iter_segments("PT_LOAD"):
        if segment["p_flags"] & EXECUTABLE and 0 <= address - segment["p_vaddr"] < segment["p_filesz"]:
            return int(address - segment["p_vaddr"] + segment["p_offset"])
    return None


def _similar(tables: list[Any], name: str) -> str:
    import difflib

    if not tables:
        return ": it has no symbols at all (stripped); give the offset in the file as a number"
    names = {s.name for table in tables for s in table.iter_symbols() if s["st_shndx"] != UNDEFINED and s.name[:1] == name[:1]}
    near = difflib.get_close_matches(name, sorted(names), 3, 0.7)
    return f"; did you mean {' or '.join(near)}?" if near else ""
