"""The text of what an instruction refers to: `map[events]`, `map[fd:5]`, `subprog[fn +3]`, `ksym[btf:7 fd:4]`.

The kernel's log shows a number or an address in these places, which does not tell what was meant. Brackets after the kind
keep everything: the name first, if there is one, then the numbers that are set. `map[id:N]` of bpftool is the model.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from purebpf.errors import AssemblerError
from purebpf.isa.codec import UNRESOLVED, signed32
from purebpf.isa.instruction import Instruction

PLAIN_NAME = re.compile(r"[A-Za-z_.$][\w.$/@-]*", re.ASCII)
QUOTED_NAME = re.compile(r'"(?:[^"\\]|\\.)*"')


def quoted(name: str) -> str:
    """The name as it is, or in double quotes (as in JSON) when it holds anything unusual."""
    if PLAIN_NAME.fullmatch(name):
        return name
    from json import dumps

    return dumps(name)


def leading_name(text: str) -> tuple[str | None, str]:
    """The name that `text` begins with (None if there is none), and the rest."""
    match = QUOTED_NAME.match(text)
    if match:
        from json import JSONDecodeError, loads

        try:
            return str(loads(match[0])), text[match.end() :]
        except JSONDecodeError as error:
            raise AssemblerError(f"{match[0]} is no quoted name: {error}") from None
    match = PLAIN_NAME.match(text)
    if match and (match.end() == len(text) or text[match.end()].isspace()):
        return match[0], text[match.end() :]
    return None, text


def low(instruction: Instruction) -> int:
    return instruction.imm & 0xFFFF_FFFF


def high(instruction: Instruction) -> int:
    return instruction.imm >> 32


def reference(instruction: Instruction, **numbers: int) -> str:
    """The text inside the brackets: the name, and the numbers that are not 0; without a name, the first in any case."""
    parts = [] if instruction.symbol is None else [quoted(instruction.symbol)]
    for key, value in numbers.items():
        if value or not parts:
            parts.append(f"{key}:{value}")
    return " ".join(parts)


def map_text(instruction: Instruction) -> str:
    return reference(instruction, fd=low(instruction))


def idx_text(instruction: Instruction) -> str:
    name = [] if instruction.symbol is None else [quoted(instruction.symbol)]
    return " ".join([*name, f"idx:{low(instruction)}"])


def ksym_text(instruction: Instruction) -> str:
    return reference(instruction, btf=low(instruction), fd=high(instruction))


def kfunc_text(instruction: Instruction) -> str:
    return reference(instruction, btf=instruction.imm, fd=instruction.offset)


def subprog_text(instruction: Instruction) -> str:
    if instruction.symbol is None:
        return f"{signed32(instruction.imm):+d}"
    distance = "" if low(instruction) == UNRESOLVED else f" {signed32(instruction.imm):+d}"
    return quoted(instruction.symbol) + distance


REFERENCES: dict[str, Callable[[Instruction], str]] = {
    "map": map_text,
    "idx": idx_text,
    "ksym": ksym_text,
    "kfunc": kfunc_text,
    "subprog": subprog_text,
}

KEYS = {"map": ("fd",), "idx": ("idx",), "ksym": ("btf", "fd"), "kfunc": ("btf", "fd"), "subprog": ("",)}


def parse_reference(kind: str, text: str) -> tuple[str | None, dict[str, int]]:
    """The name and the numbers in the brackets of a reference of `kind`; a distance has the key ""."""
    name, rest = leading_name(text.strip())
    numbers: dict[str, int] = {}
    for word in rest.split():
        key, colon, digits = word.rpartition(":")
        if key not in KEYS[kind] or key in numbers or bool(colon) != bool(key):
            forms = ", ".join(f"{key}:N" if key else "+N" for key in KEYS[kind])
            raise AssemblerError(f"{word!r} is not understood in [{text}]; inside the brackets stand a name and {forms}")
        try:
            numbers[key] = int(digits, 0)
        except ValueError:
            raise AssemblerError(f"{digits!r} in [{text}] is not a number") from None
    if name is None and not numbers:
        raise AssemblerError("the brackets are empty; a name or a number stands there")
    return name, numbers
