"""The functions of a file: their instructions with the names of what they refer to, before any is joined to another.

A relocation says what a wide load or a call refers to. A call within its section may have none; its distance tells. An object
refers to static functions and variables by their section and a byte in it (RFC 9669 leaves this to loaders; LLVM's
BPFELFObjectWriter writes it). The call of a function that the file does not have keeps the function's name.
"""

from __future__ import annotations

from bisect import bisect_left

from purebpf.btf.relocation import CoreRelocation
from purebpf.data import data
from purebpf.elf.container import FUNCTION, LOCAL, SECTION, UNDEFINED, Relocation, Symbol
from purebpf.elf.data_sections import ARENA
from purebpf.elf.externs import Externs
from purebpf.elf.opened import Opened
from purebpf.errors import AssemblerError
from purebpf.isa.codec import decode
from purebpf.isa.instruction import WIDE_LOAD, Instruction, SourceLine
from purebpf.isa.opcodes import (
    CALL_KFUNC,
    CALL_LOCAL,
    CALL_OPCODE,
    PSEUDO_BTF_ID,
    PSEUDO_FUNC,
    PSEUDO_MAP_FD,
    PSEUDO_MAP_VALUE,
)
from purebpf.spec import ExternKind

SLOT = 8  # bytes
Place = tuple[int, int]  # a section, and a slot in it


@data
class Function:
    """Its instructions, and by their slots the functions that they refer to. `start` is a slot of its section."""

    name: str
    section: int
    start: int
    slots: int
    instructions: tuple[Instruction, ...]
    targets: dict[int, Place]
    relocations: tuple[CoreRelocation, ...]
    type: int
    local: bool

    @property
    def place(self) -> Place:
        return self.section, self.start


@data
class Places:
    """What instructions may refer to: maps by their place, data sections and where arenas begin by theirs, externs."""

    maps: dict[tuple[int, int], str]
    data: dict[int, str]
    externs: Externs


def functions(file: Opened, places: Places) -> list[Function]:
    """The functions of all sections, in order. Raises ElfError."""
    return [function for place in file.code_sections() for function in _Section(file, places, place).functions()]


class _Section:
    """One section with instructions."""

    def __init__(self, file: Opened, places: Places, place: int) -> None:
        self.file, self.places, self.place = file, places, place
        self.name, self.code = file.sections[place].name, file.sections[place].data
        self.targets: dict[int, Place] = {}

    def functions(self) -> list[Function]:
        symbols = self.file.functions(self.place)
        try:
            decoded = decode(self.code, self.file.order)
        except AssemblerError as error:
            raise self.file.wrong(str(error), self.place) from error
        slots, slot = [], 0
        for instruction in decoded:
            slots.append(slot)
            slot += instruction.slots
        code = self._referring(decoded, slots)
        ext = self.file.ext
        types = {record.offset: record.type for record in ext.functions.get(self.name, ())}
        core = sorted(ext.relocations.get(self.name, ()), key=lambda record: record.offset)
        offsets, target_slots = [record.offset for record in core], sorted(self.targets)
        found = []
        for at, symbol in enumerate(symbols):
            start, end = self._bounds(symbols, at)
            first, last = bisect_left(slots, start), bisect_left(slots, end)
            if (first < len(slots) and slots[first] != start) or (last < len(slots) and slots[last] != end):
                raise self.file.wrong(
                    f"the function {symbol.name} begins or ends within an instruction", self.place, symbol.value
                )
            asked = core[bisect_left(offsets, start * SLOT) : bisect_left(offsets, end * SLOT)]
            relocations = tuple(
                CoreRelocation(record.offset // SLOT - start, record.kind, record.type, record.access) for record in asked
            )
            near = target_slots[bisect_left(target_slots, start) : bisect_left(target_slots, end)]
            targets = {slot - start: self.targets[slot] for slot in near}
            type = types.get(symbol.value, 0)
            found.append(
                Function(
                    symbol.name,
                    self.place,
                    start,
                    end - start,
                    code[first:last],
                    targets,
                    relocations,
                    type,
                    symbol.binding == LOCAL,
                )
            )
        return found

    def _bounds(self, symbols: list[Symbol], at: int) -> tuple[int, int]:
        """The slots of a function, first and behind the last. One without a size reaches to the next."""
        symbol, size = symbols[at], len(self.code)
        behind = next((each.value for each in symbols[at + 1 :] if each.value > symbol.value), size) if not symbol.size else 0
        end = symbol.value + symbol.size if symbol.size else behind
        if symbol.value % SLOT or end % SLOT or not symbol.value < end <= size:
            what = f"the function {symbol.name} of {symbol.size} bytes is no part of its {size} bytes of instructions"
            raise self.file.wrong(what, self.place, symbol.value)
        return symbol.value // SLOT, end // SLOT

    def _referring(self, decoded: tuple[Instruction, ...], slots: list[int]) -> tuple[Instruction, ...]:
        """The instructions with the names that relocations give them, and their lines."""
        relocations = {each.offset: each for each in self.file.relocations(self.place)}
        lines = {
            record.offset // SLOT: SourceLine(record.file, record.line, record.column, record.text)
            for record in self.file.ext.lines.get(self.name, ())
        }
        starts = {symbol.value // SLOT for symbol in self.file.functions(self.place)}
        source, found = None, []
        for instruction, slot in zip(decoded, slots, strict=True):
            source = lines.get(slot, None if slot in starts else source)
            relocation = relocations.pop(slot * SLOT, None)
            if relocation is not None:
                instruction = self._relocated(instruction, slot, relocation)
            elif instruction.opcode == CALL_OPCODE and instruction.src == CALL_LOCAL:
                self.targets[slot] = self.place, slot + instruction.imm + 1
            if source is not None:
                i = instruction
                instruction = Instruction(i.opcode, i.dst, i.src, i.offset, i.imm, i.symbol, source)
            found.append(instruction)
        for offset in relocations:
            raise self.file.wrong("there is a relocation where no instruction begins", self.place, offset)
        return tuple(found)

    def _relocated(self, instruction: Instruction, slot: int, relocation: Relocation) -> Instruction:
        symbol = self.file.elf.symbols[relocation.symbol]
        added = relocation.addend
        if instruction.opcode == CALL_OPCODE:
            return self._call(instruction, slot, symbol, added)
        if instruction.opcode != WIDE_LOAD:
            raise self._wrong(f"opcode {instruction.opcode:#04x} cannot refer to {self._said(symbol)}", slot)
        if added is None:
            added = _signed(instruction.imm & 0xFFFF_FFFF)
        return self._load(instruction, slot, symbol, added)

    def _call(self, instruction: Instruction, slot: int, symbol: Symbol, added: int | None) -> Instruction:
        if symbol.section == UNDEFINED:
            extern = self.places.externs.symbols.get(symbol.name)
            if extern is None or extern.kind is not ExternKind.FUNCTION:  # another file may have it
                return Instruction(CALL_OPCODE, 0, CALL_LOCAL, 0, -1, symbol.name)
            return Instruction(CALL_OPCODE, 0, CALL_KFUNC, 0, 0, symbol.name)
        if symbol.section < 0 or instruction.src != CALL_LOCAL:
            raise self._wrong(f"a call cannot refer to {self._said(symbol)}", slot)
        # A call of a named function holds -1. Of a static one it holds the distance from the start of its section, less 1.
        distance = instruction.imm if added is None else added // SLOT - 1
        if symbol.value % SLOT:
            raise self._wrong(f"it calls {self._said(symbol)}, where no instruction begins", slot)
        self.targets[slot] = symbol.section, symbol.value // SLOT + distance + 1
        return instruction

    def _load(self, instruction: Instruction, slot: int, symbol: Symbol, added: int) -> Instruction:
        """A wide load of a map, a variable, a function, or of something of the kernel's."""
        if symbol.section == UNDEFINED:
            return self._extern(instruction, slot, symbol, added)
        if symbol.section < 0:
            raise self._wrong(f"it refers to {self._said(symbol)}, which is in no section", slot)
        where = symbol.value + added
        if (symbol.section, where) in self.places.maps:
            return Instruction(WIDE_LOAD, instruction.dst, PSEUDO_MAP_FD, 0, 0, self.places.maps[symbol.section, where])
        if symbol.section in self.places.data:
            high = (where & 0xFFFF_FFFF) << 32
            return Instruction(WIDE_LOAD, instruction.dst, PSEUDO_MAP_VALUE, 0, high, self.places.data[symbol.section])
        if symbol.kind in (FUNCTION, SECTION) and symbol.section in self.file.code_sections() and where % SLOT == 0:
            self.targets[slot] = symbol.section, where // SLOT
            return Instruction(WIDE_LOAD, instruction.dst, PSEUDO_FUNC, 0, 0)
        name = self.file.sections[symbol.section].name
        if name == ARENA:
            raise self._wrong(f"it refers to {self._said(symbol)}, but the file has no arena that could hold {ARENA}", slot)
        raise self._wrong(
            f"it refers to {self._said(symbol)}, byte {where} of the section {name}: there is no map, variable or function",
            slot,
        )

    def _extern(self, instruction: Instruction, slot: int, symbol: Symbol, added: int) -> Instruction:
        externs = self.places.externs
        if symbol.name in externs.settings:
            setting = externs.settings[symbol.name]
            high = (setting.offset + added & 0xFFFF_FFFF) << 32
            return Instruction(WIDE_LOAD, instruction.dst, PSEUDO_MAP_VALUE, 0, high, setting.map)
        if symbol.name not in externs.symbols:
            raise self._wrong(f"it refers to {self._said(symbol)}, which the file does not have", slot)
        if added:
            raise self._wrong(
                f"it refers to byte {added} of {symbol.name}, which is the kernel's: only its start has an address", slot
            )
        return Instruction(WIDE_LOAD, instruction.dst, PSEUDO_BTF_ID, 0, 0, symbol.name)

    def _said(self, symbol: Symbol) -> str:
        if symbol.kind == SECTION and symbol.section >= 0:
            return f"the section {self.file.sections[symbol.section].name!r}"
        return f"the symbol {symbol.name!r}"

    def _wrong(self, what: str, slot: int) -> Exception:
        return self.file.wrong(what, self.place, slot * SLOT)


def _signed(number: int) -> int:
    return number - (1 << 32) if number >> 31 else number
