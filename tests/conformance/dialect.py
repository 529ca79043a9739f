"""Reads the public BPF conformance suite (github.com/Alan-Jowett/bpf_conformance): its files and its assembler dialect.

The dialect (`ldxw %r0, [%r1+4]`) is the suite's own; nothing here uses the product's assembler, so that the cases can check it.
The files are data beside the repository: `cases_folder()` finds them, `require_cases()` skips the test when they are absent.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from purebpf.isa.instruction import Instruction

FOLDER_VARIABLE = "PUREBPF_CONFORMANCE"
DEFAULT_FOLDER = Path(__file__).resolve().parents[3] / "shared" / "conformance"


@dataclass(frozen=True, slots=True)
class Case:
    """One file. `memory` is what r1 points to (r2 is its length); r0 must end as `result`, or the run fail with `error`.
    `raw` are the bytes the file gives for the program (little endian), if it does."""

    name: str
    instructions: tuple[Instruction, ...]
    memory: bytes = b""
    result: int | None = None
    error: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """An instruction whose jump distance is a label; `field` is offset or imm."""

    instruction: Instruction
    field: str
    label: str


Line = Instruction | Pending


class DialectError(Exception):
    """A line that is not in the suite's dialect."""


def cases_folder() -> Path:
    """Where the suite's files are: the folder PUREBPF_CONFORMANCE names, else ../shared/conformance beside the repository."""
    return Path(os.environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER)


def require_cases() -> list[Case]:
    """All cases; skips the calling test, with the reason, where the files are absent."""
    folder = cases_folder()
    if not any(folder.glob("*.data")):
        pytest.skip(
            f"no conformance cases in {folder}: set {FOLDER_VARIABLE} to the folder that holds the suite's *.data files"
        )
    return list(load_cases(folder))


@cache
def load_cases(folder: Path) -> tuple[Case, ...]:
    """The cases of all `*.data` files in `folder`, by name."""
    return tuple(parse_case(path.stem, path.read_text()) for path in sorted(folder.glob("*.data")))


def parse_case(name: str, text: str) -> Case:
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("-- "):
            lines = sections.setdefault(line[3:].strip(), [])
        elif content := line.split("#")[0].strip():
            lines.append(content)
    memory = bytes.fromhex("".join(sections.get("mem", [])))
    result = sections.get("result")
    error = sections.get("error")
    raw = sections.get("raw")
    return Case(
        name=name,
        instructions=parse_program(sections["asm"]),
        memory=memory,
        result=int(result[0], 16) if result else None,
        error="\n".join(error) if error is not None else None,
        raw=b"".join(int(slot, 16).to_bytes(8, "little") for slot in raw) if raw else None,
    )


def parse_program(lines: list[str]) -> tuple[Instruction, ...]:
    """The instructions of an `asm` section. The first `exit` is the label `exit`, unless the program has its own."""
    labels: dict[str, int] = {}
    program: list[Line] = []
    slot = 0
    for line in lines:
        if line.endswith(":"):
            labels[line[:-1]] = slot
            continue
        if line == "exit":
            labels.setdefault("exit", slot)
        parsed = parse_line(line)
        program.append(parsed)
        slot += slots(parsed)
    return resolve(program, labels)


def slots(line: Line) -> int:
    return line.slots if isinstance(line, Instruction) else 1


def resolve(program: list[Line], labels: dict[str, int]) -> tuple[Instruction, ...]:
    resolved: list[Instruction] = []
    slot = 0
    for line in program:
        slot += slots(line)
        if isinstance(line, Pending):
            old, distance = line.instruction, labels[line.label] - slot
            in_offset = line.field == "offset"
            offset, imm = (distance, old.imm) if in_offset else (old.offset, distance)
            line = Instruction(old.opcode, old.dst, old.src, offset, imm)
        resolved.append(line)
    return tuple(resolved)


def parse_line(line: str) -> Line:
    mnemonic, *words = line.replace(",", " ").split()
    parser = PARSERS.get(mnemonic)
    if parser is None:
        raise DialectError(f"unknown mnemonic in {line!r}")
    return parser(mnemonic, words)


# Operands.


def register(text: str) -> int:
    match = re.fullmatch(r"%r(\d+)", text)
    if not match:
        raise DialectError(f"{text!r} is no register")
    return int(match[1])


def constant(text: str) -> int:
    """A number as a signed 32-bit one."""
    return (int(text, 0) & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000


def address(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"\[(%r\d+)([+-]\w+)?\]", text)
    if not match:
        raise DialectError(f"{text!r} is no address")
    return register(match[1]), int(match[2] or "0", 0)


def jump(instruction: Instruction, target: str, field: str = "offset") -> Line:
    if target[0] not in "+-":
        return Pending(instruction, field, target)
    distance = int(target, 0)
    offset, imm = (distance, instruction.imm) if field == "offset" else (instruction.offset, distance)
    return Instruction(instruction.opcode, instruction.dst, instruction.src, offset, imm)


# Mnemonics. Opcodes are spelled out as in RFC 9669's appendix.

ALU = {"add": 0, "sub": 1, "mul": 2, "div": 3, "sdiv": 3, "or": 4, "and": 5, "lsh": 6, "rsh": 7}
ALU |= {"neg": 8, "mod": 9, "smod": 9, "xor": 10, "mov": 11, "arsh": 12}
CONDITIONS = {
    "jeq": 1,
    "jgt": 2,
    "jge": 3,
    "jset": 4,
    "jne": 5,
    "jsgt": 6,
    "jsge": 7,
    "jlt": 10,
    "jle": 11,
    "jslt": 12,
    "jsle": 13,
}
LOADS = {"ldxw": 0x61, "ldxh": 0x69, "ldxb": 0x71, "ldxdw": 0x79, "ldxsw": 0x81, "ldxsh": 0x89, "ldxsb": 0x91}
STORES = {"stxw": 0x63, "stxh": 0x6B, "stxb": 0x73, "stxdw": 0x7B}
STORES_OF_CONSTANTS = {"stw": 0x62, "sth": 0x6A, "stb": 0x72, "stdw": 0x7A}
SWAPS = {"le": 0xD4, "be": 0xDC, "swap": 0xD7, "bswap": 0xD7}
EXTENSIONS = {
    "movsx832": (0xBC, 8),
    "movsx1632": (0xBC, 16),
    "movsx864": (0xBF, 8),
    "movsx1664": (0xBF, 16),
    "movsx3264": (0xBF, 32),
}
ATOMICS = {"add": 0x00, "or": 0x40, "and": 0x50, "xor": 0xA0, "xchg": 0xE1, "cmpxchg": 0xF1}


def split32(mnemonic: str) -> tuple[str, bool]:
    return (mnemonic[:-2], True) if mnemonic.endswith("32") else (mnemonic, False)


def alu(mnemonic: str, words: list[str]) -> Line:
    name, narrow = split32(mnemonic)
    opcode = ALU[name] << 4 | (0x04 if narrow else 0x07)
    offset = 1 if name in ("sdiv", "smod") else 0
    dst = register(words[0])
    if len(words) == 1:
        return Instruction(opcode, dst)
    if words[1].startswith("%"):
        return Instruction(opcode | 0x08, dst, register(words[1]), offset)
    return Instruction(opcode, dst, 0, offset, constant(words[1]))


def extension(mnemonic: str, words: list[str]) -> Line:
    opcode, bits = EXTENSIONS[mnemonic]
    return Instruction(opcode, register(words[0]), register(words[1]), bits)


def swap(mnemonic: str, words: list[str]) -> Line:
    name, bits = mnemonic[:-2], int(mnemonic[-2:])
    return Instruction(SWAPS[name], register(words[0]), imm=bits)


def conditional(mnemonic: str, words: list[str]) -> Line:
    name, narrow = split32(mnemonic)
    opcode = CONDITIONS[name] << 4 | (0x06 if narrow else 0x05)
    dst = register(words[0])
    if words[1].startswith("%"):
        return jump(Instruction(opcode | 0x08, dst, register(words[1])), words[2])
    return jump(Instruction(opcode, dst, imm=constant(words[1])), words[2])


def load(mnemonic: str, words: list[str]) -> Line:
    src, offset = address(words[1])
    return Instruction(LOADS[mnemonic], register(words[0]), src, offset)


def store(mnemonic: str, words: list[str]) -> Line:
    dst, offset = address(words[0])
    return Instruction(STORES[mnemonic], dst, register(words[1]), offset)


def store_constant(mnemonic: str, words: list[str]) -> Line:
    dst, offset = address(words[0])
    return Instruction(STORES_OF_CONSTANTS[mnemonic], dst, 0, offset, constant(words[1]))


def atomic(mnemonic: str, words: list[str]) -> Line:
    fetch = words[0] == "fetch"
    name, narrow = split32(words[1] if fetch else words[0])
    dst, offset = address(words[-2])
    return Instruction(0xC3 if narrow else 0xDB, dst, register(words[-1]), offset, ATOMICS[name] | fetch)


def call(mnemonic: str, words: list[str]) -> Line:
    if words[0].startswith("%"):
        return Instruction(0x8D, register(words[0]))
    kind, target = words if len(words) == 2 else ("helper", words[0])
    if kind == "local":
        return jump(Instruction(0x85, src=1), target, "imm")
    return Instruction(0x85, src={"helper": 0, "runtime": 2}[kind], imm=constant(target))


def wide(mnemonic: str, words: list[str]) -> Line:
    return Instruction(0x18, register(words[0]), imm=int(words[1], 0) & 0xFFFF_FFFF_FFFF_FFFF)


PARSERS: dict[str, Callable[[str, list[str]], Line]] = {
    **{name + suffix: alu for name in ALU for suffix in ("", "32")},
    **{name + suffix: conditional for name in CONDITIONS for suffix in ("", "32")},
    **{name + bits: swap for name in SWAPS for bits in ("16", "32", "64")},
    **dict.fromkeys(EXTENSIONS, extension),
    **dict.fromkeys(LOADS, load),
    **dict.fromkeys(STORES, store),
    **dict.fromkeys(STORES_OF_CONSTANTS, store_constant),
    "lock": atomic,
    "call": call,
    "lddw": wide,
    "ja": lambda mnemonic, words: jump(Instruction(0x05), words[0]),
    "ja32": lambda mnemonic, words: jump(Instruction(0x06), words[0], "imm"),
    "exit": lambda mnemonic, words: Instruction(0x95),
}
