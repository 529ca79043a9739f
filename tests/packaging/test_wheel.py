"""The wheel, built and installed into an environment of its own: all modules and examples are there, and the demo runs."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("purebpf", "examples", "setup.py", "MANIFEST.in", "pyproject.toml", "README.md", "LICENSE")
GENERATOR = "purebpf/tables/generate/"
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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, since building leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)
    isolation = ["--no-build-isolation"] if can_build() else []
    built = pip("wheel", "--no-deps", *isolation, "--wheel-dir", "dist", ".", cwd=folder)
    if NO_NETWORK in built.stderr:
        pytest.skip("a wheel cannot be built here: setuptools 70.1 is not installed, and there is no network to get it from")
    assert built.returncode == 0, built.stderr
    (path,) = (folder / "dist").iterdir()
    return path


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the wheel installed, and its dependencies from this environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    interpreter = folder / "bin" / "python"
    done = pip("--python", interpreter, "install", "--no-index", "--no-deps", wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    others = dict.fromkeys([*site.getsitepackages(), *(path for path in sys.path if path.endswith("-packages"))])
    # These folders come after the environment's own, and the links to a clone in them are not followed.
    Path(paths["purelib"], "dependencies.pth").write_text("".join(f"{path}\n" for path in others))
    return interpreter


def sources() -> set[str]:
    """Every file of the package in the repository that a user needs."""
    found = [path for kind in ("*.py", "*.css", "*.js") for path in (ROOT / "purebpf").rglob(kind)]
    files = {str(path.relative_to(ROOT)) for path in found} | {"purebpf/py.typed"}
    return {name for name in files if not name.startswith(GENERATOR)}


def examples() -> set[str]:
    return {f"purebpf/examples/{path.name}" for path in (ROOT / "examples").iterdir() if path.is_file()}


def test_the_wheel_has_the_package_and_the_examples_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == sources() | examples()
    assert "purebpf/examples/packet_count.pcap" in names


def test_every_module_of_the_wheel_can_be_imported(python: Path, tmp_path: Path) -> None:
    modules = sorted(
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in sources() if name.endswith(".py")
    )
    program = "import importlib, sys\nfor name in sys.argv[1:]: print(importlib.import_module(name).__file__)"
    done = run(python, "-c", program, *modules, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    files = done.stdout.split()
    assert len(files) == len(modules)
    assert {os.path.commonpath([file, python.parents[1]]) for file in files} == {str(python.parents[1])}


def test_the_demo_counts_packets(python: Path, tmp_path: Path) -> None:
    done = run(python.with_name("purebpf"), "demo", "--engine", "vm", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "packet_count.pcap" in done.stdout
    for protocol, packets in (("UDP", "30"), ("TCP", "10"), ("ICMP", "10")):
        (row,) = [line for line in done.stdout.splitlines() if protocol in line]
        assert packets in row.split()
