"""Programs in C that take arguments of a library's own probes by libbpf's header."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

import pytest

import purebpf as bpf
from bench.size import clang
from purebpf.errors import Error
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.objects import Objects, load
from purebpf.spec import CollectionSpec
from tests.elf import corpus

MACHINE = os.uname().machine
TARGETS = {"x86_64": "x86", "aarch64": "arm64"}
PROBED = Path(__file__).parents[1] / "kernel" / "probed" / f"probed-{MACHINE}.so"
LONG = ctypes.c_long


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> CollectionSpec:
    try:
        corpus.tool()
    except corpus.Missing as missing:
        pytest.skip(str(missing))
    if not Path("/usr/include/bpf/usdt.bpf.h").exists():
        pytest.skip("libbpf's headers are not installed (libbpf-dev)")
    if MACHINE not in TARGETS or not PROBED.exists():
        pytest.skip(f"the tests have no library to probe on {MACHINE}")
    made = tmp_path_factory.mktemp("usdt") / "usdt.o"
    flags = ["-g", "-O2", "-target", "bpf", f"-D__TARGET_ARCH_{TARGETS[MACHINE]}", f"-I/usr/include/{MACHINE}-linux-gnu"]
    source = Path(__file__).with_name("c") / "usdt.c"
    subprocess.run([clang.CLANG, *flags, "-c", str(source), "-o", str(made)], check=True)
    return bpf.load_object(made)


def seen(objects: Objects, probe: str, call: object, **options: object) -> list[int]:
    """What the program saw of a call."""
    objects.variables.pid = os.getpid()
    objects.variables.seen = [0] * 5
    link = objects.programs["values"].attach(probe=f"{PROBED}:tests:{probe}", pid=0, **options)
    call(ctypes.CDLL(str(PROBED)))  # type: ignore[operator]
    link.close()
    found: list[int] = objects.variables.seen
    return found


def test_arguments_are_where_the_specifications_say(kernel: KernelEngine, compiled: CollectionSpec) -> None:
    if kernel_version() < (5, 15):
        pytest.skip("cookies of uprobes came with Linux 5.15")
    with load(compiled, engine=kernel) as objects:
        in_registers = seen(objects, "values", lambda library: library.in_registers(-7, 300, LONG(-(1 << 40))), cookie=1 << 60)
        assert in_registers == [-7, 300 & 255, -(1 << 40), 3, 1 << 60]
        in_memory = seen(objects, "values", lambda library: library.in_memory(-9, LONG(1 << 41)))
        assert in_memory == [-9, 200, 1 << 41, 3, 0]
        written = len(objects.usdt_specs)
        assert seen(objects, "values", lambda library: library.in_memory(1, LONG(2)))[:3] == [1, 200, 2]
        assert len(objects.usdt_specs) == written  # they were there
        assert seen(objects, "bare", lambda library: library.without_arguments()) == [0] * 5


def test_what_cannot_be_attached(kernel: KernelEngine, compiled: CollectionSpec) -> None:
    if kernel_version() < (5, 15):
        pytest.skip("cookies of uprobes came with Linux 5.15")
    with load(compiled, engine=kernel) as objects:
        assert objects.attach() == {}
        with pytest.raises(Error, match="needs the option 'probe' as 'binary:provider:name'"):
            objects.programs["values"].attach()
        with pytest.raises(Error, match="has no probe tests:nothing"):
            objects.programs["values"].attach(probe=f"{PROBED}:tests:nothing")
