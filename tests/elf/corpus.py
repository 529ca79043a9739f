"""Object files to read: our own C compiled by clang, pairs joined by bpftool, and those that Debian's packages hold.

What is made or fetched once is kept in `$XDG_CACHE_HOME/purebpf/objects` (or under `~/.cache`), by what it was made of.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.size import clang
from purebpf import link_objects
from tests.elf.debian import Missing as Missing
from tests.elf.debian import fetched

HERE = Path(__file__).parent
SOURCES = HERE / "c"
PAIRS = Path(clang.__file__).parent / "pairs"
FLAGS = (*clang.FLAGS[:1], "-Wno-visibility", "-Wno-unused-variable", "-Wno-unused-const-variable", "-Wno-unused-function")
LEVELS = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class Build:
    """A source as an object: `name` is what tests call it, `level` that of the instruction set."""

    source: Path
    level: int = 3
    debug: bool = True
    target: str = "bpf"

    @property
    def name(self) -> str:
        more = "" if self.debug else "-without-btf"
        return f"{self.source.stem}-{self.target}-v{self.level}{more}"

    def command(self) -> list[str]:
        debug = ("-g",) if self.debug else ()
        return [clang.CLANG, *FLAGS, *debug, "-target", self.target, f"-mcpu=v{self.level}", "-c", self.source.name, "-o"]


def folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "purebpf" / "objects"


@cache
def tool() -> str:
    """The compiler's version. Raises Missing."""
    if not clang.available():
        raise Missing(f"{clang.CLANG} is not installed")
    return clang.version()


def built(build: Build) -> Path:
    """The object of a source, compiled unless it was before. Its file has the source's name: libbpf names maps by it."""
    headers = sorted(build.source.parent.glob("*.h")) + sorted(build.source.parent.parent.glob("*.h"))
    made_of = hashlib.sha256(f"{tool()}{build.command()}".encode())
    for path in (build.source, *headers):
        made_of.update(path.read_bytes())
    path = folder() / made_of.hexdigest()[:24] / f"{build.source.stem}.o"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        subprocess.run([*build.command(), str(new)], cwd=build.source.parent, check=True)
        new.replace(path)
    return path


def own() -> list[Build]:
    """Our sources at every level of the instruction set."""
    return [Build(source, level) for source in sorted(SOURCES.glob("*.c")) for level in LEVELS]


def big() -> list[Build]:
    """Our sources for machines of the other byte order."""
    return [Build(source, target="bpfeb") for source in sorted(SOURCES.glob("*.c"))]


def pairs() -> list[Build]:
    """The C halves of the benchmark's pairs; some without debug information, where they need none."""
    found = sorted(PAIRS.glob("*.c"))
    plain = [source for source in found if "MAP(" not in source.read_text()]
    return [Build(source) for source in found] + [Build(source, debug=False) for source in plain]


def compiled(builds: list[Build]) -> dict[str, Path]:
    """Objects by name, compiled side by side. Raises Missing."""
    tool()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return {build.name: path for build, path in zip(builds, pool.map(built, builds), strict=True)}


PARTNERS = {"": ("a.c", "b.c")} | {f"-{each}": (f"{each}_a.c", f"{each}_b.c") for each in ("maps", "weak", "kernel")}
BY_US_ALONE = ("-maps",)  # libbpf's linker takes a map to be at 0 whose declaration comes before its definition


def halves(level: int) -> dict[str, list[Path]]:
    """Pairs of objects that need each other, by what is about them."""
    folder = SOURCES / "linked"
    return {name: [built(Build(folder / each, level)) for each in pair] for name, pair in PARTNERS.items()}


def linked() -> dict[str, Path]:
    """Pairs of objects joined by bpftool. Raises Missing."""
    program = shutil.which("bpftool") or shutil.which("bpftool", path="/usr/sbin")
    if program is None:
        raise Missing("bpftool is not installed")
    found = {}
    for level in LEVELS:
        for name, pair in halves(level).items():
            path = pair[0].parent / f"linked-{pair[1].parent.name}.o"
            if name in BY_US_ALONE:
                continue
            if not path.exists():
                subprocess.run([program, "gen", "object", str(path), *map(str, pair)], check=True)
            found[f"linked{name}-v{level}"] = path
    return found


def linked_by_us() -> dict[str, Path]:
    """The same pairs joined by ours. Raises Missing."""
    tool()
    found = {}
    for level in LEVELS:
        for name, pair in halves(level).items():
            made = link_objects(pair)
            path = folder() / hashlib.sha256(made).hexdigest()[:24] / "linked.o"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made)
            found[f"linked-by-us{name}-v{level}"] = path
    return found


@cache
def debian() -> dict[str, Path]:
    """The objects in Debian's packages. Raises Missing."""
    return fetched(folder() / "debian")


def everything() -> Iterator[tuple[str, Path]]:
    """All that can be had here."""
    for source in (lambda: compiled(own() + pairs()), linked, linked_by_us, debian):
        try:
            yield from source().items()
        except Missing:
            continue
