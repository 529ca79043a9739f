"""Constants of the kernel's user interface by their own names: `XDP_PASS`, `TC_ACT_OK`, `BPF_ANY`, `ETH_P_IP`, `IPPROTO_UDP`.

The values are in `constant_rows.py`, generated from the UAPI headers and BTF. They are read when first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType


def constant(name: str) -> int | None:
    """The value of a constant, or None if there is none of that name. Flags of all ones (BPF_F_CURRENT_NETNS) are -1."""
    return _everything().get(name)


@cache
def group(name: str) -> Mapping[str, int]:
    """The constants of one group in the header's order; see `groups`. Raises KeyError for an unknown group."""
    from purebpf.tables.constant_rows import GROUPS

    for each, names, values in GROUPS:
        if each == name:
            return MappingProxyType(dict(zip(names, values, strict=True)))
    raise KeyError(f"there is no group of constants {name!r}; there are {', '.join(groups())}")


@cache
def groups() -> tuple[str, ...]:
    """The names of the groups: "bpf" (all of linux/bpf.h), "tc", "ether", "ip", "tcp", "socket", "errno" and so on."""
    from purebpf.tables.constant_rows import GROUPS

    return tuple(name for name, _names, _values in GROUPS)


@cache
def _everything() -> dict[str, int]:
    from purebpf.tables.constant_rows import GROUPS

    found: dict[str, int] = {}
    for _group, names, values in GROUPS:
        found.update(zip(names, values, strict=True))
    return found


def names(prefix: str = "") -> tuple[str, ...]:
    """All names that begin with `prefix`, for completion and for hints."""
    return tuple(name for name in _everything() if name.startswith(prefix))
