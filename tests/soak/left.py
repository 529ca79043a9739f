"""What there is now of what must not grow: descriptors, memory, and what is in the kernel of the soak's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.info import link_info, map_info, program_info
from purebpf.kernel.link.query import query
from purebpf.kernel.objects.ids import ids, open_id
from purebpf.tables.enums import AttachType
from purebpf.tables.since import has
from tests.soak.kinds import Place

Info = TypeVar("Info")
OURS = "soak"
"""How the names of the soak's programs and maps begin; other processes have some of other names."""


@dataclass(frozen=True, slots=True)
class Left:
    """`attached` are programs at the hooks of the soak's interfaces and cgroup. `kib` is resident memory."""

    descriptors: int
    programs: int
    maps: int
    links: int
    attached: int
    events: int
    kib: int

    @property
    def objects(self) -> int:
        """What is in the kernel of the soak's own, which frees some of it later than it is closed."""
        return self.programs + self.maps + self.links

    def same(self, other: Left) -> bool:
        """All but memory, which is judged by its growth."""
        return self.counts() == other.counts()

    def counts(self) -> tuple[int, ...]:
        return (self.descriptors, self.programs, self.maps, self.links, self.attached, self.events)

    def __str__(self) -> str:
        return (
            f"{self.descriptors} descriptors, {self.programs} programs, {self.maps} maps, {self.links} links, "
            f"{self.attached} attached, {self.events} events in tracefs, {self.kib} KiB of memory"
        )


def left(place: Place) -> Left:
    programs = {info.id for info in described("program", program_info) if info.name.startswith(OURS)}
    return Left(
        descriptors=len(os.listdir("/proc/self/fd")),
        programs=len(programs),
        maps=sum(info.name.startswith(OURS) for info in described("map", map_info)),
        links=sum(info.program_id in programs for info in described("link", link_info)),
        attached=attached(place),
        events=events(),
        kib=resident(),
    )


def described(kind: str, info: Callable[[Descriptor], Info]) -> Iterator[Info]:
    """What the kernel tells of each object of a kind that there is now."""
    for number in ids(kind):
        if (found := open_id(kind, number)) is not None:
            with found:
                yield info(found)


def attached(place: Place) -> int:
    """Programs at the hooks of the interface and of the cgroup, and routes with a program."""
    version = os.uname().release
    cgroup = [hook for hook in AttachType if hook.name.startswith("CGROUP_") and has(version, hook)]
    count = sum(len(query(hook, cgroup=place.cgroup).programs) for hook in cgroup)
    if kernel_version() >= (6, 6):
        both = (AttachType.TCX_INGRESS, AttachType.TCX_EGRESS)
        count += sum(len(query(hook, interface=place.interface).programs) for hook in both)
    said = [["ip", "-d", "link", "show", place.interface], ["ip", "route"]]
    said += [["tc", "filter", "show", "dev", place.interface, direction] for direction in ("ingress", "egress")]
    for command in said:
        text = subprocess.run(command, capture_output=True, text=True).stdout
        count += text.count("prog/xdp") + text.count("encap bpf") + text.count("direct-action")
    return count


def events() -> int:
    """Probes of purebpf in tracefs that this process made."""
    found = 0
    for name in ("kprobe_events", "uprobe_events"):
        for folder in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing"):
            path = Path(folder) / name
            try:
                found += sum(f"_{os.getpid()}_" in line for line in path.read_text().splitlines())
                break
            except OSError:
                continue
    return found


def resident() -> int:
    """KiB of this process's memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") >> 10
