"""Which functions the running kernel and its modules have, by /proc/kallsyms. Names are there for everyone to read.

Whether a function can be traced shows when a program is attached to it.
"""

from __future__ import annotations

import re

from purebpf.btf.hooks import similar
from purebpf.btf.targets import is_pattern, target

SYMBOLS = "/proc/kallsyms"


def read_symbols(path: str = SYMBOLS) -> bytes:
    """The table of symbols as it is; nothing where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def functions(symbols: bytes, pattern: str = "*") -> list[str]:
    """The names of the functions in the table that a pattern fits, each once, sorted."""
    fits = re.compile(rb"^\S+ [tTwW] (%s)(?:\t.*)?$" % _expression(pattern).encode(), re.MULTILINE)
    return sorted({name.decode() for name in fits.findall(symbols)})


def _expression(pattern: str) -> str:
    """A pattern as a regular expression within a word."""
    parts = re.split(r"(\*|\?|\[[^\]]+\])", pattern)
    meant = {"*": r"\S*", "?": r"\S"}
    return "".join(
        meant.get(part) or (part.replace("[!", "[^") if part[:1] == "[" and part[-1:] == "]" else re.escape(part))
        for part in parts
    )


def unknown(text: str, symbols: str = SYMBOLS) -> str | None:
    """Why there is no such function, or none that fits a pattern; None when there is one, or when it cannot be told."""
    table = read_symbols(symbols)
    if is_pattern(text):
        return None if not table or functions(table, text) else f"no function of the kernel fits the pattern {text!r}"
    wanted = target(text)
    if not table or functions(table, wanted.name):
        return None
    names = functions(table)
    near: list[str] = []
    if wanted.name.startswith("sys_"):
        inner = [f"__{machine}_{wanted.name}" for machine in ("x64", "arm64", "riscv", "s390x")]
        near = [name for name in inner if name in names]
    near = near or similar(wanted.name, names)
    known = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"the kernel has no function `{wanted.name}`{known}"
