"""The kernel's functions, those of its modules and of loaded programs, by /proc/kallsyms (kernel/kallsyms.c).

The file shows zeros for all addresses to those who may not see them (sysctl kernel.kptr_restrict; CAP_SYSLOG).
"""

from __future__ import annotations

import os
import re

from purebpf.symbols.frame import Frame, Source
from purebpf.symbols.table import Table

SYMBOLS = "/proc/kallsyms"
RESTRICTION = "/proc/sys/kernel/kptr_restrict"
LINE = re.compile(rb"^([0-9a-f]+) [tTwW] (\S+)(?:\t\[([^]]+)\])?", re.MULTILINE)
WHOLE = "[kernel]"
FARTHEST = 1 << 20  # bytes from a function's start: beyond is another one, which the table lacks


class KernelSymbols(Source):
    """Names for addresses of the kernel. The table is read at the first question, and again for an address that it does not
    cover: programs and modules come and go. `problem` says in a sentence why there are no names; None when there are."""

    def __init__(self, path: str = SYMBOLS) -> None:
        super().__init__()
        self.path = path
        self._table: Table | None = None
        self.problem: str | None = None

    @property
    def table(self) -> Table:
        if self._table is None:
            self._table = self._read()
        return self._table

    def refresh(self) -> None:
        """Read the table anew at the next question."""
        self._table = None
        self._known.clear()

    def address(self, name: str) -> int | None:
        """Where the function of a name is; the lowest place, if there are several. None when there is none, or it is hidden."""
        return self.table.start_of(name)

    def _read(self) -> Table:
        self.problem = None
        try:
            with open(self.path, "rb") as file:
                found = LINE.findall(file.read())
        except OSError as error:
            self.problem = f"Functions of the kernel have no names: {self.path} cannot be read: {error.strerror}."
            return Table(())
        rows = [(int(address, 16), name, module) for address, name, module in found]
        if not any(row[0] for row in rows):
            self.problem = f"Functions of the kernel have no names: {self.path} hides all addresses from this process{_why()}."
            return Table(())
        # Aliases share an address: take one of them, always the same.
        rows.sort(key=lambda row: (row[0], -len(row[1]) + len(row[1].lstrip(b"_")), row[1]))
        return Table((address, 0, _joined(name, module)) for address, name, module in rows if address)

    def _find(self, address: int) -> Frame:
        fresh = self._table is None
        found = self._covering(address)
        if found is None and not fresh and self.problem is None:
            self._table = None
            found = self._covering(address)
        if found is None:
            return Frame(address)
        name, _, module = found[0].partition("\t")
        return Frame(address, name, f"[{module}]" if module else WHOLE, found[1])

    def _covering(self, address: int) -> tuple[str, int] | None:
        found = self.table.find(address)
        return found if found is not None and found[1] < FARTHEST else None


def _joined(name: bytes, module: bytes) -> str:
    return (name + b"\t" + module if module else name).decode("utf-8", "replace")


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
