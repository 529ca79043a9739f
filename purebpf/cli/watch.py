"""`purebpf run` of a file without a main block: its programs are attached, and what they tell is shown until Ctrl-C.

Lines of what programs print and of the events they send; on a terminal there is a table below them of how much came, how much
was lost, and of what is in the maps.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from purebpf.cli.files import programs_of
from purebpf.cli.run import entries, prints
from purebpf.errors import Error
from purebpf.lang.maps import EventMap, Held, KeyedMap
from purebpf.lang.network_types import all_kinds
from purebpf.lang.rings import RingBuf

if TYPE_CHECKING:
    from rich.table import Table

    from purebpf.collection import Collection
    from purebpf.kernel.trace_pipe import TracePipe
    from purebpf.program import Program

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

TICK = 0.25  # seconds after which the table is made anew
AT_A_TIME = 50  # lines on a terminal for each tick: more cannot be read
SMALL, ROWS = 4096, 8  # entries of a map that is shown, and how many of them are


def watch(file: Path, engine: str) -> None:
    """Attach all programs and show what they print and the events they send, until Ctrl-C."""
    from purebpf.program import load

    programs = programs_of(file)
    for name, program in programs.items():
        check_target(file, name, program)
    with ExitStack() as stack:
        collection = stack.enter_context(load(*programs.values(), engine=engine))
        pipe = stack.enter_context(pipe_of(collection))
        for program in programs.values():
            program.attach()
        click.echo(f"attached {', '.join(programs)} ({collection.engine.name}); Ctrl-C ends", err=True)
        rings = [declaration for declaration in collection.declarations if isinstance(declaration, EventMap)]
        screen: Lines = Screen(collection, rings) if sys.stdout.isatty() else Lines()
        stack.enter_context(screen)
        try:
            while True:
                wait(pipe, rings)
                screen.show(list(news(pipe, rings)))
        except KeyboardInterrupt:
            screen.show(list(news(pipe, rings)))  # what came meanwhile


def check_target(file: Path, name: str, program: Program) -> None:
    """Raise Error for a program that attaches to something that has to be named."""
    target = NEEDS_TARGET.get(program.kind.decorator)
    if target:
        packets = f"\nor try it on recorded packets: purebpf run {file} --pcap FILE" if program.kind.packet else ""
        raise Error(
            f"`{name}` attaches to {target[0]}, which this command cannot choose: add a main block to {file.name}, "
            f'such as\n    if __name__ == "__main__":\n        with {name}.attach({target[1]}):\n            ...{packets}'
        )


def pipe_of(collection: Collection) -> AbstractContextManager[TracePipe | None]:
    """What programs print; None where none does."""
    from purebpf.collection import trace_pipe

    return trace_pipe() if any(map(prints, collection.spec.programs.values())) else nullcontext()


def wait(pipe: TracePipe | None, rings: list[EventMap[Any]]) -> None:
    """Until something has come, for a tick at most."""
    from purebpf.lang.streaming import Waiter

    with Waiter(rings, [] if pipe is None else [pipe.fileno()]) as waiter:
        waiter.wait(TICK)


def news(pipe: TracePipe | None, rings: list[EventMap[Any]]) -> Iterator[tuple[EventMap[Any] | None, str]]:
    """Lines of what is there, those of events with their map."""
    for record in pipe.read(0) if pipe is not None else ():
        yield None, f"{record.task}-{record.pid} [{record.cpu:03}] {record.time:.6f}: {record.text}"
    for ring in rings:
        for event in ring.read(0):
            yield ring, f"{ring.name}: {event}"


class Lines:
    """Lines one after the other, for files and pipes."""

    def show(self, lines: list[tuple[EventMap[Any] | None, str]]) -> None:
        for _, line in lines:
            click.echo(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Screen(Lines):
    """The same on a terminal, with a table below that changes."""

    def __init__(self, collection: Collection, rings: list[EventMap[Any]]) -> None:
        from rich.console import Console
        from rich.live import Live

        hidden = [ring.losses for ring in rings if isinstance(ring, RingBuf)]
        self.maps = [
            map
            for map in collection.declarations
            if isinstance(map, KeyedMap) and not isinstance(map, Held) and map.max_entries <= SMALL and map not in hidden
        ]
        self.counts: dict[EventMap[Any], int] = dict.fromkeys(rings, 0)
        self.start = self.made = time.monotonic()
        self.before = dict(self.counts)
        self.console = Console(highlight=False)
        self.live = Live(self.table(1), console=self.console, auto_refresh=False)

    def show(self, lines: list[tuple[EventMap[Any] | None, str]]) -> None:
        """Print lines, and the table if it is old."""
        for ring, _ in lines:
            if ring is not None:
                self.counts[ring] += 1
        shown = [line for _, line in lines[:AT_A_TIME]]
        if len(lines) > AT_A_TIME:
            shown.append(f"... and {len(lines) - AT_A_TIME:,} more")
        if shown:
            self.console.print("\n".join(shown), markup=False, soft_wrap=True)
        now = time.monotonic()
        if now - self.made >= TICK:
            self.live.update(self.table(now - self.made), refresh=True)
            self.made, self.before = now, dict(self.counts)

    def table(self, seconds: float) -> Table:
        """How much came, by ring, and what is in the maps."""
        from rich.table import Table

        table = Table(title=f"{time.monotonic() - self.start:.0f} s", title_justify="left", show_header=False, box=None)
        for ring, count in self.counts.items():
            lost = ring.dropped if isinstance(ring, RingBuf) else ring.lost
            rate = (count - self.before[ring]) / seconds
            table.add_row(str(ring.name), f"{count:,} events", f"{rate:,.0f}/s", f"{lost:,} lost", style="red" if lost else "")
        for map in self.maps:
            found = list(entries(map).items())
            if all(isinstance(value, int) for _, value in found):
                found.sort(key=lambda entry: -entry[1])
            for key, value in found[:ROWS]:
                table.add_row(str(map.name), str(key), str(value))
            if len(found) > ROWS:
                table.add_row(str(map.name), f"... {len(found) - ROWS:,} more")
        return table

    def __enter__(self) -> Self:
        self.live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.live.update(self.table(1), refresh=True)
        self.live.stop()
