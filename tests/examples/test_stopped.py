"""Examples run as a person runs them, and are stopped: by Ctrl-C, with nothing left and nothing said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.test_examples import EXAMPLES
from tests.examples.test_tracing import NEEDS_TYPES
from tests.kernel.netns import eventually

EPOLL = ("232", "281", "22")  # epoll_wait and epoll_pwait of x86-64, epoll_pwait of arm64
COMMANDS = {"python": [sys.executable], "purebpf run": [sys.executable, "-m", "purebpf", "run"]}


def waiting(pid: int) -> bool:
    """Whether it waits for events, by the number of its system call: -1 while it runs."""
    return Path(f"/proc/{pid}/syscall").read_text().split()[0] in EPOLL


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("name", "command"),
    [("tcplife", "python"), ("opensnoop", "purebpf run"), pytest.param("exitsnoop", "python", marks=NEEDS_TYPES)],
)
def test_ctrl_c_ends_an_example_quietly(name: str, command: str) -> None:
    words = [*COMMANDS[command], str(EXAMPLES / f"{name}.py"), *(["1"] if name != "tcplife" else [])]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as running:
        assert running.stdout is not None
        try:
            heading = running.stdout.readline()
            assert heading.startswith("PID"), heading or running.communicate(timeout=30)[1]
            assert eventually(lambda: waiting(running.pid), 10)
            running.send_signal(signal.SIGINT)
            _, complaint = running.communicate(timeout=30)
        finally:
            running.kill()
    assert (running.returncode, complaint) == (0, "")
