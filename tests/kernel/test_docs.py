"""docs/kernel.md: its code runs, and its table has every option of every kind of link."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from purebpf.errors import Error
from purebpf.kernel import tracefs
from purebpf.kernel.link import BY_ATTACH_TYPE, BY_SECTION, KINDS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "kernel.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.kernel
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_code_of_the_page_runs(number: int) -> None:
    if "TracePipe" in BLOCKS[number]:
        try:
            tracefs.folder()
        except Error as error:
            pytest.skip(str(error))
    exec(compile(BLOCKS[number], "docs/kernel.md", "exec"), {})


def test_page_has_code() -> None:
    assert len(BLOCKS) == 3


@pytest.mark.parametrize("kind", sorted({*KINDS.values(), *BY_ATTACH_TYPE.values(), *BY_SECTION.values()}))
def test_every_option_is_in_the_table(kind: str) -> None:
    options = import_module(f"purebpf.kernel.link.{kind}").OPTIONS
    names = {"xdp": "XDP", "tcx": "tc (`sched_cls`)"}
    (row,) = re.findall(rf"^\| {re.escape(names.get(kind, kind.replace('_', ' ')))} \|.*$", PAGE, re.MULTILINE)
    assert [name for name in options if f"`{name}`" not in row] == []
