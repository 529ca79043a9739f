"""A sorted table of symbols: which one an address is in."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

NO_END = 1 << 64


class Table:
    """Symbols as (start, end, name), sorted by start; where several begin at one address the last one given counts. A symbol
    without an end reaches to the next one."""

    def __init__(self, symbols: Iterable[tuple[int, int, str]]) -> None:
        last = {start: (end, name) for start, end, name in symbols}
        self.starts = sorted(last)
        self._rest = [last[start] for start in self.starts]

    def __len__(self) -> int:
        return len(self.starts)

    def find(self, address: int) -> tuple[str, int] | None:
        """(name, bytes from its start); None between symbols, and before the first."""
        at = bisect_right(self.starts, address) - 1
        if at < 0:
            return None
        end, name = self._rest[at]
        return (name, address - self.starts[at]) if address < (end or NO_END) else None
