"""`purebpf build`: compile a file's programs and show them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from purebpf.cli.files import definitions_of, programs_of
from purebpf.cli.usage import Command
from purebpf.compiler.options import Options
from purebpf.data import replace
from purebpf.errors import Error

if TYPE_CHECKING:
    from purebpf.compiler.pipeline import Compiled


@click.command(
    cls=Command,
    usage="[OPTIONS] FILE.py",
    examples=(
        "purebpf build counter.py",
        "purebpf build counter.py -o counter.o",
        "purebpf build counter.py --emit json --kernel 5.10",
    ),
)
@click.argument("file", metavar="FILE.py", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--emit", type=click.Choice(["ir", "asm", "hex", "json", "spec"]), default="asm", show_default=True, help="What to print."
)
@click.option("--cpu", type=click.IntRange(1, 4), help=f"Level of the instruction set, v1 to v4.  [default: {Options().cpu}]")
@click.option("--kernel", metavar="VERSION", help="For this kernel and all later ones, such as 5.10.")
@click.option("--btf", metavar="FILE", default="", help="Compile by the types of the kernel in FILE, not of the running one.")
@click.option("-o", "--output", metavar="FILE.o", type=click.Path(dir_okay=False, path_type=Path), help="Write an object file.")
def build(file: Path, emit: str, cpu: int | None, kernel: str | None, btf: str, output: Path | None) -> None:
    """Compile the programs in a Python file, and print or write them.

    `spec` is the programs and their maps as text, to be loaded elsewhere. An object file (`-o`) is loaded by libbpf, bpftool,
    cilium/ebpf and `purebpf object`.
    """
    if output is not None and output.suffix != ".o":
        raise click.BadParameter(f"an object file is written, so its name ends in .o: {output}.o", param_hint="-o")
    options = replace(chosen(cpu, kernel), btf=btf)
    if output is not None:
        write(file, options, output)
        return
    programs = programs_of(file)
    for program in programs.values():
        program.options = options
    if emit == "spec":
        from purebpf.portable import dumps
        from purebpf.program import spec_of

        click.echo(dumps(spec_of(*programs.values())), nl=False)
        return
    made: dict[str, Compiled] = {name: program.compiled() for name, program in programs.items()}
    if emit == "json":
        import json

        click.echo(json.dumps({"programs": {name: describe(each) for name, each in made.items()}}, indent=2))
        return
    for name, each in made.items():
        show = {"ir": as_ir, "asm": as_assembly, "hex": as_hex}[emit]
        if emit == "hex" and len(made) > 1:
            click.echo(f"{name} ", nl=False)
        click.echo(show(each))


def write(file: Path, options: Options, path: Path) -> None:
    """Write the programs of a file into an object file."""
    from contextlib import nullcontext

    from purebpf.btf.running import instead
    from purebpf.elf.writing.write import write_object
    from purebpf.program import Program, spec_of

    defined = definitions_of(file)
    for each in defined:
        for program in [each] if isinstance(each, Program) else each.programs.values():
            program.options = options
    with instead(options.btf) if options.btf else nullcontext():
        spec = spec_of(*defined)
        try:
            write_object(spec, path)
        except OSError as error:
            raise Error(f"{path} cannot be written: {error.strerror}") from None


def chosen(cpu: int | None, kernel: str | None) -> Options:
    """What to compile for. A level goes before what a kernel takes."""
    options = Options()
    if kernel is not None:
        from purebpf.compiler.options import for_kernels
        from purebpf.tables.since import parse

        try:
            options = for_kernels(parse(kernel))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--kernel") from None
    return options if cpu is None else replace(options, cpu=cpu)


def describe(compiled: Compiled) -> dict[str, object]:
    """A program's figures: `slots` are instruction slots of 8 bytes, `stack` bytes."""
    program = compiled.program
    return {
        "name": program.name,
        "type": program.type.name.lower(),
        "section": program.section,
        "license": program.license,
        "slots": program.slots,
        "stack": program.stack,
        "requires": list(program.requires),
        "functions": [{"name": f.name, "slot": f.slot} for f in program.functions],
        "bytes": as_hex(compiled),
        "maps": {
            spec.name: {
                "type": spec.type.name.lower(),
                "key_size": spec.key_size,
                "value_size": spec.value_size,
                "max_entries": spec.max_entries,
                "flags": spec.flags,
            }
            for spec in compiled.maps.values()
        },
    }


def as_hex(compiled: Compiled) -> str:
    from purebpf.isa import encode

    return encode(compiled.program.instructions).hex()


def as_assembly(compiled: Compiled) -> str:
    from purebpf.isa import disassemble

    program = compiled.program
    head = f"; {program.name}: {program.section}, {program.slots} slots, {program.stack} bytes of stack\n"
    return head + disassemble(program.instructions, {function.slot: function.name for function in program.functions})


def as_ir(compiled: Compiled) -> str:
    from purebpf.compiler.ir.ops import Module
    from purebpf.compiler.ir.text import format_module

    return format_module(Module(compiled.functions))
