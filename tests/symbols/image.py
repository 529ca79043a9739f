"""Small ELF files with functions in them, and memory with such a file's code, for the tests."""

from __future__ import annotations

import ctypes
import mmap
import struct
from pathlib import Path

PAGE = 0x1000
CODE, ADDRESS = PAGE, 0x401000  # where the code is in the file, and where the symbols have it
FUNC, NOTYPE, OBJECT = 2, 0, 1
LOCAL, GLOBAL, WEAK = 0, 1, 2
Symbol = tuple[str, int, int, int, int]  # name, offset from the code's start, size, type, binding


LOOPS = {  # a function that counts its argument down to 0
    "x86_64": bytes.fromhex("48ffcf 75fb c3"),  # dec rdi; jnz -5; ret
    "aarch64": bytes.fromhex("000400f1 e1ffff54 c0035fd6"),  # subs x0, x0, #1; b.ne -4; ret
}


def image(
    symbols: list[Symbol],
    table: str = ".symtab",
    build_id: bytes = b"",
    order: str = "<",
    bits: int = 64,
    code: bytes = b"",
) -> bytes:
    """An ELF file with a page of code, which begins with `code`, and a symbol table."""
    wide = bits == 64
    names, entries = b"\0", bytes(24 if wide else 16)
    for name, offset, size, kind, binding in symbols:
        info = binding << 4 | kind
        where = ADDRESS + offset
        entries += struct.pack(order + "IBBHQQ", len(names), info, 0, 1, where, size) if wide else b""
        entries += b"" if wide else struct.pack(order + "IIIBBH", len(names), where, size, info, 0, 1)
        names += name.encode() + b"\0"
    note = struct.pack(order + "III", 4, len(build_id), 3) + b"GNU\0" + build_id if build_id else b""
    sections = [("", 0, b"", 0, 0), (table, 2 if table == ".symtab" else 11, entries, 2, 24 if wide else 16)]
    sections += [(".strtab", 3, names, 0, 0), (".note.gnu.build-id", 7, note, 0, 0)]
    labels = b"\0"
    body, rows = bytes(CODE) + code.ljust(PAGE, b"\0"), b""
    for name, kind, data, link, size in [*sections, (".shstrtab", 3, b"", 0, 0)]:
        at = len(labels)
        labels += name.encode() + b"\0"
        data = labels if name == ".shstrtab" else data
        rows += struct.pack(
            order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII"), at, kind, 0, 0, len(body), len(data), link, 0, 1, size
        )
        body += data + bytes(-len(data) % 8)
    header = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    head, segment = (64, 56) if wide else (52, 32)
    word = "Q" if wide else "I"
    header += struct.pack(
        f"{order}HHI{word}{word}{word}IHHHHHH", 3, 62 if wide else 3, 1, 0, head, len(body), 0, head, segment, 1,
        64 if wide else 40, len(sections) + 1, len(sections),
    )  # fmt: skip
    if wide:
        header += struct.pack(order + "IIQQQQQQ", 1, 5, CODE, ADDRESS, ADDRESS, PAGE, PAGE, PAGE)
    else:
        header += struct.pack(order + "IIIIIIII", 1, CODE, ADDRESS, ADDRESS, PAGE, PAGE, 5, PAGE)
    return header + body[len(header) :] + rows


class Mapped:
    """The code of a file, or memory without one, in this process; `start` is its address."""

    def __init__(self, path: Path | None) -> None:
        rights = mmap.PROT_READ | mmap.PROT_EXEC
        if path is None:
            self.memory = mmap.mmap(-1, PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=rights | mmap.PROT_WRITE)
        else:
            with path.open("rb") as file:
                self.memory = mmap.mmap(file.fileno(), PAGE, flags=mmap.MAP_PRIVATE, prot=rights | mmap.PROT_WRITE, offset=CODE)
        hold = ctypes.c_char.from_buffer(self.memory)
        self.start = ctypes.addressof(hold)
        del hold

    def __enter__(self) -> Mapped:
        return self

    def __exit__(self, *_: object) -> None:
        self.memory.close()
