"""Messages of the verifier and what they mean: the table that `rules_*.py` fill, and how one is found for a log.

A pattern is matched against a line that the verifier said. The named groups of the match fill the texts in braces; `{where}`
is the state in words of the register in group `reg`. The order is that of the tables: the special before the general.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Rule:
    """`message` is what is wrong in a sentence without a full stop, `label` what stands beside the caret, `hint` what to do;
    `python` takes the hint's place for a program compiled from Python. A rule about the `whole` program has no place in it."""

    name: str
    pattern: str
    message: str
    label: str = ""
    hint: str = ""
    python: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A rule, the line it matched, and the groups of the match."""

    rule: Rule
    said: str
    groups: dict[str, str]


@cache
def rules() -> tuple[tuple[Rule, re.Pattern[str]], ...]:
    from purebpf.explain.rules_calls import CALLS
    from purebpf.explain.rules_flow import FLOW
    from purebpf.explain.rules_memory import MEMORY
    from purebpf.explain.rules_values import VALUES

    return tuple((rule, re.compile(rule.pattern)) for rule in (*CALLS, *FLOW, *MEMORY, *VALUES))


def find_rule(lines: Iterable[str]) -> Found | None:
    """The first rule, in the tables' order, that any of the lines matches. Of several lines it takes the first."""
    said = list(lines)
    for rule, pattern in rules():
        for line in said:
            if match := pattern.search(line):
                return Found(rule, line.strip(), {name: text or "" for name, text in match.groupdict().items()})
    return None
