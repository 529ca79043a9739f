"""Whether there is what a probe's decorator names: the file, and a function or functions in it."""

from __future__ import annotations

from purebpf.binaries.files import find_binary, matching_offsets, symbol_address
from purebpf.binaries.usdt import probe_sites
from purebpf.errors import Error


def unknown_probe(hook: str) -> str | None:
    """Why there is no such probe, with similar names; None when there is one. `hook` is "binary:provider:name"."""
    binary, provider, name = hook.rsplit(":", 2)
    try:
        probe_sites(find_binary(binary), provider, name)
    except Error as error:
        return str(error)
    return None


def unknown(hook: str, many: bool) -> str | None:
    """Why there is no such place, with similar names; None when there is one. `hook` is "binary:symbol", `many` says that the
    symbol is a pattern."""
    binary, _, symbol = hook.rpartition(":")
    try:
        path = find_binary(binary)
        if many:
            matching_offsets(path, symbol)
        elif not symbol[:1].isdigit():
            symbol_address(path, symbol.partition("+")[0])
    except Error as error:
        return str(error)
    return None
