"""`purebpf stubs`: stub files by which editors complete the fields of kernel types."""

from __future__ import annotations

from pathlib import Path

import click

from purebpf.cli.usage import Command
from purebpf.errors import Error

MARKER = "partial\n"  # PEP 561: what the stub package lacks is in the package itself


@click.command(
    cls=Command,
    examples=("purebpf stubs task_struct sock", "purebpf stubs task_struct -o typings"),
    short_help="Write stub files for kernel types, for editors.",
)
@click.argument("names", nargs=-1, required=True, metavar="TYPE...")
@click.option("--btf", "file", metavar="FILE", default="vmlinux", help="The types of another kernel than the running one.")
@click.option("--depth", default=2, show_default=True, type=click.IntRange(0, 8), help="How many pointers are followed.")
@click.option("-o", "folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Where to put them.")
def stubs(names: tuple[str, ...], file: str, depth: int, folder: Path | None) -> None:
    """Write a stub file (PEP 561) for kernel types.

    It makes editors and type checkers know the fields of what programs import from `purebpf.vmlinux`. By default it goes to
    where this Python's packages are; with -o typings into the folder `typings` of a project, where pyright looks. What was
    there before is replaced.
    """
    import sysconfig

    from purebpf.btf.stubs import stub
    from purebpf.cli.btf import opened

    text = stub(opened(file, None), names, depth)
    place = (folder or Path(sysconfig.get_path("purelib"))) / "purebpf-stubs"
    try:
        place.mkdir(parents=True, exist_ok=True)
        (place / "py.typed").write_text(MARKER)
        (place / "vmlinux.pyi").write_text(text)
    except OSError as error:
        raise Error(f"{place} cannot be written: {error.strerror}; choose a folder with -o") from None
    made = text.count("\nclass ")
    click.echo(f"wrote {place / 'vmlinux.pyi'}: {made} {'class' if made == 1 else 'classes'}")
