"""What the generator reads out of the UAPI headers: helper prototypes from the comments of `linux/bpf.h`, and `#define`s."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROTOTYPE = re.compile(r"^ \* (?P<result>[a-z][\w ]*?[ *]+)bpf_(?P<name>\w+)\((?P<parameters>[^)]*)\)$", re.M)
MAPPED = re.compile(r"^\tFN\((?P<name>\w+), (?P<id>\d+), ##ctx\)", re.M)
DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(?P<name>[A-Z]\w*)[ \t]+(?P<value>[^\n]+)$", re.M)
ENUMERATION = re.compile(r"enum\s*(?:\w+\s*)?\{(?P<body>[^}]*)\}", re.S)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


@dataclass(frozen=True, slots=True)
class Prototype:
    """A helper as `linux/bpf.h` documents it: `parameters` are (C type, name) pairs; ("...", "") ends a variadic one."""

    id: int
    name: str
    result: str
    parameters: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        joined = ", ".join(f"{c_type}{'' if c_type.endswith('*') else ' '}{name}".strip() for c_type, name in self.parameters)
        return f"{self.result}{'' if self.result.endswith('*') else ' '}{self.name}({joined or 'void'})"


def parameter(text: str) -> tuple[str, str]:
    """("const void *", "key") of `const void *key`."""
    if text == "...":
        return "...", ""
    match = re.fullmatch(r"(.*?[ *])(\w+)", text)
    if match is None:
        raise ValueError(f"`{text}` is no parameter of a prototype as linux/bpf.h writes them")
    return match[1].strip(), match[2]


def parse_prototype(id: int, text: str) -> Prototype:
    """The inverse of `Prototype.text`."""
    match = re.fullmatch(r"(.*?[ *])(\w+)\((.*)\)", text)
    if match is None:
        raise ValueError(f"`{text}` is no prototype")
    parameters = () if match[3] in ("void", "") else tuple(parameter(part.strip()) for part in match[3].split(","))
    return Prototype(id, match[2], match[1].strip(), parameters)


def prototypes(header: Path) -> list[Prototype]:
    """All helpers in order of id. Of a helper documented for several contexts the first prototype counts.

    Raises ValueError when the header numbers a helper that it does not document, or is too old to number them (before 6.2).
    """
    text = header.read_text()
    documented: dict[str, str] = {}
    for match in PROTOTYPE.finditer(text):
        documented.setdefault(match["name"], f"{match['result']}{match['name']}({match['parameters']})")
    numbered = {match["name"]: int(match["id"]) for match in MAPPED.finditer(text)}
    if not numbered:
        raise ValueError(f"{header} does not number its helpers: take the headers of Linux 6.2 or newer")
    missing = numbered.keys() - documented.keys() - {"unspec"}
    if missing:
        raise ValueError(f"{header} has no prototype for {', '.join(sorted(missing))}")
    return [parse_prototype(id, documented[name]) for name, id in sorted(numbered.items(), key=lambda item: item[1]) if id]


OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
}


def evaluate(text: str, known: dict[str, int]) -> int | None:
    """A constant C expression of integers, names and operators; None for anything else."""
    plain = re.sub(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]+\b", r"\1", text)
    plain = re.sub(r"\((?:__u\d+|__be\d+|unsigned int|int)\)", "", plain)
    plain = re.sub(r"\b_?_?U?BIT(?:UL)?\((\w+)\)", r"(1 << \1)", plain)
    plain = re.sub(r"\b0([0-7]+)\b", r"0o\1", plain)
    try:
        return _value(ast.parse(plain.strip(), mode="eval").body, known)
    except (SyntaxError, LookupError):
        return None


def _value(node: ast.expr, known: dict[str, int]) -> int:
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name):
            return known[name]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner, known)
        case ast.UnaryOp(op=ast.Invert(), operand=inner):
            return ~_value(inner, known)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](_value(left, known), _value(right, known))
    raise LookupError


def constants(header: Path, known: dict[str, int] | None = None) -> dict[str, int]:
    """Every `#define` and enumerator of a header whose value is a constant integer, in the header's order. The values may use
    names that are `known` from other headers."""
    text = COMMENT.sub(" ", header.read_text()).replace("\\\n", " ")
    found = dict(known or {})
    for match in ENUMERATION.finditer(text):
        following = 0
        for item in (part.strip() for part in re.sub(r"^\s*#.*$", "", match["body"], flags=re.M).split(",")):
            name, _, written = item.partition("=")
            if not re.fullmatch(r"[A-Z]\w*\s*", name):
                continue
            value = evaluate(written, found) if written else following
            if value is None:
                break
            found[name.strip()], following = value, value + 1
    for match in DEFINE.finditer(text):
        value = evaluate(match["value"], found)
        if value is not None:
            found.setdefault(match["name"], value)
    return {name: value for name, value in found.items() if name not in (known or {})}
