"""The file guard: what the kernel answers to `open`, for the process it is about and for another one."""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from purebpf.kernel.engine import KernelEngine
from tests.examples.skips import where_permitted
from tests.examples.test_examples import load
from tests.examples.test_tracing import NEEDS_TYPES

pytestmark = NEEDS_TYPES


def test_file_guard_denies_one_file_under_all_its_names(kernel: KernelEngine, tmp_path: Path) -> None:
    example = load("file_guard")
    secret, same, other = (tmp_path / name for name in ("secret", "same", "other"))
    secret.write_text("hidden")
    other.write_text("open")
    same.hardlink_to(secret)
    example.choose(str(secret))
    example.settings.only_pid = os.getpid()
    with ExitStack() as stack:
        with where_permitted():
            stack.enter_context(example.guard.attach())
        for path in (secret, same):
            with pytest.raises(PermissionError):
                path.read_text()
        assert other.read_text() == "open"
        assert subprocess.run(["cat", str(secret)], capture_output=True, text=True).stdout == "hidden"
        denials = example.denials.read(timeout=5)
    assert secret.read_text() == "hidden"
    comm = Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text().strip()
    assert [(one.pid, one.uid, one.comm) for one in denials] == [(os.getpid(), os.getuid(), comm)] * 2


def test_file_guard_is_for_one_user(kernel: KernelEngine, tmp_path: Path) -> None:
    example = load("file_guard")
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    example.choose(str(secret))
    example.settings.only_uid = other = os.getuid() + 4711

    def read_by_other() -> str:
        """What another user reads, or why not. The way is by a descriptor, since the folders are this user's own."""
        with secret.open() as file:
            command = ["cat", f"/proc/self/fd/{file.fileno()}"]
            done = subprocess.run(command, pass_fds=[file.fileno()], user=other, capture_output=True, text=True)
        return done.stdout + done.stderr

    assert read_by_other() == "hidden"
    with ExitStack() as stack:
        with where_permitted():
            stack.enter_context(example.guard.attach())
        assert secret.read_text() == "hidden"
        assert read_by_other().endswith("Permission denied\n")
    assert read_by_other() == "hidden"
