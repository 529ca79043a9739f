"""Errors of what users call are told at their call: no frame of the compiler or the loader stands between it and the text."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf.errors import Error


@bpf.xdp
def wrong(ctx):
    return ctx.nothing


@bpf.xdp
def right(ctx):
    return 2


CALLS: dict[str, Callable[[], object]] = {
    "attach": lambda: wrong.attach("lo", engine="vm"),
    "load": lambda: bpf.load(wrong, engine="vm"),
    "run": lambda: wrong.run(bytes(64), engine="vm"),
    "spec": wrong.spec,
    "no such argument": lambda: right.run(5, engine="vm"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", CALLS)
def test_an_error_is_told_at_the_call(name: str) -> None:
    with pytest.raises(Error) as caught:
        CALLS[name]()
    right.close()
    frames = [Path(frame.filename).name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-1] == "errors.py"
    assert not {"program.py", "collection.py", "pipeline.py", "lower.py"} & set(frames)
