"""`purebpf prog`: the programs in the kernel, in the manner of bpftool."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import click

from purebpf.cli.objects import Beside, Row, beside, choice, chosen, echo_json, held, one, write
from purebpf.cli.usage import Group, show
from purebpf.errors import Error

if TYPE_CHECKING:
    from purebpf.kernel.descriptor import Descriptor

WORDS = ("id", "name", "tag", "pinned")
WHICH = "[id ID | name NAME | tag TAG | pinned PATH]"


@click.group(cls=Group)
def prog() -> None:
    """Look at the programs in the kernel."""


@prog.command(
    "list",
    usage=f"[OPTIONS] {WHICH}",
    examples=("purebpf prog list", "purebpf prog list name count --json"),
    short_help="List programs.",
)
@choice
@beside
def list_(which: tuple[str, ...], as_json: bool, pretty: bool, no_pids: bool, bpffs: bool) -> None:
    """List programs: all, or those with an id, a name, a tag (a digest of the instructions), or a place where they are pinned.

    Run counts and times appear while statistics are on (sysctl kernel.bpf_stats_enabled, or bpf.statistics()).
    """
    from purebpf.kernel.objects.programs import describe

    more = Beside("program", no_pids, bpffs)
    write([more.add(describe(each)) for each in chosen("program", which, WORDS)], which, as_json, pretty, lines)


show(prog, list_)


def lines(row: Row) -> Iterator[str]:
    """A program in words."""
    name = f"  name {row['name']}" if "name" in row else ""
    gpl = "  gpl" if row["gpl_compatible"] else ""
    ran = f" run_time_ns {row['run_time_ns']} run_cnt {row['run_cnt']}" if "run_time_ns" in row else ""
    missed = f" recursion_misses {row['recursion_misses']}" if "recursion_misses" in row else ""
    yield f"{row['id']}: {row['type']}{name}  tag {row['tag']}{gpl}{ran}{missed}"
    loaded = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(row["loaded_at"]))
    yield f"\tloaded_at {loaded}  uid {row['uid']}"
    jited = f"jited {row['bytes_jited']}B" if row["jited"] else "not jited"
    memory = f"  memlock {row['bytes_memlock']}B" if "bytes_memlock" in row else ""
    maps = f"  map_ids {','.join(map(str, row['map_ids']))}" if "map_ids" in row else ""
    yield f"\txlated {row['bytes_xlated']}B  {jited}{memory}{maps}"
    if "btf_id" in row:
        yield f"\tbtf_id {row['btf_id']}"
    yield from held(row)


@prog.command(
    usage=f"[OPTIONS] xlated|jited {{{WHICH[1:-1]}}}",
    examples=("purebpf prog dump xlated id 5 --linum", "purebpf prog dump jited name count"),
    short_help="Write the instructions of a program.",
)
@click.argument("form", type=click.Choice(["xlated", "jited"]))
@choice
@click.option("-l", "--linum", is_flag=True, help="With file, line and column of each source line.")
@click.option("-o", "--opcodes", is_flag=True, help="With the bytes of each instruction.")
@click.option("--file", "file", type=click.File("wb"), help="Write the bytes there instead, for a disassembler.")
def dump(
    form: str,
    which: tuple[str, ...],
    as_json: bool,
    pretty: bool,
    linum: bool,
    opcodes: bool,
    file: BinaryIO | None,
) -> None:
    """Write the instructions of a program as the kernel has them, with the lines they come from.

    `xlated` is eBPF as the verifier rewrote it; `jited` is machine code, in hexadecimal under each source line. The words
    `linum` and `opcodes` may also stand at the end.
    """
    linum, opcodes = linum or "linum" in which[2:], opcodes or "opcodes" in which[2:]
    if wrong := [word for word in which[2:] if word not in ("linum", "opcodes")]:
        raise click.UsageError(f"{wrong[0]!r} is none of the words linum, opcodes")
    for found in one("program", which[:2], WORDS):
        if file is not None:
            from purebpf.kernel.objects.programs import jited, xlated

            file.write(xlated(found) if form == "xlated" else jited(found))
        elif form == "jited":
            machine_code(found, as_json or pretty, pretty, linum)
        else:
            instructions(found, as_json or pretty, pretty, linum, opcodes)


def instructions(descriptor: Descriptor, as_json: bool, pretty: bool, linum: bool, opcodes: bool) -> None:
    from purebpf.kernel.info import program_info
    from purebpf.kernel.objects import dump

    rows = list(dump.rows(descriptor, program_info(descriptor)))
    if not rows:
        raise Error("The kernel hides the program's instructions from this process: that takes CAP_SYS_ADMIN.")
    if as_json:
        echo_json([dump.as_json(row, opcodes, linum) for row in rows], pretty)
        return
    for row in rows:
        for line in dump.as_text(row, opcodes, linum):
            click.echo(line)


def machine_code(descriptor: Descriptor, as_json: bool, pretty: bool, linum: bool) -> None:
    """No disassembly: bytes, under the source lines that they come from."""
    from purebpf.kernel.info import program_info
    from purebpf.kernel.objects import machine

    parts = list(machine.parts(descriptor, program_info(descriptor)))
    if not parts:
        raise Error(
            "The program has no machine code: it is interpreted (net.core.bpf_jit_enable), or the kernel hides it "
            "(CAP_SYS_ADMIN, kernel.kptr_restrict)."
        )
    if as_json:
        echo_json([machine.as_json(part, linum) for part in parts], pretty)
        return
    for part in parts:
        for line in machine.as_text(part, linum):
            click.echo(line)
