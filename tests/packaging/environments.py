"""Wheels and environments of their own for tests: purebpf as it is installed, without what is installed beside it here."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("purebpf", "examples", "setup.py", "MANIFEST.in", "pyproject.toml", "README.md", "LICENSE")
NO_NETWORK = "No matching distribution found for setuptools"  # pip's words when it cannot get the build system


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True)


def pip(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", 0, "--timeout", 5, *words, cwd=cwd)


def can_build() -> bool:
    """Whether this environment's setuptools makes wheels by itself, so that nothing need be fetched."""
    try:
        major, minor = map(int, importlib.metadata.version("setuptools").split(".")[:2])
    except importlib.metadata.PackageNotFoundError:
        return False
    return (major, minor) >= (70, 1)


def built(folder: Path) -> Path:
    """The wheel of the project in a folder."""
    isolation = ["--no-build-isolation"] if can_build() else []
    done = pip("wheel", "--no-deps", *isolation, "--wheel-dir", "dist", ".", cwd=folder)
    if NO_NETWORK in done.stderr:
        pytest.skip("a wheel cannot be built here: setuptools 70.1 is not installed, and there is no network to get it from")
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "dist").iterdir()
    return path


def purebpf_wheel(folder: Path) -> Path:
    """purebpf's wheel, built from a copy of the sources, since building leaves folders behind."""
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)
    return built(folder)


def environment(folder: Path, *wheels: Path) -> Path:
    """An interpreter that has these wheels installed, and nothing else."""
    venv.create(folder, symlinks=True)
    interpreter = folder / "bin" / "python"
    done = pip("--python", interpreter, "install", "--no-index", "--no-deps", *wheels, cwd=folder)
    assert done.returncode == 0, done.stderr
    return interpreter
