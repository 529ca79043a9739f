"""bpftool's dumps of the running kernel's types, beside ours: its lines are the same, its header the same but for order and
spelling."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from purebpf.btf.dump import lines
from purebpf.btf.running import VMLINUX, kernel_btf
from purebpf.errors import Unsupported
from tests.btf.test_c import needs_compiler, run, whole_header

PADDING = re.compile(r"^(?:[a-z][a-z ]*:\d+;|unsigned char __padding(?:_\d+)?\[\d+\];)$")
BEGIN = re.compile(r"^(?:typedef )?(?:struct|union|enum)\b.*\{$")
Definition = tuple[str, ...]


@cache
def unavailable() -> str:
    if shutil.which("bpftool") is None:
        return "bpftool is not installed"
    try:
        kernel_btf()
    except Unsupported as error:
        return str(error)
    return "" if VMLINUX.exists() else f"the kernel's BTF is not in {VMLINUX}"


pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())


@cache
def bpftool(form: str) -> str:
    command = ["bpftool", "btf", "dump", "file", str(VMLINUX), "format", form]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_lines_are_the_very_same() -> None:
    theirs = bpftool("raw").splitlines()
    for mine, its in zip(lines(kernel_btf()), theirs, strict=True):
        assert mine == its
    assert len(theirs) > 10_000


def spelled(line: str) -> str:
    """A line without what is a matter of taste: spaces, suffixes of numbers, attributes, numbers of names met twice."""
    line = re.sub(r"\s*__attribute__\(\([^;]*?\)\)(?=;)", "", line)
    line = re.sub(r"\s+", " ", line.strip())
    line = re.sub(r"(\d)U?LL( - 1)?,$", r"\1\2,", line)
    return re.sub(r"___\d+", "", re.sub(r"\s*([*():,;\[\]])\s*", r"\1", line))


def definitions(text: str) -> Counter[Definition]:
    """All types that a header defines, each as its lines but padding."""
    found: Counter[Definition] = Counter()
    inside: list[str] = []
    for line in text.splitlines():
        plain = spelled(line)
        if inside:
            if plain and not PADDING.match(plain):
                inside.append(plain)
            if line.startswith("}"):
                found[tuple(inside)] += 1
                inside = []
        elif BEGIN.match(line):
            inside = [plain]
        elif plain.startswith("typedef ") and plain.endswith(";"):
            found[(plain,)] += 1
    return found


def test_the_header_defines_the_same_types() -> None:
    """Each struct has the same members of the same types in the same order, each enum the same constants."""
    theirs, mine = definitions(bpftool("c")), definitions(whole_header())
    assert theirs - mine == Counter()
    more = [definition for definition in mine - theirs if not re.fullmatch(r"typedef[ \w]+;", definition[0])]
    assert more == []  # an integer by a name that compilers do not know is a typedef here, and nothing there
    assert sum(mine.values()) > 5000


def with_sizes_of_enums(text: str) -> str:
    """Old versions of bpftool (7.1) write enums of one byte as if they had four, which moves what is behind them."""
    small = dict(re.findall(r"^(enum \w+) \{[^}]*\} (__attribute__\(\(mode\(\w+\)\)\));", whole_header(), re.MULTILINE))

    def sized(found: re.Match[str]) -> str:
        return f"{found[1]} {small[found[2]]};" if found[2] in small else found[0]

    return re.sub(r"^((enum \w+) \{[^}]*\});", sized, text, flags=re.MULTILINE)


@needs_compiler
def test_compilers_find_both_the_same(tmp_path: Path) -> None:
    """What their header defines has the sizes and places that ours asserts, but for types that have several of their name."""
    theirs = with_sizes_of_enums(bpftool("c"))
    names = set(re.findall(r"^(?:struct|union) \w+(?= {)", theirs, re.MULTILINE))
    twice = {name.partition("___")[0] for name in names if re.search(r"___\d+$", name)}
    checks = [line for line in whole_header().splitlines() if line.startswith("_Static_assert")]
    asked = []
    for line in checks:
        found = re.search(r"(?:struct|union) \w+", line)
        if found and found[0] in names and found[0].partition("___")[0] not in twice:
            asked.append(line)
    assert len(asked) > 0.9 * len(checks)
    run(theirs + "\n" + "\n".join(asked), tmp_path, "-fsyntax-only")
