"""What stays attached when a process ends: nothing of what links hold, however it ends; of what is attached without a link
nothing when Python can end in its usual way. What a forked child does leaves its parent's things alone."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import u64
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.link.query import query
from purebpf.kernel.syscall import bpf as bpf_syscall
from purebpf.tables.enums import AttachType, Command
from tests.kernel.netns import eventually

pytestmark = pytest.mark.kernel
ROOT = Path(__file__).resolve().parents[2]
HEAD = """
import os, signal, sys, time
import purebpf as bpf
from tests.kernel.counting_program import calls, counted, entered, packets
"""


@contextmanager
def child(code: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs the code, prints a line when it is there, and then waits to be ended."""
    command = [sys.executable, "-c", HEAD + code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def exists(command: Command, field: str, number: int) -> bool:
    """Whether there is an object of this id in the kernel."""
    answer = bpf_syscall(command, {field: number})
    if answer >= 0:
        os.close(answer)
    return answer != -errno.ENOENT


def said(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(process.communicate()[1])
    return [int(word) for word in line.split()]


def test_a_killed_process_leaves_nothing_that_links_hold(kernel: KernelEngine, cgroup: str) -> None:
    code = f"""
held = [packets.attach({cgroup!r}, engine="kernel"), entered.attach(engine="kernel")]
links = [one.info.id for one in held if "link" in one.mechanism]
print(packets.info.id, entered.info.id, counted.live.info.id, calls.live.info.id, *links, flush=True)
time.sleep(60)
"""
    with child(code) as process:
        first, second, one, other, *links = said(process)
        programs, maps = (first, second), (one, other)
        assert all(exists(Command.PROG_GET_FD_BY_ID, "prog_id", number) for number in programs)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def gone() -> bool:
        there = [exists(Command.PROG_GET_FD_BY_ID, "prog_id", number) for number in programs]
        there += [exists(Command.MAP_GET_FD_BY_ID, "map_id", number) for number in maps]
        return not any(there + [exists(Command.LINK_GET_FD_BY_ID, "link_id", number) for number in links])

    assert eventually(gone, 60)  # the kernel frees some of it when it finds the time
    assert attached(cgroup) == 0


WAYS = {
    "at the end": "",
    "by sys.exit": "sys.exit(0)",
    "by an error": "raise SystemError('of the test')",
    "by a signal that Python is told of": "signal.signal(15, lambda *_: sys.exit(1)); os.kill(os.getpid(), 15)",
}


@pytest.mark.parametrize("way", WAYS)
def test_what_has_no_link_is_taken_away_when_python_ends(kernel: KernelEngine, cgroup: str, way: str) -> None:
    code = f"""
packets.attach({cgroup!r}, engine="kernel", mode="multi")
print(1, flush=True)
sys.stdin.readline()
{WAYS[way]}
"""
    command = [sys.executable, "-c", HEAD + code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            said(process)
            assert attached(cgroup) == 1
            process.communicate("\n", timeout=30)
        finally:
            process.kill()
    assert attached(cgroup) == 0


def test_what_has_no_link_stays_when_the_process_is_killed(kernel: KernelEngine, cgroup: str) -> None:
    code = f"""
packets.attach({cgroup!r}, engine="kernel", mode="multi")
print(1, flush=True)
time.sleep(60)
"""
    with child(code) as process:
        said(process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert attached(cgroup) == 1  # until the cgroup goes, with this test


def attached(cgroup: str) -> int:
    """How many programs the cgroup has for outgoing packets."""
    return len(query(AttachType.CGROUP_INET_EGRESS, cgroup=cgroup).programs)


counts = bpf.Array[u64](max_entries=2)


@bpf.tracepoint("syscalls/sys_enter_getpgid")
def getpgid(ctx: bpf.TracepointContext) -> None:
    counts[0] += 1


def in_child(code: object) -> int:
    """The exit status of a forked child that runs a function: its result, 99 for an error."""
    number = os.fork()
    if number == 0:
        status = 99
        try:
            status = code()  # type: ignore[operator]
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def test_a_forked_child_has_the_maps_too_and_closing_leaves_the_parents_attached(kernel: KernelEngine) -> None:
    with bpf.load(getpgid, engine="kernel") as collection:
        getpgid.attach()

        def use_and_close() -> int:
            counts[1] = 77
            collection.close()
            return 5

        assert in_child(use_and_close) == 5
        assert counts[1] == 77
        before = counts[0]
        os.getpgid(0)
        assert counts[0] > before


def test_a_forked_child_that_ends_leaves_the_parents_attachments_without_a_link(kernel: KernelEngine, cgroup: str) -> None:
    code = f"""
packets.attach({cgroup!r}, engine="kernel", mode="multi")
child = os.fork()
if child == 0:
    sys.exit(0)
os.waitpid(child, 0)
print(1, flush=True)
time.sleep(60)
"""
    with child(code) as process:
        said(process)
        assert attached(cgroup) == 1
