"""Opens BTF in files: raw, or the `.BTF` section of an ELF file (an eBPF object, a kernel module, an uncompressed vmlinux)."""

from __future__ import annotations

import mmap
import os

from purebpf.btf import elf
from purebpf.btf.errors import BtfError
from purebpf.btf.reader import Btf

LARGEST = 1 << 30  # bytes of raw BTF; the largest kernels have some ten million


def open_btf(path: str | os.PathLike[str], *, base: Btf | None = None) -> Btf:
    """The BTF in a file. A split one, such as a kernel module's, needs the `base` it builds on, unless it brings its own
    (section `.BTF.base`, Linux 6.11). Raises BtfError for bytes that are no BTF, OSError for a file that cannot be read."""
    origin = os.fspath(path)
    with open(path, "rb", buffering=0) as file:
        if file.read(4) != elf.MAGIC:
            return Btf(contents(path), base=base, origin=origin)
        sections = elf.elf_sections(_Pieces(file.fileno()), (".BTF", ".BTF.base"), origin)
    if ".BTF" not in sections:
        raise BtfError(f"{origin}: the ELF file has no section .BTF; compile with debug information (clang -g)")
    if base is None and ".BTF.base" in sections:
        base = Btf(sections[".BTF.base"], origin=f"{origin}, section .BTF.base")
    return Btf(sections[".BTF"], base=base, origin=origin)


class _Pieces:
    """An open file's bytes, each piece read when it is asked for: a kernel with its debug information has a gigabyte."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.size = descriptor, os.fstat(descriptor).st_size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, where: slice, /) -> bytes:
        start, stop, _ = where.indices(self.size)
        return os.pread(self.descriptor, stop - start, start) if stop > start else b""


def contents(path: str | os.PathLike[str]) -> memoryview:
    """The bytes of a file. Those of /sys/kernel/btf are mapped where the kernel can (Linux 6.16), since they never change.

    Others are read: a mapped file that is cut off meanwhile ends the process."""
    with open(path, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if status.st_size > LARGEST:
            raise BtfError(f"{os.fspath(path)}: {status.st_size} bytes are too many; the most is {LARGEST}")
        if os.path.abspath(path).startswith("/sys/kernel/btf/") and status.st_size:
            try:
                return memoryview(mmap.mmap(file.fileno(), status.st_size, mmap.MAP_PRIVATE, mmap.PROT_READ))
            except OSError:
                pass
        parts = []
        while part := file.read(1 << 20):
            parts.append(part)
        return memoryview(b"".join(parts))
