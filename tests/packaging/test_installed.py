"""Generated packages where they are used: installed beside purebpf in an environment that has nothing else, not even what the
compiler's tools need. The wheel is made by the step of setuptools that docs/packages.md shows.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from tests.kernel.netns import send, veth_pair
from tests.packaging.environments import ROOT, built, environment, run

PROJECT = """
[build-system]
requires = ["setuptools>=68", "purebpf"]
build-backend = "setuptools.build_meta"

[project]
name = "counter"
version = "1.0"
dependencies = ["purebpf"]

[tool.setuptools]
packages = ["counter"]

[tool.setuptools.cmdclass]
build_py = "purebpf.packaging.build.BuildPrograms"

[tool.purebpf.gen."counter.programs"]
sources = ["bpf/packet_count.py"]
"""
PACKETS = """
import sys
from pathlib import Path

from counter.programs import PacketCount, Traffic
from purebpf.pcap import read_packets

engine, pcap = sys.argv[1:]
with PacketCount() as counter:
    counter.load(engine)
    for packet in read_packets(Path(pcap)):
        counter.programs.count.run(packet=packet)
    for protocol, traffic in sorted(counter.maps.traffic.sums().items()):
        assert isinstance(traffic, Traffic)
        print(protocol, traffic.packets, traffic.octets)
never = ("purebpf.compiler", "purebpf.program", "purebpf.kept", "purebpf.packaging", "purebpf.cli", "elftools", "click")
print(sorted(name for name in sys.modules if name.startswith(never)))
"""
LIVE = """
import socket, sys

from counter.programs import PacketCount

with PacketCount() as counter:
    counter.attach(count={"interface": sys.argv[1], "mode": "generic"})
    print("attached", flush=True)
    sys.stdin.readline()
    print(counter.maps.traffic.sums()[17].packets)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a program's source, and a package for what is made of it."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "counter").mkdir()
    (folder / "counter" / "__init__.py").write_text('"""Counts packets."""\n')
    (folder / "bpf").mkdir()
    shutil.copy(ROOT / "examples" / "packet_count.py", folder / "bpf")
    return folder


@pytest.fixture(scope="module")
def wheel(project: Path) -> Path:
    return built(project)


@pytest.fixture(scope="module")
def python(purebpf_wheel: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with purebpf, the project and nothing else."""
    return environment(tmp_path_factory.mktemp("environment"), purebpf_wheel, wheel)


def test_the_wheel_has_the_programs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        record = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("/RECORD"))
    package = {f"counter/programs/{name}" for name in ("__init__.py", "__init__.pyi", "packet_count.bpf", "py.typed")}
    assert names == {"counter/__init__.py"} | package
    assert all(name in record for name in package)


@pytest.mark.parametrize("engine", ["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
def test_the_packet_counter_runs_without_the_compiler(python: Path, tmp_path: Path, engine: str) -> None:
    (tmp_path / "count.py").write_text(PACKETS)
    done = run(python, tmp_path / "count.py", engine, ROOT / "examples" / "packet_count.pcap", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    *counts, never = done.stdout.splitlines()
    assert {line.split()[0]: line.split()[1] for line in counts}["17"] == "30"
    assert {line.split()[0]: line.split()[1] for line in counts}["6"] == "10"
    assert never == "[]"


@pytest.mark.kernel
def test_the_packet_counter_counts_what_arrives(python: Path, tmp_path: Path) -> None:
    (tmp_path / "live.py").write_text(LIVE)
    udp = bytes.fromhex("ffffffffffff02000000000108004500001c0000000040110000c0000201c00002020001000200080000")
    with veth_pair() as (first, second):
        command = [str(python), "live.py", second]
        process = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with process:
            assert process.stdout is not None and process.stdin is not None
            assert process.stdout.readline() == "attached\n"
            send(first, udp.ljust(60, b"\0"), udp.ljust(60, b"\0"))
            time.sleep(0.3)
            process.stdin.write("\n")
            process.stdin.flush()
            assert int(process.stdout.readline()) == 2
    assert process.returncode == 0


def test_a_zip_file_will_do(python: Path, wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "count.py").write_text(PACKETS)
    purebpf = next((python.parents[1] / "lib").glob("python*/site-packages"))
    command = [python, "-S", tmp_path / "count.py", "vm", ROOT / "examples" / "packet_count.pcap"]
    environ = os.environ | {"PYTHONPATH": f"{tmp_path / 'only'}{os.pathsep}{wheel}"}
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "purebpf").symlink_to(purebpf / "purebpf")
    done = subprocess.run([str(word) for word in command], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "17 30" in done.stdout


def test_an_editable_install_has_the_package_in_the_project(project: Path, tmp_path: Path) -> None:
    from setuptools import Distribution

    from purebpf.packaging.build import BuildPrograms

    here = os.getcwd()
    try:
        os.chdir(project)
        distribution = Distribution({"packages": ["counter"], "name": "counter"})
        command = BuildPrograms(distribution)
        command.ensure_finalized()
        command.editable_mode = True
        command.run()
    finally:
        os.chdir(here)
    made = project / "counter" / "programs"
    assert {path.name for path in made.iterdir()} == {"__init__.py", "__init__.pyi", "packet_count.bpf", "py.typed"}
