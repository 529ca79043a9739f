"""`purebpf object`: object files (`x.o`): what is in them, what becomes of it for this kernel, whether it loads."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from purebpf.cli.usage import Group
from purebpf.errors import Error, VerifierError

if TYPE_CHECKING:
    from purebpf.isa.instruction import Instruction
    from purebpf.spec import CollectionSpec, ProgramSpec

FILE = click.argument("file", metavar="OBJECT", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group(cls=Group, short_help="Look at object files, and try to load them.")
def object() -> None:
    """Look at object files (what clang and `purebpf build -o` write), and try to load them."""


@object.command(
    examples=("purebpf object show x.o", "purebpf object show x.o --json"), short_help="List programs, maps and variables."
)
@FILE
@click.option("-j", "--json", "as_json", is_flag=True, help="JSON.")
def show(file: Path, as_json: bool) -> None:
    """List the programs, maps and variables in OBJECT, with types and initial values where it has BTF (clang -g).

    Nothing is loaded, and a file for another byte order will do. Long values are cut; --json has them whole.
    """
    from purebpf.cli.object_show import lines, shown
    from purebpf.elf.reader import load_object

    rows = shown(load_object(file), in_c=not as_json)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for line in lines(rows):
        click.echo(line)


@object.command(
    examples=("purebpf object relocate x.o", "purebpf object relocate --disasm x.o"),
    short_help="Print the instructions that this kernel would get.",
)
@FILE
@click.option("-d", "--disasm", is_flag=True, help="As text, with functions and source lines, as `purebpf disasm` prints it.")
def relocate(file: Path, disasm: bool) -> None:
    """Print the instructions of each program in OBJECT for this kernel: its name and, in hexadecimal, its bytes.

    Functions that it calls are behind it, what it asks of the kernel's types is answered, descriptors are zero.
    """
    failed = False
    spec = of_this_machine(file)
    for name, found in relocated(spec):
        if isinstance(found, Error):
            click.echo(f"{name}: {found}", err=True)
            failed = True
            continue
        code, raw = found
        click.echo(as_text(spec.programs[name], code) if disasm else f"PROG {name} {raw.hex()}")
    if failed:
        sys.exit(1)


def relocated(spec: CollectionSpec) -> Iterator[tuple[str, tuple[tuple[Instruction, ...], bytes] | Error]]:
    """Each program's instructions for this kernel and their bytes, or why there are none."""
    from purebpf.isa.codec import encode
    from purebpf.kernel.linked import without_descriptors
    from purebpf.kernel.together import together

    with together(spec) as common:
        for name, program in spec.programs.items():
            try:
                resolver = common.resolver() if program.relocations and common.knows(program) else None
                code = without_descriptors(program, resolver)
                yield name, (code, encode(code, sys.byteorder))
            except Error as error:
                yield name, error


def as_text(program: ProgramSpec, code: tuple[Instruction, ...]) -> str:
    """A program's instructions, below a line of what it is."""
    from purebpf.isa import disassemble

    functions = {function.slot: function.name for function in program.functions}
    return f"; {program.name}: {program.section}, {program.slots} slots\n{disassemble(code, functions)}"


@object.command(examples=("purebpf object load x.o",), short_help="Try whether the programs load here.")
@FILE
@click.option("--all", "everything", is_flag=True, help="Load the optional programs, too.")
def load(file: Path, everything: bool) -> None:
    """Load OBJECT into the kernel, to see whether it can be: a line for each program with name, type, and `ok` or the error.

    Programs that are optional (a `?` before the section's name) are left out and said to be. Nothing is attached or pinned, and
    nothing stays behind.
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
