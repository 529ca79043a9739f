"""Compiled programs as data of numbers, texts and tuples, and back."""

from __future__ import annotations

from enum import IntEnum

from purebpf.compiler.loadable import Loadable
from purebpf.compiler.options import Options
from purebpf.isa.instruction import Instruction, SourceLine
from purebpf.kept.outside import Incomparable
from purebpf.spec import FunctionSpec, MapSpec, ProgramSpec
from purebpf.tables.enums import AttachType, MapType, ProgramType

TYPE = "a type"  # before what stands for one
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from purebpf.btf.relocation import CoreRelocation
    from purebpf.lang.maps import MapDeclaration


def packed(made: Loadable, maps: list[MapDeclaration]) -> tuple[object, ...]:
    """`maps` are the declarations it may use; they stay outside, by their places there."""
    places = {id(declaration): place for place, declaration in enumerate(maps)}
    declared = []
    for name, declaration in made.declarations.items():
        if id(declaration) not in places:
            raise Incomparable(name)
        declared.append((name, places[id(declaration)], declaration.name))
    own = [_values(spec) for name, spec in made.maps.items() if name not in made.declarations]
    lines: dict[SourceLine, int] = {}
    instructions = []
    for i in made.program.instructions:
        line = -1 if i.source is None else lines.setdefault(i.source, len(lines))
        instructions.append((i.opcode, i.dst, i.src, i.offset, i.imm, i.symbol, line))
    p = made.program
    attach_type = None if p.attach_type is None else int(p.attach_type)
    functions = [_values(function) for function in p.functions]
    types, asked = [_plain(type) for type in p.types], [_values(relocation) for relocation in p.relocations]
    first = p.name, p.license, p.section, attach_type, p.attach_to, p.flags
    program = *first, functions, p.stack, p.requires, types, asked, p.types_of
    return program, instructions, [_values(line) for line in lines], declared, own, made.warnings, _values(made.options)


def _values(data: Any) -> tuple[object, ...]:
    """The fields as plain data."""
    return tuple(_plain(getattr(data, name)) for name in data.__match_args__)


def _plain(value: Any) -> object:
    """Numbers of enumerations as numbers, types of BTF as their class's name and fields."""
    if isinstance(value, IntEnum):
        return int(value)
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return (TYPE, type(value).__name__, _values(value)) if hasattr(value, "__match_args__") else value


def _built(plain: Any) -> Any:
    """The other way."""
    if not isinstance(plain, tuple):
        return plain
    if plain[:1] != (TYPE,):
        return tuple(map(_built, plain))
    from purebpf import spec
    from purebpf.btf import types

    _, name, values = plain
    return (getattr(types, name, None) or getattr(spec, name))(*map(_built, values))


def _relocation(plain: tuple[int, int, int, str]) -> CoreRelocation:
    from purebpf.btf.relocation import CoreKind, CoreRelocation

    slot, kind, type, access = plain
    return CoreRelocation(slot, CoreKind(kind), type, access)


def unpacked(plain: Any, type: ProgramType, maps: list[MapDeclaration]) -> Loadable:
    """The program again, with the declarations at their places in `maps`. Raises Incomparable when one has another name now."""
    (name, license, section, attach_type, attach_to, flags, functions, stack, requires, types, asked, types_of), *rest = plain
    instructions, texts, declared, own, warnings, options = rest
    lines = [*(SourceLine(*text) for text in texts), None]  # -1 is none
    declarations = {}
    for map_name, place, named in declared:
        if maps[place].name not in (None, named):  # another program met it under another name
            raise Incomparable(named)
        declarations[map_name] = maps[place]
        maps[place].name = named
    specs = {map_name: declaration.describe(map_name) for map_name, declaration in declarations.items()}
    for map_name, number, *sizes in own:
        specs[map_name] = MapSpec(map_name, MapType(number), *map(_built, sizes))
    program = ProgramSpec(
        name=name,
        type=type,
        instructions=tuple(
            Instruction(opcode, dst, src, offset, imm, symbol, lines[line])
            for opcode, dst, src, offset, imm, symbol, line in instructions
        ),
        license=license,
        section=section,
        attach_type=None if attach_type is None else AttachType(attach_type),
        attach_to=attach_to,
        flags=flags,
        functions=tuple(FunctionSpec(*function) for function in functions),
        stack=stack,
        requires=tuple(requires),
        types=tuple(map(_built, types)),
        relocations=tuple(map(_relocation, asked)),
        types_of=types_of,
    )
    return Loadable(program, specs, declarations, list(warnings), Options(*options))
