"""Collection specs as text: compiled here, loaded elsewhere, with all that a loader needs to know of them.

The text is JSON, the same for equal specs. It holds all of a spec, CO-RE relocations and the types they speak of among it, so
the kernel that loads a program is asked where its fields lie. Of source files it has only the names, without their folders.
It is purebpf's own form; nothing else reads it.
"""

from __future__ import annotations

import os
from enum import IntEnum

from purebpf.btf import relocation, types
from purebpf.data import replace
from purebpf.errors import Error
from purebpf.isa.codec import decode, encode
from purebpf.isa.instruction import Instruction, SourceLine
from purebpf.spec import (
    CollectionSpec,
    ExternKind,
    ExternSpec,
    FunctionSpec,
    MapSpec,
    MapTypes,
    ProgramSpec,
    VariableSpec,
)
from purebpf.tables import enums

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORM = 1  # of the text; a change that old readers cannot read makes it another
PARTS = (ExternSpec, FunctionSpec, MapSpec, MapTypes, ProgramSpec, VariableSpec, SourceLine, relocation.CoreRelocation)
OF_TYPES = (*types.CLASSES, types.Member, types.Parameter, types.Section)
CLASSES: dict[str, Any] = {one.__name__: one for one in (*PARTS, *OF_TYPES)}
ENUMS: tuple[type[IntEnum], ...] = (
    enums.ProgramType,
    enums.MapType,
    enums.AttachType,
    relocation.CoreKind,
    types.Linkage,
    ExternKind,
)
NAMED_ENUMS = {one.__name__: one for one in ENUMS}


def dumps(spec: CollectionSpec) -> str:
    """The spec as text."""
    import json  # here, since `packed.py` needs none

    plain = {
        "purebpf": FORM,
        "programs": {name: _program(program) for name, program in spec.programs.items()},
        "maps": {name: _plain(map) for name, map in spec.maps.items()},
        "variables": {name: _plain(variable) for name, variable in spec.variables.items()},
        **({"types": _plain(spec.types)} if spec.types else {}),
        **({"name": spec.name} if spec.name else {}),
        **({"byte_order": spec.byte_order} if spec.byte_order else {}),
    }
    return json.dumps(plain, indent=1) + "\n"


def loads(text: str) -> CollectionSpec:
    """The spec that `dumps` made a text of. Raises Error for any other text."""
    import json

    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Error(f"this is no program made by `purebpf build --emit spec`: {error}") from None
    if not isinstance(plain, dict) or plain.get("purebpf") != FORM:
        raise Error(f'this is no program made by `purebpf build --emit spec`: it has no "purebpf": {FORM}')
    try:
        return CollectionSpec(
            {name: _from_program(program) for name, program in plain["programs"].items()},
            {name: _expect(MapSpec, map) for name, map in plain["maps"].items()},
            {name: _expect(VariableSpec, variable) for name, variable in plain["variables"].items()},
            _expect(tuple, plain.get("types", [])),
            _expect(str, plain.get("name", "")),
            _expect(str, plain.get("byte_order", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise Error(f"this program was made by another purebpf, or is damaged: {type(error).__name__}: {error}") from None


def _program(program: ProgramSpec) -> dict[str, object]:
    lines: dict[SourceLine, int] = {}
    code = [_instruction(instruction, lines) for instruction in program.instructions]
    rest: Any = _plain(replace(program, instructions=()))
    return {**rest, "instructions": code, "lines": [_plain(line) for line in lines]}


def _from_program(plain: dict[str, Any]) -> ProgramSpec:
    lines = [_expect(SourceLine, line) for line in plain.pop("lines")]
    code = tuple(_from_instruction(text, lines) for text in plain.pop("instructions"))
    program: ProgramSpec = _expect(ProgramSpec, {**plain, "instructions": []})
    return replace(program, instructions=code)


def _instruction(instruction: Instruction, lines: dict[SourceLine, int]) -> str:
    """Its bytes in hex, the number of its line or -, and the name of what it refers to."""
    line = "-"
    if instruction.source is not None:
        source = replace(instruction.source, file=os.path.basename(instruction.source.file))
        line = str(lines.setdefault(source, len(lines)))
    words = [encode([replace(instruction, symbol=None)]).hex(), line]
    return " ".join([*words, instruction.symbol] if instruction.symbol is not None else words)


def _from_instruction(text: str, lines: list[SourceLine]) -> Instruction:
    code, line, *symbol = text.split(" ", 2)
    (instruction,) = decode(bytes.fromhex(code))
    return replace(instruction, symbol=symbol[0] if symbol else None, source=None if line == "-" else lines[int(line)])


def _plain(value: Any) -> object:
    """A class that holds data as its name and those fields that are not as by default."""
    if isinstance(value, IntEnum):
        return {"is": type(value).__name__, "name": value.name}
    if isinstance(value, bytes):
        return {"is": "bytes", "hex": value.hex()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if not hasattr(value, "__defaults_of_fields__"):
        return value
    assert CLASSES.get(type(value).__name__) is type(value), type(value)
    fields = ((name, getattr(value, name), default) for name, default in value.__defaults_of_fields__.items())
    return {"is": type(value).__name__} | {name: _plain(field) for name, field, default in fields if field != default}


def _built(plain: Any) -> Any:
    """The other way."""
    if isinstance(plain, list):
        return tuple(map(_built, plain))
    if not isinstance(plain, dict):
        return plain
    fields = dict(plain)
    name = fields.pop("is")
    if name == "bytes":
        return bytes.fromhex(fields["hex"])
    if name in NAMED_ENUMS:
        return NAMED_ENUMS[name][fields["name"]]
    return CLASSES[name](**{field: _built(value) for field, value in fields.items()})


def _expect(wanted: type[Any], plain: object) -> Any:
    found = _built(plain)
    if not isinstance(found, wanted):
        raise TypeError(f"there is {type(found).__name__} where {wanted.__name__} should be")
    return found
