"""Writes `kfunc_rows.py` from `facts/kfuncs.tsv`: what BTF does not tell of kernel functions."""

from __future__ import annotations

from purebpf.tables.enums import ProgramType
from purebpf.tables.generate.helpers import facts
from purebpf.tables.generate.text import header, rows
from purebpf.tables.kfuncs import FLAGS


def render() -> str:
    """The whole text of `kfunc_rows.py`. Raises ValueError for a flag, set or type that there is not, and for a name twice."""
    lines = header("kfunc_rows", "Flags of kernel functions, and the program types that may call them.", "facts/kfuncs.tsv")
    lines += ["# ruff: noqa: E501", "# fmt: off", "from __future__ import annotations", ""]
    sets = {row[1]: tuple(int(ProgramType[name]) for name in row[2].split()) for row in facts("kfuncs.tsv") if row[0] == "set"}
    seen: set[str] = set()
    literals = []
    for kind, group, *rest in facts("kfuncs.tsv"):
        if kind != "kfunc":
            continue
        flags = () if rest[0] == "-" else tuple(rest[0].split())
        names = tuple(rest[1].split())
        if strange := {group} - sets.keys() | set(flags) - set(FLAGS) | seen & set(names):
            raise ValueError(f"facts/kfuncs.tsv: {', '.join(sorted(strange))} is unknown, or there twice")
        seen |= set(names)
        literals.append(repr((group, flags, names)))
    lines += ["SETS: dict[str, tuple[int, ...]] = {", *(f"    {name!r}: {types!r}," for name, types in sets.items()), "}"]
    return "\n".join([*lines, *rows("ROWS", "tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]", literals)]) + "\n"
