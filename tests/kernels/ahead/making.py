"""A pytest plugin for the host: tests run on a stand-in for a guest's kernel, for what is compiled on the way.

Their outcomes mean nothing. No system call is made for programs: a test that needs more than a virtual machine ends early.
"""

from __future__ import annotations

import pytest

import purebpf.btf.running
import purebpf.kept
import purebpf.kernel.engine
import purebpf.kernel.probe
import purebpf.kernel.trace_pipe
from tests.kernels.ahead.stand_in import SilentPipe, StandIn, not_here

FOLDER = "tests/compiler/"

# Before any module has taken the names from there.
purebpf.kept.MOST = 1000  # one function of a test's helper stands for many programs
purebpf.kernel.engine.KernelEngine = StandIn  # type: ignore[assignment, misc]
purebpf.kernel.probe.permitted = lambda type=None: None
purebpf.kernel.trace_pipe.TracePipe = SilentPipe  # type: ignore[assignment, misc]
purebpf.btf.running.kernel_btf = not_here  # type: ignore[assignment]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests are collected, so that their bytecode is there for the guest, but only those of the compiler run."""
    items[:] = [item for item in items if item.nodeid.startswith(FOLDER)]
