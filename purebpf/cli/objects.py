"""What `purebpf prog`, `map`, `link` and `btf list` share: which objects are meant, who holds them, text and JSON.

Words, keys and their order are those of bpftool, so that scripts for it work.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from purebpf.errors import Error

if TYPE_CHECKING:
    from purebpf.kernel.descriptor import Descriptor

Row = dict[str, Any]
LAYOUTS = {"program": "bpf_prog_info", "map": "bpf_map_info", "link": "bpf_link_info", "BTF": "bpf_btf_info"}


def choice(function: Callable[..., None]) -> Callable[..., None]:
    """The arguments and options that all have."""
    function = click.argument("which", nargs=-1)(function)
    function = click.option("-j", "--json", "as_json", is_flag=True, help="JSON, as bpftool writes it.")(function)
    return click.option("-p", "--pretty", is_flag=True, help="JSON on several lines.")(function)


def beside(function: Callable[..., None]) -> Callable[..., None]:
    """The options of lists."""
    function = click.option("-n", "--no-pids", is_flag=True, help="Do not look for the processes that hold them.")(function)
    return click.option("-f", "--bpffs", is_flag=True, help="Show where they are pinned.")(function)


def chosen(kind: str, which: Sequence[str], words: tuple[str, ...]) -> Iterator[Descriptor]:
    """Descriptors of the objects that are meant, each closed when the next one is asked for: all of them without `which`; of
    an id, a name (all that have it), a tag, or a path where one is pinned."""
    from purebpf.kernel.objects.ids import ids, open_id, opened

    if which and (len(which) != 2 or which[0] not in words):
        raise unclear(kind, words)
    if which and which[0] == "id":
        if not (which[1].isascii() and which[1].isdigit() and int(which[1]) < 1 << 32):
            raise click.UsageError(f"{which[1]!r} is no id of a {kind}")
        with opened(kind, int(which[1])) as found:
            yield found
        return
    if which and which[0] == "pinned":
        yield from _pinned(kind, which[1])
        return
    any_there = False
    for number in ids(kind):
        one = open_id(kind, number)
        if one is None:
            continue
        with one:
            if not which or _fits(kind, one, *which):
                any_there = True
                yield one
    if which and not any_there:
        raise Error(f"There is no {kind} with the {which[0]} {which[1]}.")


def unclear(kind: str, words: tuple[str, ...]) -> click.UsageError:
    """The error that it is not said which object is meant."""
    values = {"pinned": "PATH"}
    return click.UsageError(f"say which {kind}: {', '.join(f'{word} {values.get(word, word.upper())}' for word in words)}")


def _pinned(kind: str, path: str) -> Iterator[Descriptor]:
    from purebpf.kernel.objects.pins import kind_of
    from purebpf.kernel.pins import open_pinned

    with open_pinned(path, f"the {kind}") as found:
        if kind_of(found)[0] != kind:
            raise Error(f"What is pinned at {path} is a {kind_of(found)[0]}, no {kind}.")
        yield found


def _fits(kind: str, descriptor: Descriptor, word: str, wanted: str) -> bool:
    from purebpf.kernel.attr import read_bytes, read_name
    from purebpf.kernel.info import program_info, read_info
    from purebpf.kernel.objects.programs import full_name

    layout = LAYOUTS[kind]
    info = read_info(descriptor, layout)
    if word == "tag":
        return read_bytes(layout, info, "tag").hex() == wanted
    name = read_name(layout, info, "name")
    return wanted in (name, full_name(descriptor, program_info(descriptor)) if kind == "program" else name)


def one(kind: str, which: Sequence[str], words: tuple[str, ...]) -> Iterator[Descriptor]:
    """The only one that is meant. Raises Error when there are several of that name."""
    if not which:
        raise unclear(kind, words)
    found = chosen(kind, which, words)
    yield next(found)
    if next(found, None) is not None:
        raise Error(f"There are several {kind}s with the {which[0]} {which[1]}: give an id.")


class Beside:
    """Who holds each object, and where it is pinned."""

    def __init__(self, kind: str, no_pids: bool, bpffs: bool) -> None:
        from purebpf.kernel.objects.holders import holders
        from purebpf.kernel.objects.pins import pins

        self.kind = kind
        self._holders = {} if no_pids else holders()
        self._pins = pins() if bpffs else {}

    def add(self, row: Row) -> Row:
        key = self.kind, row["id"]
        if paths := self._pins.get(key):
            row["pinned"] = paths
        if held := self._holders.get(key):
            row["pids"] = [{"pid": holder.pid, "comm": holder.comm} for holder in held]
        return row


def write(rows: Sequence[Row], which: Sequence[str], as_json: bool, pretty: bool, text: Callable[[Row], Iterator[str]]) -> None:
    """Rows as JSON or text. A single object that was asked for by its id or path is no list in JSON, as bpftool has it."""
    if as_json or pretty:
        single = bool(which) and which[0] in ("id", "pinned")
        echo_json(rows[0] if single else list(rows), pretty)
        return
    for row in rows:
        for line in text(row):
            click.echo(line)


def echo_json(what: object, pretty: bool = False) -> None:
    click.echo(json.dumps(what, indent=4 if pretty else None, separators=None if pretty else (",", ":")))


def held(row: Row) -> Iterator[str]:
    """The lines about where it is pinned, and who holds it."""
    for path in row.get("pinned", ()):
        yield f"\tpinned {path}"
    if row.get("pids"):
        yield "\tpids " + ", ".join(f"{holder['comm']}({holder['pid']})" for holder in row["pids"])
