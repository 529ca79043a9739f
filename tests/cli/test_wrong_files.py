"""Files that are not what a command takes: one line that says so and what to do, status 1; 2 for a wrong use. No traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from purebpf.cli.main import main

COUNTER = Path(__file__).parents[2] / "examples" / "packet_count.py"
X86 = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x01\x00\x3e\x00\x01" + bytes(43)  # a header for x86-64, and nothing behind it
FILES = {"text.o": b"some words\n", "x86.o": X86, "empty.o": b"", "short.o": b"\x7fELF", "broken.py": b"x = = 1\n"}
MADE_BY = "Objects for eBPF are made by `clang -g -O2 -target bpf"

WRONG = [
    ("object show text.o", 1, MADE_BY),
    ("object load empty.o", 1, "begins with nothing, not with 7f 45 4c 46"),
    ("object relocate x86.o", 1, f"it is a file for X86_64, not for eBPF (EM_BPF, 247). {MADE_BY}"),
    ("object show short.o", 1, "the ELF header is damaged: it has 4 bytes"),
    ("object show folder", 2, "File 'folder' is a directory"),
    ("link text.o -o out.o", 1, MADE_BY),
    ("gen x86.o -o out", 1, "not for eBPF"),
    ("gen counter.py -o out --depfile nowhere/depends", 1, "nowhere/depends cannot be written: No such file or directory"),
    ("build x86.o", 1, "x86.o is no Python file; `purebpf object` and `purebpf gen` take object files"),
    ("run x86.o", 1, "x86.o is no Python file; `purebpf object`"),
    ("build broken.py", 1, "broken.py:1: invalid syntax"),
    ("disasm x86.o", 1, "`purebpf object relocate --disasm FILE` prints"),
    ("btf dump none.o", 1, "There is no file none.o here"),
    ("btf list id 99999999999999", 2, "'99999999999999' is no id of a BTF"),
    ("map dump", 2, "say which map: id ID, name NAME, pinned PATH"),
    ("map list name", 2, "say which map: id ID, name NAME, pinned PATH"),
    ("prog dump xlated id 999999999999999999999", 2, "is no id of a program"),
    ("vm exec 123", 1, "The memory is not hexadecimal: it takes digits"),
]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    (tmp_path / "counter.py").write_bytes(COUNTER.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("words", "status", "said"), WRONG, ids=[words for words, _, _ in WRONG])
def test_it_is_told_in_words(
    files: Path, words: str, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["purebpf", *words.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (status, "")
    assert said in " ".join(err.split()) and "Traceback" not in err
    assert status == 2 or len(err.splitlines()) == 1


def test_a_full_disk_is_told() -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "purebpf", "btf", "--help"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "standard output: No space left on device\n")


def test_what_a_users_own_file_raises_keeps_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text('if __name__ == "__main__":\n    open("/nowhere/at/all")\n')
    command = [sys.executable, "-m", "purebpf", "run", str(tmp_path / "own.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and 'open("/nowhere/at/all")' in done.stderr and "FileNotFoundError" in done.stderr
