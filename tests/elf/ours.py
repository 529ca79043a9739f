"""What purebpf makes of object files, in the words of `tests/elf/libbpf.py`, so that both can be compared."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import purebpf as bpf
from purebpf.cli import object
from purebpf.data import replace
from purebpf.elf.names import map_name
from purebpf.errors import Error
from purebpf.spec import CollectionSpec, MapSpec
from tests.elf.libbpf import Judged, Map, Program


@cache
def read(path: Path) -> CollectionSpec | str:
    """The object, or why it is refused."""
    try:
        return bpf.load_object(path)
    except Error as error:
        return str(error)


def of(path: Path) -> Judged:
    """The object as libbpf would tell it, as far as it can be told without loading it."""
    spec = read(path)
    if isinstance(spec, str):
        return Judged(refused=1, said=spec)
    found = Judged(maps={map_name(spec.name, name): as_map(each) for name, each in spec.maps.items()})
    for name, program in spec.programs.items():
        own = program.functions[1].slot if len(program.functions) > 1 else program.slots
        attach = int(program.attach_type or 0)
        found.programs[name] = Program(program.section, int(program.type), attach, own, not program.optional)
    return found


def asks_for_types(path: Path) -> bool:
    """Whether a program of the object has CO-RE relocations."""
    spec = read(path)
    return not isinstance(spec, str) and any(program.relocations for program in spec.programs.values())


@cache
def relocated(path: Path) -> dict[str, str]:
    """Each program's instructions for this kernel in hexadecimal, or why there are none."""
    spec = read(path)
    assert not isinstance(spec, str)
    return {name: str(code) if isinstance(code, Error) else code[1].hex() for name, code in object.relocated(spec)}


def loaded(path: Path, wanted: list[str]) -> dict[str, str]:
    """Why programs of an object do not load, in one line each, "" for those that do; nothing is pinned."""
    spec = read(path)
    assert not isinstance(spec, str)
    maps = {name: replace(each, pin="") for name, each in spec.maps.items()}
    return dict.fromkeys(wanted, "") | object.refusals(replace(spec, maps=maps), wanted)


def compared(theirs: str, mine: str) -> str:
    """Two programs in words: the slots in which they differ."""
    if len(theirs) != len(mine) or not re.fullmatch("[0-9a-f]*", mine):
        return f"libbpf: {len(theirs) // 16} slots, purebpf: {len(mine) // 16} slots, or {mine[:300]!r}"
    slots = [at for at in range(0, len(theirs), 16) if theirs[at : at + 16] != mine[at : at + 16]]
    return ", ".join(f"{at // 16}: libbpf {theirs[at : at + 16]}, purebpf {mine[at : at + 16]}" for at in slots[:6])


def as_map(spec: MapSpec) -> Map:
    inner = spec.inner
    within = (int(inner.type), inner.key_size, inner.value_size, inner.max_entries, inner.flags) if inner else ()
    return Map(int(spec.type), spec.key_size, spec.value_size, spec.max_entries, spec.flags, spec.extra, within)


def without_level(name: str) -> str:
    """`kfuncs` of `kfuncs-bpf-v3` and the other levels."""
    return re.sub(r"-(bpf-|bpfeb-)?v\d(-without-btf)?$", "", name)
