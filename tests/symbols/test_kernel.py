"""Functions of the kernel by /proc/kallsyms."""

from __future__ import annotations

from pathlib import Path

import pytest

from purebpf.symbols import Frame, KernelSymbols, kernel

TABLE = """ffffffff81000000 T _stext
ffffffff81000100 t helper
ffffffff81000100 T __helper
ffffffff81000180 D some_data
ffffffff81000200 W weak
ffffffffc0000000 t inside\t[nf_tables]
ffffffffc0100000 t bpf_prog_0123456789abcdef_count\t[bpf]
"""


def test_names_modules_and_programs(tmp_path: Path) -> None:
    path = tmp_path / "kallsyms"
    path.write_text(TABLE)
    symbols = KernelSymbols(str(path))
    base = 0xFFFFFFFF81000000
    assert symbols.frame(base + 0x1F0) == Frame(base + 0x1F0, "helper", "[kernel]", 0xF0)  # not the data
    assert symbols.frame(base + 0x201).name == "weak"
    inside, program = symbols.frame(0xFFFFFFFFC0000010), symbols.frame(0xFFFFFFFFC0100004)
    assert (inside.module, str(inside)) == ("[nf_tables]", "inside+0x10 ([nf_tables])")
    assert (program.name, program.module) == ("bpf_prog_0123456789abcdef_count", "[bpf]")
    assert symbols.frame(base - 1).label == symbols.frame(base + (2 << 20)).label == "[unknown]_[k]"
    assert symbols.problem is None and inside.kernel and inside.label == "inside_[k]"


def test_functions_that_come_later_are_found(tmp_path: Path) -> None:
    path = tmp_path / "kallsyms"
    path.write_text(TABLE)
    symbols = KernelSymbols(str(path))
    assert symbols.frame(0xFFFFFFFF81000000).name == "_stext"
    path.write_text(TABLE + "ffffffffd0000000 t late\t[new]\n")
    assert symbols.frame(0xFFFFFFFFD0000001).name == "late"
    path.write_text("ffffffff81000000 T renamed\n")
    symbols.refresh()
    assert symbols.frame(0xFFFFFFFF81000000).name == "renamed"


@pytest.mark.parametrize(
    ("level", "said"), [("2", "root sets it: sysctl kernel.kptr_restrict=1"), ("1", "CAP_SYSLOG"), ("0", "perf_event_paranoid")]
)
def test_hidden_addresses_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str, said: str) -> None:
    (tmp_path / "kallsyms").write_text("0000000000000000 T _stext\n0000000000000000 T other\n")
    (tmp_path / "restrict").write_text(level)
    monkeypatch.setattr(kernel, "RESTRICTION", str(tmp_path / "restrict"))
    symbols = KernelSymbols(str(tmp_path / "kallsyms"))
    assert symbols.frame(0xFFFFFFFF81000000).name == ""
    assert symbols.problem is not None and "hides all addresses" in symbols.problem and said in symbols.problem


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    symbols = KernelSymbols(str(tmp_path / "no"))
    assert symbols.frame(1 << 63).name == "" and symbols.problem is not None and "cannot be read" in symbols.problem


def test_the_running_kernels_functions() -> None:
    symbols = KernelSymbols()
    if len(symbols.table) == 0:
        assert symbols.problem
        pytest.skip(symbols.problem)
    rows = (line.split() for line in Path("/proc/kallsyms").read_text().splitlines())
    address = next(int(row[0], 16) for row in rows if row[2] == "schedule" and row[1] in "tT")
    assert symbols.frame(address).offset == 0 and symbols.frame(address + 1).offset == 1
    assert symbols.frame(address).name == "schedule"
