"""libbpf sees in our linked objects what it sees in those of its own linker, and what it saw in the single ones: programs,
sections, types, maps, and every relocated instruction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from purebpf import Error, link_objects
from tests.elf import corpus, libbpf
from tests.elf.libbpf import Judged
from tests.elf.linking.kit import by_bpftool, needs_bpftool

EVERY = 19  # of all pairs of sources; the others are tried by hand
WITH_VARIABLES = {"enters", "exits"}  # of the kernel, whose addresses kernels without KALLSYMS_ALL do not tell
POINTERS = "relocation against STT_SECTION in non-exec section"  # pointers to static data, which libbpf 1.1 does not link


@pytest.fixture(scope="module")
def own() -> dict[str, Path]:
    try:
        libbpf.dumper()
        return corpus.compiled([build for build in corpus.own() if build.level == 3])
    except corpus.Missing as missing:
        pytest.skip(str(missing))


def seen(path: Path, judged: dict[Path, Judged]) -> tuple[object, ...]:
    """What libbpf found, without what it said: messages name files."""
    found = judged[path]
    programs = {
        name: (each.section, each.type, each.attach_type, each.slots, each.autoload, each.code, each.error)
        for name, each in found.programs.items()
    }
    return found.refused, found.maps, programs


def compared(pairs: list[tuple[Path, Path]]) -> int:
    """Assert that libbpf sees the same in both; how many programs that were."""
    judged = libbpf.judged(path for pair in pairs for path in pair)
    for ours, theirs in pairs:
        assert seen(ours, judged) == seen(theirs, judged), f"{ours} and {theirs}"
    return sum(len(judged[ours].programs) for ours, _ in pairs)


def linked(folder: Path, paths: Sequence[Path]) -> tuple[Path, str]:
    """The objects linked by ours, and why they are not."""
    ours = folder / "ours.o"
    try:
        ours.write_bytes(link_objects(paths))
    except Error as error:
        return ours, str(error)
    return ours, ""


def alone(folder: Path, paths: dict[str, Path]) -> list[tuple[Path, Path]]:
    """Each object linked with nothing: (ours, it)."""
    found = []
    for number, path in enumerate(paths.values()):
        ours = folder / str(number) / path.name
        ours.parent.mkdir()
        ours.write_bytes(link_objects([path]))
        assert link_objects([ours]) == ours.read_bytes(), "linking again changes it"
        found.append((ours, path))
    return found


def test_an_object_linked_with_nothing_is_what_it_was(tmp_path: Path, own: dict[str, Path]) -> None:
    assert compared(alone(tmp_path, own)) > 100


def test_debian_s_objects_linked_with_nothing_are_what_they_were(tmp_path: Path, own: dict[str, Path]) -> None:
    try:
        objects = corpus.debian()
    except corpus.Missing as missing:
        pytest.skip(str(missing))
    assert compared(alone(tmp_path, objects)) > 25


@needs_bpftool
def test_two_sources_linked_are_what_bpftool_makes_of_them(tmp_path: Path, own: dict[str, Path]) -> None:
    both, refused = [], 0
    for number, paths in enumerate(list(combinations(own.values(), 2))[::EVERY]):
        folder = tmp_path / str(number)
        folder.mkdir()
        ours, why = linked(folder, paths)
        try:
            theirs = by_bpftool(folder, list(paths))
        except CalledProcessError as error:
            assert why or POINTERS in error.stderr.decode(), [str(path) for path in paths]
            refused += 1
        else:
            assert not why, why
            both.append((ours, theirs))
    assert compared(both) > 100 and refused < len(both) / 4


@needs_bpftool
@pytest.mark.parametrize("about", [each for each in corpus.PARTNERS if each not in corpus.BY_US_ALONE])
@pytest.mark.parametrize("level", corpus.LEVELS)
def test_sources_that_need_each_other(tmp_path: Path, own: dict[str, Path], level: int, about: str) -> None:
    halves = corpus.halves(level)[about]
    ours, why = linked(tmp_path, halves)
    assert not why
    assert compared([(ours, by_bpftool(tmp_path, halves))])


@needs_bpftool
def test_as_many_as_have_names_of_their_own(tmp_path: Path, own: dict[str, Path]) -> None:
    """A large object of many: those whose programs all load, so that those of the large one do."""
    parts: list[Path] = []
    judged = libbpf.judged(own.values())
    for name, path in own.items():
        loads = not judged[path].refused and not any(program.error for program in judged[path].programs.values())
        if loads and not name.startswith("strings-") and not linked(tmp_path, [*parts, path])[1]:
            parts.append(path)
    ours, why = linked(tmp_path, parts)
    assert not why and len(parts) > 10
    assert compared([(ours, by_bpftool(tmp_path, parts))]) > 20
    assert all(program.code and not program.error for program in libbpf.judged([ours])[ours].programs.values())


def test_sources_that_need_each_other_load(own: dict[str, Path]) -> None:
    objects = corpus.linked_by_us()
    assert len(objects) == len(corpus.LEVELS) * len(corpus.PARTNERS)
    judged = libbpf.judged(objects.values())
    for name, path in objects.items():
        errors = {program for program, each in judged[path].programs.items() if each.error}
        assert not judged[path].refused and judged[path].programs and not errors - WITH_VARIABLES, name
