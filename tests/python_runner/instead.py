"""A plugin for pytest: the virtual machine's runs become runs as Python, so that what tests say of programs must hold of their
functions too. `python -m pytest -p tests.python_runner.instead -m "not kernel" tests/compiler/test_language.py`
"""

from __future__ import annotations

import pytest

from purebpf.engine import RunResult
from purebpf.errors import Unsupported
from purebpf.program import Program
from purebpf.runner.session import runner_of

_run = Program.run


def run(self: Program, packet: bytes | None = None, ctx: object = None, *, engine: str = "auto", repeat: int = 1) -> RunResult:
    """As `Program.run`, but on the virtual machine the function itself runs."""
    if self.collection is None:
        self.load(engine)
    assert self.collection is not None
    if self.collection.engine.name != "vm" or engine not in ("auto", "vm"):
        return _run(self, packet, ctx, engine=engine, repeat=repeat)
    try:
        for _ in range(repeat):
            result = runner_of(self.collection, self).run(packet, self._context(packet, ctx))
    except Unsupported as error:
        if "runs as Python" not in str(error):
            raise
        pytest.skip(str(error))
    return result


Program.run = run  # type: ignore[method-assign]
