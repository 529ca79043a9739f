"""Packages made for tests: generated from a source text or file, and imported from a folder of their own."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from purebpf.packaging.package import package, write
from purebpf.packaging.settings import Settings

_numbers = itertools.count(1)


def generate(folder: Path, *sources: Path, name: str = "", **more: tuple[str, ...]) -> Path:
    """The folder of a package made of these sources."""
    made = folder / (name or f"generated_{next(_numbers)}")
    settings = Settings(sources, **more)  # type: ignore[arg-type]
    write(package(settings.read(), settings.kernel_types()), made)
    return made


def source(folder: Path, text: str, name: str = "source.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@contextmanager
def imported(package: Path) -> Iterator[ModuleType]:
    """The package as a module, which is forgotten afterwards."""
    sys.path.insert(0, str(package.parent))
    importlib.invalidate_caches()
    try:
        yield importlib.import_module(package.name)
    finally:
        sys.path.remove(str(package.parent))
        for name in [name for name in sys.modules if name.partition(".")[0] == package.name]:
            del sys.modules[name]
