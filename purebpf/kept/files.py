"""Where kept programs are, and how they are read and written: as Python does with its `.pyc` files.

A file is a checksum and data of `marshal`, which is as safe as a `.pyc`: who can write into `__pycache__` could as well write
Python's own bytecode there. It is written aside and renamed, so that nobody sees half of one. Any trouble means: not kept.
"""

from __future__ import annotations

import marshal
import os
import sys
from zlib import crc32

from purebpf import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from purebpf.kept.outside import Words

    Kept = tuple[Words, list[tuple[object, tuple[object, ...]]]]
    """The words of functions, and programs: what each was made of, and the program itself as plain data."""


def path_of(code: CodeType) -> str | None:
    """The file for the programs of a function; None where its source is no file."""
    source = os.path.abspath(code.co_filename)
    folder, name = os.path.split(source)
    stem, dot, _ = name.rpartition(".")
    if not dot or not stem or not os.path.isfile(source):
        return None
    if sys.pycache_prefix:
        folder = os.path.join(sys.pycache_prefix, folder.lstrip(os.sep))
    else:
        folder = os.path.join(folder, "__pycache__")
    return os.path.join(folder, f"{stem}.{code.co_name}-{code.co_firstlineno}.{sys.implementation.cache_tag}.bpf")


def stamp() -> tuple[object, ...]:
    """What tells one purebpf, on one Python, from another: its version, and its files' sizes and times of change."""
    count = newest = size = 0
    work = [os.path.dirname(os.path.dirname(__file__))]
    while work:
        with os.scandir(work.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    status = entry.stat()
                    count, newest, size = count + 1, max(newest, status.st_mtime_ns), size + status.st_size
                elif "." not in entry.name and entry.name != "__pycache__" and entry.is_dir():
                    work.append(entry.path)
    return __version__, sys.version, sys.byteorder, count, newest, size


def read(code: CodeType) -> Kept | None:
    """What is kept of a function; None if there is nothing, or nothing of this version."""
    path = path_of(code)
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            data = file.read()
        if int.from_bytes(data[:4], "little") != crc32(data[4:]):
            return None
        made_by, words, kept = marshal.loads(data[4:])
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return (words, kept) if made_by == stamp() else None


def write(code: CodeType, kept: Kept) -> None:
    path = path_of(code)
    if path is None:
        return
    everything: Any = (stamp(), *kept)
    data = marshal.dumps(everything)
    aside = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, os.stat(code.co_filename).st_mode & 0o666)
        try:
            with open(descriptor, "wb") as file:
                file.write(crc32(data).to_bytes(4, "little") + data)
            os.replace(aside, path)
        except BaseException:
            os.unlink(aside)
            raise
    except OSError:
        return


def remove(code: CodeType) -> None:
    path = path_of(code)
    try:
        if path is not None:
            os.unlink(path)
    except OSError:
        return
