"""What docs/tables.md shows must work as it stands."""

from __future__ import annotations

import doctest
from pathlib import Path

TEXT = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()


def test_examples_give_what_they_show() -> None:
    plain = TEXT.replace("```\n", "\n")  # a closing fence would count as output
    found = doctest.DocTestParser().get_doctest(plain, {}, "tables.md", "docs/tables.md", 0)
    result = doctest.DocTestRunner().run(found)
    assert result.attempted >= 8
    assert result.failed == 0
