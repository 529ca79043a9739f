"""Text that is no log, or a broken one, is told so at once; nothing of it crashes or hangs."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purebpf.explain import explain
from purebpf.explain.log import read_log
from purebpf.explain.states import read_state, read_states
from purebpf.explain.words import describe
from purebpf.rejection import shown

LOGS = sorted((Path(__file__).parent / "logs").glob("*/*.log"))
LOG = "0: R1=ctx() R10=fp0\n0: (61) r2 = *(u32 *)(r1 +0)          ; R1=ctx() R2=pkt(r=0)\n"
REFUSED = "1: (69) r4 = *(u16 *)(r2 +12)\ninvalid access to packet, off=12 size=2, R2(id=0,off=12,r=0)\n"


@pytest.mark.parametrize("text", ["", "\0" * 100, "hello\nworld", "12: not this", "\n" * 10_000, "R1=ctx", "{}", "; x = 1"])
def test_a_text_that_is_no_log_has_no_explanation(text: str) -> None:
    assert explain(text) is None


@given(st.text())
def test_any_text_is_borne(text: str) -> None:
    explain(text)
    describe(read_state(text))
    read_states(f"R1={text}")


@given(st.binary(max_size=300), st.integers(0, 400))
def test_bytes_inside_a_log_are_borne(data: bytes, at: int) -> None:
    text = LOG + REFUSED
    explanation = explain(text[:at] + data.decode("utf-8", "replace") + text[at:])
    if explanation:
        shown(explanation.message, explanation)


def test_every_stored_log_may_end_anywhere() -> None:
    choose = random.Random(7)
    for path in LOGS:
        text = path.read_text()[-6000:]
        for end in choose.sample(range(len(text)), min(10, len(text))):
            explanation = explain(text[:end])
            if explanation:
                shown(explanation.message, explanation)


@pytest.mark.parametrize(
    "text",
    [
        LOG + "5: (b7) r1 = 5                        ; R1=5\n" * 400_000 + REFUSED,
        LOG + "x" * 30_000_000 + "\n" + REFUSED,
        LOG + "R1=" + "(" * 5_000_000 + "\n" + REFUSED,
        LOG + "from 1 to 2" * 500_000 + "\n" + REFUSED,
        LOG + "1: (69) " + " " * 3_000_000 + "x\n" + REFUSED,
        LOG + "; " + " @ " * 1_000_000 + "\n" + REFUSED,
        LOG + "(((" * 2000 + "type=" * 1500 + "\nargument " + "expected" * 900 + "\n" + REFUSED,
    ],
    ids=["many lines", "long line", "brackets", "words", "spaces", "source", "patterns"],
)
def test_a_huge_log_is_explained_in_time(text: str) -> None:
    begin = time.monotonic()
    explanation = explain(text)
    assert time.monotonic() - begin < 10
    assert explanation is not None and explanation.rule == "packet_range"


def test_numbers_of_any_length_are_borne() -> None:
    digits = "9" * 10_000
    log = read_log(f"{digits}: (b7) r1 = 1\n1: (b7) r1 = {digits} ; R1={digits} R2=scalar(umax={digits})\nR1 !read_ok\n")
    assert log.step is not None and log.step.slot == 1
    assert explain(f"1: (b7) r1 = 1\nR{digits} !read_ok\nprocessed {digits} insns\n") is not None
