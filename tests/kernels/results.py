"""What came of the tests in one kernel."""

from __future__ import annotations

import json
import re
from collections import Counter
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
    release: str  # as `uname -r` tells it
    version: str  # as `uname -v` does


class Count(TypedDict):
    event: Literal["count"]
    what: str
    number: int


class Fact(TypedDict):
    event: Literal["fact"]
    what: str
    text: str


class Kinds(TypedDict):
    event: Literal["kinds"]
    test: str
    kinds: list[str]  # see tests/kinds/measured.py


class Told(TypedDict):
    """What the compiler is told about a kernel."""

    event: Literal["features"]
    identity: list[str]  # of `KernelEngine`
    options: dict[str, object]  # the fields of `Options`
    release: str
    version: str


Event = Start | End | Count | Fact | Kinds | Told | Finish
FEATURES = "features.json"  # where the host has `Told` of the kernel that it compiles for
COUNT = "count "
"""How the name of a property begins by which a test says how many of something it has seen; the value is the number."""
FACT = "fact "
"""The same for what a test has found out about the kernel; the value is told as it is, beside that of other kernels."""


@dataclass(slots=True)
class Results:
    """Of the tests in one kernel. `trouble` is what went wrong apart from tests."""

    kernel: str
    version: str = ""  # 6.1.176, where the kernel tells it
    outcomes: dict[str, Outcome] = field(default_factory=dict)  # of each test
    texts: dict[str, str] = field(default_factory=dict)  # why a test was skipped or how it failed
    counted: Counter[str] = field(default_factory=Counter)  # what tests have counted
    facts: dict[str, str] = field(default_factory=dict)  # what tests have found out
    kinds: dict[str, list[str]] = field(default_factory=dict)  # of tests that passed
    features: Told | None = None
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
            self.outcomes[event["test"]] = event["outcome"]
            self.texts[event["test"]] = event["text"]
        elif event["event"] == "count":
            self.counted[event["what"]] += event["number"]
        elif event["event"] == "fact":
            self.facts[event["what"]] = event["text"]
        elif event["event"] == "kinds":
            self.kinds[event["test"]] = event["kinds"]
        elif event["event"] == "features":
            self.features = event
            self.finished = True
        else:
            self.finish(event)

    def finish(self, event: Finish) -> None:
        self.finished = True
        self.version = upstream(event["version"]) or event["release"]
        if event["release"] != self.kernel:
            self.trouble.append(f"the guest ran Linux {event['release']}")
        if event["status"] not in FINE and not self.failed:
            self.trouble.append(f"pytest ended with exit status {event['status']}; the console has its words")
        if not self.count("passed") and not self.failed:
            self.trouble.append("no test ran")

    def count(self, outcome: Outcome) -> int:
        return sum(one == outcome for one in self.outcomes.values())

    @property
    def failed(self) -> dict[str, str]:
        """Tests and their messages."""
        return {test: self.texts[test] for test, outcome in self.outcomes.items() if outcome == "failed"}

    @property
    def skipped(self) -> Counter[str]:
        """Reasons and how many tests had them."""
        return Counter(self.texts[test] for test, outcome in self.outcomes.items() if outcome == "skipped")

    @property
    def good(self) -> bool:
        return self.finished and not self.failed and not self.trouble


def upstream(version: str) -> str:
    """6.1.176 of "#1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-07-02)"; a release of Debian's leaves out the last number."""
    found = re.search(r"Debian ([\d.]+)-", version)
    return found[1] if found else ""
