"""Which raw tracepoints the running kernel has, its modules included: from the names of its functions.

Each tracepoint has a function `__traceiter_<name>` (include/linux/tracepoint.h, Linux 5.10), which /proc/kallsyms lists for
everyone. Where it lists none, nothing is known and nothing is refused.
"""

from __future__ import annotations

from functools import cache

from purebpf.lang.tracepoints import did_you_mean, similar

SYMBOLS = "/proc/kallsyms"
PREFIX = "__traceiter_"


@cache
def events(symbols: str = SYMBOLS) -> frozenset[str]:
    """The names of all tracepoints; empty when they cannot be found out."""
    found = set()
    try:
        with open(symbols, encoding="utf-8", errors="replace") as file:
            for line in file:
                if PREFIX in line:
                    name = line.split()[2]
                    if name.startswith(PREFIX):
                        found.add(name.removeprefix(PREFIX))
    except OSError:
        return frozenset()
    return frozenset(found)


def unknown(name: str, symbols: str = SYMBOLS) -> str | None:
    """Why there is no such event, with similar names; None when there is one, or when it cannot be told."""
    known = events(symbols)
    if not known or name in known:
        return None
    _, slash, event = name.rpartition("/")
    if slash and event in known:
        return f"a raw tracepoint has no category: write {event!r}, not {name!r}"
    return did_you_mean(f"the kernel has no raw tracepoint `{name}`", similar(event, sorted(known)))
