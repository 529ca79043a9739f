"""`purebpf link`: which programs are attached where, in the manner of bpftool; and the static linker, as `ld` is called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from purebpf.cli.objects import Beside, Row, beside, choice, chosen, held, write
from purebpf.cli.usage import Group, show
from purebpf.errors import Error

WORDS = ("id", "pinned")
WHICH = "[id ID | pinned PATH]"
BASE = ("id", "type", "prog_id", "pinned", "pids")


class LinkOrLook(Group):
    """What is none of the commands is object files to link."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args.insert(0, "objects")
        return super().parse_args(ctx, args)


@click.group(cls=LinkOrLook, short_help="Link object files; look at what is attached by links.")
def link() -> None:
    """Link object files (`purebpf link OBJECT... -o OUT`), or look at what is attached by links."""


@link.command(
    usage="OBJECT... -o OUT",
    called="purebpf link",
    examples=("purebpf link packets.o ports.o -o all.o",),
    short_help="Link object files.",
)
@click.argument("files", metavar="OBJECT...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("-o", "--output", required=True, metavar="OUT", help="The object file to write.")
def objects(files: tuple[str, ...], output: str) -> None:
    """Link object files, ours or those of other compilers, to one. `purebpf link objects` is the same.

    Names that nobody defines stay in it, for an object that is linked later; they are told.
    """
    from purebpf.elf.linker.link import linked, opened

    made, undefined = linked([opened(file) for file in files])
    try:
        Path(output).write_bytes(made)
    except OSError as error:
        raise Error(f"{output} cannot be written: {error.strerror}") from error
    if undefined:
        click.echo(f"Nobody defines {', '.join(undefined)}; link {output} with the object that does.", err=True)


@link.command(
    "list",
    usage=f"[OPTIONS] {WHICH}",
    examples=("purebpf link list", "purebpf link list id 5 --json"),
    short_help="List links.",
)
@choice
@beside
def list_(which: tuple[str, ...], as_json: bool, pretty: bool, no_pids: bool, bpffs: bool) -> None:
    """List links: all, or the one with an id or at a place where it is pinned.

    A link is what keeps a program attached; programs that are attached without one are not here.
    """
    from purebpf.kernel.objects.links import describe

    more = Beside("link", no_pids, bpffs)
    write([more.add(describe(each)) for each in chosen("link", which, WORDS)], which, as_json, pretty, lines)


show(link, list_)


def lines(row: Row) -> Iterator[str]:
    """A link in words."""
    yield f"{row['id']}: {row['type']}  prog {row['prog_id']}"
    parts = [f"{key} {_told(value)}" for key, value in row.items() if key not in BASE and key != "funcs"]
    if parts:
        yield "\t" + "  ".join(parts)
    for function in row.get("funcs", ()):
        yield "\t" + "  ".join(f"{key} {_told(value)}" for key, value in function.items() if value not in (None, ""))
    yield from held(row)


def _told(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:#x}" if isinstance(value, int) and value >> 32 else str(value)
