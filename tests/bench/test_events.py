"""The comparison of readers of events counts what it sends."""

from __future__ import annotations

from functools import partial

import pytest

pytest.importorskip("numpy")

from bench.events.__main__ import batch, iterated, measured, told
from bench.events.sound import compared
from bench.events.stream import fill


@pytest.mark.kernel
def test_all_of_our_readers_are_measured_on_the_same_records() -> None:
    with fill.load(engine="kernel"):
        readers = {"view": partial(batch, False), "batch": partial(batch, True), "iterated": iterated}
        found = measured(readers, rounds=1)
    assert set(found) == set(readers) and all(each > 0 for each in found.values())
    assert "| batch |" in told(found, "words")


@pytest.mark.kernel
def test_nothing_that_producers_send_is_lost() -> None:
    sound = compared(400_000)
    assert sound.lost == 0, sound.words
