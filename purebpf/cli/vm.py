"""`purebpf vm`: the embedded virtual machine on bare bytecode."""

from __future__ import annotations

import sys

import click

from purebpf.cli.usage import Group


@click.group(cls=Group)
def vm() -> None:
    """Run bare bytecode in the embedded virtual machine."""


@vm.command(
    "exec",
    examples=("echo 61 10 00 00 00 00 00 00 95 00 00 00 00 00 00 00 | purebpf vm exec 2a000000",),
    short_help="Run a program from standard input.",
)
@click.argument("memory", default="")
def exec_(memory: str) -> None:
    """Run a program, read from standard input as hexadecimal digits, on MEMORY (hexadecimal), and print r0 in hexadecimal.

    r1 is the memory's address, r2 its length. This is the protocol of the BPF conformance suite.
    """
    from purebpf.vm.exec import from_hex, run_hex

    given = from_hex(memory, "memory")  # before the program is waited for
    click.echo(f"{run_hex(sys.stdin.read(), given):x}")
