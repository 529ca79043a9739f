"""What came of the tests in one kernel, and the table of all kernels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypedDict

Outcome = Literal["passed", "skipped", "failed"]
FINE = (0,)  # pytest's exit status: all that ran passed


class Start(TypedDict):
    event: Literal["start"]
    test: str


class End(TypedDict):
    event: Literal["end"]
    test: str
    outcome: Outcome
    text: str  # why it was skipped or how it failed


class Finish(TypedDict):
    event: Literal["finish"]
    status: int
    release: str


Event = Start | End | Finish


@dataclass(slots=True)
class Results:
    """Of the tests in one kernel. `trouble` is what went wrong apart from tests."""

    kernel: str
    passed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)  # reason to number of tests
    failed: dict[str, str] = field(default_factory=dict)  # test to its message
    running: str = ""
    finished: bool = False
    seconds: float = 0.0
    trouble: list[str] = field(default_factory=list)

    def take(self, line: str) -> None:
        """One line that the guest sent."""
        try:
            event: Event = json.loads(line)
        except json.JSONDecodeError:
            self.trouble.append(f"the guest sent a line that is no result: {line[:200]!r}")
            return
        if event["event"] == "start":
            self.running = event["test"]
        elif event["event"] == "end":
            self.running = ""
            if event["outcome"] == "passed":
                self.passed += 1
            elif event["outcome"] == "skipped":
                self.skipped[event["text"]] += 1
            else:
                self.failed[event["test"]] = event["text"]
        else:
            self.finish(event)

    def finish(self, event: Finish) -> None:
        self.finished = True
        if event["release"] != self.kernel:
            self.trouble.append(f"the guest ran Linux {event['release']}")
        if event["status"] not in FINE and not self.failed:
            self.trouble.append(f"pytest ended with exit status {event['status']}; the console has its words")
        if not self.passed and not self.failed:
            self.trouble.append("no test ran")

    @property
    def total(self) -> int:
        return self.passed + self.skipped.total() + len(self.failed)

    @property
    def good(self) -> bool:
        return self.finished and not self.failed and not self.trouble


def table(runs: Iterable[Results]) -> str:
    """Kernel by outcome, then the reasons of skips with their numbers, kernel by kernel."""
    runs = list(runs)
    width = max(len("kernel"), *(len(run.kernel) for run in runs))
    lines = [f"{'kernel':{width}}  passed  skipped  failed  seconds"]
    for run in runs:
        mark = "" if run.good else "  <-- failed"
        counts = f"{run.passed:6}  {run.skipped.total():7}  {len(run.failed):6}  {run.seconds:7.0f}"
        lines.append(f"{run.kernel:{width}}  {counts}{mark}")
    for run in runs:
        if run.skipped:
            lines += ["", f"skipped in {run.kernel}:"]
            lines += [f"{number:5}  {reason}" for reason, number in run.skipped.most_common()]
    for run in runs:
        if not run.good:
            lines += ["", f"failed in {run.kernel}:"]
            lines += [f"  {trouble}" for trouble in run.trouble]
            lines += [f"  {test}\n{indented(text)}" for test, text in run.failed.items()]
    return "\n".join(lines)


def indented(text: str) -> str:
    return "".join(f"      {line}\n" for line in text.splitlines()).rstrip("\n")
