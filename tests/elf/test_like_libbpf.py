"""Objects are to us what they are to libbpf: the same programs and maps, and the same instructions for this kernel.

Where we differ, `EXPLAINED` says why; a difference that is not there any more has to leave that list.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from purebpf.btf.reader import Btf
from purebpf.isa.codec import encode
from purebpf.relocate import relocated
from tests.elf import corpus, libbpf, ours
from tests.elf.explained import EXPLAINED, Difference
from tests.elf.libbpf import Judged

pytestmark = pytest.mark.kernel


@dataclass(frozen=True, slots=True)
class Object:
    name: str
    path: Path
    theirs: Judged
    mine: Judged


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    """Everything that can be had here, judged by libbpf and by us."""
    try:
        found = dict(corpus.everything())
        judged = libbpf.judged(found.values())
    except corpus.Missing as missing:
        pytest.skip(str(missing))
    if not found:
        pytest.skip("there is neither a clang nor Debian's packages")
    others = [name for name in found if name.endswith("-eb.elf")]  # of the other byte order: libbpf reads none of them
    assert all(judged[found.pop(name)].refused for name in others)
    return [Object(name, path, judged[path], ours.of(path)) for name, path in found.items()]


@pytest.fixture(scope="module")
def both(objects: list[Object]) -> list[Object]:
    """Those that both of us read."""
    return [each for each in objects if not each.theirs.refused and not each.mine.refused]


def expect(aspect: str, found: Iterator[tuple[str, str, str]], there: list[Object]) -> None:
    """The differences of an aspect, as (object, what, text), are those that are explained."""
    seen: dict[Difference, str] = {}
    for name, what, text in found:
        seen.setdefault(Difference(ours.without_level(name), aspect, what), f"{name}: {what}: {text}")
    sources = {ours.without_level(each.name) for each in there}
    known = {each for each in EXPLAINED if each.aspect == aspect and each.object in sources}
    unexplained = [text for difference, text in seen.items() if difference not in known]
    assert not unexplained, "\n".join(unexplained)
    assert not known - seen.keys(), f"no difference any more: {known - seen.keys()}"


def test_there_are_a_hundred_objects(objects: list[Object]) -> None:
    if not any(each.name.endswith("-v3") for each in objects):
        pytest.skip("without clang there are only Debian's")
    assert sum(not each.theirs.refused for each in objects) >= 100


def test_the_same_objects_are_read(objects: list[Object]) -> None:
    def refusals() -> Iterator[tuple[str, str, str]]:
        for each in objects:
            if bool(each.theirs.refused) != bool(each.mine.refused):
                who = "libbpf" if each.theirs.refused else "purebpf"
                yield each.name, who, each.theirs.said or each.mine.said

    expect("refused by", refusals(), objects)


def test_the_other_byte_order_makes_no_difference() -> None:
    """Objects that there are in both have the same maps and programs; libbpf reads one of them only."""
    there, names = dict(corpus.everything()), {}
    with suppress(corpus.Missing):
        there |= corpus.compiled(corpus.big())
    for name in there:
        if name.endswith("-eb.elf") or "-bpfeb-" in name:
            names[name] = name.replace("-eb.elf", "-el.elf").replace("-bpfeb-", "-bpf-")
    if not names:
        pytest.skip("there is neither a clang nor Debian's packages")
    for name, twin in names.items():
        if twin in there:
            mine, its = ours.of(there[name]), ours.of(there[twin])
            for program in (*mine.programs.values(), *its.programs.values()):
                program.slots = 0  # bit fields and byte swaps take more in one of them
            assert (mine.maps, mine.programs, bool(mine.refused)) == (its.maps, its.programs, bool(its.refused)), name


def test_maps_are_the_same(both: list[Object]) -> None:
    def maps() -> Iterator[tuple[str, str, str]]:
        for each in both:
            for name in dict.fromkeys([*each.theirs.maps, *each.mine.maps]):
                theirs, mine = each.theirs.maps.get(name), each.mine.maps.get(name)
                if theirs != mine:
                    yield each.name, name, f"libbpf: {theirs}, purebpf: {mine}"

    expect("map", maps(), both)


def test_programs_are_the_same(both: list[Object]) -> None:
    def programs() -> Iterator[tuple[str, str, str]]:
        for each in both:
            for name in dict.fromkeys([*each.theirs.programs, *each.mine.programs]):
                theirs, mine = (side.programs.get(name) for side in (each.theirs, each.mine))
                if theirs is None or mine is None:
                    yield each.name, name, "purebpf has it only" if theirs is None else "libbpf has it only"
                    continue
                for field in ("section", "type", "attach_type", "slots", "autoload"):
                    if getattr(theirs, field) != getattr(mine, field):
                        text = f"libbpf: {getattr(theirs, field)}, purebpf: {getattr(mine, field)}"
                        yield each.name, f"{name}.{field}", text

    expect("program", programs(), both)


def test_instructions_for_this_kernel_are_the_same(both: list[Object]) -> None:
    """All programs of all objects, with the functions they call, to the byte; descriptors are zero."""
    compared = 0

    def codes() -> Iterator[tuple[str, str, str]]:
        nonlocal compared
        for each in both:
            mine = ours.relocated(each.path)
            for name, program in each.theirs.programs.items():
                if not program.code or name not in each.mine.programs:
                    continue
                compared += 1
                if mine[name] != program.code:
                    yield each.name, name, ours.compared(program.code, mine[name])

    expect("code", codes(), both)
    assert compared > 2 * len(both) - 50


def test_instructions_for_another_kernel_are_the_same(objects: list[Object], tmp_path: Path) -> None:
    """CO-RE for the types of the kernel that cilium/ebpf's package has."""
    try:
        corpus.debian()
    except corpus.Missing as missing:
        pytest.skip(str(missing))
    (packed,) = (corpus.folder() / "debian").rglob("vmlinux.btf.gz")
    path = tmp_path / "vmlinux"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    target, differ, compared = Btf(path.read_bytes()), [], 0
    asking = {each.path: each.name for each in objects if ours.asks_for_types(each.path)}
    for there, judged in libbpf.judged(asking, path).items():
        for name, program in ours.read(there).programs.items():
            theirs = judged.programs[name].code if name in judged.programs else ""
            if theirs and program.relocations and not program.externs:
                mine = encode(relocated(program, [target]), sys.byteorder).hex()
                compared += 1
                if mine != theirs:
                    differ.append(f"{asking[there]}: {name}: {ours.compared(theirs, mine)}")
    assert not differ, "\n".join(differ)
    assert compared > 20


def test_what_libbpf_loads_we_load(both: list[Object]) -> None:
    loaded = 0

    def refusals() -> Iterator[tuple[str, str, str]]:
        nonlocal loaded
        for each in both:
            wanted = [name for name, program in each.theirs.programs.items() if not program.error]
            for name, why in ours.loaded(each.path, wanted).items() if wanted else ():
                loaded += not why
                if why:
                    yield each.name, name, why

    expect("loads", refusals(), both)
    assert loaded > len(both)
