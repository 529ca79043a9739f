"""docs/kinds.md from the files of what passed: a table for maps, programs, hooks and links, and how things were attached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from pathlib import Path

from purebpf.tables.enums import AttachType, LinkType, MapType, ProgramType
from purebpf.tables.since import parse, since
from tests.kinds.measured import FOLDER, Measured
from tests.kinds.reasons import REASONS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "kinds.md"
TABLES: tuple[
    tuple[str, type[IntEnum], str, bool], ...
] = (  # the word in the files, the enum, the heading, whether VMs have it
    ("map", MapType, "Maps", True),
    ("program", ProgramType, "Programs", True),
    ("attach", AttachType, "Hooks", False),
    ("link", LinkType, "Links", False),
)
INTRODUCTION = """\
# What is tested where

Every kind of map, program, hook (attach type) and link that Linux has, with the kernels in which a test passed that used it.
`python -m tests.kinds` writes this page from what tests recorded (`tests/kinds/results`): a map that was created, a program
that was loaded, one that was attached. `python -m tests.kinds --run` records the kernel that runs here, and
`python -m tests.kernels --kinds tests/kinds/results` records others ([kernels.md](kernels.md)).

- *since*: the first mainline kernel that has it.
- *language*: a program written in Python used it, in one of these kernels; *VM*: the virtual machine has the map, or ran a
  program of the type.
- **ok**: a test passed in that kernel; empty: that kernel is older; **-**: none did. Why not stands below.
"""


def kernels() -> dict[str, Measured]:
    """The files, by series, in the order of versions."""
    found = {path.stem: Measured.read(path) for path in FOLDER.glob("*.json")}
    return dict(sorted(found.items(), key=lambda item: parse(item[0])))


def members(enum: type[IntEnum]) -> list[IntEnum]:
    return [member for member in enum if member.name != "UNSPEC"]


def page() -> str:
    runs = kernels()
    parts = [INTRODUCTION, "Kernels: " + ", ".join(run.kernel for run in runs.values()) + ".\n"]
    parts += [table(word, enum, heading, runs, vm) for word, enum, heading, vm in TABLES]
    parts += [mechanisms(runs), missing(runs)]
    return "\n".join(parts)


def table(word: str, enum: type[IntEnum], heading: str, runs: dict[str, Measured], vm: bool) -> str:
    head = ["", "since", "language", *(["VM"] if vm else []), *runs, "a test"]
    rows = [row(word, member, runs, vm) for member in members(enum)]
    return f"## {heading}\n\n{text(head, rows)}"


def row(word: str, member: IntEnum, runs: dict[str, Measured], vm: bool) -> list[str]:
    kind = f"{word} {member.name}"
    in_vm = [ok(any(f"{kind} vm" in run.kinds for run in runs.values()))] if vm else []
    spoken = any(f"{kind} language" in run.kinds for run in runs.values())
    cells = [cell(f"{kind} kernel" in run.kinds, series, member) for series, run in runs.items()]
    return [f"`{member.name}`", since(member), ok(spoken), *in_vm, *cells, test_of(kind, runs.values())]


def ok(passed: bool) -> str:
    return "ok" if passed else "-"


def cell(passed: bool, series: str, member: IntEnum) -> str:
    return "" if not passed and parse(series) < parse(since(member)) else ok(passed)


def test_of(kind: str, runs: Iterable[Measured]) -> str:
    """The test to name: of a program in Python where there is one."""
    found = [run.kinds.get(f"{kind} {side}", []) for side in ("language", "kernel", "vm") for run in runs]
    return next((f"`{tests[0].removeprefix('tests/')}`" for tests in found if tests), "")


def mechanisms(runs: dict[str, Measured]) -> str:
    names = sorted({kind.removeprefix("mechanism ").removesuffix(" kernel") for kind in all_kinds(runs, "mechanism ")})
    rows = [
        [
            name,
            *(ok(f"mechanism {name} kernel" in run.kinds) for run in runs.values()),
            test_of(f"mechanism {name}", runs.values()),
        ]
        for name in names
    ]
    about = (
        "How programs were attached, as `mechanism` tells it. Not every kernel has each: links took the place of older ways."
    )
    return f"## Ways of attaching\n\n{about}\n\n{text(['', *runs, 'a test'], rows)}"


def mechanism(name: str, runs: list[Measured]) -> list[str]:
    kind = f"mechanism {name}"
    return [name, *(ok(f"{kind} kernel" in run.kinds) for run in runs), test_of(kind, runs)]


def all_kinds(runs: dict[str, Measured], prefix: str) -> set[str]:
    return {kind for run in runs.values() for kind in run.kinds if kind.startswith(prefix)}


def missing(runs: dict[str, Measured]) -> str:
    """What no test passed for in a kernel that should have it, with the reason."""
    lines = [f"- `{kind}` ({', '.join(where)}): {REASONS.get(kind, UNKNOWN)}" for kind, where in lacking(runs).items()]
    return "\n".join(("## What no test passed for\n", *(lines or ["Nothing."]), ""))


UNKNOWN = "no test yet"


def lacking(runs: dict[str, Measured]) -> dict[str, list[str]]:
    """Kinds, and the kernels that should have them and in which no test passed."""
    found: dict[str, list[str]] = {}
    for word, enum, _, _ in TABLES:
        for member in members(enum):
            kind = f"{word} {member.name}"
            where = [series for series, run in runs.items() if cell(f"{kind} kernel" in run.kinds, series, member) == "-"]
            if where:
                found[kind] = where
    return found


def text(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
