"""Says at the end of a run how the programs' sizes stand beside clang's."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    found = [value for report in reports for name, value in getattr(report, "user_properties", ()) if name == "slots"]
    for level in sorted({cpu for cpu, _, _ in found}):
        sizes = [(ours, theirs) for cpu, ours, theirs in found if cpu == level]
        small = sum(ours <= theirs for ours, theirs in sizes)
        total = sum(ours for ours, _ in sizes) / sum(theirs for _, theirs in sizes)
        terminalreporter.write_line(
            f"slots v{level}: {small} of {len(sizes)} programs no larger than clang's, {total:.2f} of its slots in all"
        )
