"""An engine that says it is another kernel, and is the virtual machine: to compile what that kernel's guest will load."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NoReturn

import pytest

from purebpf.compiler.options import Options
from purebpf.vm.engine import VmEngine
from tests.kernels.results import FEATURES, Told

BUDGET = 50_000  # instructions of a run: its result does not matter
TOLD: Told = json.loads((Path(os.environ["PUREBPF_AHEAD"]) / FEATURES).read_text())


class StandIn(VmEngine):
    def __init__(self) -> None:
        super().__init__(budget=BUDGET)
        self.options = target()

    @property
    def identity(self) -> tuple[str, ...]:
        return tuple(TOLD["identity"])

    def has(self, feature: str) -> bool:
        if feature.startswith("cpu"):
            return self.options.cpu >= int(feature[3:])
        return bool(getattr(self.options, feature))


class SilentPipe:
    """In place of the kernel's trace pipe, for which tests would wait."""

    def __init__(self, pid: int | None = None) -> None:
        self.pid = pid

    def read(self, seconds: float | None = None) -> NoReturn:
        not_here()

    def close(self) -> None:
        """There is nothing to close."""


def target() -> Options:
    """What the kernel takes."""
    return Options(**TOLD["options"])  # type: ignore[arg-type]


def not_here(*_: object, **__: object) -> NoReturn:
    """For what the host knows of itself only: the test ends, and the guest compiles. No `except Exception` gets in its way."""
    pytest.skip("made of the running kernel", allow_module_level=True)
