"""The C halves: compiled by clang, read from the object file, made a program that the engines take.

Reads just what clang's BPF objects have without debug information: code sections, symbols, relocations (R_BPF_64_64 for maps
and read-only data, R_BPF_64_32 for calls of functions in other sections; Documentation/bpf/llvm_reloc.rst). Maps are
those of the Python half by the same name, so both halves have equal ones by construction.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from purebpf.data import replace
from purebpf.isa.codec import decode
from purebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from purebpf.tables.enums import MapType

CLANG = os.environ.get("PUREBPF_CLANG", "clang-19")
FLAGS = ("-O2", "-target", "bpf", "-Wall", "-Wno-unused-variable", "-Wno-unused-const-variable", "-Wno-unused-function")
SHT_PROGBITS, SHT_SYMTAB, SHT_REL = 1, 2, 9
SHF_EXECINSTR = 4
R_BPF_64_64, R_BPF_64_32 = 1, 10
BPF_F_RDONLY_PROG = 0x80
MAP_FD, MAP_VALUE, LOCAL_CALL, WIDE_LOAD = 1, 2, 1, 0x18
SLOT = struct.Struct("<BBhi")


def available() -> bool:
    """Whether there is a clang."""
    return shutil.which(CLANG) is not None


def version() -> str:
    return subprocess.run([CLANG, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    kind: int
    flags: int
    data: bytes
    link: int
    info: int


def compile_c(source: Path, cpu: int) -> bytes:
    """The object file."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.o"
        subprocess.run([CLANG, *FLAGS, f"-mcpu=v{cpu}", "-c", str(source), "-o", str(output)], check=True)
        return output.read_bytes()


def sections(elf: bytes) -> list[Section]:
    """All sections of a 64-bit little-endian file."""
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    entry, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    raw = [struct.unpack_from("<IIQQQQIIQQ", elf, table + i * entry) for i in range(count)]
    strings = elf[raw[names][4] :]
    return [
        Section(text(strings, name), kind, flags, elf[offset : offset + size] if kind != 8 else bytes(size), link, info)
        for name, kind, flags, _, offset, size, link, info, _, _ in raw
    ]


def text(strings: bytes, at: int) -> str:
    return strings[at : strings.index(b"\0", at)].decode()


def program(source: Path, cpu: int, ours: CollectionSpec) -> CollectionSpec:
    """The C half as a collection of one program, with the type, name and maps of ours."""
    found = sections(compile_c(source, cpu))
    (mine,) = ours.programs.values()
    code = {i: s for i, s in enumerate(found) if s.kind == SHT_PROGBITS and s.flags & SHF_EXECINSTR and s.data}
    order = sorted(code, key=lambda i: code[i].name == ".text")  # the program's own section, then functions it calls
    if sum(code[i].name != ".text" for i in order) != 1:
        raise SystemExit(f"{source.name} must have exactly one program")
    starts, slots = {}, bytearray()
    for i in order:
        starts[i] = len(slots) // 8
        slots += code[i].data
    table = next(i for i, s in enumerate(found) if s.kind == SHT_SYMTAB)
    symbols = list(struct.iter_unpack("<IBBHQQ", found[table].data))
    strings = found[found[table].link].data
    references: dict[int, str] = {}
    maps: dict[str, MapSpec] = {}
    for relocations in (s for s in found if s.kind == SHT_REL and s.info in code):
        for offset, info in struct.iter_unpack("<QQ", relocations.data):
            name, _, _, home, value, _ = symbols[info >> 32]
            slot = starts[relocations.info] + offset // 8
            opcode, registers, _, imm = SLOT.unpack_from(slots, slot * 8)
            if info & 0xFFFFFFFF == R_BPF_64_32 and opcode == 0x85:
                target = starts[home] + (value // 8 + imm + 1 if registers >> 4 == LOCAL_CALL else value // 8)
                SLOT.pack_into(slots, slot * 8, opcode, LOCAL_CALL << 4, 0, target - slot - 1)
            elif found[home].name == ".maps":
                references[slot] = text(strings, name)
                maps[references[slot]] = ours.maps[references[slot]]
                SLOT.pack_into(slots, slot * 8, WIDE_LOAD, registers & 15 | MAP_FD << 4, 0, 0)
            elif found[home].name.startswith(".rodata"):
                place = references[slot] = f"c{found[home].name}"
                contents = ((bytes(4), found[home].data),)
                size = len(found[home].data)
                maps[place] = MapSpec(place, MapType.ARRAY, 4, size, 1, BPF_F_RDONLY_PROG, contents, frozen=True)
                SLOT.pack_into(slots, slot * 8, WIDE_LOAD, registers & 15 | MAP_VALUE << 4, 0, 0)
                SLOT.pack_into(slots, slot * 8 + 8, 0, 0, 0, value + imm)
            else:
                raise SystemExit(f"{source.name}: a reference to {found[home].name} is more than this reader knows")
    instructions = []
    at = 0
    for instruction in decode(slots):
        instructions.append(replace(instruction, symbol=references[at]) if at in references else instruction)
        at += instruction.slots
    theirs = ProgramSpec(mine.name, mine.type, tuple(instructions), attach_to=mine.attach_to)
    return CollectionSpec({mine.name: theirs}, maps)
