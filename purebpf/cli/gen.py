"""`purebpf gen`: write a package, or a Go file, with programs inside."""

from __future__ import annotations

from pathlib import Path

import click

from purebpf.cli.usage import Command
from purebpf.errors import Error
from purebpf.objects.naming import identifier

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(
    cls=Command,
    usage="[OPTIONS] SOURCE... -o DIR",
    examples=(
        "purebpf gen counter.py -o counter/programs",
        "purebpf gen x.o y.o -o programs --check",
        "purebpf gen x.o -o . --go",
    ),
    short_help="Write a package with programs inside.",
)
@click.argument(
    "sources", metavar="SOURCE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "-o", "folder", metavar="DIR", required=True, type=click.Path(file_okay=False, path_type=Path), help="The package's folder."
)
@click.option("--name", "names", metavar="NAME", multiple=True, help="The class for a source; again for the next one.")
@click.option(
    "--type", "types", metavar="[RING=]TYPE", multiple=True, help="A struct or enum to have too; or that RING's records are."
)
@click.option("--check", is_flag=True, help="Write nothing; show what would change, and exit with 1 if anything would.")
@click.option("--go", is_flag=True, help="Write the Go file that bpf2go would, and the object.")
@click.option("--go-package", metavar="NAME", help="The Go package.  [default: the folder's name]")
@click.option("--cpu", type=click.IntRange(1, 4), help="Instruction set level for Python sources.")
@click.option("--kernel", metavar="VERSION", help="Compile Python sources for this kernel and all later ones, such as 5.10.")
@click.option("--btf", metavar="FILE", default="", help="Compile by the types of the kernel in FILE, not of the running one.")
@click.option(
    "--embed-btf", "kernels", metavar="FILE", multiple=True, type=FILE, help="Types of a kernel without BTF, named RELEASE.btf."
)
@click.option("--depfile", metavar="FILE", type=FILE, help="Write a rule of make with all files that the package is made of.")
def gen(
    sources: tuple[Path, ...],
    folder: Path,
    names: tuple[str, ...],
    types: tuple[str, ...],
    check: bool,
    go: bool,
    go_package: str | None,
    cpu: int | None,
    kernel: str | None,
    btf: str,
    kernels: tuple[Path, ...],
    depfile: Path | None,
) -> None:
    """Write a package with the programs of each SOURCE inside.

    A SOURCE is a Python file with programs, or an object file. The package needs purebpf to load its programs, and no compiler.
    It has a class for each source, and classes for what the maps and variables hold.
    """
    from purebpf.packaging.package import depfile as rule_of
    from purebpf.packaging.package import differences, package, write
    from purebpf.packaging.settings import Settings
    from purebpf.packaging.sources import doubts

    if not go:
        check_name(folder)
    settings = Settings(sources, names, types, cpu, kernel, btf, kernels)
    read = settings.read()
    for source in read:
        for doubt in doubts(source):
            click.echo(f"warning: {doubt}", err=True)
    if go:
        from purebpf.packaging.go import go_files

        files = go_files(read, go_package or folder.resolve().name, list(names))
    else:
        files = package(read, settings.kernel_types())
    if check:
        found = list(differences(files, folder))
        for line in found:
            click.echo(line)
        if found:
            raise SystemExit(1)
        return
    write(files, folder)
    if depfile is not None:
        try:
            depfile.write_text(rule_of(files, folder, read, list(kernels)))
        except OSError as error:
            raise Error(f"{depfile} cannot be written: {error.strerror}") from None
    click.echo(f"wrote {folder}: {', '.join(source.name for source in read)}", err=True)


def check_name(folder: Path) -> None:
    """Raise BadParameter for a folder that no program could import."""
    name = folder.resolve().name
    if (wanted := identifier(name)) != name:
        raise click.BadParameter(
            f"a package is imported by its folder's name, and {name!r} is no name in Python; say -o {folder.parent / wanted}",
            param_hint="-o",
        )
