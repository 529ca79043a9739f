"""`python -m bench.size`: our slots beside clang's, as a table in bench/results/size.md.

Where clang is installed (clang-19, or what PUREBPF_CLANG names) its slots are measured again and must be those in `pairs.py`.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.size.pairs import PAIRS, ROOT, Pair, our_slots

CLANG = os.environ.get("PUREBPF_CLANG", "clang-19")


def clang_slots(pair: Pair, cpu: int) -> int:
    """Slots of the C program: the size of its section in the object."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.o"
        command = [CLANG, "-O2", "-target", "bpf", f"-mcpu=v{cpu}", "-c", str(pair.c), "-o", str(output)]
        subprocess.run(command, check=True)
        return section_size(output.read_bytes(), pair.section) // 8


def section_size(elf: bytes, name: str) -> int:
    """The size of a section of a 64-bit little-endian ELF file, in bytes."""

    def number(at: int, size: int) -> int:
        return int.from_bytes(elf[at : at + size], "little")

    table, entry, count, names = number(0x28, 8), number(0x3A, 2), number(0x3C, 2), number(0x3E, 2)
    strings = number(table + names * entry + 0x18, 8)
    for i in range(count):
        header = table + i * entry
        start = strings + number(header, 4)
        if elf[start : elf.index(b"\0", start)] == name.encode():
            return number(header + 0x20, 8)
    raise SystemExit(f"the object has no section {name}")


def main() -> None:
    rows = ["| program | cpu | clang | purebpf | ratio |", "|---|---|---|---|---|"]
    ratios: dict[int, list[float]] = {3: [], 4: []}
    measured = shutil.which(CLANG) is not None
    if not measured:
        print(f"{CLANG} is not installed: clang's slots are those checked in", file=sys.stderr)
    for pair in PAIRS:
        for cpu in ratios:
            theirs = clang_slots(pair, cpu) if measured else pair.clang[cpu]
            if theirs != pair.clang[cpu]:
                raise SystemExit(f"{pair.c.name} at v{cpu}: clang makes {theirs} slots, pairs.py says {pair.clang[cpu]}")
            ours = our_slots(pair, cpu)
            ratios[cpu].append(ours / theirs)
            rows.append(f"| {pair.python.stem} | v{cpu} | {theirs} | {ours} | {ours / theirs:.2f} |")
    text = "# Instruction slots, clang -O2 and purebpf\n\n" + "\n".join(rows) + "\n"
    (ROOT / "bench/results/size.md").write_text(text)
    print(text)
    mean = {cpu: math.prod(each) ** (1 / len(each)) for cpu, each in ratios.items()}
    print(f"slots v3={mean[3]:.2f} v4={mean[4]:.2f} worst={max(max(each) for each in ratios.values()):.2f}")


if __name__ == "__main__":
    main()
