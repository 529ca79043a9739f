"""Compile errors: one sentence, the source line with a caret under the place, why, and what to write instead."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from purebpf.data import data
from purebpf.errors import CompileError, Unsupported


@data
class Place:
    """A span of source text: 1-based line (0: not known, `file` is all there is to say), 0-based columns."""

    file: str
    line: int
    column: int
    end: int
    text: str


def render(message: str, place: Place | None, label: str = "", hint: str = "", notes: Sequence[str] = ()) -> str:
    """The error as it is shown, without colour: message, position, excerpt, caret, notes, help."""
    lines = [f"error: {message}"]
    pad = " "
    if place is not None:
        number = str(place.line or " ")
        pad = " " * len(number)
        text = place.text.rstrip("\n").expandtabs(1)
        end = place.end if place.column < place.end <= len(text) else len(text)
        carets = " " * place.column + "^" * max(1, end - place.column)
        where = f"{place.file}:{place.line}:{place.column + 1}" if place.line else place.file
        lines += [f"{pad} --> {where}", f"{pad} |", f"{number} | {text}"]
        lines += [f"{pad} | {carets}{' ' + label if label else ''}"]
    elif label:
        lines.append(f"{pad} = {label}")
    lines += [f"{pad} = {note}" for note in notes]
    if hint:
        lines.append(f"{pad} = help: {hint}")
    return "\n".join(lines)


class ProgramError(CompileError):
    """A compile error at a place. `message`, `label` (beside the caret) and `hint` (what to do) are its parts."""

    def __init__(self, message: str, place: Place | None, label: str = "", hint: str = "") -> None:
        super().__init__(render(message, place, label, hint))
        self.message = message
        self.place = place
        self.label = label
        self.hint = hint


class UnsupportedProgram(ProgramError, Unsupported):
    """A program that a later kernel would take than the one it is compiled for."""


def place_of(node: ast.AST, file: str, lines: list[str], first_line: int = 1) -> Place:
    """Where a syntax node stands. Columns of the syntax tree count UTF-8 bytes; here they count characters."""
    line = getattr(node, "lineno", 1)
    text = lines[line - first_line] if 0 <= line - first_line < len(lines) else ""
    raw = text.encode()

    def characters(offset: int) -> int:
        return len(raw[:offset].decode(errors="replace"))

    start = characters(getattr(node, "col_offset", 0))
    last = getattr(node, "end_lineno", line)
    end = characters(getattr(node, "end_col_offset", 0)) if last == line else len(text.rstrip())
    return Place(file, line, start, end, text)
