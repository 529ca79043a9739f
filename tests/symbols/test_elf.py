"""Functions in ELF files: which one an offset is in."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import pytest

from purebpf.errors import Error
from purebpf.symbols import cxx, elf
from tests.symbols.image import CODE, FUNC, GLOBAL, LOCAL, NOTYPE, OBJECT, PAGE, WEAK, image

SYMBOLS = [
    ("first", 0x10, 0x10, FUNC, GLOBAL),
    ("second", 0x40, 0x20, FUNC, LOCAL),
    ("data", 0x48, 8, OBJECT, GLOBAL),
    ("label", 0x80, 0, NOTYPE, LOCAL),
    ("last", 0x100, 0x10, FUNC, GLOBAL),
]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("table", [".symtab", ".dynsym"])
def test_offsets_have_the_names_of_the_functions_around_them(table: str, bits: int, order: str) -> None:
    found = elf.symbols_of_bytes(image(SYMBOLS, table, order=order, bits=bits), "image")
    names = {offset: found.find(CODE + offset) for offset in (0, 0x10, 0x1F, 0x20, 0x4A, 0x80, 0xFF, 0x100, 0x10F, 0x110)}
    assert names == {
        0: None,  # before the first
        0x10: ("first", 0),
        0x1F: ("first", 0xF),
        0x20: None,  # between two whose sizes are known
        0x4A: ("second", 0xA),  # not the data in it
        0x80: ("label", 0),
        0xFF: ("label", 0x7F),  # which has no size: up to the next
        0x100: ("last", 0),
        0x10F: ("last", 0xF),
        0x110: None,
    }
    assert found.find(CODE - 1) is None and found.find(CODE + PAGE) is None


def test_of_several_names_the_functions_own_is_taken() -> None:
    aliases = [
        ("__strong", 0x10, 8, FUNC, GLOBAL),
        ("strong", 0x10, 8, FUNC, GLOBAL),
        ("weak", 0x10, 8, FUNC, WEAK),
        ("local", 0x10, 8, FUNC, LOCAL),
        ("label", 0x10, 0, NOTYPE, GLOBAL),
    ]
    for order in (aliases, aliases[::-1]):
        assert elf.symbols_of_bytes(image(order), "image").find(CODE + 0x12) == ("strong", 2)


def test_names_of_cxx_are_shown_as_they_were_written() -> None:
    mangled = [("_ZNSs6appendEPKc", 0x10, 8, FUNC, GLOBAL), ("_Zwhat", 0x20, 8, FUNC, GLOBAL), ("plain", 0x30, 8, FUNC, GLOBAL)]
    found = elf.symbols_of_bytes(image(mangled), "image")
    names = [name[0] for offset in (0x10, 0x20, 0x30) if (name := found.find(CODE + offset))]
    assert names[1:] == ["_Zwhat", "plain"]
    if cxx._functions() is None:
        pytest.skip("no C++ library is installed")
    assert names[0].startswith("std::") and names[0].endswith("::append(char const*)")


def test_a_stripped_file_has_the_names_of_its_debug_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elf, "DEBUG_FILES", str(tmp_path))
    stripped = image([], build_id=bytes.fromhex("ab12cd"))
    assert elf.symbols_of_bytes(stripped, "image").source == ""
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / "12cd.debug").write_bytes(image(SYMBOLS, build_id=bytes.fromhex("ab12cd")))
    found = elf.symbols_of_bytes(stripped, "image")
    assert (found.build_id, found.source) == ("ab12cd", str(tmp_path / "ab" / "12cd.debug"))
    assert found.find(CODE + 0x11) == ("first", 1)


def test_what_is_no_elf_file_is_an_error(tmp_path: Path) -> None:
    for data in (b"", b"#!/bin/sh\n", image(SYMBOLS)[:200], b"\x7fELF" + bytes(100)):
        with pytest.raises(Error, match="picture cannot be read as an ELF file"):
            elf.symbols_of_bytes(data, "picture")


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(image(SYMBOLS))
    before = elf.elf_symbols(str(path))
    assert elf.elf_symbols(str(path)) is before
    path.write_bytes(image([("renamed", 0x10, 0x10, FUNC, GLOBAL)]))
    os.utime(path, ns=(1, 1))
    assert elf.elf_symbols(str(path)).find(CODE + 0x11) == ("renamed", 1)


def test_a_large_real_file_has_the_names_that_pyelftools_reads() -> None:
    from elftools.elf.elffile import ELFFile

    path = os.path.realpath(
        next(line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libc" in line)
    )
    data = Path(path).read_bytes()
    found = elf.symbols_of_bytes(data, path)
    file = ELFFile(BytesIO(data))
    code = next(s for s in file.iter_segments("PT_LOAD") if s["p_flags"] & 1)
    shift = code["p_vaddr"] - code["p_offset"]
    names: dict[int, set[str]] = {}
    for symbol in file.get_section_by_name(".dynsym").iter_symbols():
        if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_shndx"] != "SHN_UNDEF" and symbol["st_size"]:
            names.setdefault(symbol["st_value"], set()).add(symbol.name)
    assert len(names) > 1000
    if found.source != path:
        pytest.skip(f"{path} has a debug file installed, whose names are others")
    wrong = [value for value, known in names.items() if (got := found.find(value - shift)) is None or got[0] not in known]
    assert len(wrong) <= len(names) // 100  # the full table, where there is one, may prefer a local name
