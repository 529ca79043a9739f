"""Compiled programs as data of numbers, texts and tuples, and back."""

from __future__ import annotations

from purebpf.compiler.loadable import Loadable
from purebpf.compiler.options import Options
from purebpf.isa.instruction import Instruction, SourceLine
from purebpf.kept.outside import Incomparable
from purebpf.spec import FunctionSpec, MapSpec, ProgramSpec
from purebpf.tables.enums import AttachType, MapType, ProgramType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from purebpf.lang.maps import MapDeclaration


def packed(made: Loadable, maps: list[MapDeclaration]) -> tuple[object, ...]:
    """`maps` are the declarations it may use; they stay outside, by their places there."""
    places = {id(declaration): place for place, declaration in enumerate(maps)}
    declared = []
    for name, declaration in made.declarations.items():
        if id(declaration) not in places:
            raise Incomparable(name)
        declared.append((name, places[id(declaration)], declaration.name))
    if any(spec.types is not None for name, spec in made.maps.items() if name not in made.declarations):
        raise Incomparable("types of a map")
    if made.program.types or made.program.relocations:
        raise Incomparable("types of functions")
    own = [_values(spec) for name, spec in made.maps.items() if name not in made.declarations]
    lines: dict[SourceLine, int] = {}
    instructions = []
    for i in made.program.instructions:
        line = -1 if i.source is None else lines.setdefault(i.source, len(lines))
        instructions.append((i.opcode, i.dst, i.src, i.offset, i.imm, i.symbol, line))
    p = made.program
    attach_type = None if p.attach_type is None else int(p.attach_type)
    functions = [(function.name, function.slot) for function in p.functions]
    program = p.name, p.license, p.section, attach_type, p.attach_to, p.flags, functions, p.stack, p.requires
    return program, instructions, [_values(line) for line in lines], declared, own, made.warnings, _values(made.options)


def _values(data: Any) -> tuple[object, ...]:
    """The fields; numbers of the kernel's enumerations as numbers."""
    values = (getattr(data, name) for name in data.__match_args__)
    return tuple(int(value) if isinstance(value, MapType) else value for value in values)


def unpacked(plain: Any, type: ProgramType, maps: list[MapDeclaration]) -> Loadable:
    """The program again, with the declarations at their places in `maps`. Raises Incomparable when one has another name now."""
    (name, license, section, attach_type, attach_to, flags, functions, stack, requires), *rest = plain
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
        specs[map_name] = MapSpec(map_name, MapType(number), *sizes)
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
    )
    return Loadable(program, specs, declarations, list(warnings), Options(*options))
