"""What the object wants of the kernel by name: `.ksyms`, and settings of its configuration, `.kconfig`.

A function is called if its signature is the one that the object tells; where nobody told it, it is the kernel's that is at
hand, or that of the BTF file which stands in for it. Structs are told by their names only.
"""

from __future__ import annotations

from purebpf.btf.reader import Btf
from purebpf.btf.running import kernel_btf, module_btf, modules
from purebpf.btf.types import (
    Array,
    Composite,
    DataSec,
    Enum,
    Enum64,
    Func,
    FuncProto,
    Fwd,
    Kind,
    Linkage,
    Parameter,
    Ptr,
    Struct,
    Type,
    Union,
    Var,
    Void,
)
from purebpf.btf.types import Section as Place
from purebpf.data import data, replace
from purebpf.elf.container import GLOBAL, NOTYPE, UNDEFINED, WEAK, Symbol
from purebpf.elf.externs import KCONFIG, KSYMS
from purebpf.elf.writing.image import Image, Names
from purebpf.elf.writing.types import Types
from purebpf.errors import Error, Unsupported
from purebpf.isa.instruction import BTF_ID, WIDE_LOAD, Instruction, asks
from purebpf.isa.opcodes import CALL_KFUNC, CALL_OPCODE
from purebpf.spec import CollectionSpec, ExternKind, ExternSpec, ProgramSpec
from purebpf.undefined import HOW, WORDS, said

DEEPEST = 16  # pointers to pointers, and functions in functions' parameters


@data
class Wanted:
    """A symbol that is wanted, and the type it was told to have: a number of the object, 0 if nobody told."""

    name: str
    kind: ExternKind
    weak: bool
    type: int


def wanted_by(spec: CollectionSpec, types: Types) -> list[Wanted]:
    """All that the programs want, in order of first use. A program that asks for a function may lack all that it calls. Only a
    symbol that all take for weak is weak. Raises Error for what is another object file's: it is not known where that has it."""
    found: dict[str, Wanted] = {}
    for program in spec.programs.values():
        told = {extern.name: extern for extern in program.externs}
        asking = any(asks(instruction) for instruction in program.instructions)
        for instruction in program.instructions:
            name, kind = reference(instruction)
            if not name:
                continue
            about = told.get(name, ExternSpec(name, kind, weak=asking and kind is ExternKind.FUNCTION))
            if about.kind in WORDS:
                raise Error(f"The program {program.name!r} refers to {said(about)}: {HOW}.")
            before, type = found.get(name), _told(about, program, types)
            if before is None:
                found[name] = Wanted(name, about.kind, about.weak, type)
            else:
                found[name] = replace(before, weak=before.weak and about.weak, type=before.type or type)
    return list(found.values())


def _told(extern: ExternSpec, program: ProgramSpec, types: Types) -> int:
    """The number of a variable's or function's type, as it was told."""
    known = program.types[extern.type - 1] if extern.type else None
    return types.merge(program.types)(known.type) if isinstance(known, Var | Func) else 0


def reference(instruction: Instruction) -> tuple[str, ExternKind]:
    """What of the kernel's an instruction names; "" for none."""
    name = instruction.symbol or ""
    if (instruction.opcode, instruction.src) == (CALL_OPCODE, CALL_KFUNC):
        return name, ExternKind.FUNCTION
    if instruction.opcode != WIDE_LOAD or instruction.src != BTF_ID:
        return "", ExternKind.ADDRESS
    if asked := asks(instruction):
        return asked, ExternKind.FUNCTION
    return name, ExternKind.VARIABLE


def write_externs(wanted: list[Wanted], types: Types, names: Names, image: Image) -> dict[str, int]:
    """The symbols by name, and the types of those that have one."""
    symbols = {each.name: _symbol(each.name, each.weak, names, image) for each in wanted}
    places = tuple(Place(_type(each, types), 0, 0) for each in wanted)
    if places:
        types.add(DataSec(KSYMS, 0, places))
    return symbols


def write_settings(spec: CollectionSpec, types: Types, names: Names, image: Image) -> dict[int, int]:
    """The settings of the kernel's configuration that programs read; their symbols, by the byte that they have in the map."""
    symbols, places, numbers = {}, [], types.merge(spec.types)
    for each in sorted(spec.variables.values(), key=lambda each: each.name):
        if each.map == KCONFIG:
            symbols[each.offset] = _symbol(each.name, each.weak, names, image)
            places.append(Place(types.add(Var(each.name, numbers(each.type), Linkage.EXTERN)), 0, each.size))
    if places:
        types.add(DataSec(KCONFIG, 0, tuple(places)))
    return symbols


def _symbol(name: str, weak: bool, names: Names, image: Image) -> int:
    if names.claim(name, f"the kernel's {name}") != name:
        raise Error(f"An object file cannot name the kernel's {name!r}: C and BTF have no such names.")
    return image.symbol(Symbol(name, 0, 0, WEAK if weak else GLOBAL, NOTYPE, UNDEFINED))


def _type(each: Wanted, types: Types) -> int:
    if each.kind is ExternKind.FUNCTION:
        return types.add(Func(each.name, each.type or _prototype(each.name, types), Linkage.EXTERN))
    if each.kind is ExternKind.VARIABLE and not each.type:
        raise Error(f"The kernel's variable {each.name} has no type here: an object file tells the types of what it names.")
    return types.add(Var(each.name, each.type if each.kind is ExternKind.VARIABLE else 0, Linkage.EXTERN))


def _prototype(name: str, types: Types) -> int:
    """The signature that the kernel at hand tells."""
    for btf in _kernels():
        for number in btf.types_named(name, Kind.FUNC):
            function = btf.type(number)
            if isinstance(function, Func):
                return _copied(btf, function.type, types, DEEPEST)
    raise Unsupported(
        f"An object file tells the signature of the kernel's function {name}, and the kernel here has no such function: name "
        "the BTF file of one that has."
    )


def _kernels() -> list[Btf]:
    found = [kernel_btf()]
    for module in sorted(modules()):
        try:
            found.append(module_btf(module))
        except Error:
            continue
    return found


def _copied(btf: Btf, number: int, types: Types, deepest: int) -> int:
    """A type with structs and enums by their names only, and without typedefs and qualifiers."""
    number = btf.resolve(number)
    type = btf.type(number)
    if isinstance(type, Void) or not deepest:
        return 0
    return types.add(_shape(btf, type, types, deepest - 1))


def _shape(btf: Btf, type: Type, types: Types, deepest: int) -> Type:
    match type:
        case Ptr():
            return Ptr(_copied(btf, type.type, types, deepest))
        case Array():
            return Array(_copied(btf, type.type, types, deepest), _copied(btf, type.index, types, deepest), type.length)
        case FuncProto():
            parameters = [Parameter(each.name, _copied(btf, each.type, types, deepest)) for each in type.parameters]
            return FuncProto(_copied(btf, type.returns, types, deepest), tuple(parameters))
        case Struct() | Union():
            return _named(type)
        case Enum() | Enum64():
            return replace(type, values=())
        case Fwd():
            return type
    return type


def _named(type: Composite) -> Type:
    return type.__class__(type.name, 0, ())
