"""Which CPUs there are: `possible` sizes per-CPU values, `online` says where perf events can be opened (sysfs, cputopology)."""

from __future__ import annotations

from functools import lru_cache

from purebpf.errors import Error

FOLDER = "/sys/devices/system/cpu"


def parse(text: str) -> tuple[int, ...]:
    """A CPU list such as "0-3,8" as numbers. Raises ValueError."""
    found: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def _read(name: str) -> tuple[int, ...]:
    path = f"{FOLDER}/{name}"
    try:
        with open(path) as file:
            found = parse(file.read())
    except (OSError, ValueError) as error:
        raise Error(f"The list of {name} CPUs cannot be read from {path}: {error}. Is sysfs mounted at /sys?") from error
    if not found:
        raise Error(f"{path} lists no CPU.")
    return found


@lru_cache(maxsize=1)
def possible() -> int:
    """How many values a per-CPU map has: the number of CPUs the kernel may ever bring up. It does not change until reboot."""
    return len(_read("possible"))


def online() -> tuple[int, ...]:
    """The CPUs that run now. May change at any time."""
    return _read("online")


@lru_cache(maxsize=1)
def identifiers() -> int:
    """One more than the highest CPU number: the entries of a map that is indexed by CPU."""
    return max(_read("possible")) + 1
