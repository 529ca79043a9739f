"""The processes that this one has started, guests above all: none stays when it ends."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.kernels.errors import CannotRun

_lock = threading.Lock()
_running: set[subprocess.Popen[bytes]] = set()
_ended = False


@contextmanager
def child(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed when this is left, and by `end_all`. Raises CannotRun when all have been ended."""
    with _lock:
        if _ended:
            raise CannotRun("it was ended")
        process = subprocess.Popen(command, **options)
        _running.add(process)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        with _lock:
            _running.discard(process)


def end_all() -> None:
    """Kill those that other threads wait for; there will be no others."""
    global _ended
    with _lock:
        _ended = True
        for process in _running:
            process.kill()
