"""The first mainline kernel with a program type, map type, attach type, link type or command; for error messages.

The rows are in `since_rows.py`, generated from a list of the commits that added each to `include/uapi/linux/bpf.h`. A
distribution's kernel may have more than its number says.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache


def since(member: IntEnum) -> str:
    """Such as "5.8" for `MapType.RINGBUF`. Raises KeyError for UNSPEC and for a member of another enum."""
    return _versions(type(member).__name__)[member.name]


def kfunc_since(name: str) -> str | None:
    """Such as "6.2" for the kernel function bpf_rcu_read_lock; None for one that is not listed."""
    return _versions("kfunc").get(name)


def feature_since(name: str) -> tuple[int, int]:
    """Such as (6, 9) for "may_goto", a feature of engines that programs may be compiled for (`compiler/options.py`)."""
    return parse(_versions("feature")[name])


def has(release: str, member: IntEnum) -> bool:
    """Whether a kernel of this release (as `os.uname().release` gives it: "6.1.0-28-amd64") is new enough."""
    return parse(release) >= parse(since(member))


def parse(release: str) -> tuple[int, int]:
    """(6, 1) of "6.1.0-28-amd64". Raises ValueError when it does not begin with two numbers."""
    major, _, rest = release.partition(".")
    digits = rest[: next((at for at, letter in enumerate(rest) if not letter.isdigit()), len(rest))]
    if not (major.isdigit() and digits):
        raise ValueError(f"{release!r} is no kernel release: it should begin with two numbers, as 6.1 does")
    return int(major), int(digits)


@cache
def _versions(enum: str) -> dict[str, str]:
    from purebpf.tables.since_rows import ROWS

    for name, members, versions in ROWS:
        if name == enum:
            return dict(zip(members, versions, strict=True))
    raise KeyError(f"there are no versions of {enum}; there are some of {', '.join(row[0] for row in ROWS)}")
