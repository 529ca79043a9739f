"""The IR as text: one op a line, canonical (equal functions print equal), read back by `parse.py`.

    function double(%0: i32) -> i64 file "double.py"
    b0:
      %1: i32 = const 1
      %2: i64 = shl %0, %1  @3:11
      ret %2  @3:4

Values and blocks are numbered in the order they stand in. What is written about an op follows from its row in `OPS`; the
grammar is in docs/ir.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from purebpf.compiler.ir.ops import OPS, VOID, Block, Function, Module, Op, Target

ZERO_UNLESS_WRITTEN = frozenset({"offset", "signed", "fetch", "low", "high"})
"""Parts of an immediate that are 0 when the text does not give them."""

WORDS = frozenset({"what", "name", "op", "helper", "function", "kfunc", "access"})
"""Parts of an immediate that are texts; all others are integers."""

NO_LOCATION = frozenset({"const", "param", "map", "func"})
"""Kinds that make no instruction of their own at one place, and so need no source location."""


class Names:
    """What a function's values and blocks are called in its text. A value from elsewhere is called `%?`, a block `b?`."""

    __slots__ = ("blocks", "values")

    def __init__(self, fn: Function) -> None:
        self.values: dict[Op, str] = {}
        self.blocks: dict[Block, str] = {}
        for op in fn.params:
            self._add(op)
        for number, block in enumerate(fn.blocks):
            self.blocks.setdefault(block, f"b{number}")
            for op in (*block.params, *block.ops):
                if op.type != VOID:
                    self._add(op)

    def _add(self, op: Op) -> None:
        self.values.setdefault(op, f"%{len(self.values)}")

    def value(self, op: Op) -> str:
        return self.values.get(op, "%?")

    def block(self, block: Block) -> str:
        return self.blocks.get(block, "b?")


def quoted(text: str) -> str:
    """A text in double quotes, ASCII, with Python's escapes."""
    return '"' + text.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'


def word(text: str) -> str:
    """A name as it is written: bare where it is a plain word, else in quotes."""
    plain = text.isascii() and not text[:1].isdigit() and text.replace(".", "_").isidentifier()
    return text if plain else quoted(text)


def format_op(op: Op, names: Names, file: str | None = None, locations: bool = True) -> str:
    """One op without indentation. Its location leaves the file out where it is `file`."""
    info = OPS.get(op.kind)
    parts = info.imm if info else ()
    head, tail = [op.kind], []
    if len(parts) != len(op.imm):  # no valid op; shown as it is, for the checker's messages
        tail = [repr(op.imm)]
    elif len(parts) == 1:
        head.append(_part(parts[0], op.imm[0]))
    else:
        given = zip(parts, op.imm, strict=True)
        tail = [f"{name}={_part(name, value)}" for name, value in given if value != 0 or name not in ZERO_UNLESS_WRITTEN]
    items = [names.value(arg) for arg in op.args] + [_target(target, names) for target in op.targets]
    text = " ".join([*head, *([", ".join(items)] if items else []), *tail])
    if op.type != VOID:
        text = f"{names.value(op)}: {op.type} = {text}"
    return text + _location(op, file) if locations else text


def _part(name: str, value: object) -> str:
    return word(str(value)) if name in WORDS else str(int(value)) if isinstance(value, int) else repr(value)


def _target(target: Target, names: Names) -> str:
    args = ", ".join(names.value(arg) for arg in target.args)
    return f"{names.block(target.block)}({args})" if args else names.block(target.block)


def _location(op: Op, file: str | None) -> str:
    if op.loc is None:
        return ""
    other = f"{quoted(op.loc.file)}:" if op.loc.file != file else ""
    return f"  @{other}{op.loc.line}:{op.loc.column}"


def _typed(params: Sequence[Op], names: Names) -> str:
    return ", ".join(f"{names.value(param)}: {param.type}" for param in params)


def file_of(fn: Function) -> str | None:
    """The source file that stands in the function's header: that of the first op with a location."""
    return next((op.loc.file for op in fn.ops() if op.loc is not None), None)


def format_function(fn: Function, locations: bool = True) -> str:
    """The text of one function, ending with a newline. Without `locations` it is shorter, but its source lines are lost."""
    names = Names(fn)
    file = file_of(fn) if locations else None
    header = f"function {word(fn.name)}({_typed(fn.params, names)})"
    if fn.result != VOID:
        header += f" -> {fn.result}"
    if file is not None:
        header += f" file {quoted(file)}"
    lines = [header]
    for block in fn.blocks:
        params = f"({_typed(block.params, names)})" if block.params and block.params != fn.params else ""
        lines.append(f"{names.block(block)}{params}:")
        lines += [f"  {format_op(op, names, file, locations)}" for op in block.ops]
    return "\n".join(lines) + "\n"


def format_module(module: Module, locations: bool = True) -> str:
    """The text of a program: its functions, the main one first, an empty line between."""
    return "\n".join(format_function(fn, locations) for fn in module.functions)
