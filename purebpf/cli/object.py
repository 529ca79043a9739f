"""`purebpf object`: object files (`x.o`): what is in them, what becomes of it for this kernel, whether it loads."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from purebpf.errors import Error, VerifierError

if TYPE_CHECKING:
    from purebpf.spec import CollectionSpec, MapSpec, ProgramSpec

FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
Row = dict[str, Any]


@click.group()
def object() -> None:
    """Look at object files, and load them."""


@object.command()
@FILE
@click.option("-j", "--json", "as_json", is_flag=True, help="JSON.")
def show(file: Path, as_json: bool) -> None:
    """List the programs, maps and variables in FILE. Nothing is loaded, and a file for another byte order will do."""
    from purebpf.elf.reader import load_object

    rows = shown(load_object(file))
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for line in lines(rows):
        click.echo(line)


@object.command()
@FILE
def relocate(file: Path) -> None:
    """Print the instructions of each program in FILE for this kernel: its name and, in hexadecimal, its bytes.

    Functions that it calls are behind it, what it asks of the kernel's types is answered, descriptors are zero.
    """
    failed = False
    for name, code in relocated(of_this_machine(file)):
        if isinstance(code, Error):
            click.echo(f"{name}: {code}", err=True)
            failed = True
        else:
            click.echo(f"PROG {name} {code.hex()}")
    if failed:
        sys.exit(1)


def relocated(spec: CollectionSpec) -> Iterator[tuple[str, bytes | Error]]:
    """Each program's bytes for this kernel, or why there are none."""
    from purebpf.isa.codec import encode
    from purebpf.kernel.linked import without_descriptors
    from purebpf.kernel.together import together

    with together(spec) as common:
        for name, program in spec.programs.items():
            try:
                resolver = common.resolver() if program.relocations and common.knows(program) else None
                yield name, encode(without_descriptors(program, resolver), sys.byteorder)
            except Error as error:
                yield name, error


@object.command()
@FILE
@click.option("--all", "everything", is_flag=True, help="Load the optional programs, too.")
def load(file: Path, everything: bool) -> None:
    """Load FILE into the kernel, to see whether it can be: a line for each program with name, type, and `ok` or the error.

    Programs that are optional are left out and said to be. Nothing is attached or pinned, and nothing stays behind.
    """
    from purebpf.data import replace

    spec = of_this_machine(file)
    maps = {name: replace(each, pin="") for name, each in spec.maps.items()}
    wanted = [name for name, program in spec.programs.items() if everything or not program.optional]
    errors = refusals(replace(spec, maps=maps), wanted)
    for name, program in spec.programs.items():
        outcome = errors.get(name, "ok") if name in wanted else "optional"
        click.echo(f"{name} {program.type.name.lower()} {outcome}")
    if errors:
        sys.exit(1)


def refusals(spec: CollectionSpec, wanted: list[str]) -> dict[str, str]:
    """Why programs do not load, each in one line. Raises Error where it is none of them, but a map that none of them uses."""
    from purebpf.objects import load

    usual = [name for name, program in spec.programs.items() if not program.optional]
    try:
        load(spec, engine="kernel", programs=None if wanted == usual else wanted).close()
        return {}
    except Error as error:
        if len(wanted) == 1:
            return {wanted[0]: in_a_line(error)}
        half = len(wanted) // 2
        found = {name: why for part in (wanted[:half], wanted[half:]) if part for name, why in refusals(spec, part).items()}
        if not found:
            raise
        return found


def in_a_line(error: Error) -> str:
    """A rejection with the source's line and what is wrong there; all else as it is."""
    if isinstance(error, VerifierError) and error.explanation is not None:
        source = error.explanation.spot.source
        where = f"{source.file}:{source.line}: " if source is not None and source.line else ""
        return f"{where}the kernel's verifier rejected it: {error.explanation.message}"
    return " ".join(str(error).split())


def of_this_machine(file: Path) -> CollectionSpec:
    """The object in a file. Raises Error for one of the other byte order."""
    from purebpf.elf.reader import load_object

    spec = load_object(file)
    if spec.byte_order not in ("", sys.byteorder):
        raise Error(
            f"{file} is for {spec.byte_order}-endian machines, and this one is {sys.byteorder}-endian: compile it with "
            f"-target bpfe{sys.byteorder[0]}. `purebpf object show` shows it."
        )
    return spec


def shown(spec: CollectionSpec) -> dict[str, list[Row]]:
    """What is in a collection, as plain data. Sizes and offsets are bytes; slots, of 8 bytes each, are those of a program and
    of the functions that it calls. Maps of data sections are called as `map_name` has it."""
    from purebpf.elf.names import map_name

    names = {name: map_name(spec.name, name) for name in spec.maps}
    return {
        "programs": [_program(each, names) for each in spec.programs.values()],
        "maps": [{"name": names[name], **_map(each)} for name, each in spec.maps.items()],
        "variables": [
            {"name": name, "map": names[each.map], "offset": each.offset, "size": each.size}
            for name, each in spec.variables.items()
        ],
    }


def _program(spec: ProgramSpec, names: dict[str, str]) -> Row:
    return {
        "name": spec.name,
        "section": spec.section,
        "type": spec.type.name.lower(),
        "attach_type": spec.attach_type.name.lower() if spec.attach_type is not None else None,
        "attach_to": spec.attach_to,
        "slots": spec.slots,
        "license": spec.license,
        "optional": spec.optional,
        "maps": [names[name] for name in spec.maps],
        "functions": [{"name": each.name, "slot": each.slot} for each in spec.functions],
        "externs": [each.name for each in spec.externs],
    }


def _map(spec: MapSpec) -> Row:
    row: Row = {
        "type": spec.type.name.lower(),
        "key_size": spec.key_size,
        "value_size": spec.value_size,
        "max_entries": spec.max_entries,
        "flags": spec.flags,
    }
    if spec.extra:
        row["extra"] = spec.extra
    if spec.pin:
        row["pin"] = spec.pin
    if spec.inner is not None:
        row["inner"] = _map(spec.inner)
    if spec.entries:
        row["entries"] = [{"key": key.hex(), "holds": name} for key, name in spec.entries]
    return row


def lines(rows: dict[str, list[Row]]) -> Iterator[str]:
    """The same in words."""
    for each in rows["programs"]:
        more = "  optional" if each["optional"] else ""
        hook = f" {each['attach_type']}" if each["attach_type"] not in (None, each["type"]) else ""
        yield f"program {each['name']}  section {each['section']}  {each['type']}{hook}  {each['slots']} slots{more}"
        if len(each["functions"]) > 1:
            yield "\tfunctions " + ", ".join(function["name"] for function in each["functions"][1:])
        for what in ("maps", "externs"):
            if each[what]:
                yield f"\t{what} " + ", ".join(each[what])
    for each in rows["maps"]:
        yield f"map {each['name']}  {_of_map(each)}"
        if "inner" in each:
            yield f"\tholds maps: {_of_map(each['inner'])}"
        for entry in each.get("entries", ()):
            yield f"\t{entry['key']}: {entry['holds']}"
    for each in rows["variables"]:
        yield f"variable {each['name']}  {each['map']} + {each['offset']}  {each['size']} bytes"


def _of_map(row: Row) -> str:
    more = f"  extra {row['extra']:#x}" if "extra" in row else ""
    pin = f"  pinned {row['pin']}" if "pin" in row else ""
    sizes = f"key {row['key_size']}  value {row['value_size']}  entries {row['max_entries']}"
    return f"{row['type']}  {sizes}  flags {row['flags']:#x}{more}{pin}"
