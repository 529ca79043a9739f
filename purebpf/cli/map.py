"""`purebpf map`: the maps in the kernel, in the manner of bpftool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from purebpf.cli.objects import Beside, Row, beside, choice, chosen, echo_json, held, one, write
from purebpf.cli.usage import Group, show

WORDS = ("id", "name", "pinned")
WHICH = "[id ID | name NAME | pinned PATH]"


@click.group(cls=Group)
def map() -> None:
    """Look at the maps in the kernel."""


@map.command(
    "list",
    usage=f"[OPTIONS] {WHICH}",
    examples=("purebpf map list", "purebpf map list name packets --json"),
    short_help="List maps.",
)
@choice
@beside
def list_(which: tuple[str, ...], as_json: bool, pretty: bool, no_pids: bool, bpffs: bool) -> None:
    """List maps: all, or those with an id, a name, or a place where they are pinned."""
    from purebpf.kernel.objects.maps import describe

    more = Beside("map", no_pids, bpffs)
    write([more.add(describe(each)) for each in chosen("map", which, WORDS)], which, as_json, pretty, lines)


show(map, list_)


def lines(row: Row) -> Iterator[str]:
    """A map in words."""
    name = f"  name {row['name']}" if "name" in row else ""
    yield f"{row['id']}: {row['type']}{name}  flags {row['flags']:#x}"
    memory = f"  memlock {row['bytes_memlock']}B" if "bytes_memlock" in row else ""
    yield f"\tkey {row['bytes_key']}B  value {row['bytes_value']}B  max_entries {row['max_entries']}{memory}"
    if "owner_prog_type" in row:
        yield f"\towner_prog_type {row['owner_prog_type']}  owner {'jited' if row['owner_jited'] else 'interpreted'}"
    if row["frozen"] or "btf_id" in row:
        parts = (["frozen"] if row["frozen"] else []) + ([f"btf_id {row['btf_id']}"] if "btf_id" in row else [])
        yield "\t" + "  ".join(parts)
    yield from held(row)


@map.command(
    usage=f"[OPTIONS] {{{WHICH[1:-1]}}}",
    examples=("purebpf map dump id 5", "purebpf map dump pinned /sys/fs/bpf/packets --json"),
)
@choice
def dump(which: tuple[str, ...], as_json: bool, pretty: bool) -> None:
    """Write all entries of a map.

    With BTF of the map, keys and values as their types have them; else their bytes.
    """
    from purebpf.kernel.objects.maps import Entries, open_map

    for found in one("map", which, WORDS):
        entries = Entries(open_map(found))
        if as_json or pretty:
            echo_json(list(entries), pretty)
        elif entries.readable:
            echo_json([row.get("formatted", row) for row in entries], True)
        else:
            count = 0
            for row in entries:
                count += 1
                for line in entry(row):
                    click.echo(line)
            click.echo(f"Found {count} element{'' if count == 1 else 's'}")


def entry(row: Row) -> Iterator[str]:
    """An entry as bytes."""
    if "values" in row:
        yield "key:"
        yield digits(row["key"])
        for each in row["values"]:
            yield f"value (CPU {each['cpu']:02}): {digits(each['value'])}"
        return
    value = row["value"]
    told = value["error"] if isinstance(value, dict) else digits(value)
    if len(row["key"]) + len(value) > 24 or isinstance(value, dict):
        yield "key:"
        yield digits(row["key"])
        yield "value:"
        yield told
    else:
        yield f"key: {digits(row['key'])}  value: {told}"


def digits(data: list[Any]) -> str:
    """Hexadecimal bytes, sixteen a line, with a gap in the middle."""
    rows = [data[at : at + 16] for at in range(0, len(data), 16)]
    return "\n".join(_row(row) for row in rows)


def _row(row: list[Any]) -> str:
    bytes_ = [byte[2:] for byte in row]
    return " ".join(bytes_[:8]) + ("  " + " ".join(bytes_[8:]) if len(bytes_) > 8 else "")
