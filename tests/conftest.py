"""What the tests share: marker and fixture of tests that need bpf(2), and the check that they leave no descriptor open."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.probe import permitted

settings.register_profile("suite", deadline=None, derandomize=True)  # slow machines are no failures, and runs are alike
settings.load_profile("suite")
if "PUREBPF_AHEAD" not in os.environ:  # of the runner of other kernels, which compiles for guests
    os.environ["PUREBPF_KEEP"] = "no"  # every test compiles; those in tests/kept are about what is kept
pytest_plugins = ["tests.kernel.leaks"]
NEEDS_KERNEL = ("needs", "bpf(2)")  # a report's keywords would not do: they have the names of folders in them


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "kernel: needs bpf(2); is skipped, with the reason, where it is not permitted")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "kernel" in getattr(item, "fixturenames", ()):
            item.add_marker("kernel")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if not item.get_closest_marker("kernel"):
        return
    item.user_properties.append(NEEDS_KERNEL)
    if reason := permitted():
        pytest.skip(f"bpf(2) is not permitted here: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many kernel tests ran, so that a run that skipped them all does not look like one that passed them."""
    counts = {
        outcome: sum(NEEDS_KERNEL in getattr(report, "user_properties", ()) for report in terminalreporter.getreports(outcome))
        for outcome in ("passed", "failed", "skipped")
    }
    if any(counts.values()):
        ran = counts["passed"] + counts["failed"]
        terminalreporter.write_line(f"kernel tests: {ran} ran, {counts['skipped']} skipped")
        if not ran and permitted() is None:
            terminalreporter.write_line("bpf(2) is permitted here, but no kernel test ran: that is a failure", red=True)
            terminalreporter._session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def kernel() -> KernelEngine:
    """The running kernel as an engine. A test that uses it is skipped where bpf(2) is not permitted."""
    return KernelEngine()
