"""ELF files for the tests: a header, sections, their names."""

from __future__ import annotations

import struct


def elf_file(sections: dict[str, bytes], *, bits: int = 64, order: str = "<", flags: int = 0, extended: bool = False) -> bytes:
    """An ELF file with these sections; `extended` puts counts where files with very many sections have them."""
    wide = bits == 64
    head = 64 if wide else 52
    names, content, rows = b"\0", b"", [(0, 0, 0, 0, 0, 0)]
    for name, data in {**sections, ".shstrtab": b""}.items():
        at = len(names)
        names += name.encode() + b"\0"
        data = names if name == ".shstrtab" else data
        rows.append((at, 1, 0 if name == ".shstrtab" else flags, head + len(content), len(data), 0))
        content += data + bytes(-len(data) % 8)
    count, last = len(rows), len(rows) - 1
    if extended:
        rows[0] = (0, 0, 0, 0, count, last)
    row = order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII")
    table = b"".join(struct.pack(row, n, kind, f, 0, at, size, link, 0, 1, 0) for n, kind, f, at, size, link in rows)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    address = "Q" if wide else "I"
    header = ident + struct.pack(
        f"{order}HHI{address}{address}{address}IHHHHHH", 1, 247, 1, 0, 0, head + len(content), 0, head, 0, 0,
        struct.calcsize(row), 0 if extended else count, 0xFFFF if extended else last,
    )  # fmt: skip
    return header + content + table
