"""`purebpf run`: run a file of programs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from purebpf.cli.files import has_main_block, programs_of
from purebpf.cli.usage import Command
from purebpf.errors import Error
from purebpf.lang.maps import EventMap, Held, KeyedMap, PerCpuMap, ProgArray

if TYPE_CHECKING:
    from purebpf.collection import Collection
    from purebpf.program import Program
    from purebpf.spec import ProgramSpec

MANY = 1000  # packets
RESULTS = {
    "xdp": ("XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"),
    "tc": ("TC_ACT_OK", "TC_ACT_SHOT", "TC_ACT_STOLEN", "TC_ACT_REDIRECT", "TC_ACT_PIPE"),
}


@click.command(
    cls=Command,
    usage="[OPTIONS] FILE.py [ARGUMENT]...",
    examples=("purebpf run trace.py", "purebpf run counter.py eth0", "purebpf run counter.py --pcap packets.pcap"),
    short_help="Run a file of programs.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("file", metavar="FILE.py", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--engine", type=click.Choice(["auto", "kernel", "vm"]), default="auto", show_default=True, help="Where programs run."
)
@click.option(
    "--pcap",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Feed these packets to the file's programs.",
)
@click.option("--python", is_flag=True, help="With --pcap: run the functions themselves, which stop at breakpoints.")
@click.option("--log", is_flag=True, help="Show the whole log of the kernel's verifier when it rejects a program.")
@click.option(
    "--btf", metavar="FILE", default="", help="Compile by the types of the kernel in FILE (default: the running one)."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(file: Path, engine: str, pcap: Path | None, python: bool, log: bool, btf: str, arguments: tuple[str, ...]) -> None:
    """Run a file of programs.

    A file with an `if __name__ == "__main__":` block runs as Python would run it, with the ARGUMENTs. With --pcap its programs
    are run on each packet of a capture instead, and the results and maps are shown. A file without such a block has its
    programs attached, and what they print is shown, until Ctrl-C.
    """
    from purebpf.collection import set_default_btf, set_default_engine
    from purebpf.rejection import FULL_LOG

    if python and (pcap is None or engine == "kernel"):
        raise click.UsageError("--python runs a file's programs on the packets of --pcap, on the virtual machine's maps")
    set_default_engine(engine)
    set_default_btf(btf)
    if log:
        os.environ[FULL_LOG] = "full"
    if pcap is not None:
        feed(file, pcap, engine, python)
    elif has_main_block(file):
        execute(file, arguments)
    else:
        from purebpf.cli.watch import watch

        watch(file, engine)


def execute(file: Path, arguments: tuple[str, ...]) -> None:
    """Run the file as `__main__`."""
    import runpy

    sys.argv = [str(file), *arguments]
    sys.path.insert(0, str(file.resolve().parent))
    try:
        runpy.run_path(str(file), run_name="__main__")
    except KeyboardInterrupt:
        raise click.Abort from None


def feed(file: Path, pcap: Path, engine: str, python: bool) -> None:
    """Run every packet program of the file on every packet of the capture."""
    from collections import Counter

    from purebpf.collection import Collection
    from purebpf.pcap import read_packets
    from purebpf.program import load
    from purebpf.vm.engine import VmEngine

    programs = {name: p for name, p in programs_of(file).items() if p.kind.packet}
    called = {member for p in programs.values() for table in tables_of(p) for member in table.entries.values()}
    programs = {name: p for name, p in programs.items() if p not in called}
    if not programs:
        raise Error(f"{file} has no program that takes packets (xdp, tc or socket_filter)")
    packets = list(read_packets(pcap))
    chosen = programs.values()
    loaded = Collection(chosen, VmEngine(), debugging=True).load() if python else load(*chosen, engine=engine)
    with loaded as collection:
        click.echo(f"{len(packets)} packets from {pcap.name}, engine: {'Python' if python else collection.engine.name}")
        with printed(collection) as read:
            for name, program in programs.items():
                go = program.python if python else program.run
                results = Counter(go(packet=packet).value for packet in progress(packets, name))
                shown = ", ".join(f"{meaning(program, value)}: {count}" for value, count in results.most_common())
                click.echo(f"{name}: {shown}")
            for text in read():
                click.echo(f"printed: {text}")
        show_maps(collection)
        show_events(collection)


def progress(packets: list[bytes], name: str) -> Iterable[bytes]:
    """The packets; a bar of how many were taken, on a terminal, where that takes a while and nobody debugs."""
    if not sys.stderr.isatty() or len(packets) < MANY or sys.gettrace() is not None:
        return packets
    from rich.console import Console
    from rich.progress import track

    return track(packets, name, console=Console(stderr=True), transient=True)


def tables_of(program: Program) -> list[ProgArray]:
    """The program arrays that a program uses: what is in them gets its packets from it."""
    return [declaration for declaration in program.compiled(True).declarations.values() if isinstance(declaration, ProgArray)]


def meaning(program: Program, value: int) -> str:
    """A result's name, such as XDP_PASS."""
    from purebpf.tables.constants import constant

    names = RESULTS.get(program.kind.decorator, ())
    return next((name for name in names if constant(name) == value), str(value))


@contextmanager
def printed(collection: Collection) -> Iterator[Callable[[], list[str]]]:
    """Gives a function that returns what the programs printed within the block. Where no program prints, nothing is opened:
    on the kernel the trace pipe needs root."""
    from purebpf.vm.engine import VmEngine

    if isinstance(collection.engine, VmEngine):
        trace = collection.engine.trace
        yield lambda: [record.text for record in trace.read()]
    elif not any(prints(spec) for spec in collection.spec.programs.values()):
        yield list
    else:
        from purebpf.collection import trace_pipe

        with trace_pipe(threading.get_native_id()) as pipe:
            yield lambda: [record.text for record in pipe.read(0.2)]


def prints(spec: ProgramSpec) -> bool:
    """Whether a program calls a helper that prints to the trace pipe."""
    from purebpf.isa.opcodes import CALL_OPCODE
    from purebpf.tables.helpers import helper_by_id

    called = (helper_by_id(i.imm) for i in spec.instructions if i.opcode == CALL_OPCODE and i.src == 0)
    return any(helper is not None and helper.name in ("trace_printk", "trace_vprintk") for helper in called)


def show_events(collection: Collection) -> None:
    """The events that have come, one a line."""
    for declaration in collection.declarations:
        if isinstance(declaration, EventMap):
            for event in declaration.read(0):
                click.echo(f"{declaration.name}: {event}")


def show_maps(collection: Collection) -> None:
    """The entries of all mappings, those of arrays that are zero left out."""
    for declaration in collection.declarations:
        if isinstance(declaration, KeyedMap) and not isinstance(declaration, Held):
            click.echo(f"{declaration.name}:")
            for key, value in entries(declaration).items():
                click.echo(f"  {key}: {value}")


def entries(declaration: KeyedMap[Any, Any]) -> dict[Any, Any]:
    """Those of a mapping, sums of all CPUs where each has its own; those of an array that are zero left out."""
    zero = declaration.value_type.zero()
    found = declaration.sums() if isinstance(declaration, PerCpuMap) else dict(declaration.items())
    return {key: value for key, value in found.items() if declaration.parameters == 2 or value != zero}
