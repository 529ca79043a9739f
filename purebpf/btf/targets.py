"""Functions of the kernel as probes name them: alone or as "module:function", with an offset in bytes behind it
("do_exit+0x10"), or by a pattern of `*`, `?` and `[...]`. Only the text is looked at here; `kallsyms.py` knows which there are.
"""

from __future__ import annotations

from purebpf.data import data
from purebpf.errors import Error


@data
class Target:
    """A function, and the distance from its start in bytes. `module` is empty where none was named."""

    module: str
    name: str
    offset: int

    @property
    def symbol(self) -> str:
        """As the kernel looks it up."""
        return f"{self.module}:{self.name}" if self.module else self.name


def is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def target(text: str) -> Target:
    """A function and offset, as written. Raises Error for what is neither."""
    place, plus, distance = text.partition("+")
    module, colon, name = place.rpartition(":")
    try:
        offset = int(distance, 0) if plus else 0
    except ValueError:
        offset = -1
    if offset < 0 or not _is_word(name, "_.$") or (colon and not _is_word(module, "_-")):
        raise Error(f'{text!r} is no function of the kernel: write its name, such as "do_exit", or "do_exit+0x10"')
    return Target(module, name, offset)


def _is_word(text: str, signs: str) -> bool:
    return bool(text) and text.isascii() and all(letter.isalnum() or letter in signs for letter in text)
