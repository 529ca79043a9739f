"""A loaded program's instructions as the kernel has them, with the Python lines they come from: rows for text and JSON.

Instructions are as the verifier rewrote them: helpers are calls of the kernel's functions, map lookups may be inlined.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from struct import iter_unpack

from purebpf.data import data
from purebpf.errors import AssemblerError
from purebpf.isa.codec import SLOT_BYTES, decode
from purebpf.isa.disassembler import format_instruction
from purebpf.isa.instruction import WIDE_LOAD, Instruction
from purebpf.isa.opcodes import CALL_KFUNC, CALL_OPCODE
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.info import ProgramInfo
from purebpf.kernel.objects.programs import LAYOUT, Function, Line, functions, lines, xlated
from purebpf.kernel.objects.reading import array
from purebpf.symbols import KernelSymbols
from purebpf.tables.helpers import HELPER_NAMES

LOCAL_CALL = 1
MOVE, PER_CPU = 0xBF, -1  # a move with this offset makes the address of this CPU's copy
INSIDE = {0xC2: "nospec", 0xF0: "tail call"}  # what only the kernel itself writes
BASE = "__bpf_call_base"  # a helper is called by its distance from here


@data
class Row:
    """One instruction: its slot, its text, its bytes; the function that begins here, the source line that begins here."""

    slot: int
    text: str
    code: bytes
    function: Function | None = None
    line: Line | None = None


def rows(descriptor: Descriptor, info: ProgramInfo) -> Iterator[Row]:
    """The program's instructions; none where the kernel hides them from this process."""
    code = xlated(descriptor)
    starts = {function.slot: function for function in functions(descriptor, info)}
    begins = {line.slot: line for line in lines(descriptor, info)}
    words = Words(descriptor)
    at = 0
    while at < len(code):
        size = 2 * SLOT_BYTES if code[at] == WIDE_LOAD else SLOT_BYTES
        piece = code[at : at + size]
        slot = at // SLOT_BYTES
        yield Row(slot, words.text(piece), piece, starts.get(slot), begins.get(slot))
        at += size


class Words:
    """Instructions as text, with the names of what they call."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._descriptor = descriptor
        self._symbols: KernelSymbols | None = None
        self._base = 0
        self._functions: list[int] | None = None  # addresses of the program's own functions

    def text(self, code: bytes) -> str:
        """As in the verifier's log, opcode first."""
        opcode = code[0]
        return f"({opcode:02x}) {self._told(code)}"

    def _told(self, code: bytes) -> str:
        try:
            instruction = decode(code, sys.byteorder)[0]
        except AssemblerError:
            return self._own(code)
        if instruction.opcode == WIDE_LOAD:
            return _wide(instruction)
        if instruction.opcode == CALL_OPCODE:
            return f"call {self._called(instruction)}"
        return format_instruction(instruction)

    def _own(self, code: bytes) -> str:
        """An instruction that no program may have, but the kernel's form of one does."""
        opcode, registers, offset, imm = next(iter_unpack("=BBhi", code[:SLOT_BYTES]))
        low, high = registers & 15, registers >> 4
        dst, src = (low, high) if sys.byteorder == "little" else (high, low)
        if opcode == MOVE and offset == PER_CPU:
            return f"r{dst} = &(void __percpu *)(r{src})"
        if opcode == CALL_OPCODE:
            return f"call {self._called(Instruction(opcode, dst, src, offset, imm))}"
        return INSIDE.get(opcode, f"unknown {code.hex(' ')}")

    def _called(self, instruction: Instruction) -> str:
        if instruction.src == LOCAL_CALL:
            return f"pc{self._local(instruction)}"
        number = instruction.imm
        if instruction.src != CALL_KFUNC and 0 < number <= len(HELPER_NAMES):
            return f"bpf_{HELPER_NAMES[number - 1]}#{number}"
        if self._symbols is None:
            self._symbols = KernelSymbols()
            self._base = self._symbols.address(BASE) or 0
        found = self._symbols.frame(self._base + number & (1 << 64) - 1) if self._base else None
        return f"{found.name if found and not found.offset and found.name else 'unknown'}#{number}"

    def _local(self, instruction: Instruction) -> str:
        """A call of one of the program's own functions: compiled ones have their number in `imm`, the distance in `offset`."""
        if self._functions is None:
            data = array(self._descriptor, LAYOUT, "jited_ksyms", "nr_jited_ksyms", 8)
            self._functions = [address for (address,) in iter_unpack("=Q", data)]
        if not self._functions or not 0 <= instruction.imm < len(self._functions):
            return f"{instruction.offset or instruction.imm:+d}"
        self._symbols = self._symbols or KernelSymbols()
        address = self._functions[instruction.imm]
        found = self._symbols.frame(address)
        return f"{instruction.offset:+d}#{found.name if found.name and not found.offset else f'{address:#x}'}"


def _wide(instruction: Instruction) -> str:
    low, high = instruction.imm & 0xFFFF_FFFF, instruction.imm >> 32
    match instruction.src:
        case 1:
            what = f"map[id:{low}]"
        case 2:
            what = f"map[id:{low}][0]+{high}"
        case 4:
            what = f"subprog[{low - (1 << 32) if low >> 31 else low:+d}]"
        case 5:
            what = f"map[idx:{low}]"
        case 6:
            what = f"map[idx:{low}]+{high}"
        case _:
            what = f"{instruction.imm:#x}"
    return f"r{instruction.dst} = {what}"


def as_json(row: Row, opcodes: bool, places: bool) -> dict[str, object]:
    """A row by the keys of `bpftool prog dump xlated -j`."""
    found: dict[str, object] = {}
    if row.function:
        found["proto"] = row.function.declaration
    if row.line:
        found["src"] = row.line.text
        if places:
            found |= {"file": row.line.file, "line_num": row.line.line, "line_col": row.line.column}
    found["disasm"] = row.text
    if opcodes:
        found["opcodes"] = _opcodes(row.code)
    return found


def _opcodes(code: bytes) -> dict[str, object]:
    each = [f"0x{byte:02x}" for byte in code]
    registers = code[1]
    low, high = registers & 15, registers >> 4
    dst, src = (low, high) if sys.byteorder == "little" else (high, low)
    return {"code": each[0], "src_reg": f"0x{src:x}", "dst_reg": f"0x{dst:x}", "off": each[2:4], "imm": each[4:]}


def as_text(row: Row, opcodes: bool, places: bool) -> Iterator[str]:
    """The lines of `bpftool prog dump xlated`."""
    if row.function:
        yield f"{row.function.declaration}:"
    if row.line and row.line.text:
        where = f" [file:{row.line.file} line_num:{row.line.line} line_col:{row.line.column}]" if places else ""
        yield f"; {row.line.text}{where}"
    yield f"{row.slot:4}: {row.text}"
    if opcodes:
        yield f"       {row.code.hex(' ')}"
