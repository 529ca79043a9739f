"""The running kernel's BTF: its own and its modules' (/sys/kernel/btf, Linux 5.4 and 5.11). Reads files, makes no system call
of bpf(2)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

from purebpf.btf import cache
from purebpf.btf.errors import BtfError
from purebpf.btf.files import contents, open_btf
from purebpf.btf.reader import Btf
from purebpf.errors import Error, Unsupported

FOLDER = Path("/sys/kernel/btf")
VMLINUX = FOLDER / "vmlinux"
NOTES = Path("/sys/kernel/notes")
# Where distributions keep an uncompressed kernel, for those that offer no /sys/kernel/btf; {} is the release.
PLACES = (
    "/boot/vmlinux-{}",
    "/lib/modules/{}/vmlinux-{}",
    "/lib/modules/{}/build/vmlinux",
    "/usr/lib/modules/{}/kernel/vmlinux",
    "/usr/lib/debug/boot/vmlinux-{}",
    "/usr/lib/debug/boot/vmlinux-{}.debug",
    "/usr/lib/debug/lib/modules/{}/vmlinux",
)
BUILD_ID = 3  # NT_GNU_BUILD_ID
MODULE = re.compile(r"[\w.-]+", re.ASCII)


_instead: ContextVar[Btf | None] = ContextVar("instead", default=None)


@contextmanager
def instead(path: str) -> Iterator[None]:
    """Within the block the BTF in a file stands for the running kernel's, which has no modules then: for compiling. "" changes
    nothing. Raises Error for a file that cannot be read or has none."""
    if not path:
        yield
        return
    token = _instead.set(_other(path, os.stat(path).st_mtime_ns if os.path.exists(path) else 0))
    try:
        yield
    finally:
        _instead.reset(token)


@lru_cache(maxsize=4)
def _other(path: str, _changed: int) -> Btf:
    try:
        return open_btf(path)
    except OSError as error:
        raise Error(f"the BTF to compile for, {path}, cannot be read: {error.strerror}") from error


def stands_in() -> bool:
    """Whether another kernel's BTF stands for the running one's now."""
    return _instead.get() is not None


def kernel_btf() -> Btf:
    """The running kernel's BTF, opened once; the one `instead` of it, within such a block. Raises Unsupported when the kernel
    offers none."""
    return _instead.get() or own_btf()


@lru_cache(maxsize=1)
def own_btf() -> Btf:
    """The running kernel's BTF. Raises Unsupported when the kernel offers none.

    Needs Linux 5.4 built with CONFIG_DEBUG_INFO_BTF, or the kernel's own file with its BTF in one of the usual places.
    """
    try:
        raw = contents(VMLINUX)
    except OSError as error:
        return _from_places(error.strerror or str(error))
    key = build_id()
    index = cache.load(key, len(raw)) if key else None
    wide = 8 if sys.maxsize > 1 << 32 else 0  # a process of 64 bits has a kernel of 64 bits
    btf = Btf(raw, origin=str(VMLINUX), index=index, pointer_size=wide)
    if key and index is None:
        cache.save(key, len(raw), btf.index)
    elif key:  # the names are sorted once, by one of the processes that come later and ask for many
        btf.keep_names(lambda sorted: cache.save(key, len(raw), sorted))
    return btf


def _from_places(why: str) -> Btf:
    release = os.uname().release
    for place in PLACES:
        path = place.replace("{}", release)
        try:
            return open_btf(path)
        except (OSError, BtfError):
            continue
    raise Unsupported(
        f"This kernel offers no BTF: {VMLINUX} cannot be read ({why}), nor is there a kernel with BTF in a file such as "
        f"{PLACES[0].format(release)}. It takes Linux 5.4 or later, built with CONFIG_DEBUG_INFO_BTF=y."
    )


def build_id() -> str:
    """The build ID of the running kernel in hex; "" if it tells none."""
    try:
        notes = NOTES.read_bytes()
    except OSError:
        return ""
    at = 0
    while at + 12 <= len(notes):
        name, size, kind = (int.from_bytes(notes[i : i + 4], sys.byteorder) for i in range(at, at + 12, 4))
        start = at + 12 + (name + 3) // 4 * 4
        if kind == BUILD_ID and notes[at + 12 : at + 16] == b"GNU\0":
            return notes[start : start + size].hex()
        at = start + (size + 3) // 4 * 4
    return ""


def module_btf(name: str) -> Btf:
    """The BTF of a loaded kernel module, on top of the kernel's own. Raises Error for one that is not there or has none.

    Needs Linux 5.11 built with CONFIG_DEBUG_INFO_BTF_MODULES.
    """
    if name == "vmlinux":
        return kernel_btf()
    path = FOLDER / name.replace("-", "_")
    if not MODULE.fullmatch(name) or name in (".", ".."):
        raise Error(f"{name!r} is no name of a kernel module")
    try:
        return open_btf(path, base=kernel_btf())
    except FileNotFoundError:
        known = ", ".join(sorted(modules())) or "no module's"
        raise Error(f"the kernel offers no BTF of a module {name!r}; it has {known} (modules must be loaded first)") from None
    except OSError as error:
        raise Error(f"the BTF of the module {name!r} cannot be read: {error.strerror}") from error


def modules() -> Iterator[str]:
    """The loaded modules that the kernel offers BTF of."""
    if not stands_in() and FOLDER.is_dir():
        yield from (path.name for path in FOLDER.iterdir() if path.name != VMLINUX.name)


def targets() -> Iterator[Btf]:
    """The running kernel's BTF, then that of each loaded module, opened as one goes on: where CO-RE looks for types.

    A module whose BTF is empty or built for another kernel has no types that could be found. Raises Unsupported as
    `kernel_btf` does.
    """
    yield kernel_btf()
    for name in sorted(modules()):
        try:
            yield module_btf(name)
        except Error:
            continue
