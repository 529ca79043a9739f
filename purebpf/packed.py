"""Collection specs as bytes: what `portable.py` writes as text, small and quick to read, for packages with programs in them.

The bytes are the format's mark and data of `marshal` in its version 2, which every Python reads and which is the same for equal
specs. First come the names of the fields of all classes in it, so that a later purebpf reads what an earlier one wrote. As with
Python's own bytecode, who can change the bytes could as well change the code that reads them: `digest` is for accidents.
"""

from __future__ import annotations

import marshal
import os
from enum import IntEnum

from purebpf.data import replace
from purebpf.errors import Error
from purebpf.isa.codec import decode, encode
from purebpf.isa.instruction import Instruction, SourceLine
from purebpf.spec import CollectionSpec, FunctionSpec, MapSpec, MapTypes, ProgramSpec, VariableSpec
from purebpf.tables.enums import AttachType, MapType, ProgramType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MARK = b"purebpf\x01"  # the last byte is the form; a change that old readers cannot read makes it another
STABLE = 2  # the version of marshal's format: no references, nothing that depends on how an object came to be
ENUM, OBJECT = 0, 1  # what a tuple stands for; tuples themselves are lists
OFTEN: dict[str, Any] = {  # what is in nearly every package; where the rest is, which is much, portable.py knows
    one.__name__: one for one in (FunctionSpec, MapSpec, MapTypes, ProgramSpec, VariableSpec, AttachType, MapType, ProgramType)
}


def dumps(spec: CollectionSpec) -> bytes:
    """The spec as bytes, the same for equal specs."""
    writer = _Writer()
    programs = [writer.program(program) for program in spec.programs.values()]
    maps = [writer.plain(each) for each in spec.maps.values()]
    variables = [writer.plain(each) for each in spec.variables.values()]
    names = [list(spec.programs), list(spec.maps), list(spec.variables)]
    types = writer.plain(spec.types)
    rest: Any = types, spec.name, spec.byte_order
    everything: Any = writer.schema, writer.shared, names, programs, maps, variables, *rest
    return MARK + marshal.dumps(everything, STABLE)


def loads(content: bytes) -> CollectionSpec:
    """The spec that `dumps` made bytes of. Raises Error for any others."""
    if content[: len(MARK)] != MARK:
        raise Error(f"these are no programs that purebpf packed: they begin with {content[:8].hex(' ') or 'nothing'}")
    try:
        schema, shared, names, programs, maps, variables, types, *rest = marshal.loads(content[len(MARK) :])
        reader = _Reader(schema, shared)
        made = [[reader.program(each) for each in programs], *([reader.built(each) for each in of] for of in (maps, variables))]
        by_name: list[dict[str, Any]] = [dict(zip(of, each, strict=True)) for of, each in zip(names, made, strict=True)]
        return CollectionSpec(by_name[0], by_name[1], by_name[2], reader.built(types), *rest)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, EOFError) as error:
        raise Error(f"these programs were packed by another purebpf, or are damaged: {type(error).__name__}: {error}") from None


def digest(content: bytes) -> str:
    """What tells these bytes from others."""
    from hashlib import sha256

    return sha256(content).hexdigest()


class _Writer:
    """Data as tuples and lists. What programs share, such as the types of an object file, is written once."""

    def __init__(self) -> None:
        self.schema: dict[str, tuple[str, ...]] = {}
        self.shared: list[object] = []
        self.places: dict[object, int] = {}

    def plain(self, value: Any) -> object:
        if isinstance(value, IntEnum):
            return ENUM, type(value).__name__, int(value)
        if isinstance(value, tuple):
            return [self.plain(one) for one in value]
        if not hasattr(value, "__defaults_of_fields__"):
            return value
        name = type(value).__name__
        assert _known(name) is type(value), type(value)
        fields = self.schema.setdefault(name, value.__match_args__)
        return OBJECT, name, [self.plain(getattr(value, field)) for field in fields]

    def program(self, program: ProgramSpec) -> object:
        """Its fields; instructions as their bytes, the names that they refer to by place, and the lines as runs."""
        names = {place: each.symbol for place, each in enumerate(program.instructions) if each.symbol is not None}
        code = encode([replace(each, symbol=None, source=None) for each in program.instructions])
        numbers: dict[SourceLine, int] = {}
        runs: list[tuple[int, int]] = []
        for each in program.instructions:
            number = -1
            if each.source is not None:
                number = numbers.setdefault(replace(each.source, file=os.path.basename(each.source.file)), len(numbers))
            if runs and runs[-1][0] == number:
                runs[-1] = number, runs[-1][1] + 1
            else:
                runs.append((number, 1))
        rest = self.plain(replace(program, instructions=(), types=()))
        lines = [tuple(getattr(line, field) for field in SourceLine.__match_args__) for line in numbers]
        return rest, code, names, lines, runs, self.types(program.types)

    def types(self, types: tuple[object, ...]) -> int:
        """The place of a program's types among those that are shared."""
        if types not in self.places:
            self.places[types] = len(self.shared)
            self.shared.append(self.plain(types))
        return self.places[types]


class _Reader:
    def __init__(self, schema: dict[str, tuple[str, ...]], shared: list[object]) -> None:
        self.classes: dict[str, Any] = {}
        for name, fields in schema.items():
            known = _known(name)
            same = known.__match_args__[: len(fields)] == tuple(fields)
            self.classes[name] = known if same else _by_name(known, fields)
        self.shared = [self.built(each) for each in shared]

    def built(self, plain: Any) -> Any:
        if isinstance(plain, list):
            return tuple(map(self.built, plain))
        if not isinstance(plain, tuple):
            return plain
        what, name, values = plain
        return _known(name)(values) if what == ENUM else self.classes[name](*map(self.built, values))

    def program(self, plain: Any) -> ProgramSpec:
        rest, code, names, rows, runs, types = plain
        lines = [*(SourceLine(*row) for row in rows), None]  # -1 is none
        sources = [line for number, count in runs for line in [lines[number]] * count]
        instructions = [
            Instruction(each.opcode, each.dst, each.src, each.offset, each.imm, names.get(place), source)
            for place, (each, source) in enumerate(zip(decode(code), sources, strict=True))
        ]
        made: ProgramSpec = replace(self.built(rest), instructions=tuple(instructions), types=self.shared[types])
        return made


def _known(name: str) -> Any:
    """The class of a name. Raises KeyError."""
    if name in OFTEN:
        return OFTEN[name]
    from purebpf.portable import CLASSES, NAMED_ENUMS

    return CLASSES[name] if name in CLASSES else NAMED_ENUMS[name]


def _by_name(known: Any, fields: tuple[str, ...]) -> Any:
    """Makes an object of a class that has other fields now, or in another order."""
    return lambda *values: known(**dict(zip(fields, values, strict=True)))
