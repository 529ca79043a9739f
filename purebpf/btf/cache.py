"""Keeps what a scan of the running kernel's BTF found, so that the next process need not scan: one file a kernel.

The file is `$XDG_CACHE_HOME/purebpf/btf/KEY.2.index` (or under `~/.cache`), made by writing another one and renaming it. It is
believed only if it belongs to the user, nobody else can write it, and its sums are right; any doubt means: scan again. That it
cannot be written is no error.
"""

from __future__ import annotations

import os
import stat
import sys
from array import array
from pathlib import Path
from struct import Struct as Packer
from zlib import crc32

from purebpf.btf.header import Index

VERSION = 2  # of the format, which others of this user's purebpf may not know
FORMAT = f"purebpf BTF index {VERSION} {sys.byteorder[:1]}\n".encode()
HEAD = Packer("=QQQI")  # bytes of BTF, number of types, of sorted names, CRC of what follows
OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def folder() -> Path:
    """Where index files are, for this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "purebpf" / "btf"


def load(key: str, size: int) -> Index | None:
    """The index under a key, made of BTF of `size` bytes; None if there is none that can be trusted."""
    try:
        if not _private(os.lstat(folder()), directory=True):
            return None
        number = os.open(folder() / f"{key}.{VERSION}.index", OPEN)
    except OSError:
        return None
    with open(number, "rb") as file:
        if not _private(os.fstat(number)):
            return None
        data = file.read(len(FORMAT) + HEAD.size + 4 * size)
    return _decode(data, size)


def _private(status: os.stat_result, directory: bool = False) -> bool:
    """Whether the user alone can write there."""
    right = stat.S_ISDIR(status.st_mode) if directory else stat.S_ISREG(status.st_mode)
    return right and status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _decode(data: bytes, size: int) -> Index | None:
    start = len(FORMAT) + HEAD.size
    if len(data) < start or not data.startswith(FORMAT):
        return None
    made_of, count, named, checksum = HEAD.unpack(data[len(FORMAT) : start])
    rest = memoryview(data)[start:]
    if made_of != size or len(rest) != 8 * (count + named) or crc32(rest) != checksum:
        return None
    words = rest.cast("I")
    behind = 2 * count + named
    return Index(words[:count], words[count : 2 * count], words[2 * count : behind], words[behind:])


def save(key: str, size: int, index: Index) -> None:
    """Keep an index, if that is possible."""
    content = b"".join(array("I", part).tobytes() for part in (index.places, index.names, index.sums, index.sorted))
    place = folder()
    temporary = place / f"{key}.{os.getpid()}.tmp"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _private(os.lstat(place), directory=True):
            return
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            with open(number, "wb") as file:
                file.write(FORMAT + HEAD.pack(size, len(index.places), len(index.sums), crc32(content)) + content)
            os.replace(temporary, place / f"{key}.{VERSION}.index")
        except OSError:
            os.unlink(temporary)
    except OSError:
        return
