"""`purebpf btf`: type information of the kernel, its modules and object files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from purebpf.cli.objects import Beside, Row, beside, choice, chosen, held, write
from purebpf.cli.usage import Group, show
from purebpf.errors import Error

if TYPE_CHECKING:
    from purebpf.btf.reader import Btf


@click.group(cls=Group, short_help="Look at types of the kernel and of programs.")
def btf() -> None:
    """Look at BTF: the types of the kernel, of its modules and of programs, as data."""


@btf.command(
    usage="[OPTIONS] [vmlinux | MODULE | FILE]",
    examples=(
        "purebpf btf dump --type task_struct --format c",
        "purebpf btf dump nf_tables",
        "purebpf btf dump x.o --format json",
    ),
    short_help="Write types, as a C header, as text or as JSON.",
)
@click.argument("file", default="vmlinux")
@click.option("--type", "names", multiple=True, metavar="NAME", help="Only this type (`task_struct`, `struct file`).")
@click.option("--format", "form", type=click.Choice(["c", "raw", "json"]), default="raw", show_default=True, help="How.")
@click.option("--base", metavar="FILE", help="The BTF that a kernel module's file builds on (default: the running kernel's).")
def dump(file: str, names: tuple[str, ...], form: str, base: str | None) -> None:
    """Write the types of the running kernel (`vmlinux`, the default), of a module that it has loaded, or in FILE: raw BTF or
    an ELF file.

    `c` is a header with all that the types need; `raw` a line a type; `json` the same for programs.
    """
    from purebpf.btf.c_header import c_header, named
    from purebpf.btf.dump import lines

    found = opened(file, base)
    numbers = [number for name in names for number in named(found, name)] if names else None
    if form == "c":
        click.echo(c_header(found, numbers), nl=False)
        return
    pieces = as_json(found, numbers) if form == "json" else lines(found, numbers)
    while batch := list(islice(pieces, 4096)):
        click.echo("\n".join(batch))


@btf.command(
    "list",
    usage="[OPTIONS] [id ID]",
    examples=("purebpf btf list", "purebpf btf list id 1 --json"),
    short_help="List the BTF in the kernel.",
)
@choice
@beside
def list_(which: tuple[str, ...], as_json: bool, pretty: bool, no_pids: bool, bpffs: bool) -> None:
    """List the BTF in the kernel: its own, that of modules, and that of programs."""
    from purebpf.kernel.objects.btf import Users, describe

    more, users = Beside("BTF", no_pids, bpffs), Users()
    write([more.add(describe(each, users)) for each in chosen("BTF", which, ("id",))], which, as_json, pretty, words)


show(btf, list_)


def words(row: Row) -> Iterator[str]:
    """One BTF in a line."""
    users = "".join(f"  {key} {','.join(str(number) for number in row[key])}" for key in ("prog_ids", "map_ids") if row[key])
    name = f"[{row['name']}]" if row["kernel"] else "<anon>"
    yield f"{row['id']}: name {name}  size {row['size']}B{users}"
    yield from held(row)


def opened(file: str, base: str | None) -> Btf:
    """The BTF that the command's argument means."""
    from purebpf.btf.files import open_btf
    from purebpf.btf.running import kernel_btf, module_btf

    path = Path(file)
    if "/" not in file and not path.exists():
        if path.suffix:
            raise Error(f"There is no file {file} here, and no module of the kernel has a name with a dot.")
        return module_btf(file)
    try:
        below = open_btf(base) if base else None
        try:
            return open_btf(path, base=below)
        except Error:
            if below or path.suffix not in (".ko", ".btf"):
                raise
            return open_btf(path, base=kernel_btf())
    except OSError as error:
        raise Error(f"{error.filename or file} cannot be read: {error.strerror}") from error


def as_json(btf: Btf, numbers: list[int] | None) -> Iterator[str]:
    """One document in pieces, each type on a line of its own."""
    from purebpf.btf.dump import rows

    yield '{"types":['
    before = ""
    for row in rows(btf, numbers):
        if before:
            yield f"{before},"
        before = json.dumps(row)
    if before:
        yield before
    yield "]}"
