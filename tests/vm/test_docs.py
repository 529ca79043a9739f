"""docs/vm.md: its code runs, and its lists have every map type and every helper."""

from __future__ import annotations

import re
from pathlib import Path

from purebpf.vm.helpers import names
from purebpf.vm.maps import SHAPES
from purebpf.vm.run import SKB_RUNS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "vm.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def section(title: str) -> set[str]:
    """The words in backticks of the first paragraph below a heading."""
    return set(re.findall(r"`(\w+)`", PAGE.split(f"## {title}\n\n")[1].split("\n\n")[0]))


def test_code_of_the_page_runs() -> None:
    assert len(BLOCKS) == 3
    namespace: dict[str, object] = {}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"docs/vm.md, block {number}", "exec"), namespace)


def test_every_map_type_is_listed() -> None:
    assert section("Maps") == {type.name.lower() for type in SHAPES}


def test_every_helper_is_listed() -> None:
    assert section("Helpers") == set(names())


def test_every_type_on_packets_is_in_the_table() -> None:
    assert [type.name for type in SKB_RUNS if f"`{type.name.lower()}`" not in PAGE] == []
