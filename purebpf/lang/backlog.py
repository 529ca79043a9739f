"""What came out of a ring and has not been handed out yet.

Whatever happens on the way, nothing is lost and nothing comes twice: an exception (Ctrl-C above all), a loop that ends early, a
record that does not fit leave the rest here for whoever asks next. What decides is always one assignment: before it the
records are here, after it they are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from purebpf.engine import EventReader, Run
from purebpf.errors import Error
from purebpf.lang.types import Type
from purebpf.lang.unpacking import values_of

if TYPE_CHECKING:
    from purebpf.engine import Form

T = TypeVar("T")
AT_ONCE = 256  # records made into values together: few enough that they stay in the processor's cache


class Started:
    """A run of which the first `done` records were made into values; `values` gives those that nobody has taken yet."""

    def __init__(self, run: Run, done: int, values: list[Any]) -> None:
        self.run, self.done = run, done
        self.values: Iterator[Any] = iter(values)

    @property
    def left(self) -> int:
        """How many values nobody has taken."""
        return self.values.__length_hint__()  # type: ignore[attr-defined, no-any-return]

    def further(self, layout: Type) -> Started:
        """The same with the next records as values."""
        last = min(self.done + AT_ONCE, self.run.count)
        return Started(self.run, last, values_of(layout, self.run, self.done, last))


class Backlog:
    """The records of one reader, of which threads take in turns. `lost` counts those that the kernel had to drop."""

    def __init__(self, reader: EventReader, layout: Type) -> None:
        self.reader, self.layout, self.lost = reader, layout, 0
        self._turn = Lock()
        self._held: list[Any] = []  # runs; the first may be a started one
        self._unsure = False  # whether an exception kept the reader from marking what it gave as taken

    def values(self, timeout: float | None) -> Iterator[Any] | None:
        """Some of the next records, as values; None when none came. What is not taken from the iterator comes again. Raises
        Error for a record that is too short, which stays."""
        with self._turn:
            if not self._held or self._unsure:
                self._collect(timeout, "bytes")
            while self._held:
                first: Run | Started = self._held[0]
                if isinstance(first, Run):
                    if not first.count:
                        self.lost += first.lost
                        self._held.pop(0)
                        continue
                    self._check(first)
                    first = self._held[0] = Started(first, 0, [])
                if first.left:
                    return first.values
                if first.done < first.run.count:
                    self._held[0] = first.further(self.layout)
                else:
                    self._held.pop(0)
        return None

    def take(self, give: Callable[[list[Run]], T], timeout: float | None, form: Form = "bytes", fitting: bool = True) -> T:
        """What `give` makes of all that is there; with `fitting`, of those before the first record that is too short. Raises
        Error where that comes first."""
        held, count = None, 0
        try:
            with self._turn:
                self._whole()
                held = self._held
                self._collect(timeout, form)
                count = self._fitting(held) if fitting else len(held)
                found = give(held[:count])
                lost = self.lost + sum(run.lost for run in held[:count])
                self._held, self.lost = held[count:], lost
            return found
        except BaseException:
            if held is not None and self._held is not held:  # they were taken, and do not get to the caller
                with self._turn:
                    self._held = [run for run in held[:count] if run.count] + self._held
            raise

    def _collect(self, timeout: float | None, form: Form) -> None:
        self._unsure = True
        self.reader.collect(self._held, timeout, form)
        self._unsure = False

    def _whole(self) -> None:
        """A started run becomes one of what is left of it, and its values end."""
        if self._held and isinstance(started := self._held[0], Started):
            self._held[0] = started.run.after(started.done - started.left)
            list(started.values)

    def _fitting(self, runs: list[Run]) -> int:
        """How many runs come before one of records that are too short. Raises Error where that is the first."""
        short = (n for n, run in enumerate(runs) if run.count and run.size < self.layout.size)
        count = next(short, len(runs))
        if not count and runs:
            self._check(runs[0])
        return count

    def _check(self, run: Run) -> None:
        if run.size < self.layout.size:
            wanted = f"`{self.layout}` ({self.layout.size})"
            raise Error(f"a record of {run.size} bytes is no {wanted}: take it by `read_events()`")
