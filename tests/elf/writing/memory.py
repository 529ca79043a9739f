"""Maps as they are in an object: several that programs use as memory lie in one section there."""

from __future__ import annotations

from collections.abc import Mapping

from purebpf.data import replace
from purebpf.elf.writing.data import places
from purebpf.elf.writing.image import c_name
from purebpf.isa.instruction import Instruction
from purebpf.spec import CollectionSpec, MapSpec

KEY = bytes(4)


def in_sections(spec: CollectionSpec) -> CollectionSpec:
    """The spec as its object has it: with a map for each section."""
    placed = places(spec)

    def moved(instruction: Instruction) -> Instruction:
        section, start = placed.get(instruction.symbol or "", ("", 0))
        if not section or instruction.slots == 1:
            return instruction
        return replace(instruction, symbol=section, imm=instruction.imm + (start << 32))

    programs = {
        name: replace(program, instructions=tuple(map(moved, program.instructions))) for name, program in spec.programs.items()
    }
    maps = {name: map for name, map in spec.maps.items() if name not in placed}
    filled = joined(spec, {name: dict(map.contents) for name, map in spec.maps.items()})
    for section, value in filled.items():
        first = next(spec.maps[name] for name, (where, _) in placed.items() if where == section)
        maps[section] = MapSpec(section, first.type, 4, len(value), 1, contents=((KEY, value),), frozen=first.frozen)
    return replace(spec, programs=programs, maps=maps)


def joined(spec: CollectionSpec, values: Mapping[str, Mapping[bytes, bytes]]) -> dict[str, bytes]:
    """What is in the sections; `values` are what is in the maps."""
    found: dict[str, bytearray] = {}
    for name, (section, start) in places(spec).items():
        content = found.setdefault(section, bytearray())
        content += bytes(start - len(content)) + values.get(name, {}).get(KEY, bytes(spec.maps[name].value_size))
    return {section: bytes(content) for section, content in found.items()}


def as_written(spec: CollectionSpec, values: Mapping[str, Mapping[bytes, bytes]]) -> dict[str, dict[str, str]]:
    """What is in maps, in hex, by the names that they have in the object; of data sections those that can be written."""
    placed = places(spec)
    frozen = {placed[name][0] for name, map in spec.maps.items() if map.frozen and name in placed}
    plain = {
        c_name(name): {key.hex(): value.hex() for key, value in held.items()}
        for name, held in values.items()
        if name not in placed
    }
    data = {name: {KEY.hex(): value.hex()} for name, value in joined(spec, values).items() if name not in frozen}
    return plain | data
