"""The size ratchet: no program may take more slots than clang's."""

from __future__ import annotations

import pytest

from bench.size.pairs import PAIRS, Pair, our_slots


@pytest.mark.parametrize("cpu", [3, 4])
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.python.stem)
def test_not_larger_than_clang(pair: Pair, cpu: int) -> None:
    assert our_slots(pair, cpu) <= pair.clang[cpu]
