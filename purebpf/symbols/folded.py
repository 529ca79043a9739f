"""Call stacks counted by their frames: the folded text that tools for flame graphs read, tables, and a flame graph of our own.

A line of folded text is the frames from the outermost to the innermost with semicolons between, a space, and a count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Self

from purebpf.data import data
from purebpf.errors import Error
from purebpf.symbols.frame import Frame

CLEAN = str.maketrans({";": ":", "\n": " ", "\r": " "})


@data
class Row:
    """A function: in how many samples it was the innermost (`own`), and in how many it took part (`total`)."""

    name: str
    own: int
    total: int


class Folded:
    """Counts of call stacks. `counts` has them by their frames, outermost first."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()

    def add(self, frames: Iterable[str | Frame], count: int = 1) -> None:
        """Count a stack, outermost frame first (those of a `bpf.StackTrace` are innermost first: `reversed`). An integer more
        than 0."""
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise Error(f"A stack is counted a positive number of times, not {count!r}.")
        names = (frame.label if isinstance(frame, Frame) else frame for frame in frames)
        self.counts[tuple(name.translate(CLEAN) or "[unknown]" for name in names)] += count

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def lines(self) -> Iterator[str]:
        """Folded text, sorted."""
        for frames, count in sorted(self.counts.items()):
            if frames:
                yield f"{';'.join(frames)} {count}"

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in self.lines())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of folded text, from whatever tool. Raises Error with the line's number."""
        made = cls()
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            stack, _, count = line.rstrip().rpartition(" ")
            if not stack or not (count.isascii() and count.isdigit()) or not int(count):
                raise Error(f"line {number} is no folded stack (`main;work;read 12`): {line[:80]!r}")
            made.add(stack.split(";"), int(count))
        return made

    def top(self, count: int = 20) -> list[Row]:
        """The functions that were innermost most often. One that calls itself takes part in a sample once."""
        own: Counter[str] = Counter()
        total: Counter[str] = Counter()
        for frames, number in self.counts.items():
            if frames:
                own[frames[-1]] += number
                for name in set(frames):
                    total[name] += number
        names = sorted(total, key=lambda name: (-own[name], -total[name], name))
        return [Row(name, own[name], total[name]) for name in names[:count]]

    def svg(self, title: str = "Flame graph", unit: str = "samples") -> str:
        """A flame graph as an SVG document that needs nothing else: a browser shows it, with names, search and zoom."""
        from purebpf.symbols.flamegraph import draw

        return draw(self.counts, title, unit)
