"""Writes `since_rows.py` from `facts/since.tsv`: the first kernel of each program, map, attach and link type and command,
of kernel functions, and of features of the verifier."""

from __future__ import annotations

from purebpf.tables import enums
from purebpf.tables.generate.helpers import versions
from purebpf.tables.generate.text import header, rows

CLASSES = {"program": "ProgramType", "map": "MapType", "attach": "AttachType", "link": "LinkType", "command": "Command"}


def render() -> str:
    """The whole text of `since_rows.py`. Raises ValueError when a name is missing or too much."""
    about = "The first kernel that has it, for members of the enums in `enums.py`, kernel functions and features."
    lines = header("since_rows", about, "facts/since.tsv")
    lines += ["# ruff: noqa: E501", "# fmt: off", "from __future__ import annotations", ""]
    literals = []
    for kind, name in CLASSES.items():
        known = versions(kind)
        members = {member.name for member in getattr(enums, name)}
        strange = known.keys() ^ (members - {"UNSPEC"})
        if strange:
            raise ValueError(f"facts/since.tsv and {name} do not agree about {', '.join(sorted(strange))}")
        literals.append(repr((name, tuple(known), tuple(known.values()))))
    for kind in ("kfunc", "feature"):
        found = versions(kind)
        literals.append(repr((kind, tuple(found), tuple(found.values()))))
    return "\n".join([*lines, *rows("ROWS", "tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]", literals)]) + "\n"
