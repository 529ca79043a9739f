"""Code sections: each program in the section that tells its kind, subprograms in `.text`; and `.BTF.ext` about them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from purebpf.btf.relocation import CoreKind
from purebpf.btf.types import Func, FuncProto, Linkage, Parameter, Struct
from purebpf.data import data, made, replace
from purebpf.elf.container import (
    ALLOC,
    EXECUTE,
    FUNCTION,
    GLOBAL,
    LOCAL,
    R_BPF_64_32,
    R_BPF_64_64,
    SECTION,
    Section,
    Symbol,
)
from purebpf.elf.ext import CoreRecord, Ext, FunctionRecord, LineRecord
from purebpf.elf.externs import KCONFIG
from purebpf.elf.writing.data import VALUES, Memory
from purebpf.elf.writing.externs import reference
from purebpf.elf.writing.functions import Function
from purebpf.elf.writing.image import Image
from purebpf.elf.writing.types import INT, Types
from purebpf.errors import Error
from purebpf.isa.codec import encode
from purebpf.isa.instruction import WIDE_LOAD, Instruction
from purebpf.isa.opcodes import CALL_KFUNC, CALL_LOCAL, CALL_OPCODE, PSEUDO_FUNC
from purebpf.spec import MAP_SOURCES

SLOT, TEXT = 8, ".text"


@data(frozen=False)
class Code:
    """One code section being put together."""

    name: str
    functions: list[tuple[int, Function]] = made(list)  # with the byte where each begins
    size: int = 0

    def add(self, function: Function) -> None:
        self.functions.append((self.size, function))
        self.size += SLOT * sum(i.slots for i in function.instructions)


@data
class Symbols:
    """Places of symbols by the names that instructions have for them: maps, memory of maps, the kernel's."""

    maps: Mapping[str, int]
    memory: Mapping[str, Memory]
    externs: Mapping[str, int]
    settings: Mapping[int, int]  # of the kernel, by the byte that they have in their map


@data
class Target:
    """A function as relocations name it: static ones by the section that they are in, and a byte there."""

    symbol: int
    offset: int = 0


def place(codes: list[Code], image: Image, types: Types) -> tuple[dict[str, int], dict[Function, Target]]:
    """Reserve the sections, in order; their places by name, and where the functions are."""
    places, targets = {}, {}
    for code in codes:
        places[code.name] = image.section(Section(code.name, flags=ALLOC | EXECUTE, align=SLOT))
        whole = image.symbol(Symbol("", 0, 0, LOCAL, SECTION, places[code.name])) if code.name == TEXT else 0
        for at, function in code.functions:
            size = SLOT * sum(i.slots for i in function.instructions)
            local = code.name == TEXT and linkage(function, types) is Linkage.STATIC
            symbol = Symbol(function.symbol, at, size, LOCAL if local else GLOBAL, FUNCTION, places[code.name])
            own = image.symbol(symbol)
            targets[function] = Target(whole, at) if local else Target(own)
    return places, targets


def fill(code: Code, section: int, symbols: Symbols, functions: Mapping[Function, Target], types: Types, image: Image) -> None:
    """The section's bytes and relocations. The types are encoded already."""
    written = []
    for start, function in code.functions:
        numbers, slot = _own_numbers(function, types), 0
        for instruction in function.instructions:
            plain, relocation = _plain(instruction, slot, function, symbols, functions)
            if slot in numbers:
                plain = replace(plain, imm=numbers[slot])
            written.append(plain)
            if relocation is not None:
                image.relocate(section, start + SLOT * slot, *relocation)
            slot += instruction.slots
    raw = encode(written, image.order)
    image.sections[section] = replace(image.sections[section], data=raw, size=len(raw))


def _own_numbers(function: Function, types: Types) -> dict[int, int]:
    """The constants that are numbers of the object's own types, by slot."""
    numbers = types.merge(function.program.types)
    local = [each for each in function.relocations if each.kind is CoreKind.TYPE_ID_LOCAL]
    return {each.slot: types.written(numbers(each.type)) for each in local}


def _plain(
    instruction: Instruction, slot: int, function: Function, symbols: Symbols, functions: Mapping[Function, Target]
) -> tuple[Instruction, tuple[int, int] | None]:
    """The instruction as it is in the file, and the type and symbol of its relocation."""
    program = function.program
    if slot in function.callees:
        target = functions[function.callees[slot]]
        if instruction.slots == 2:
            return Instruction(WIDE_LOAD, instruction.dst, PSEUDO_FUNC, imm=target.offset), (R_BPF_64_64, target.symbol)
        return Instruction(CALL_OPCODE, src=CALL_LOCAL, imm=target.offset // SLOT - 1), (R_BPF_64_32, target.symbol)
    name, _ = reference(instruction)
    if name and instruction.slots == 1:
        return Instruction(CALL_OPCODE, src=CALL_LOCAL, imm=-1), (R_BPF_64_32, symbols.externs[name])
    if name:
        return Instruction(WIDE_LOAD, instruction.dst), (R_BPF_64_64, symbols.externs[name])
    if (instruction.opcode, instruction.src) == (CALL_OPCODE, CALL_KFUNC) or (
        instruction.opcode == WIDE_LOAD and instruction.src and not instruction.symbol
    ):
        raise Error(
            f"The program {program.name!r} has a number of this kernel's in an instruction (slot {slot} of {function.name!r}): "
            "an object file has names only."
        )
    if instruction.opcode != WIDE_LOAD or instruction.src not in MAP_SOURCES:
        return instruction, None
    map, offset = str(instruction.symbol), instruction.imm >> 32
    if map == KCONFIG and offset in symbols.settings:
        return Instruction(WIDE_LOAD, instruction.dst), (R_BPF_64_64, symbols.settings[offset])
    if map in symbols.memory and instruction.src in VALUES:
        place = symbols.memory[map]
        return Instruction(WIDE_LOAD, instruction.dst, imm=place.start + offset), (R_BPF_64_64, place.symbol)
    if map not in symbols.maps:
        raise Error(f"The program {program.name!r} uses the map {map!r}, which the collection does not have.")
    return Instruction(WIDE_LOAD, instruction.dst), (R_BPF_64_64, symbols.maps[map])


def linkage(function: Function, types: Types) -> Linkage:
    """Global functions are verified by themselves; programs are global."""
    told = types.collected(types.merge(function.program.types)(function.type)) if function.type else None
    if isinstance(told, Func):
        return told.linkage
    return Linkage.GLOBAL if function.context else Linkage.STATIC


def function_type(function: Function, types: Types, program: bool) -> int:
    """The number of a function's type: the one it has, else one that tells its context if that is known."""
    told = types.collected(types.merge(function.program.types)(function.type)) if function.type else None
    if isinstance(told, Func):
        return types.add(replace(told, name=function.symbol, linkage=Linkage.GLOBAL if program else told.linkage))
    parameters: tuple[Parameter, ...] = ()
    if program:
        context = types.add(Struct(function.context, 0, ())) if function.context else 0
        parameters = (Parameter("ctx", types.pointer(context)),)
    prototype = types.add(FuncProto(types.add(INT), parameters))
    return types.add(Func(function.symbol, prototype, Linkage.GLOBAL if program else Linkage.STATIC))


def records(codes: list[Code], types: Types) -> Ext:
    """What is known of functions, lines and CO-RE relocations."""
    ext = Ext()
    for code in codes:
        for start, function in code.functions:
            number = function_type(function, types, code.name != TEXT)
            ext.functions.setdefault(code.name, []).append(FunctionRecord(start, number))
            ext.lines.setdefault(code.name, []).extend(_lines(start, function))
            numbers = types.merge(function.program.types)
            ext.relocations.setdefault(code.name, []).extend(
                CoreRecord(start + SLOT * each.slot, numbers(each.type), each.access, each.kind)
                for each in sorted(function.relocations, key=lambda each: each.slot)
            )
    return ext


def _lines(start: int, function: Function) -> list[LineRecord]:
    """A record where another expression begins, and one for the first instruction, which the kernel wants."""
    found, before, slot = [], None, 0
    for instruction in function.instructions:
        source = instruction.source or (function.source if not slot else None)
        if source is not None and source != before:
            file = os.path.basename(source.file)
            text = source.text.rstrip().replace("\0", "")
            found.append(LineRecord(start + SLOT * slot, file, text, source.line, source.column))
            before = source
        slot += instruction.slots
    return found
