"""`purebpf run`: run a file of programs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from purebpf.cli.files import has_main_block, programs_of
from purebpf.errors import Error
from purebpf.lang.maps import Held, KeyedMap, PerCpuMap, PerfEventArray, ProgArray
from purebpf.lang.network_types import all_kinds

if TYPE_CHECKING:
    from purebpf.collection import Collection
    from purebpf.program import Program
    from purebpf.spec import ProgramSpec

INTERFACE, SOCKET, CGROUP = ("an interface", '"eth0"'), ("a socket", "sock"), ("a cgroup", '"/sys/fs/cgroup/my.slice"')
NEEDS_TARGET = {  # by program type: what it attaches to, and how that is said
    **dict.fromkeys(("xdp", "tc"), INTERFACE),
    **dict.fromkeys(("socket_filter", "sk_reuseport"), SOCKET),
    **dict.fromkeys(("sk_msg", "sk_skb"), ("a socket map", "sockets")),
    **dict.fromkeys(("lwt_in", "lwt_out", "lwt_xmit", "lwt_seg6local"), ("a route", '"192.0.2.0/24", "eth0"')),
    **dict.fromkeys((name for name in all_kinds() if name.startswith("cgroup_") or name == "sockops"), CGROUP),
    "netfilter": ("a hook of netfilter", 'family="ipv4", hook="input"'),
    "perf_event": ("an event", 'event="cpu-clock"'),
}
RESULTS = {
    "xdp": ("XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"),
    "tc": ("TC_ACT_OK", "TC_ACT_SHOT", "TC_ACT_STOLEN", "TC_ACT_REDIRECT", "TC_ACT_PIPE"),
}


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--engine", type=click.Choice(["auto", "kernel", "vm"]), default="auto", show_default=True)
@click.option(
    "--pcap", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Feed these packets to the file's programs."
)
@click.option("--python", is_flag=True, help="With --pcap: run the functions themselves, which stop at breakpoints.")
@click.option("--log", is_flag=True, help="Show the whole log of the kernel's verifier when it rejects a program.")
@click.option(
    "--btf", metavar="FILE", default="", help="Compile by the types of the kernel in FILE (default: the running one)."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(file: Path, engine: str, pcap: Path | None, python: bool, log: bool, btf: str, arguments: tuple[str, ...]) -> None:
    """Run FILE.

    A file with an `if __name__ == "__main__":` block runs as Python would run it, with ARGUMENTS. With --pcap its programs are
    run on each packet of a capture instead, and the results and maps are shown. A file without such a block has its programs
    attached, and what they print is shown, until Ctrl-C.
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
                results = Counter(go(packet=packet).value for packet in packets)
                shown = ", ".join(f"{meaning(program, value)}: {count}" for value, count in results.most_common())
                click.echo(f"{name}: {shown}")
            for text in read():
                click.echo(f"printed: {text}")
        show_maps(collection)
        show_events(collection, timeout=0)


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
    from purebpf.isa.opcodes import CALL
    from purebpf.tables.helpers import helper_by_id

    called = (helper_by_id(i.imm) for i in spec.instructions if i.opcode == CALL and i.src == 0)
    return any(helper is not None and helper.name in ("trace_printk", "trace_vprintk") for helper in called)


def show_events(collection: Collection, timeout: float) -> None:
    """The events that have come, one a line; waits up to `timeout` seconds for the first."""
    for declaration in collection.declarations:
        if isinstance(declaration, PerfEventArray):
            for event in declaration.read(timeout):
                click.echo(f"{declaration.name}: {event}")


def show_maps(collection: Collection) -> None:
    """The entries of all mappings, those of arrays that are zero left out."""
    for declaration in collection.declarations:
        if isinstance(declaration, KeyedMap) and not isinstance(declaration, Held):
            zero = declaration.value_type.zero()
            click.echo(f"{declaration.name}:")
            entries = declaration.sums() if isinstance(declaration, PerCpuMap) else dict(declaration.items())
            for key, value in entries.items():
                if declaration.parameters == 2 or value != zero:
                    click.echo(f"  {key}: {value}")


def watch(file: Path, engine: str) -> None:
    """Attach all programs and show what they print and the events they send, until Ctrl-C."""
    from purebpf.collection import trace_pipe
    from purebpf.program import load

    programs = programs_of(file)
    for name, program in programs.items():
        target = NEEDS_TARGET.get(program.kind.decorator)
        if target:
            packets = f"\nor try it on recorded packets: purebpf run {file} --pcap FILE" if program.kind.packet else ""
            raise Error(
                f"`{name}` attaches to {target[0]}, which this command cannot choose: add a main block to {file.name}, "
                f'such as\n    if __name__ == "__main__":\n        with {name}.attach({target[1]}):\n            ...{packets}'
            )
    with load(*programs.values(), engine=engine) as collection, trace_pipe() as pipe:
        for program in programs.values():
            program.attach()
        click.echo(f"attached {', '.join(programs)} ({collection.engine.name}); Ctrl-C ends", err=True)
        try:
            while True:
                for record in pipe.read(0.1):
                    click.echo(f"{record.task}-{record.pid} [{record.cpu:03}] {record.time:.6f}: {record.text}")
                show_events(collection, timeout=0)
        except KeyboardInterrupt:
            return
