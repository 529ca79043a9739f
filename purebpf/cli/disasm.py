"""`purebpf disasm`: bytecode as text in the kernel's syntax."""

from __future__ import annotations

from typing import BinaryIO

import click

from purebpf.cli.usage import Command
from purebpf.errors import Error


@click.command(cls=Command, examples=("purebpf disasm program.bin", "purebpf build counter.py --emit hex | purebpf disasm"))
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--big", is_flag=True, help="The bytecode is big-endian.")
def disasm(file: BinaryIO, big: bool) -> None:
    """Print bytecode as text. FILE (default: standard input) holds raw bytes, or their hexadecimal digits.

    Object files have a command of their own: `purebpf object relocate --disasm`.
    """
    from purebpf.isa import decode, disassemble

    instructions = decode(as_bytes(file.read()), "big" if big else "little")
    click.echo(disassemble(instructions).rstrip("\n"))


def as_bytes(data: bytes) -> bytes:
    """Hexadecimal digits (with any white space) as the bytes they stand for; anything else as it is."""
    if data.startswith(b"\x7fELF"):
        raise Error(
            "that is an ELF file and no bare bytecode: `purebpf object relocate --disasm FILE` prints an object's programs"
        )
    if not data:
        raise Error("there is nothing to disassemble")
    text = b"".join(data.split())
    if not text or any(c not in b"0123456789abcdefABCDEF" for c in text):
        return data
    if len(text) % 2:
        raise Error(f"there are {len(text)} hexadecimal digits: two make a byte, sixteen an instruction, so one is missing")
    return bytes.fromhex(text.decode())
