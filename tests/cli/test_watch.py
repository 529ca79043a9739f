"""`purebpf run` of a file without a main block: lines in a pipe, a table below them on a terminal; and what --pcap tells."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from purebpf.pcap import write_packets
from tests.cli.test_cli import ROOT, purebpf

FILE = """
import os

import purebpf as bpf
from purebpf import u32, u64

US = {pid}


@bpf.struct
class Call:
    pid: u32
    number: u64


calls = bpf.RingBuf[Call](size=1 << 16)
old = bpf.PerfEventArray[u64]()
counts = bpf.Hash[u32, u64](max_entries=16)


@bpf.tracepoint("syscalls/sys_enter_getpgid")
def watch(ctx: bpf.TracepointContext) -> None:
    if bpf.current.tgid == US:
        counts[7] += 1
        calls.emit(Call(pid=1, number=counts.get(7, 0)))
        old.output(u64(99))
        bpf.printk("seen")
"""


def started(tmp_path: Path, stdout: int) -> subprocess.Popen[str]:
    file = tmp_path / "watch.py"
    file.write_text(FILE.format(pid=os.getpid()))
    command = [sys.executable, "-m", "purebpf.cli.main", "run", str(file)]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None and "attached watch" in process.stderr.readline()
    return process


def ended(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert "Traceback" not in err and process.returncode in (0, 130)
    return out or ""


@pytest.mark.kernel
def test_lines_of_all_that_comes(tmp_path: Path) -> None:
    process = started(tmp_path, subprocess.PIPE)
    for _ in range(3):
        os.getpgid(0)
    time.sleep(0.3)
    lines = ended(process).splitlines()
    assert [line for line in lines if line.startswith("calls")] == [f"calls: Call(pid=1, number={n})" for n in (1, 2, 3)]
    assert lines.count("old: 99") == 3
    assert len([line for line in lines if line.endswith(": seen")]) == 3
    assert len(lines) == 9


@pytest.mark.kernel
def test_a_table_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        process = started(tmp_path, theirs)
        shown, total = "", 0
        for count in (3, 117):
            for _ in range(count):
                os.getpgid(0)
            total += count
            end = time.monotonic() + 30
            while not re.search(rf"old +{total} events.*counts +7 +{total}", shown, re.S) and time.monotonic() < end:
                if select.select([ours], [], [], 0.1)[0]:
                    shown += os.read(ours, 1 << 16).decode()
        ended(process)
    finally:
        os.close(theirs)
        os.close(ours)
    assert "calls: Call(pid=1, number=1)" in shown and ": seen" in shown
    assert re.search(r"calls +120 events +[\d,]+/s +0 lost", shown) and re.search(r"old +120 events", shown)
    assert re.search(r"\.\.\. and [\d,]+ more", shown)


@pytest.mark.parametrize("engine", ["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
def test_a_capture_shows_events_and_printed_lines(tmp_path: Path, engine: str) -> None:
    file, capture = tmp_path / "packets.py", tmp_path / "few.pcap"
    file.write_text(
        "import purebpf as bpf\nfrom purebpf import u32\nring = bpf.RingBuf[u32](size=4096)\n@bpf.xdp\ndef seen(ctx):\n"
        '    ring.emit(u32(len(ctx.packet)))\n    bpf.printk("length told")\n    return bpf.XDP_PASS\n'.replace("\\\n", "\n")
    )
    write_packets(capture, [bytes(60), bytes(61)])
    result = purebpf("run", str(file), "--pcap", str(capture), "--engine", engine)
    assert result.stdout.count("printed: length told") == 2, result.stderr
    assert "ring: 60\nring: 61" in result.stdout
