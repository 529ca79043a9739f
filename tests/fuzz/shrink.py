"""Makes a failing program small: drops statements, unwraps blocks, puts constants and operands for expressions.

A smaller program counts when it fails in the same way. Expressions are left alone where the failure is a refusal: without its
casts a program is refused rightly.
"""

from __future__ import annotations

import ast
import copy
import itertools
import re
import time
from collections.abc import Callable, Iterator

from purebpf.engine import Engine
from tests.fuzz.oracles import Failure, examine
from tests.fuzz.spoil import examine_spoiled

Edit = tuple[ast.AST, str, object]


def shrink(failure: Failure, engines: list[Engine], seconds: float = 20) -> Failure:
    """The same failure by a program as small as it could be made in so much time."""
    if "Hang" in failure.detail or "a guard less" in failure.mutation:
        return failure
    deadline = time.monotonic() + seconds
    if not failure.engine:  # before anything was compiled
        return failure
    again = _again(failure, engines)
    wanted, best = signature(failure), failure
    progress = True
    while progress:
        progress = False
        size, i = len(best.source), 0
        while time.monotonic() < deadline:
            tree = ast.parse(best.source)
            edit = next(itertools.islice(edits(tree, failure.kind != "refused"), i, None), None)
            if edit is None:
                break
            i += 1
            node, name, value = edit
            setattr(node, name, value)
            source = ast.unparse(ast.fix_missing_locations(tree))
            if len(source) >= len(best.source):
                continue
            try:
                found = again(source)
            except Exception:
                continue  # no program of the language any more
            if found is not None and signature(found) == wanted:
                best, i, progress = found, max(0, i - 1), True
        progress = progress and len(best.source) < size and time.monotonic() < deadline
    return best


def _again(failure: Failure, engines: list[Engine]) -> Callable[[str], Failure | None]:
    """Only the oracle that noticed it, for other sources."""
    level, seed = int(failure.engine[-1]), failure.seed
    first = failure.engine.split(",")[0]
    used = [engine for engine in engines if failure.engine.startswith(engine.name)]
    if failure.mutation:
        return lambda source: examine_spoiled(source, seed, engines, failure.mutation, level)
    oracles = (first,) if first in ("ir", "python", "passes") else ("engines",)
    return lambda source: examine(source, seed, used, level, strict=True, oracles=oracles)


def signature(failure: Failure) -> tuple[str, ...]:
    """What two failures have in common when they are of one cause."""
    beside = ("processed ", "verification ", "cur state", "old state")
    lines = [line for line in failure.detail.splitlines() if line and not line.startswith(beside)] or [""]
    engine = failure.engine.split(",")[0]
    if failure.kind == "wrong" and not failure.mutation:
        return failure.kind, engine, lines[0].split(":")[0] if ": " in lines[0][:20] else ""
    if failure.kind == "traceback":
        told = lines[-1].split(": spill")[-1][:60] if "AllocationError" in lines[-1] else lines[-1][:80]
        return failure.kind, engine, _plain(told), next((x.strip() for x in reversed(lines) if x.startswith("  File")), "")
    told = lines[0] if failure.kind in ("refused", "wrong") else lines[-1]
    told = "infinite loop detected" if "infinite loop detected" in told else told
    return failure.kind, engine, _plain(told)


def _plain(text: str) -> str:
    return re.sub(r"`[^`]*`|[-\d]+|0x[0-9a-f]+|block \w+|R\d+", "#", text)


def edits(tree: ast.Module, expressions: bool) -> Iterator[Edit]:
    """Every single change that could make it smaller, large ones first."""
    for node in ast.walk(tree):
        for name in ("body", "orelse"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                yield from _blocks(node, name, block)
        if isinstance(node, ast.Match):
            for i in range(len(node.cases)):
                yield node, "cases", node.cases[:i] + node.cases[i + 1 :]
    fields = {id(inner) for n in ast.walk(tree) if isinstance(n, ast.ClassDef) for inner in ast.walk(n)}
    for node in ast.walk(tree):
        if id(node) in fields or (isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Is | ast.IsNot)):
            continue
        for name, value in ast.iter_fields(node):
            if expressions and isinstance(value, ast.expr) and not isinstance(node, ast.AnnAssign | ast.arg | ast.FunctionDef):
                for smaller in _smaller(value):
                    yield node, name, smaller
            if expressions and isinstance(value, list) and isinstance(node, ast.Call | ast.BoolOp | ast.Tuple):
                for i, item in enumerate(value):
                    for smaller in _smaller(item) if isinstance(item, ast.expr) else ():
                        yield node, name, [*value[:i], smaller, *value[i + 1 :]]
            if isinstance(value, ast.expr) and expressions and isinstance(node, ast.AnnAssign) and name == "value":
                for smaller in _smaller(value) if ast.unparse(node.annotation) != "bytes" else ():
                    yield node, name, smaller
            if isinstance(node, ast.Call) and name == "keywords" and ast.unparse(node.func) in ("Rec", "Key"):
                for i in range(len(node.keywords)):
                    yield node, name, node.keywords[:i] + node.keywords[i + 1 :]


def _blocks(node: ast.AST, name: str, block: list[ast.stmt]) -> Iterator[Edit]:
    for length in (32, 16, 8, 3, 1):
        for i in range(0, len(block), max(1, length // 2)):
            rest = block[:i] + block[i + length :]
            if len(rest) < len(block) and (length == 1 or len(block) > length):
                yield node, name, rest or ([ast.Pass()] if name == "body" else [])
    for i, statement in enumerate(block):
        for inner in ("body", "orelse"):
            inside = getattr(statement, inner, None)
            if inside and isinstance(statement, ast.If | ast.For | ast.While):
                yield node, name, [*block[:i], *inside, *block[i + 1 :]]
        if isinstance(statement, ast.Match):
            for case in statement.cases:
                yield node, name, [*block[:i], *case.body, *block[i + 1 :]]


def _smaller(value: ast.expr) -> Iterator[ast.expr]:
    if isinstance(getattr(value, "ctx", None), ast.Store | ast.Del) or isinstance(value, ast.Slice):
        return
    if not isinstance(value, ast.Constant) and ast.unparse(value) != "ctx":
        yield ast.Constant(1)
        yield ast.Constant(0)
    for child in ast.iter_child_nodes(value):
        if isinstance(child, ast.expr) and child is not getattr(value, "func", None):
            yield copy.deepcopy(child)
