"""A package as files: made in memory, the same for equal sources, then written, or compared with what is on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from purebpf.errors import Error
from purebpf.objects.naming import identifier
from purebpf.packaging.module import MADE_BY, module
from purebpf.packaging.sources import Source
from purebpf.packed import digest, dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.btf.reader import Btf

Files = dict[str, bytes]  # by their names in the package
BYTECODE, TYPES = ".bpf", ".btf"


def package(sources: list[Source], kernels: dict[str, Btf] | None = None) -> Files:
    """The files of a package with the programs of these sources. `kernels` are the types of kernels that offer none, by their
    releases: those parts that the programs speak of go into the package. Raises Error for sources of one name."""
    for what, names in (("class", [source.name for source in sources]), ("file", [source.stem for source in sources])):
        double = next((name for name in names if names.count(name) > 1), None)
        if double:
            raise Error(
                f"two sources would be the {what} {double!r} of the package; give each a --name, and its file a name of its own"
            )
    for source in sources:
        if identifier(source.name) != source.name:
            raise Error(f"{source.name!r} is no name for a class in Python")
    files: Files = {f"{source.stem}{BYTECODE}": dumps(source.spec) for source in sources}
    types = {f"{release}{TYPES}": _part(btf, sources) for release, btf in (kernels or {}).items()}
    digests = [digest(files[f"{source.stem}{BYTECODE}"]) for source in sources]
    text = module(sources, digests, sorted(types))
    return files | types | {"__init__.py": text.code.encode(), "__init__.pyi": text.stub.encode(), "py.typed": b""}


def _part(kernel: Btf, sources: list[Source]) -> bytes:
    """What the programs' relocations speak of, of a kernel's types."""
    import sys

    from purebpf.btf.builder import BtfBuilder
    from purebpf.btf.graph import renumbered
    from purebpf.btf.minimal import minimal_for
    from purebpf.btf.reader import Btf

    builder = BtfBuilder(sys.byteorder)
    for types in {
        program.types: None for source in sources for program in source.spec.programs.values() if program.relocations
    }:
        first = len(builder) - 1
        for each in types:
            builder.define(builder.reserve(), renumbered(each, lambda number, first=first: number + first if number else 0))  # type: ignore[misc]
    return minimal_for(kernel, Btf(builder.encode(), origin="the programs' types"))[0]


def write(files: Files, folder: Path) -> None:
    """Write the package, each file aside and renamed; what an earlier one had and this one has not is removed. Raises Error,
    before anything is written, where a module stands that somebody wrote."""
    try:
        for name in files:
            if (
                name.endswith((".py", ".pyi"))
                and (folder / name).exists()
                and MADE_BY.encode() not in (folder / name).read_bytes()
            ):
                raise Error(
                    f"{folder / name} was not written by `purebpf gen` and is left alone: name another folder, or remove it"
                )
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            aside = folder / f".{name}.{os.getpid()}"
            aside.write_bytes(content)
            aside.replace(folder / name)
        for name in _left_over(files, folder):
            (folder / name).unlink()
    except OSError as error:
        raise Error(f"{error.filename or folder} cannot be written: {error.strerror}") from None


def _left_over(files: Files, folder: Path) -> list[str]:
    """Files of bytecode and of kernels' types that are not of this package."""
    if not folder.is_dir():
        return []
    return sorted(each.name for each in folder.iterdir() if each.suffix in (BYTECODE, TYPES) and each.name not in files)


def differences(files: Files, folder: Path) -> Iterator[str]:
    """The lines of a diff between what is on disk and what would be there; none if it is the same."""
    for name, wanted in sorted(files.items()):
        path = folder / name
        try:
            found = path.read_bytes()
        except FileNotFoundError:
            yield f"{path}: missing"
            continue
        except OSError as error:
            raise Error(f"{path} cannot be read: {error.strerror}") from None
        if found != wanted:
            yield from _difference(path, found, wanted)
    yield from (f"{folder / name}: left over from an earlier package" for name in _left_over(files, folder))


def _difference(path: Path, found: bytes, wanted: bytes) -> Iterator[str]:
    from difflib import unified_diff

    if path.suffix not in (".py", ".pyi", ".go"):
        there, here = digest(found)[:16], digest(wanted)[:16]
        yield f"{path}: {len(found)} bytes with digest {there}..., would be {len(wanted)} with {here}..."
        return
    before, after = (text.decode("utf-8", "replace").splitlines() for text in (found, wanted))
    yield from unified_diff(before, after, str(path), f"{path} (as it would be)", lineterm="")


def depfile(files: Files, folder: Path, sources: list[Source], more: list[Path]) -> str:
    """A rule of `make`: the package's first file depends on all files that it was made of."""
    target = folder / "__init__.py"
    needed = dict.fromkeys(str(file) for file in [*(file for source in sources for file in source.files), *more])
    lines = [f"{_escaped(str(target))}: {' '.join(map(_escaped, needed))}", *(f"{_escaped(each)}:" for each in needed)]
    return "\n\n".join(lines) + "\n"


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace(" ", "\\ ").replace("#", "\\#").replace("$", "$$")
