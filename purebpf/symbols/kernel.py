"""The kernel's functions, those of its modules and of loaded programs, by /proc/kallsyms (kernel/kallsyms.c).

The file shows zeros for all addresses to those who may not see them (sysctl kernel.kptr_restrict; CAP_SYSLOG).
"""

from __future__ import annotations

import os
import re
from array import array
from bisect import bisect_left, bisect_right

from purebpf.symbols.frame import Frame, Source

SYMBOLS = "/proc/kallsyms"
RESTRICTION = "/proc/sys/kernel/kptr_restrict"
LINE = re.compile(rb"^([0-9a-f]+) [tTwW] ", re.MULTILINE)
WHOLE = "[kernel]"
FARTHEST = 1 << 20  # bytes from a function's start: beyond is another one, which the table lacks


class KernelTable:
    """The functions in the text of /proc/kallsyms, of which only addresses and places are taken apart: there are a hundred
    thousand, and few are ever asked for."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        rows = [(int(match[1], 16), match.end()) for match in LINE.finditer(text)]
        rows.sort()
        self.starts = array("Q", [address for address, _ in rows])
        self._places = array("I", [place for _, place in rows])
        self.hidden = bool(rows) and not self.starts[-1]

    def __len__(self) -> int:
        return 0 if self.hidden else len(self.starts)

    def find(self, address: int) -> tuple[str, str, int] | None:
        """(name, module, bytes from its start); None before the first, and far from any. Of several names at one address the
        one with the fewest underscores in front is taken, always the same."""
        at = bisect_right(self.starts, address) - 1
        if self.hidden or at < 0 or address - self.starts[at] >= FARTHEST:
            return None
        first = bisect_left(self.starts, self.starts[at])
        known = [self._named(self._places[index]) for index in range(first, at + 1)]
        name, module = min(known, key=lambda one: (len(one[0]) - len(one[0].lstrip("_")), one[0]))
        return name, module, address - self.starts[at]

    def _named(self, place: int) -> tuple[str, str]:
        end = self._text.find(b"\n", place)
        line = self._text[place : end if end >= 0 else None].decode("utf-8", "replace")
        name, _, module = line.partition("\t")
        return name.strip(), module.strip() or WHOLE

    def start_of(self, name: str) -> int | None:
        """Where the first function of a name begins."""
        found = re.search(rb"^([0-9a-f]+) [tTwW] %s(?:[\t ].*)?$" % re.escape(name.encode()), self._text, re.MULTILINE)
        return int(found[1], 16) if found and not self.hidden else None


class KernelSymbols(Source):
    """Names for addresses of the kernel. The table is read at the first question, and again for an address that it does not
    cover: programs and modules come and go. `problem` says in a sentence why there are no names; None when there are."""

    def __init__(self, path: str = SYMBOLS) -> None:
        super().__init__()
        self.path = path
        self._table: KernelTable | None = None
        self.problem: str | None = None

    @property
    def table(self) -> KernelTable:
        if self._table is None:
            self._table = self._read()
        return self._table

    def refresh(self) -> None:
        """Read the table anew at the next question."""
        self._table = None
        self._known.clear()

    def address(self, name: str) -> int | None:
        """Where the function of a name is; the first, if there are several. None when there is none, or it is hidden."""
        return self.table.start_of(name)

    def _read(self) -> KernelTable:
        self.problem = None
        try:
            with open(self.path, "rb") as file:
                table = KernelTable(file.read())
        except OSError as error:
            self.problem = f"Functions of the kernel have no names: {self.path} cannot be read: {error.strerror}."
            return KernelTable(b"")
        if not len(table):
            self.problem = f"Functions of the kernel have no names: {self.path} hides all addresses from this process{_why()}."
        return table

    def _find(self, address: int) -> Frame:
        fresh = self._table is None
        found = self.table.find(address)
        if found is None and not fresh and self.problem is None:
            self._table = None
            found = self.table.find(address)
        return Frame(address, *found) if found else Frame(address)


def _why() -> str:
    """What hides addresses here."""
    try:
        with open(RESTRICTION) as file:
            level = int(file.read())
    except (OSError, ValueError):
        return ""
    if level >= 2:
        return f" and all others (kernel.kptr_restrict is {level}; root sets it: sysctl kernel.kptr_restrict=1)"
    if level == 1:
        return " (kernel.kptr_restrict is 1, which shows them to those with CAP_SYSLOG)"
    who = "" if os.geteuid() == 0 else "; root sees them"
    return f" (kernel.kptr_restrict is 0, which leaves it to kernel.perf_event_paranoid and CAP_SYSLOG{who})"
