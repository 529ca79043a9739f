"""The wheel, built and installed into an environment of its own: all modules and examples are there, and the demo runs."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.packaging.environments import environment, run

ROOT = Path(__file__).parents[2]
GENERATOR = "purebpf/tables/generate/"


@pytest.fixture(scope="module")
def python(purebpf_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the wheel installed, and its dependencies from this environment."""
    folder = tmp_path_factory.mktemp("environment")
    interpreter = environment(folder, purebpf_wheel)
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


def test_the_wheel_has_the_package_and_the_examples_and_no_more(purebpf_wheel: Path) -> None:
    with zipfile.ZipFile(purebpf_wheel) as archive:
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
