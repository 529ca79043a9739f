"""The functions that a JIT compiler has made, as it writes them for profilers: /tmp/perf-PID.map (tools/perf's
jit-interface.txt).

A line is a start, a size, both in hex, and a name. Code is made anew at addresses used before: the last line counts.
"""

from __future__ import annotations

import os
import stat

from purebpf.symbols.table import Table

MOST_BYTES = 1 << 28


def read_perf_map(path: str) -> Table:
    """An empty table where there is no such file. Lines that are none are left out, as the last one may still be being
    written."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return Table(())
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        return Table(())
    with open(number, "rb") as file:
        return parse(file.read(MOST_BYTES))


def parse(text: bytes) -> Table:
    found = []
    for line in text.splitlines():
        parts = line.split(None, 2)
        try:
            start, size = int(parts[0], 16), int(parts[1], 16)
            name = parts[2].decode("utf-8", "replace")
        except (IndexError, ValueError):
            continue
        if size > 0:
            found.append((start, start + size, name))
    return Table(found)
