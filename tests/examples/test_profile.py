"""The profiler finds where a process spends its time: machine code of the test's own, whose name it must tell."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from purebpf.kernel.engine import KernelEngine
from purebpf.symbols import Folded
from tests.examples.test_examples import EXAMPLES, load
from tests.symbols.image import CODE, FUNC, GLOBAL, LOOPS, PAGE, image

LOOP = LOOPS.get(os.uname().machine, b"")
NAME = "the_hot_function"
pytestmark = pytest.mark.skipif(not LOOP, reason=f"no machine code for {os.uname().machine} here")

# Maps the code of the file, or memory of no name with a copy of it, and calls it until it is killed.
CHILD = f"""
import ctypes, mmap, os, sys
path, jit = sys.argv[1], sys.argv[2] == "jit"
rights = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
with open(path, "rb") as file:
    code = file.read()[{CODE}:{CODE + PAGE}]
    if jit:
        memory = mmap.mmap(-1, {PAGE}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=rights)
        memory[:] = code
    else:
        memory = mmap.mmap(file.fileno(), {PAGE}, flags=mmap.MAP_PRIVATE, prot=rights, offset={CODE})
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
if jit:
    with open(f"/tmp/perf-{{os.getpid()}}.map", "w") as file:
        file.write(f"{{start:x}} {PAGE:x} {NAME}\\n")
spin = ctypes.CFUNCTYPE(None, ctypes.c_ulong)(start)
print("ready", flush=True)
while True:
    spin(20_000_000)
"""


@contextmanager
def spinning(folder: Path, how: str) -> Iterator[int]:
    """A process that spins in the hot function; its number."""
    path = folder / "hot.so"
    path.write_bytes(image([(NAME, 0, len(LOOP), FUNC, GLOBAL)], code=LOOP))
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path), how], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        yield child.pid
    finally:
        child.kill()
        child.communicate()
        Path(f"/tmp/perf-{child.pid}.map").unlink(missing_ok=True)


@pytest.mark.parametrize("how", ["elf", "jit"])
def test_the_hot_function_of_a_process_is_on_top(kernel: KernelEngine, tmp_path: Path, how: str) -> None:
    example = load("profile")
    with spinning(tmp_path, how) as pid:
        folded = example.record(1.0, 199, pid)
    own = {row.name: row.own for row in folded.top()}
    name = NAME + ("_[j]" if how == "jit" else "")
    assert folded.total >= 10 and next(iter(own)) == name and own[name] > folded.total / 2, folded.top(5)
    assert all(frames[0].startswith("python") for frames in folded.counts)


def test_the_whole_machine_is_sampled_as_well(kernel: KernelEngine, tmp_path: Path) -> None:
    example = load("profile")
    with spinning(tmp_path, "elf"):
        folded = example.record(1.0, 199)
    assert sum(count for frames, count in folded.counts.items() if NAME in frames) >= 5


def test_it_writes_folded_text_and_a_flame_graph(kernel: KernelEngine, tmp_path: Path) -> None:
    graph = tmp_path / "profile.svg"
    with spinning(tmp_path, "elf") as pid:
        command = [sys.executable, str(EXAMPLES / "profile.py"), "-p", str(pid), "-F", "199"]
        folded = until_sampled([*command, "--folded", "--svg", str(graph)])
        table = until_sampled(command)
    assert Folded.parse(folded).top(1)[0].name == NAME
    boxes = {group.get("data-n") for group in ElementTree.parse(graph).iter("{http://www.w3.org/2000/svg}g")}
    assert {"all", NAME} <= boxes
    assert NAME in table.splitlines()[1]


def until_sampled(command: list[str]) -> str:
    """What the profiler prints once it has seen the function: an emulated processor may be too busy for a short time to be
    enough."""
    for seconds in ("0.5", "4", "16"):
        ran = subprocess.run([*command, "-s", seconds], capture_output=True, text=True, timeout=300)
        assert ran.returncode == 0, ran.stderr
        if NAME in ran.stdout:
            break
    return ran.stdout
