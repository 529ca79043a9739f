"""The examples that look at the kernel, each checked against another source: wait status, sockets, counters of procfs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from purebpf.btf.running import kernel_btf
from purebpf.errors import Unsupported
from purebpf.kernel.engine import KernelEngine
from tests.examples.test_examples import load


def no_types() -> str:
    try:
        kernel_btf()
    except Unsupported as error:
        return str(error)
    return ""


NEEDS_TYPES = pytest.mark.skipif(bool(no_types()), reason=no_types())


def test_tcplife_sees_both_ends_of_a_connection(kernel: KernelEngine) -> None:
    example = load("tcplife")
    example.settings.only_pid = os.getpid()
    with example.state_changed.attach():
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = socket.create_connection(server.getsockname())
            other, _ = server.accept()
            ends = {client.getsockname(): client.getpeername(), other.getsockname(): other.getpeername()}
            started = time.monotonic()
            time.sleep(0.05)
            client.close()
            other.close()
            open_for = time.monotonic() - started
        found = {}
        while len(found) < 2:
            for life in example.lives.read(timeout=5):
                local = str(IPv4Address(life.local)), life.sport
                found[local] = (str(IPv4Address(life.remote)), life.dport)
                assert life.pid == os.getpid()
                assert 0.05 <= life.nanoseconds / 1e9 <= open_for + 5
    assert found == ends


@NEEDS_TYPES
def test_exitsnoop_knows_how_a_process_ended(kernel: KernelEngine) -> None:
    example = load("exitsnoop")
    example.settings.only_parent = os.getpid()
    with example.ending.attach():
        failing = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.1); raise SystemExit(7)"])
        failing.wait()
        killed = subprocess.Popen(["sleep", "60"])
        killed.send_signal(signal.SIGTERM)
        killed.wait()
        ends = {}
        while len(ends) < 2:
            ends |= {end.pid: end for end in example.exits.read(timeout=5)}
    first, second = ends[failing.pid], ends[killed.pid]
    assert (failing.returncode, example.how(first.code)) == (7, "7")
    assert (killed.returncode, example.how(second.code)) == (-15, "signal 15")
    assert first.nanoseconds >= 100_000_000
    assert second.comm in ("sleep", Path(sys.executable).name, "python", "pytest")


@NEEDS_TYPES
def test_runqlat_counts_each_wait(kernel: KernelEngine) -> None:
    example = load("runqlat")
    wait = (
        "import time, sys; sys.stdin.readline()\nfor _ in range(40): time.sleep(0.001)\nprint(open('/proc/self/status').read())"
    )
    child = subprocess.Popen([sys.executable, "-c", wait], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    example.settings.only_pid = child.pid
    from purebpf import load as load_programs

    programs = (example.woken, example.born, example.switched)
    with load_programs(*programs), programs[0].attach(), programs[1].attach(), programs[2].attach():
        status, _ = child.communicate("go\n", timeout=30)
        counted = sum(total for _, _, total in example.rows())
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    switches = int(lines["voluntary_ctxt_switches"]) + int(lines["nonvoluntary_ctxt_switches"])
    assert 40 <= counted <= switches + 20  # what comes behind the status: its end


@NEEDS_TYPES
def test_execsnoop_shows_arguments(kernel: KernelEngine) -> None:
    example = load("execsnoop")
    example.settings.only_parent = os.getpid()
    command = ["/bin/sh", "-c", "exit 3", "one", "two words", "ß"]
    with example.started.attach():
        child = subprocess.Popen(command)
        assert child.wait() == 3
        (start, *_) = example.starts.read(timeout=5)
    assert (start.pid, start.parent, start.file) == (child.pid, os.getpid(), "/bin/sh")
    assert example.shown(start) == " ".join(command)


def test_opensnoop_sees_files_and_results(kernel: KernelEngine, tmp_path: Path) -> None:
    example = load("opensnoop")
    example.settings.only_pid = os.getpid()
    from purebpf import load as load_programs

    with load_programs(example.entering, example.leaving), example.entering.attach(), example.leaving.attach():
        (tmp_path / "there").write_text("x")
        with open(tmp_path / "there") as file:
            number = file.fileno()
        with pytest.raises(FileNotFoundError):
            (tmp_path / "nowhere").read_text()
        seen: list[tuple[str, int]] = []
        while not any(name.endswith("nowhere") for name, _ in seen):
            seen += [(one.file, one.result) for one in example.opened.read(timeout=5)]
    assert (str(tmp_path / "nowhere"), -2) in seen
    assert (str(tmp_path / "there"), number) in seen
