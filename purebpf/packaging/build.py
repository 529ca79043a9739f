"""A step of setuptools that puts generated packages into a project's wheel.

In the project's pyproject.toml:

    [build-system]
    requires = ["setuptools>=68", "purebpf"]
    build-backend = "setuptools.build_meta"

    [tool.setuptools.cmdclass]
    build_py = "purebpf.packaging.build.BuildPrograms"

    [tool.purebpf.gen."counter.programs"]   # the package, in the wheel
    sources = ["bpf/packet_count.py"]

Beside `sources` a table may have `names`, `types`, `cpu`, `kernel`, `btf` and `embed-btf`, as the options of `purebpf gen`. In
an editable install the packages are written into the project's own folders. Runs on a machine with the sources only: who
installs the wheel compiles nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from setuptools.command.build_py import build_py  # type: ignore[import-untyped]

from purebpf.errors import Error
from purebpf.packaging.package import Files, package, write
from purebpf.packaging.settings import Settings
from purebpf.packaging.sources import doubts

SETTINGS = {
    "sources": list,
    "names": list,
    "types": list,
    "cpu": int,
    "kernel": str,
    "btf": str,
    "embed-btf": list,
}


class BuildPrograms(build_py):  # type: ignore[misc]
    """`build_py` that writes the packages which pyproject.toml asks for, too."""

    def run(self) -> None:
        super().run()
        for name, files in self.packages_of_programs().items():
            write(files, self.place(name))

    def place(self, name: str) -> Path:
        """The folder of a generated package: in the wheel, or for an editable install in the project."""
        if not self.editable_mode:
            return Path(self.build_lib, *name.split("."))
        parent, _, last = name.rpartition(".")
        return Path(self.get_package_dir(parent), last)

    def packages_of_programs(self) -> dict[str, Files]:
        """What the project's file asks for, made once."""
        if not hasattr(self, "_made"):
            self._made = {name: made(table, name, self.warn) for name, table in tables(Path("pyproject.toml")).items()}
        return self._made

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        made = {} if self.editable_mode else self.packages_of_programs()
        return [*super().get_outputs(include_bytecode), *(str(self.place(name) / file) for name in made for file in made[name])]


def tables(project: Path) -> dict[str, dict[str, Any]]:
    """The packages that a project's file asks for. Raises Error for what is not understood."""
    found: dict[str, dict[str, Any]] = tomllib.loads(project.read_text()).get("tool", {}).get("purebpf", {}).get("gen", {})
    for name, table in found.items():
        where = f"{project}: [tool.purebpf.gen.{name!r}]"
        if not isinstance(table, dict):
            raise Error(f"{where} is no table: its name is that of a package, quoted if it has dots")
        for setting, value in table.items():
            if setting not in SETTINGS:
                raise Error(f"{where} has {setting!r}; it takes {', '.join(SETTINGS)}")
            if not isinstance(value, SETTINGS[setting]):
                raise Error(f"{where}: {setting} is a {SETTINGS[setting].__name__}, not {value!r}")
        if not table.get("sources"):
            raise Error(f"{where} names no sources: Python files with programs, or object files")
        if not all(part.isidentifier() for part in name.split(".")):
            raise Error(f"{where}: {name!r} is no name of a package")
    return found


def made(table: dict[str, Any], name: str, warn: Callable[[str], None]) -> Files:
    """The files of a package that a table asks for; `warn` is told what speaks against it."""
    settings = Settings(
        sources=tuple(map(Path, table["sources"])),
        names=tuple(table.get("names", ())),
        types=tuple(table.get("types", ())),
        cpu=table.get("cpu"),
        kernel=table.get("kernel"),
        btf=table.get("btf", ""),
        kernels=tuple(map(Path, table.get("embed-btf", ()))),
    )
    try:
        read = settings.read()
        for doubt in (doubt for source in read for doubt in doubts(source)):
            warn(doubt)
        return package(read, settings.kernel_types())
    except OSError as error:
        raise Error(f"{error.filename} cannot be read: {error.strerror}") from None
