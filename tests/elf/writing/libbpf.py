"""What the tests have of other loaders: bpftool, and a small C program on libbpf, built by gcc when first wanted."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

SOURCE = Path(__file__).with_name("run_object.c")
BPFFS = Path("/sys/fs/bpf")


@cache
def built() -> str:
    """The path of the C program; "" and why not, behind a blank, where it cannot be built."""
    if not shutil.which("gcc"):
        return " there is no gcc"
    made = Path(mkdtemp(prefix="purebpf-run-object-")) / "run_object"
    result = subprocess.run(["gcc", "-O1", "-o", made, SOURCE, "-lbpf"], capture_output=True, text=True, timeout=120)
    if result.returncode:
        return f" libbpf with its headers is wanted (libbpf-dev): {result.stderr.splitlines()[0]}"
    return str(made)


class Libbpf:
    """Runs the C program."""

    def __init__(self, path: str) -> None:
        self.path = path

    def run(self, file: Path, *lines: str) -> list[list[str]]:
        """What it prints for an object file and these commands, as words."""
        text = "\n".join(lines) + "\n"
        result = subprocess.run([self.path, file], input=text, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr
        return [line.split() for line in result.stdout.splitlines()]


def libbpf() -> Libbpf:
    """Skips the test, with the reason, where it cannot be had."""
    found = built()
    if found.startswith(" "):
        pytest.skip(f"no C program can be built here:{found}")
    return Libbpf(found)


def bpftool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Skips the test where there is none."""
    path = shutil.which("bpftool") or shutil.which("bpftool", path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip("there is no bpftool")
    return subprocess.run([path, *arguments], capture_output=True, text=True, timeout=60)


@contextmanager
def pinned_by_bpftool(file: Path) -> Iterator[Path]:
    """The folder in which bpftool has pinned an object's programs."""
    if not BPFFS.is_dir() or not os.access(BPFFS, os.W_OK):
        pytest.skip(f"no BPF file system at {BPFFS}")
    folder = BPFFS / f"purebpf_test_{os.getpid()}"
    result = bpftool("prog", "loadall", file, folder)
    try:
        assert result.returncode == 0, result.stderr
        yield folder
    finally:
        for pin in folder.iterdir() if folder.exists() else ():
            pin.unlink()
        if folder.exists():
            folder.rmdir()
