"""Text to instructions: the assembler for the syntax of the kernel verifier's log, with labels and comments.

A line is cut into tokens; its shape (the tokens with registers and numbers blanked out) is looked up in a table made from the
forms' texts, so whatever the disassembler writes is understood, spacing aside. `;` starts a comment. A line of a log may
keep its `12: (b7) ` in front.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache

from purebpf.data import data, replace
from purebpf.errors import AssemblerError
from purebpf.isa.asm import Call
from purebpf.isa.codec import UNRESOLVED, signed32
from purebpf.isa.disassembler import UNKNOWN_HELPER, segments
from purebpf.isa.forms import Form, form_of, rows
from purebpf.isa.helpers import ids_by_name, names_by_id
from purebpf.isa.instruction import WIDE_LOAD, Instruction, SourceLine
from purebpf.isa.labels import Item, Label, assemble
from purebpf.isa.references import parse_reference

LINE = re.compile(r"\s*(?:\d+:\s*\((?P<opcode>[0-9a-f]{2})\)|(?P<label>[A-Za-z_.$][\w.$]*)\s*:)?\s*", re.ASCII)
TOKEN = re.compile(
    r"""\s*(?:
      (?P<comment> ;.*)
    | (?P<kind> map|subprog|ksym|kfunc) \[ (?P<content> (?: "(?:[^"\\]|\\.)*" | [^\]"] )* ) \]
    | (?P<register> [rw]\d+ )\b
    | (?P<number> [+-]?\s*[+-]?\s* (?: 0x[0-9a-fA-F]+ | \d+ ) )\b
    | (?P<operator> s?(?: >>= | <<= | <= | >= | < | > | /= | %= ) | [-+*&|^=!]?= | [-+*&()\[\],\#] )
    | (?P<word> [A-Za-z_.$][\w.$]* )
    )""",
    re.ASCII | re.VERBOSE,
)
JUMPS = ("goto", "gotol", "may_goto")


@data
class Token:
    """A piece of a line: what it adds to the shape, what it says, and the column it stands at (from 0).

    The shape of a register is @r or @w, that of a number @n, that of a reference its kind and brackets; a word or operator is
    its own shape.
    """

    shape: str
    text: str
    column: int


def parse(text: str, file: str = "<assembly>") -> tuple[Instruction, ...]:
    """The program in `text`: one instruction or label a line. Raises AssemblerError with the line for anything else."""
    return assemble(parse_items(text, file))


def parse_items(text: str, file: str = "<assembly>") -> list[Item]:
    """The instructions and labels of `text`, jumps not resolved yet. Each instruction's `source` is its line."""
    items: list[Item] = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            items.extend(parse_line(line, SourceLine(file, number, 0, line)))
        except AssemblerError as error:
            raise AssemblerError(f"{file}:{number}: {error}\n    {line.strip()}") from None
    return items


def parse_instruction(text: str) -> Instruction:
    """The one instruction in `text`. A label that it jumps to, or a function that it calls, stays in `symbol`."""
    items = [item for item in parse_items(text) if isinstance(item, Instruction)]
    if len(items) != 1:
        raise AssemblerError(f"{text!r} is {len(items)} instructions; one is expected")
    return items[0]


def parse_line(line: str, source: SourceLine) -> Iterator[Item]:
    start = LINE.match(line)
    assert start is not None  # the pattern matches the empty string
    if start["label"]:
        yield Label(start["label"])
    tokens = list(tokenize(line, start.end()))
    if not tokens:
        return
    stated = int(start["opcode"], 16) if start["opcode"] else None
    if stated == WIDE_LOAD and [token.shape for token in tokens[1:]] == ["=", "@n"]:
        tokens.append(Token("ll", "ll", len(line)))  # the kernel's log leaves it out
    instruction = call(tokens) if tokens[0].text == "call" else match(tokens)
    if stated is not None and stated != instruction.opcode:
        raise AssemblerError(f"the line says opcode {stated:02x}, but its text is {instruction.opcode:02x}")
    yield replace(instruction, source=replace(source, column=tokens[0].column))


def tokenize(line: str, position: int) -> Iterator[Token]:
    end = len(line.rstrip())
    while position < end:
        found = TOKEN.match(line, position)
        if found is None:
            raise AssemblerError(f"{line[position:].strip()!r} is not understood")
        position = found.end()
        kind = found.lastgroup
        if kind == "comment":
            return
        if kind == "content":
            content = found["content"]
            yield Token(f"{found['kind']}[{'idx' if 'idx:' in content else ''}]", content, found.start("kind"))
        else:
            assert kind is not None  # one of the alternatives matched
            text = found[kind]
            shape = {"register": f"@{text[0]}", "number": "@n"}.get(kind, text)
            yield Token(shape, text, found.start(kind))


def match(tokens: list[Token]) -> Instruction:
    """The instruction of a line: its form by its shape, its fields from the tokens."""
    label = None
    if len(tokens) >= 2 and tokens[-2].text in JUMPS and tokens[-1].shape == tokens[-1].text:
        label = tokens[-1].text
        tokens = [*tokens[:-1], Token("@n", "0", tokens[-1].column)]
    found = shapes().get(" ".join(token.shape for token in tokens))
    if found is None:
        raise AssemblerError(f"no instruction looks like this{hint(tokens)}")
    form, fields = found
    parts = Parts(form.opcode, form.src or 0, form.offset or 0, form.imm or 0)
    values = [token.text for token in tokens if is_field(token)]
    for field, text in zip(fields, values, strict=True):
        try:
            READERS[field](parts, field, text)
        except AssemblerError as error:
            raise AssemblerError(f"{error} (in {text!r})") from None
    return parts.instruction(label)


def is_field(token: Token) -> bool:
    return token.shape.startswith("@") or (token.shape.endswith("]") and len(token.shape) > 1)


def hint(tokens: list[Token]) -> str:
    """What is probably meant by a line that no form has the shape of."""
    shape = [token.shape for token in tokens]
    known = shapes()
    if " ".join("@r" if part == "@w" else part for part in shape) in known:
        return "; it works on whole registers: write rN, not wN"
    if len(shape) == 5 and shape[:2] in (["@r", "="], ["@w", "="]) and shape[2] == shape[0]:
        return f"; arithmetic has two operands: {tokens[0].text} {tokens[3].text}= {tokens[4].text}"
    return "; docs/assembly.md lists them all"


@cache
def shapes() -> dict[str, tuple[Form, tuple[str, ...]]]:
    """Every form by the shapes of its text, with the fields in the order in which they stand there."""
    table: dict[str, tuple[Form, tuple[str, ...]]] = {}
    for form in rows():
        symbolic = () if "{label}" in form.symbolic else (form.symbolic,)
        for template in dict.fromkeys(filter(None, (form.text, *form.also, *symbolic))):
            parts = segments(template)
            sample = "".join(SAMPLES.get(part, "0") if index % 2 else part for index, part in enumerate(parts))
            shape = " ".join(token.shape for token in tokenize(sample, 0))
            assert shape not in table, f"two forms look like {shape}"
            table[shape] = (form, parts[1::2])
    return table


SAMPLES = {"offset": "+0", "target": "+0", "map_offset": "+0", "idx": "idx:0", "helper": "name"}


@data(frozen=False)
class Parts:
    """An instruction in the making. `low` and `high` are the halves of the constant."""

    opcode: int
    src: int
    offset: int
    low: int
    high: int = 0
    dst: int | None = None
    read_src: bool = False
    symbol: str | None = None

    def instruction(self, label: str | None) -> Instruction:
        wide = self.opcode == WIDE_LOAD
        imm = self.high << 32 | self.low & 0xFFFF_FFFF if wide else self.low
        instruction = Instruction(self.opcode, self.dst or 0, self.src, self.offset, imm, label or self.symbol)
        form_of(instruction)
        return instruction


def number(text: str) -> int:
    """A decimal or hexadecimal number; `+ -3` is -3."""
    digits = text.replace(" ", "").replace("\t", "")
    negative = digits.count("-") % 2
    digits = digits.lstrip("+-")
    try:
        value = int(digits, 16 if digits[1:2] == "x" else 10)
    except ValueError as error:  # Python refuses thousands of digits
        raise AssemblerError(f"the number is not understood: {error}") from None
    return -value if negative else value


def ranged(text: str, least: int, most: int, advice: str = "") -> int:
    value = number(text)
    if not least <= value <= most:
        raise AssemblerError(f"the number must be between {least} and {most}{advice}")
    return value


def read_dst(parts: Parts, field: str, text: str) -> None:
    if parts.dst not in (None, int(text[1:])):
        raise AssemblerError(f"both places must name the same register, r{parts.dst}")
    parts.dst = int(text[1:])


def read_src(parts: Parts, field: str, text: str) -> None:
    if parts.read_src and parts.src != int(text[1:]):
        raise AssemblerError(f"both places must name the same register, r{parts.src}")
    parts.src, parts.read_src = int(text[1:]), True


def read_zero(parts: Parts, field: str, text: str) -> None:
    if text not in ("r0", "0"):
        raise AssemblerError("only r0 (or element 0 of a map) is possible here")


def read_offset(parts: Parts, field: str, text: str) -> None:
    parts.offset = ranged(text, -0x8000, 0x7FFF)


def read_imm(parts: Parts, field: str, text: str) -> None:
    advice = "; a 64-bit operation extends the sign. A wider constant is loaded by 'rN = ... ll'"
    parts.low = ranged(text, -0x8000_0000, 0x7FFF_FFFF, advice)


def read_imm32(parts: Parts, field: str, text: str) -> None:
    parts.low = signed32(ranged(text, -0x8000_0000, 0xFFFF_FFFF))


def read_wide(parts: Parts, field: str, text: str) -> None:
    value = ranged(text, -(2**63), 2**64 - 1) & 0xFFFF_FFFF_FFFF_FFFF
    parts.low, parts.high = value & 0xFFFF_FFFF, value >> 32


def read_map_offset(parts: Parts, field: str, text: str) -> None:
    parts.high = ranged(text, 0, 0xFFFF_FFFF)


def read_to_space(parts: Parts, field: str, text: str) -> None:
    parts.low = signed32(ranged(text, 0, 0xFFFF) << 16)


def read_from_space(parts: Parts, field: str, text: str) -> None:
    parts.low |= ranged(text, 0, 0xFFFF)


def read_reference(parts: Parts, field: str, text: str) -> None:
    parts.symbol, numbers = parse_reference(field, text)
    if not all(-0x8000_0000 <= value <= 0xFFFF_FFFF for value in numbers.values()):
        raise AssemblerError("the numbers in the brackets must fit in 32 bits")
    if field == "kfunc":
        parts.low, parts.offset = numbers.get("btf", 0), numbers.get("fd", 0)
    elif field == "ksym":
        parts.low, parts.high = numbers.get("btf", 0), numbers.get("fd", 0)
    elif field == "subprog":
        parts.low = numbers.get("", signed32(UNRESOLVED))
    else:
        parts.low = numbers.get("fd" if field == "map" else "idx", 0)


READERS: dict[str, Callable[[Parts, str, str], None]] = {
    "dst": read_dst,
    "src": read_src,
    "zero": read_zero,
    "offset": read_offset,
    "imm": read_imm,
    "imm32": read_imm32,
    "hex": read_imm32,
    "target": read_imm32,
    "wide": read_wide,
    "map_offset": read_map_offset,
    "to_space": read_to_space,
    "from_space": read_from_space,
    **dict.fromkeys(("map", "idx", "ksym", "kfunc", "subprog"), read_reference),
}


def call(tokens: list[Token]) -> Instruction:
    """A call line: of a helper by name and number, name or number; of a function of the program by its label; or a form."""
    texts = [token.text for token in tokens]
    match_shape = [token.shape for token in tokens]
    if match_shape[2:] == ["#", "@n"]:
        return Call.helper(checked_helper(texts[1], number(texts[3])))
    if match_shape == ["call", "@n"]:
        return Call.helper(number(texts[1]))
    if len(tokens) == 2 and texts[1] == match_shape[1]:
        known = ids_by_name().get(texts[1])
        return Call.local(texts[1]) if known is None else Call.helper(known)
    return match(tokens)


def checked_helper(name: str, id: int) -> int:
    """`id`, if the helper of that number has that name."""
    expected = names_by_id().get(id, UNKNOWN_HELPER)
    if name != expected:
        kfunc = f"; a kernel function is written call kfunc[{name} btf:{id}]" if expected == UNKNOWN_HELPER else ""
        raise AssemblerError(f"helper {id} is {expected}, not {name}{kfunc}")
    return id
