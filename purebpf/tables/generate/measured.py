"""The record of a measurement: written as a table of text, read again, and records of several kernels merged into one.

`facts/measured-*.tsv` are such records. One kernel rarely can be asked everything: a policy may refuse program types, an option
may be switched off. What one kernel allows counts; where two differ in an argument, the first record given decides.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from purebpf.tables.enums import AttachType, MapType, ProgramType
from purebpf.tables.generate import arguments, permissions
from purebpf.tables.generate.kernel import Kernel
from purebpf.tables.generate.kernelbtf import KernelBtf
from purebpf.tables.generate.signatures import draft
from purebpf.tables.generate.targets import ATTACH, targets
from purebpf.tables.generate.uapi import Prototype

FACTS = Path(__file__).resolve().parent / "facts"
LETTERS = {"g": "gpl_only", "s": "sleeps", "h": "hooks", "i": "invalidates_packet"}


@dataclass(slots=True)
class Record:
    """Of one helper. `allowed[type]` are the attach types asked with a yes; `None` among them stands for "no attach type"."""

    letters: set[str] = field(default_factory=set)
    flags: tuple[frozenset[str] | None, ...] = ()
    maps: set[MapType] = field(default_factory=set)
    allowed: dict[ProgramType, set[str]] = field(default_factory=dict)


def measure(prototypes: Sequence[Prototype]) -> str:
    """Ask the running kernel; the text of a record. Raises OSError where bpf(2) is not permitted."""
    btf = KernelBtf()
    kernel = Kernel(btf)
    ways = targets(btf)
    allowed = permissions.measure(kernel, ways, [prototype.id for prototype in prototypes])
    release = os.uname().release.partition("-")[0].partition("+")[0]
    lines = [
        f"# Measured on Linux {release} {os.uname().machine} by `python -m purebpf.tables.generate --measure`.",
        "# helper; letters: g GPL only, s may sleep, h some hooks only, i packet pointers are void; for each argument what is",
        "# true of it (? not measured); map types; programs that may call it",
    ]
    lines += [f"refused\t{name}\t{reason}" for name, reason in allowed.refused.items()]
    with arguments.Bench(kernel, btf) as bench:
        for prototype in prototypes:
            names = [name for name, ids in allowed.allowed.items() if prototype.id in ids]
            found = arguments.measure(bench, prototype.id, draft(prototype), {name: ways[name] for name in names})
            sets = {
                "g": allowed.gpl,
                "s": allowed.sleeps,
                "h": allowed.hooks,
                "i": {prototype.id} if found.invalidates else set(),
            }
            letters = "".join(letter for letter, ids in sets.items() if prototype.id in ids)
            flags = " ".join("?" if each is None else ",".join(sorted(each)) or "-" for each in found.flags)
            maps = " ".join(MapType(type).name for type in sorted(found.maps))
            lines.append("\t".join((prototype.name, letters, flags, maps, " ".join(_grouped(names)))))
    return "\n".join(lines) + "\n"


def _grouped(names: list[str]) -> list[str]:
    """["XDP/XDP", "XDP/XDP_DEVMAP", ...] as "XDP" where all attach types are there, else as "XDP/XDP+XDP_DEVMAP"."""
    by_type: dict[str, list[str]] = {}
    for name in names:
        type, _, attach = name.partition("/")
        by_type.setdefault(type, []).append(attach)
    return [
        type if len(attach) == len(ATTACH.get(ProgramType[type], ("",))) else f"{type}/{'+'.join(attach)}"
        for type, attach in by_type.items()
    ]


def read(path: Path) -> dict[str, Record]:
    """A record by helper name."""
    found = {}
    for line in path.read_text().splitlines():
        if line.startswith(("#", "refused\t")):
            continue
        name, letters, flags, maps, programs = line.split("\t")
        record = Record(set(letters), maps={MapType[map] for map in maps.split()})
        record.flags = tuple(None if each == "?" else frozenset(each.split(",")) - {"-"} for each in flags.split())
        for program in programs.split():
            type, _, attach = program.partition("/")
            every = ATTACH.get(ProgramType[type], ("",))
            record.allowed[ProgramType[type]] = set(attach.split("+")) if attach else set(every)
        found[name] = record
    return found


def merge(records: Sequence[dict[str, Record]]) -> dict[str, Record]:
    """All records as one; the first decides about arguments it has measured."""
    merged: dict[str, Record] = {}
    for each in records:
        for name, record in each.items():
            into = merged.setdefault(name, Record(flags=record.flags))
            into.letters |= record.letters
            into.maps |= record.maps
            pairs = zip(into.flags, record.flags, strict=True)
            into.flags = tuple(theirs if ours is None else ours for ours, theirs in pairs)
            for type, attach in record.allowed.items():
                into.allowed.setdefault(type, set()).update(attach)
    return merged


def partial(record: Record) -> dict[ProgramType, list[AttachType]]:
    """The program types of which only programs for some attach types may call it, with these."""
    found = {}
    for type, attach in record.allowed.items():
        if attach != set(ATTACH.get(type, ("",))):
            found[type] = sorted(AttachType[name] for name in attach if name)
    return found


def records() -> list[Path]:
    """The committed records, the newest kernel first."""
    return sorted(FACTS.glob("measured-*.tsv"), key=version, reverse=True)


def version(path: Path) -> tuple[int, ...]:
    """Of the kernel that a record is of."""
    return tuple(int(part) for part in path.stem.removeprefix("measured-").split("."))
