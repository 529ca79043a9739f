"""ELF object files are read as they are written, by us and by others; damaged ones are clear errors."""

from __future__ import annotations

import random
import shutil
import subprocess

import pytest

from purebpf.elf.container import (
    ABSOLUTE,
    ALLOC,
    EXECUTE,
    FUNCTION,
    GLOBAL,
    LOCAL,
    NOBITS,
    OBJECT,
    R_BPF_64_64,
    UNDEFINED,
    WEAK,
    WRITE,
    ElfError,
    ElfObject,
    Relocation,
    Section,
    Symbol,
    read,
    written,
)

CODE = bytes.fromhex("1801000000000000 0000000000000000 b700000000000000 9500000000000000")


def small(order: str = "little", addend: int | None = None) -> ElfObject:
    sections = (
        Section("xdp", flags=ALLOC | EXECUTE, data=CODE, size=len(CODE), align=8),
        Section(".maps", flags=ALLOC | WRITE, data=bytes(32), size=32, align=8),
        Section(".bss", NOBITS, ALLOC | WRITE, size=24, align=8),
    )
    symbols = (
        Symbol(""),
        Symbol("here", binding=LOCAL, section=ABSOLUTE, value=7),
        Symbol("prog", 0, len(CODE), GLOBAL, FUNCTION, 0),
        Symbol("counts", 0, 32, GLOBAL, OBJECT, 1),
        Symbol("bpf_missing", binding=WEAK, section=UNDEFINED),
    )
    return ElfObject(order, sections, symbols, {0: (Relocation(0, R_BPF_64_64, 3, addend),)})


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("addend", [None, -8])
def test_what_is_written_is_read(order: str, addend: int | None) -> None:
    assert read(written(small(order, addend))) == small(order, addend)
    assert written(small(order, addend)) == written(small(order, addend))


def test_local_symbols_are_put_first() -> None:
    elf = small()
    turned = ElfObject(
        elf.byte_order, elf.sections, elf.symbols[:1] + elf.symbols[:0:-1], {0: (Relocation(0, R_BPF_64_64, 2),)}
    )
    again = read(written(turned))
    assert [symbol.name for symbol in again.symbols] == ["", "here", "bpf_missing", "counts", "prog"]
    assert again.symbols[again.relocations[0][0].symbol].name == "counts"


@pytest.mark.skipif(not shutil.which("readelf"), reason="readelf (binutils) is not installed")
def test_others_read_it(tmp_path: object) -> None:
    path = f"{tmp_path}/small.o"
    with open(path, "wb") as file:
        file.write(written(small()))
    done = subprocess.run(["readelf", "-W", "-S", "-s", "-r", path], capture_output=True, text=True, check=True)
    assert not done.stderr and "counts" in done.stdout and ".relxdp" in done.stdout


def changed(raw: bytes, random: random.Random) -> bytes:
    damaged = bytearray(raw)
    for _ in range(random.randint(1, 4)):
        damaged[random.randrange(len(damaged))] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    return bytes(damaged[: random.choice((len(damaged), len(damaged), random.randrange(len(damaged))))])


def test_damaged_ones_are_errors_or_objects() -> None:
    raw, refused = written(small()), 0
    for seed in range(2000):
        try:
            read(changed(raw, random.Random(seed)))
        except ElfError:
            refused += 1
    assert 500 < refused < 2000


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "no ELF file"),
        (b"\x7fELF\2\3" + bytes(60), "3 is no byte order"),
        (b"\x7fELF" + bytes(20), "damaged"),
        (written(small())[:100], "outside of it"),
    ],
)
def test_what_is_no_object_is_told(raw: bytes, words: str) -> None:
    with pytest.raises(ElfError, match=words):
        read(raw, "x.o")


def test_sections_that_overlap_are_told() -> None:
    """Many sections of the same bytes would take memory without end."""
    elf = small()
    raw = bytearray(written(ElfObject(elf.byte_order, elf.sections * 40, (), {})))
    headers = int.from_bytes(raw[40:48], "little")
    for at in range(headers + 64, len(raw), 64):
        raw[at + 24 : at + 40] = bytes(8) + len(raw).to_bytes(8, "little")
    with pytest.raises(ElfError, match="its sections overlap"):
        read(bytes(raw), "x.o")


def test_names_have_an_end() -> None:
    elf = small()
    long = ElfObject(elf.byte_order, elf.sections, (*elf.symbols, Symbol("n" * 5000)), {})
    with pytest.raises(ElfError, match="or has no end"):
        read(written(long), "x.o")


def test_another_machines_object_is_told() -> None:
    raw = bytearray(written(small()))
    raw[18:20] = (62).to_bytes(2, "little")
    with pytest.raises(ElfError, match="X86_64, not for eBPF"):
        read(bytes(raw), "x.o")
