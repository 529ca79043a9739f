"""Objects of other compilers that are read and written again: libbpf finds the same in both, and so does the reader."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import purebpf as bpf
from purebpf.data import replace
from purebpf.elf.writing.write import object_bytes
from purebpf.errors import Error
from purebpf.isa.instruction import SourceLine
from purebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from tests.elf import corpus, libbpf, ours

NO_PLACE = {  # what an object file cannot say: pins elsewhere, functions of other files
    "iproute2_map_compat": "is pinned at",
    "fwd_decl": "not defined here: link",
}


@cache
def objects() -> dict[str, Path]:
    found = dict(corpus.everything())
    if not found:
        pytest.skip("there is no object to read: neither clang nor Debian's packages are to be had")
    return found


@cache
def written() -> list[tuple[str, Path, CollectionSpec, bytes]]:
    """(name, file, what is in it, the bytes of the object that is written of it), of all that have a place in one."""
    found = []
    for name, path in objects().items():
        spec = ours.read(path)
        if isinstance(spec, str):  # what the reader refuses is for its own tests
            continue
        try:
            found.append((name, path, spec, object_bytes(spec)))
        except Error as error:
            known = next((said for part, said in NO_PLACE.items() if part in name), None)
            assert known and known in str(error), f"{name}: {error}"
    return found


@pytest.mark.kernel
def test_libbpf_finds_the_same() -> None:
    """Maps, programs, sections, and every relocated instruction: maps as zero, subprograms appended, CO-RE answered."""
    with TemporaryDirectory() as folder:
        pairs = {}
        for name, path, _, raw in written():
            copy = Path(folder) / name / path.name  # libbpf names maps after the file
            copy.parent.mkdir()
            copy.write_bytes(raw)
            pairs[name] = path, copy
        try:
            judged = libbpf.judged([path for pair in pairs.values() for path in pair])
        except corpus.Missing as missing:
            pytest.skip(str(missing))
        compared = 0
        for name, (path, copy) in pairs.items():
            before, after = judged[path], judged[copy]
            if before.refused:  # old forms of maps that libbpf gave up; we write the new one
                continue
            assert not after.refused, f"{name}: {after.said}"
            assert after.maps == before.maps, name
            assert after.programs.keys() == before.programs.keys(), name
            for program, one in before.programs.items():
                other = after.programs[program]
                assert replace(other, said="") == replace(one, said=""), f"{name}: {program}"
                compared += bool(one.code)
        assert compared > 150, compared


def plain_map(spec: MapSpec) -> MapSpec:
    """Without numbers of types, which are others."""
    inner = plain_map(spec.inner) if spec.inner is not None else None
    return replace(spec, types=None, inner=inner)


def plain_lines(spec: ProgramSpec) -> list[tuple[str, int, int, str] | None]:
    def line(source: SourceLine | None) -> tuple[str, int, int, str] | None:
        return source and (Path(source.file).name, source.line, source.column, source.text.rstrip())

    return [line(instruction.source) for instruction in spec.instructions]


def same_programs(before: CollectionSpec, after: CollectionSpec) -> int:
    assert after.programs.keys() == before.programs.keys()
    for name, one in before.programs.items():
        other = after.programs[name]
        left = [replace(i, symbol=None) if i.slots == 1 or i.src == 4 else i for i in one.instructions]
        right = [replace(i, symbol=None) if i.slots == 1 or i.src == 4 else i for i in other.instructions]
        assert right == left, name  # functions may be called otherwise
        assert plain_lines(other) == plain_lines(one), name
        assert [f.slot for f in other.functions] == [f.slot for f in one.functions], name
        asked = [sorted((r.slot, r.kind, r.access) for r in spec.relocations) for spec in (one, other)]
        assert asked[0] == asked[1], name
        assert [replace(e, type=0) for e in other.externs] == [replace(e, type=0) for e in one.externs], name
        for field in ("type", "license", "section", "attach_type", "attach_to", "flags", "optional"):
            assert getattr(other, field) == getattr(one, field), (name, field)
    return len(before.programs)


def places(spec: CollectionSpec) -> list[tuple[str, int, int, bool]]:
    return sorted((v.map, v.offset, v.size, v.weak) for v in spec.variables.values())


def test_the_reader_finds_the_same() -> None:
    programs = maps = 0
    for name, _, spec, raw in written():
        again = bpf.load_object(raw)
        programs += same_programs(spec, again)
        assert {n: plain_map(m) for n, m in again.maps.items()} == {n: plain_map(m) for n, m in spec.maps.items()}, name
        assert places(spec) == places(again), name
        alone = {n for n, v in spec.variables.items() if n == v.name}  # not those that share a name
        assert alone <= set(again.variables), name
        maps += len(spec.maps)
        types = [sum(1 for each in s.variables.values() if each.type) for s in (spec, again)]
        assert types[0] == types[1], name
    assert programs > 150 and maps > 100, (programs, maps)


def test_the_other_byte_order() -> None:
    try:
        found = corpus.compiled(corpus.big())
    except corpus.Missing as missing:
        pytest.skip(str(missing))
    programs = 0
    for path in found.values():
        try:
            spec = bpf.load_object(path)
        except Error:
            continue
        again = bpf.load_object(object_bytes(spec))
        assert again.byte_order == "big"
        programs += same_programs(spec, again)
    assert programs > 50
