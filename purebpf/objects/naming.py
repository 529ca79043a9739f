"""Names of C and of files as names in Python."""

from __future__ import annotations

import keyword
import re

NO_WORD = re.compile(r"\W", re.ASCII)


def identifier(name: str, taken: frozenset[str] | set[str] = frozenset()) -> str:
    """A name that Python takes and that is not taken: others characters become `_`, and as many as are needed follow."""
    made = NO_WORD.sub("_", name) or "_"
    made = f"_{made}" if made[0].isdigit() else made
    while keyword.iskeyword(made) or made in taken:
        made += "_"
    return made


def class_name(stem: str) -> str:
    """`packet_count` as `PacketCount`."""
    made = "".join(part[:1].upper() + part[1:] for part in re.split(r"[^0-9A-Za-z]+", stem))
    return identifier(made)
