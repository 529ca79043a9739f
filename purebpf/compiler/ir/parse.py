"""Reads the text that `text.py` writes, and the same written by hand; the grammar is in docs/ir.md.

By hand, values and blocks may have any names, `#` starts a comment, an integer may stand where a value is wanted (it becomes a
constant in the entry block), and an op without a location gets the line of the text it stands on, unless the function's header
names a file. Types and the flow of values are not checked here: that is `check.py`.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from purebpf.compiler.ir.ops import BOOL, I32, I64, OPS, VOID, Block, Flag, Function, Module, Op, Ptr, Target, Type, signed64
from purebpf.compiler.ir.text import NO_LOCATION, WORDS, ZERO_UNLESS_WRITTEN
from purebpf.data import data, made
from purebpf.errors import Error
from purebpf.isa.instruction import SourceLine

TOKEN = re.compile(
    r"""[ \t]*(?:
    (?P<comment>\#.*) | (?P<value>%[\w.]+) | (?P<arrow>->) | (?P<mark>[():,=?])
  | (?P<number>-?(?:0[xX][0-9a-fA-F]+|[0-9]+)) | (?P<text>"(?:[^"\\]|\\.)*") | (?P<word>[A-Za-z_.][\w.]*)
  | @(?:(?P<file>"(?:[^"\\]|\\.)*"):)?(?P<line>\d+):(?P<column>\d+)
    )""",
    re.VERBOSE,
)
TYPES: dict[str, Type] = {"void": VOID, "bool": BOOL, "i32": I32, "i64": I64}
HAND_WRITTEN = "<ir>"
"""The file of ops that were written without a location."""


class IrSyntaxError(Error):
    """Text that is no IR. `line` is the 1-based line of the text."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


@data
class Token:
    kind: str
    text: str
    value: Any = None


END = Token("end", "the end of the line")


def unquote(text: str) -> str:
    return text[1:-1].encode("ascii", "backslashreplace").decode("unicode_escape")


def tokenize(text: str, line: int) -> list[Token]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise IrSyntaxError(line, f"`{text[at:].split()[0]}` is no part of the IR's text")
        at, kind, found = match.end(), match.lastgroup, match.group().strip()
        if kind == "comment":
            break
        if kind == "column":
            file = match.group("file")
            place = (unquote(file) if file else None, int(match.group("line")), int(match.group("column")))
            tokens.append(Token("location", found, place))
        elif kind == "number":
            tokens.append(Token(kind, found, int(found, 0) if "x" in found.lower() else int(found)))
        else:
            tokens.append(Token(kind, found, unquote(found) if kind == "text" else found))
    return tokens


class Line:
    """The tokens of one line, taken one after the other."""

    __slots__ = ("at", "number", "tokens")

    def __init__(self, number: int, tokens: list[Token]) -> None:
        self.number = number
        self.tokens = tokens
        self.at = 0

    def fail(self, message: str) -> NoReturn:
        raise IrSyntaxError(self.number, message)

    def peek(self, ahead: int = 0) -> Token:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else END

    def next(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def take(self, mark: str) -> bool:
        """Whether this mark or word comes next; it is taken if so."""
        if self.peek().text == mark and self.peek().kind in ("mark", "word", "arrow"):
            self.at += 1
            return True
        return False

    def want(self, what: str, *kinds: str) -> Token:
        """The next token, which has to be of one of these kinds."""
        token = self.next()
        if token.kind not in kinds:
            self.fail(f"{what} is wanted, not {self.shown(token)}")
        return token

    def mark(self, mark: str) -> None:
        if not self.take(mark):
            self.fail(f"`{mark}` is wanted, not {self.shown(self.peek())}")

    def end(self) -> None:
        if self.peek() is not END:
            self.fail(f"nothing more is wanted, but {self.shown(self.peek())} follows")

    @staticmethod
    def shown(token: Token) -> str:
        return token.text if token is END else f"`{token.text}`"


Reference = tuple[Line, str | int]  # a value's name or an integer, and where it was written


@data(frozen=False)
class Pending:
    """An op whose operands and targets are still names: they may be defined further down."""

    op: Op
    args: list[Reference]
    targets: list[tuple[Line, str, list[Reference]]]


@data(frozen=False)
class _Function:
    """A function being read."""

    fn: Function
    file: str | None
    values: dict[str, Op] = made(dict)
    blocks: dict[str, Block] = made(dict)
    pending: list[Pending] = made(list)
    constants: dict[int, Op] = made(dict)

    def define(self, line: Line, name: str, op: Op) -> None:
        if name in self.values:
            line.fail(f"`{name}` is defined twice")
        self.values[name] = op

    def value(self, reference: Reference) -> Op:
        line, name = reference
        if isinstance(name, int):
            return self.constant(line, name)
        if name not in self.values:
            line.fail(f"no value `{name}` is defined in function `{self.fn.name}`")
        return self.values[name]

    def constant(self, line: Line, value: int) -> Op:
        """The constant that an integer operand stands for."""
        if not -(1 << 63) <= value < 1 << 64:
            line.fail(f"{value} does not fit 64 bits")
        value = signed64(value)
        if value not in self.constants:
            type = I32 if 0 <= value < 1 << 32 else I64
            self.constants[value] = Op("const", type, [], (value,), None, block=self.fn.entry)
        return self.constants[value]

    def resolve(self) -> None:
        """Put values and blocks where names stand, and the constants into the entry block."""
        for item in self.pending:
            item.op.args = [self.value(reference) for reference in item.args]
            for line, name, args in item.targets:
                if name not in self.blocks:
                    line.fail(f"no block `{name}` is in function `{self.fn.name}`")
                item.op.targets.append(Target(self.blocks[name], [self.value(reference) for reference in args]))
        if self.constants:
            self.fn.entry.ops[:0] = self.constants.values()


def parse_module(text: str) -> Module:
    """The program a text describes. Raises IrSyntaxError, which names the line."""
    functions: list[_Function] = []
    block: Block | None = None
    last = 0
    for last, source in enumerate(text.splitlines(), 1):
        line = Line(last, tokenize(source, last))
        if line.peek() is END:
            continue
        if line.peek().text == "function" and line.peek(1).kind in ("word", "text"):
            functions.append(_header(line))
            if any(other.fn.name == functions[-1].fn.name for other in functions[:-1]):
                line.fail(f"there are two functions `{functions[-1].fn.name}`")
            block = None
        elif not functions:
            line.fail("a program starts with a function: `function name(%x: i64) -> i64`")
        elif _is_label(line):
            block = _label(line, functions[-1])
        elif block is None:
            line.fail("the function's first block is wanted: `b0:`")
        else:
            _op(line, functions[-1], block)
    if not functions:
        raise IrSyntaxError(max(last, 1), "there is no function")
    for function in functions:
        if not function.fn.blocks:
            raise IrSyntaxError(last, f"function `{function.fn.name}` has no block")
        function.resolve()
    return Module([function.fn for function in functions])


def parse_function(text: str) -> Function:
    """The only function of a text."""
    module = parse_module(text)
    if len(module.functions) != 1:
        raise IrSyntaxError(1, f"one function is wanted, {len(module.functions)} are there")
    return module.functions[0]


def _header(line: Line) -> _Function:
    line.next()
    name = line.next().value
    made = _Function(Function(name, [], VOID), None)
    line.mark("(")
    made.fn.params = _params(line, made, None)
    if line.take("->"):
        made.fn.result = _type(line)
    if line.take("file"):
        made.file = line.want('the file in quotes: `file "program.py"`', "text").value
    line.end()
    return made


def _is_label(line: Line) -> bool:
    return line.peek().kind == "word" and line.tokens[-1].text == ":" and (line.peek(1).text in (":", "("))


def _label(line: Line, function: _Function) -> Block:
    name = line.next().text
    if name in function.blocks:
        line.fail(f"block `{name}` is there twice")
    block = function.blocks[name] = Block(name)
    function.fn.blocks.append(block)
    if line.take("("):
        if len(function.fn.blocks) == 1:
            line.fail("the first block takes no parameters of its own: it reads the function's")
        block.params = _params(line, function, block)
    line.mark(":")
    line.end()
    return block


def _params(line: Line, function: _Function, block: Block | None) -> list[Op]:
    """`%x: i64, %y: bool)`, the opening bracket taken."""
    params: list[Op] = []
    while not line.take(")"):
        if params:
            line.mark(",")
        name = line.want("a parameter such as `%x: i64`", "value").text
        line.mark(":")
        params.append(Op("param", _type(line), [], (), None, block=block))
        function.define(line, name, params[-1])
    return params


def _type(line: Line) -> Type:
    name = line.want("a type", "word").text
    if name == "ptr":
        kind = line.want("what the pointer points to", "word").text
        return Ptr(kind, nullable=line.take("?"))
    if name not in TYPES:
        line.fail(f"there is no type `{name}`: the types are void, bool, i32, i64 and `ptr KIND`")
    return TYPES[name]


def _op(line: Line, function: _Function, block: Block) -> None:
    name, type = None, VOID
    if line.peek().kind == "value":
        name = line.next().text
        line.mark(":")
        found = _type(line)
        line.mark("=")
        if found == VOID:
            line.fail("an op without a value has no name: leave out `%… : void =`")
        op = Op("", found, [], (), None, block=block)
        function.define(line, name, op)
    else:
        op = Op("", type, [], (), None, block=block)
    kind = line.want("an op", "word").text
    if kind not in OPS or kind == "param":
        line.fail(f"there is no op `{kind}`")
    op.kind = kind
    parts = OPS[kind].imm
    given: dict[str, Any] = {}
    if len(parts) == 1:
        given[parts[0]] = _part(line, kind, parts[0])
    pending = Pending(op, [], [])
    _items(line, pending, bool(OPS[kind].flags & Flag.TERMINATOR))
    if len(parts) > 1:
        _named_parts(line, kind, parts, given)
    op.imm = tuple(given[part] for part in parts)
    op.loc = _location(line, function, kind)
    line.end()
    block.ops.append(op)
    function.pending.append(pending)


def _part(line: Line, kind: str, name: str) -> object:
    """The value of one part of an immediate."""
    if name in WORDS:
        return line.want(f"`{kind}`'s {name}", "word", "text").value
    return line.want(f"`{kind}`'s {name}, an integer,", "number").value


def _named_parts(line: Line, kind: str, parts: tuple[str, ...], given: dict[str, Any]) -> None:
    while line.peek().kind == "word":
        name = line.next().text
        if name not in parts:
            line.fail(f"`{kind}` has no `{name}`; it has {', '.join(parts)}")
        if name in given:
            line.fail(f"`{name}` is given twice")
        line.mark("=")
        given[name] = _part(line, kind, name)
    for name in parts:
        if name not in given and name not in ZERO_UNLESS_WRITTEN:
            line.fail(f"`{kind}` needs `{name}=…`")
        given.setdefault(name, 0)


def _items(line: Line, pending: Pending, targets: bool) -> None:
    """Operands and targets, with commas between."""
    first = True
    while first or line.take(","):
        token = line.peek()
        if token.kind in ("value", "number"):
            if pending.targets:
                line.fail("operands come before targets")
            pending.args.append((line, line.next().value))
        elif targets and token.kind == "word" and line.peek(1).text != "=":
            pending.targets.append(_target(line))
        elif first:
            return
        else:
            line.fail(f"a value is wanted after the comma, not {line.shown(token)}")
        first = False


def _target(line: Line) -> tuple[Line, str, list[Reference]]:
    name = line.next().text
    args: list[Reference] = []
    if line.take("("):
        while not line.take(")"):
            if args:
                line.mark(",")
            args.append((line, line.want("a value", "value", "number").value))
    return line, name, args


def _location(line: Line, function: _Function, kind: str) -> SourceLine | None:
    if line.peek().kind == "location":
        file, number, column = line.next().value
        return SourceLine(next(f for f in (file, function.file, HAND_WRITTEN) if f is not None), number, column, "")
    if function.file is None and kind not in NO_LOCATION:
        return SourceLine(HAND_WRITTEN, line.number, 0, "")
    return None
