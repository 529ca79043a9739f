"""What docs/assembly.md shows must work as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from purebpf.isa import asm, disassemble, format_instruction, parse, parse_instruction

TEXT = (Path(__file__).parents[2] / "docs" / "assembly.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
ROWS = [
    [cell.strip() for cell in line.split(" | ")] for line in TEXT.split("### Labels")[0].splitlines() if line.startswith("| `")
]


def test_the_python_runs() -> None:
    blocks = [code for language, code in BLOCKS if language == "python"]
    assert len(blocks) == 5
    namespace: dict[str, object] = {}
    for code in blocks:
        exec(code, namespace)


def test_the_text_assembles() -> None:
    blocks = [code for language, code in BLOCKS if language == "asm"]
    assert len(blocks) == 1
    assert parse(disassemble(parse(blocks[0]))) == parse(blocks[0])


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_row_of_the_table(row: list[str]) -> None:
    """Each text is an instruction, and the calls in the first column are instructions with a text of that row."""
    texts = [format_instruction(parse_instruction(text)) for text in re.findall(r"`([^`]+)`", row[1])]
    assert texts
    calls = [code for code in re.findall(r"`([^`]+)`", row[0]) if code.endswith(")")]
    assert [code for code in calls if format_instruction(eval(code, vars(asm))) not in texts] == []


def test_the_table_has_every_constructor() -> None:
    words = set(re.findall(r"\w+", " ".join(row[0] for row in ROWS)))
    shown = words | {word + "32" for word in words}
    assert {name for name in asm.__all__ if name[0].isupper() and not re.fullmatch(r"R\d+", name)} - shown <= {
        "FP",
        "Size",
        "Label",
        "H",
        "W",
    }
