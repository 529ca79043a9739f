"""`purebpf demo`: the packet counter at work, on the kernel where that is permitted, else in the virtual machine."""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType

import click

from purebpf.cli.usage import Command
from purebpf.errors import Error

SECONDS = 5.0
PACKAGE = Path(__file__).resolve().parents[1]
PLACES = (PACKAGE / "examples", PACKAGE.parent / "examples")  # installed as a wheel; in a clone


@click.command(
    cls=Command,
    examples=("purebpf demo", "purebpf demo --engine vm"),
    short_help="Count packets per protocol, live, for a few seconds.",
)
@click.option(
    "--engine", type=click.Choice(["auto", "kernel", "vm"]), default="auto", show_default=True, help="Where the program runs."
)
@click.option("--seconds", type=click.FloatRange(0.5, 60), default=SECONDS, show_default=True, help="How long to count.")
def demo(engine: str, seconds: float) -> None:
    """Count packets per protocol, live, for a few seconds: the program examples/packet_count.py in a network of its own.

    In the kernel where bpf(2) is permitted, else in the virtual machine on recorded packets.
    """
    example = load_example()
    reason = "it was asked for" if engine == "vm" else None
    if engine != "vm":
        from purebpf.kernel.probe import permitted
        from purebpf.tables.enums import ProgramType

        reason = permitted(ProgramType.XDP)
    if reason is None:
        from purebpf.cli.lab import NoLab

        try:
            on_kernel(example, seconds)
            return
        except NoLab as error:  # any other error is a failure of the demo, not a reason to show something else
            if engine == "kernel":
                raise
            reason = str(error)
    elif engine == "kernel":
        raise Error(f"The kernel engine cannot be used here: {reason}")
    in_vm(example, reason)


def folder() -> Path:
    """Where the examples are."""
    for place in PLACES:
        if (place / "packet_count.py").exists():
            return place
    raise Error("the examples are not installed; run the demo in a clone of the repository")


def load_example() -> ModuleType:
    """examples/packet_count.py as a module."""
    import importlib.util

    path = folder() / "packet_count.py"
    spec = importlib.util.spec_from_file_location("packet_count", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def on_kernel(example: ModuleType, seconds: float) -> None:
    """XDP on a veth pair in namespaces of our own, with real traffic."""
    from rich.console import Console
    from rich.live import Live

    from purebpf.cli.lab import lab

    console = Console()
    with lab() as interface, example.count.attach(interface, engine="kernel") as attached:
        console.print("Engine: the kernel, since bpf(2) is permitted here.")
        console.print(f"Program `count` on {interface} by {attached.mechanism}.")
        console.print("UDP, TCP and ICMP come in from a second network namespace.")
        end = time.monotonic() + seconds
        with Live(example.table(), console=console, refresh_per_second=4, transient=True) as live:
            while time.monotonic() < end:
                time.sleep(0.25)
                live.update(example.table())
        final = example.table()
        counted = example.totals()
    console.print(final)
    missing = [name for name in ("UDP", "TCP", "ICMP") if name not in counted]
    if missing:
        raise Error(f"no {' and no '.join(missing)} was counted, though it was sent")
    console.print("Detached; nothing stays behind.")


def in_vm(example: ModuleType, reason: str) -> None:
    """The same program in the virtual machine over recorded packets."""
    from rich.console import Console

    from purebpf.pcap import read_packets

    console = Console()
    console.print(f"Engine: the virtual machine. {reason[:1].upper()}{reason[1:]}", soft_wrap=True)
    capture = folder() / "packet_count.pcap"
    packets = list(read_packets(capture))
    console.print(f"Program `count` over {len(packets)} recorded packets ({capture.name}).")
    with example.count.load("vm"):
        for packet in packets:
            example.count.run(packet=packet)
        console.print(example.table())
