"""A pytest plugin: write what happens as lines of JSON to the file that PUREBPF_STREAM names, each as it happens.

In a guest that is a serial port. What was written before a kernel dies or hangs is known to the host.
"""

from __future__ import annotations

import json
import os
import re
import tty
from collections.abc import Generator
from typing import IO

import pytest

from purebpf.compiler.diagnostics import UnsupportedProgram
from purebpf.errors import Unsupported
from purebpf.kernel.errors import kernel_version
from tests.kernels.results import COUNT, FACT, Count, End, Event, Fact, Finish, Kinds, Outcome, Start
from tests.kinds.measured import PROPERTY


def pytest_configure(config: pytest.Config) -> None:
    if path := os.environ.get("PUREBPF_STREAM"):
        config.pluginmanager.register(Stream(open(path, "w", buffering=1)), "stream")  # noqa: SIM115 - open as long as pytest runs


class Stream:
    """Writes to a file; on a serial port no character may be changed on the way."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self.outcome: Outcome = "passed"
        self.text = ""
        if file.isatty():
            tty.setraw(file.fileno())

    def write(self, event: Event) -> None:
        self.file.write(json.dumps(event) + "\n")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """A test that asks for what came with a later kernel does not apply."""
        report = yield
        if report.failed and call.excinfo and isinstance(call.excinfo.value, Unsupported):
            message = str(call.excinfo.value)
            if first_kernel(message) > kernel_version():
                report.outcome, report.longrepr = "skipped", (str(report.fspath), 0, sentence(call.excinfo.value))
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.outcome = "passed"
        self.text = ""
        self.write(Start(event="start", test=nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Setup, call and teardown of a test report one by one; the worst of them counts."""
        for name, value in report.user_properties if report.when == "call" else ():
            if name.startswith(COUNT) and isinstance(value, int):
                self.write(Count(event="count", what=name.removeprefix(COUNT), number=value))
            elif name.startswith(FACT):
                self.write(Fact(event="fact", what=name.removeprefix(FACT), text=str(value)))
            elif name == PROPERTY and report.passed and isinstance(value, list):
                self.write(Kinds(event="kinds", test=report.nodeid, kinds=value))
        if report.outcome == "failed":
            before = f"{self.text}\n" if self.outcome == "failed" else ""
            self.outcome, self.text = "failed", before + brief(report)
        elif report.outcome == "skipped" and self.outcome != "failed":
            self.outcome, self.text = "skipped", reason(report)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.write(End(event="end", test=nodeid, outcome=self.outcome, text=self.text))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.write(End(event="end", test=report.nodeid, outcome="failed", text=brief(report)))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        system = os.uname()
        self.write(Finish(event="finish", status=int(session.exitstatus), release=system.release, version=system.version))


def sentence(error: Unsupported) -> str:
    """What an error says, without the place in the source that a compile error shows."""
    return f"{error.message}: {error.label}" if isinstance(error, UnsupportedProgram) else str(error)


def first_kernel(message: str) -> tuple[int, int]:
    """The kernel that brought what a message says is missing; (0, 0) when it tells none."""
    words = r"which Linux VERSION brought|\(Linux VERSION(?: does)?; this is |came with Linux VERSION|before Linux VERSION"
    words += r"|needs cpu level \d \(Linux VERSION\)"
    found = re.search(words.replace("VERSION", r"(\d+)\.(\d+)"), message)
    major, minor = filter(None, found.groups()) if found else ("0", "0")
    return int(major), int(minor)


def brief(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Place and message of a failure. The console has all of it, and is too slow a line to send it twice."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return report.longreprtext[-2000:]
    return f"{os.path.relpath(crash.path)}:{crash.lineno}: {crash.message[:2000]}"


def reason(report: pytest.TestReport) -> str:
    """Why a test was skipped."""
    if hasattr(report, "wasxfail"):
        return f"known to fail: {report.wasxfail}"
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return report.longreprtext
