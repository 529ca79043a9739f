"""Programs with one mistake put in: a wrong name or type, a missing argument, a check taken out.

Such a program must be refused with a diagnostic that shows a place. Where it happens to be one that the compiler takes, the
verifier must take it too, and all machines must agree on what it does, short packets included.
"""

from __future__ import annotations

import ast
import copy
import random
import traceback
from collections.abc import Callable, Iterator

from purebpf.compiler.options import Options
from purebpf.compiler.pipeline import compile_program
from purebpf.engine import Engine
from purebpf.errors import CompileError, Error
from tests.fuzz.machines import compare, load_module, run_engine
from tests.fuzz.oracles import Failure, attempt, level_of

STRANGE = (
    "None", "1.5", "'text'", "b'ab'", "[1]", "{}", "()", "(1, 2)", "ctx", "head", "mhash", "mrec", "mrecs", "Rec", "u8", "bpf",
    "program", "nothing", "lambda: 1", "-1", "1 << 70", "True", "head.nothing", "mrec[1]", "mrecs[3]", "mhash.get(1)",
    "mrec.get(1)", "ctx.packet", "ctx.packet.at(0, u32)", "ctx.nothing", "len", "len(1)", "u8()", "u8(1, 2)", "Rec(nothing=1)",
    "[x for x in (1, 2)]", "f'{head}'", "mhash.keys()", "bpf.nothing", "open('x')", "sum(mhash)", "head[0]", "(yield)",
    "head.mac0", "mrecs[0]", "Key", "await head", "head.mac0 + 1", "-head", "not mrec",
    "mhash + 1", "ctx.packet[0]", "range(3)",
    "max()", "min(head)", "any(1 for i in head)", "mrecs[0].nothing", "bpf.XDP_PASS()", "int('7')", "str(1)", "...", "1j",
    "mrec.get(1) or mrec.get(2)", "mhash.get(1) and 5", "zip(1)", "enumerate(head)", "bytes(head)",
    "divmod(1, 0)", "pow(2, -1)",
)  # fmt: skip
STATEMENTS = (
    "try:\n    pass\nexcept ValueError:\n    pass", "raise ValueError", "import os",
    "global mhash", "nonlocal head", "del head",
    "with mhash:\n    pass", "assert head", "yield", "return", "return head", "return None", "mhash = 1", "head = None",
    "head.mac0 = 5", "ctx = 1", "mrec[1] = 5", "mhash[1] = mrecs[0]", "mrecs[9] = Rec()", "for x in mhash:\n    pass",
    "def f():\n    return f()", "class C:\n    pass", "x: nothing = 1", "x: float = 1",
    "x: str = 1", "head: u8 = 1", "head += 1",
    "while True:\n    pass", "for head in range(3):\n    pass", "a, b = 1", "a, b = head", "mhash", "1 + 1", "print(head)",
    "program(ctx)", "del mrecs[0]", "break", "continue", "(a for a in head)", "head.nothing = 1",
    "u8 = 1", "x = x + 1", "x += 1",
    "for i in 5:\n    pass", "for a, b in (1, 2):\n    pass", "match head:\n    case 1:\n        pass", "return 1, 2", "'text'",
    "match mhash:\n    case Rec():\n        pass", "mhash.get(1).x = 2", "bpf.printk(head)",
    "print(f'{ctx}')", "with head as h:\n    pass",
)  # fmt: skip
OPERATORS = (ast.Div, ast.Pow, ast.MatMult, ast.LShift, ast.FloorDiv, ast.Mod, ast.Add, ast.Mult, ast.BitOr)
TYPES = (
    "u8",
    "s64",
    "be16",
    "bool",
    "str",
    "int",
    "float",
    "nothing",
    "Rec",
    "bytes",
    "None",
    "list[u8]",
    "u64 | None",
    "mhash",
    "3",
)
HOSTILE = (14, 15, 20, 33, 64, 100)
"""Sizes of packets; the kernel's test run takes none below 14."""
ENDLESS = "is beyond the budget"
"""Of the virtual machine: what the kernel ends later, by the budget of `may_goto`."""

Edit = tuple[str, Callable[[], None]]


def spoiled(source: str, rng: random.Random) -> tuple[str, str] | None:
    """What was done, and the program after it; None when it is no Python any more."""
    tree = ast.parse(source)
    bodies = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    kinds: dict[str, list[Callable[[], None]]] = {}
    for function in bodies:
        for name, edit in edits(function, rng):
            kinds.setdefault(name, []).append(edit)
    name = rng.choice(sorted(kinds))
    rng.choice(kinds[name])()
    try:
        text = ast.unparse(ast.fix_missing_locations(tree))
        compile(text, "<fuzzed>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    return name, text


def expression(rng: random.Random) -> ast.expr:
    return ast.parse(rng.choice(STRANGE), mode="eval").body


def edits(function: ast.FunctionDef, rng: random.Random) -> Iterator[Edit]:
    """Every place that can be spoiled, with the kind of mistake."""
    for node in ast.walk(function):
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr) and not isinstance(getattr(value, "ctx", None), ast.Store | ast.Del):
                annotation = name in ("annotation", "returns")
                text = rng.choice(TYPES if annotation else STRANGE)
                yield "another type" if annotation else "a strange value", _parsed(node, name, text)
                yield from _guards(node, name, value)
            if isinstance(value, list) and value and isinstance(value[0], ast.expr) and name in ("args", "elts", "values"):
                i = rng.randrange(len(value))
                yield "an argument less", _setter(node, name, value[:i] + value[i + 1 :])
                yield "an argument more", _setter(node, name, [*value, expression(rng)])
                yield "a strange argument", _setter(node, name, [*value[:i], expression(rng), *value[i + 1 :]])
            if name in ("body", "orelse") and isinstance(value, list) and value:
                i = rng.randrange(len(value))
                extra = ast.parse(rng.choice(STATEMENTS)).body
                yield "a strange statement", _setter(node, name, [*value[:i], *extra, *value[i:]])
                yield "a statement less", _setter(node, name, value[:i] + value[i + 1 :] or [ast.Pass()])
                yield "a statement twice", _setter(node, name, [*value[: i + 1], copy.deepcopy(value[i]), *value[i + 1 :]])
                yield "statements swapped", _setter(node, name, [*value[i:], *value[:i]])
            if name == "op" and isinstance(value, ast.operator):
                yield "another operator", _setter(node, name, rng.choice(OPERATORS)())
            if name in ("attr", "id") and isinstance(value, str):
                yield "another name", _setter(node, name, value[:-1] or "x")
            if name == "keywords" and value:
                yield "another keyword", _setter(value[0], "arg", "nothing")
            if isinstance(value, int) and isinstance(node, ast.Constant):
                yield "another number", _setter(node, "value", rng.choice((-1, 0, 1 << 31, 1 << 63, 1 << 64, -(1 << 63), 255)))


def _guards(node: ast.AST, name: str, value: ast.expr) -> Iterator[Edit]:
    """A check taken out: an index without its mask, a test for None that always holds."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mod | ast.BitAnd) and isinstance(node, ast.Subscript):
        yield "an index without its bound", _setter(node, name, value.left)
    if isinstance(value, ast.Compare) and isinstance(value.ops[0], ast.Is | ast.IsNot) and isinstance(node, ast.If):
        yield "no test for None", _setter(node, name, ast.Constant(isinstance(value.ops[0], ast.IsNot)))


def _parsed(node: ast.AST, name: str, text: str) -> Callable[[], None]:
    return lambda: setattr(node, name, ast.parse(text, mode="eval").body)


def _setter(node: ast.AST, name: str, value: object) -> Callable[[], None]:
    return lambda: setattr(node, name, value)


def examine_spoiled(
    source: str, seed: int, engines: list[Engine], mutation: str, cpu: int | None = None, sparing: bool = False
) -> Failure | None:
    """What is wrong with how the program is refused or, where it is taken, with what it does. What the verifier finds too
    complex is compiled again, `sparing`."""
    level = cpu or level_of(seed)

    def failed(kind: str, engine: str, detail: str) -> Failure:
        return Failure(kind, f"{engine}, cpu v{level}" if engine else f"cpu v{level}", detail, source, seed, mutation)

    try:
        program = load_module(source).program
    except Exception:
        return None  # Python, or a declaration, says what is wrong with it
    try:
        made = compile_program(program.function, program.kind, options=Options(cpu=level, sparing=sparing))
    except CompileError as error:
        return None if "--> <fuzzed>:" in str(error) else failed("wrong", "", f"an error without a place: {error}")
    except Error as error:
        return failed("traceback", "", f"no CompileError but {type(error).__name__}: {error}")
    except Exception:
        return failed("traceback", "", traceback.format_exc(limit=-4))
    rng = random.Random(seed)
    inputs, found = [rng.randbytes(size) for size in HOSTILE], []

    def same(engine: Engine) -> str:
        found.append(run_engine(made, engine, inputs))
        return compare(found[-1], found[0])

    for engine in reversed(engines):  # what the kernel rejects need not run
        failure = attempt(failed, engine.name, lambda e=engine: same(e))  # type: ignore[misc]
        if failure is not None and failure.kind == "large" and not sparing:
            return examine_spoiled(source, seed, engines, mutation, cpu, sparing=True)
        if failure is not None:
            return None if ENDLESS in failure.detail else failure
    return None
