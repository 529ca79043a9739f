"""Which kinds passed in a kernel, and in which tests: a file of JSON for each kernel, in `results/`.

A kind is a text such as "map HASH kernel" or "attach XDP language": a table of docs/kinds.md, a name there, and what it went
through.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "results"
PROPERTY = "kinds"  # of a test's report
KEPT = 2  # tests of each kind that a file names


@dataclass(slots=True)
class Measured:
    """Of one kernel: its version and, by kind, some of the tests that passed."""

    kernel: str = ""
    kinds: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Measured:
        """Nothing where there is no such file."""
        if not path.exists():
            return cls()
        told = json.loads(path.read_text())
        return cls(told["kernel"], told["kinds"])

    def write(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        rows = ",\n".join(f"{json.dumps(kind)}: {json.dumps(tests)}" for kind, tests in sorted(self.kinds.items()))
        path.write_text(f'{{"kernel": {json.dumps(self.kernel)}, "kinds": {{\n{rows}\n}}}}\n')

    def add(self, ran: Iterable[str], passed: Mapping[str, Iterable[str]]) -> None:
        """Take the results of a run, by test: of tests that ran again, what an earlier run said is forgotten."""
        again = {plain(test) for test in ran}
        for kind, tests in list(self.kinds.items()):
            self.kinds[kind] = [test for test in tests if test not in again]
        for test, kinds in passed.items():
            for kind in kinds:
                self.kinds.setdefault(kind, []).append(plain(test))
        self.kinds = {kind: best(tests) for kind, tests in self.kinds.items() if tests}


def plain(test: str) -> str:
    """A test's name without its parameters."""
    return test.partition("[")[0]


def best(tests: Iterable[str]) -> list[str]:
    """The tests to name: those that are about the kernel's side first."""
    return sorted(set(tests), key=lambda test: (not test.startswith("tests/kernel/"), test))[:KEPT]
