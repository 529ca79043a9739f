"""`purebpf link`: which programs are attached where, in the manner of bpftool."""

from __future__ import annotations

from collections.abc import Iterator

import click

from purebpf.cli.objects import Beside, Row, beside, choice, chosen, held, write

WORDS = ("id", "pinned")
BASE = ("id", "type", "prog_id", "pinned", "pids")


@click.group()
def link() -> None:
    """Look at what is attached by links."""


@link.command("list")
@choice
@beside
def list_(which: tuple[str, ...], as_json: bool, pretty: bool, no_pids: bool, bpffs: bool) -> None:
    """List links: all, or the one that WHICH names (`id 5`, `pinned /sys/fs/bpf/x`). What is attached without a link is not
    here."""
    from purebpf.kernel.objects.links import describe

    more = Beside("link", no_pids, bpffs)
    write([more.add(describe(each)) for each in chosen("link", which, WORDS)], which, as_json, pretty, lines)


link.add_command(click.Command("show", callback=list_.callback, params=list_.params, help=list_.help))


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
