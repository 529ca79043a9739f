"""`match`: patterns as a ladder of tests, in order.

The subject and its parts are kept under hidden names, so that what one pattern learns of them (a range, that they are not None)
holds in the patterns behind it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from purebpf.compiler.frontend import conditions, instead, memory, statements, tuples
from purebpf.compiler.frontend.comparing import Split
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.lower import Lowering, lowers
from purebpf.compiler.frontend.values import (
    NONE,
    Conflict,
    Const,
    Fill,
    IntValue,
    MaybeInt,
    MaybeRef,
    Ref,
    TupleValue,
    Unset,
    Value,
    count,
    describe,
)
from purebpf.lang.types import ArrayType, BytesType, CharsType, StructType, type_of

KINDS: dict[type, type] = {str: CharsType, bytes: BytesType, list: ArrayType}  # Python's class of what lies in memory


@lowers(ast.Match)
def match_(cx: Lowering, node: ast.Match) -> None:
    """Values, dotted names, `|`, tuples, records, captures, `as`, None, `_`; with guards."""
    value = cx.expression(node.subject)
    subject = _hidden(cx, node.subject, value)
    ends: list[Flow | None] = []
    for case in node.cases:
        assert cx.current is not None
        yes, no = _pattern(cx, case.pattern, subject)
        if case.guard is not None and yes is not None:
            cx.go(yes)
            yes, refused = conditions.test(cx, case.guard)
            cx.go(no)
            no = cx.join(no, refused)
        cx.go(yes)
        if yes is not None:
            cx.last = yes
            cx.statements(case.body)
        ends.append(cx.current)
        cx.go(no)
        if no is None:
            break
    cx.go(cx.join(*ends, cx.current))
    if cx.current is None and value == NONE:
        cx.last = None
    if cx.current is not None:
        for name in [name for name in cx.flow.names if name.startswith(subject.id)]:
            del cx.flow.names[name]


def _hidden(cx: Lowering, node: ast.expr, value: Value) -> ast.Name:
    """A name of the compiler's own for the subject (no identifier: it has a space), shown as the subject is written."""
    name = ast.copy_location(ast.Name(f"{ast.unparse(node)} ", ast.Load()), node)
    cx.flow.names[name.id] = value
    return name


def _pattern(cx: Lowering, pattern: ast.pattern, subject: ast.Name) -> Split:
    """The flows where a pattern fits and where it does not."""
    value = cx.flow.names[subject.id]
    match pattern:
        case ast.MatchValue(value=node):
            return _present(cx, subject, lambda inner: _equals(cx, node, subject, inner, cx.expression(node)))
        case ast.MatchSingleton(value=None):
            return conditions.identity(cx, subject, subject, value, "is", NONE)
        case ast.MatchSingleton(value=constant):
            return _present(cx, subject, lambda inner: _truth(cx, pattern, subject, inner, bool(constant)))
        case ast.MatchOr(patterns=patterns):
            fits: list[Flow | None] = []
            for p in patterns:
                yes, no = _pattern(cx, p, subject)
                fits.append(yes)
                cx.go(no)
                if no is None:
                    break
            return cx.join(*fits), cx.current
        case ast.MatchAs():
            return _capture(cx, pattern, subject)
        case ast.MatchSequence(patterns=patterns):
            return _sequence(cx, pattern, patterns, subject)
        case ast.MatchClass():
            return _present(cx, subject, lambda inner: _record(cx, pattern, subject, inner))
        case ast.MatchMapping():
            cx.fail(pattern, "a dict pattern has no meaning in a program", hint="match a record: `case Point(x=0):`")
    cx.fail(pattern, "this pattern is not available in a program", hint="use constants, dotted names, `|`, tuples and `_`")


def _equals(cx: Lowering, node: ast.expr, subject: ast.Name, value: Value, wanted: Value) -> Split:
    return conditions.compare(cx, node, subject, value, "==", node, wanted)


def _never(cx: Lowering, pattern: ast.pattern, why: str) -> Split:
    """A pattern that the types rule out. In a function that is called with several types it is no mistake."""
    if len(cx.frames) == 1:
        cx.warn(pattern, "this case never matches", why)
    return None, cx.current


def _truth(cx: Lowering, pattern: ast.pattern, subject: ast.Name, value: Value, wanted: bool) -> Split:
    """`case True:` fits a bool only, as in Python."""
    if not _is_a(value, bool):
        return _never(cx, pattern, f"{describe(value)} is not {wanted}; compare with {int(wanted)}")
    return _equals(cx, subject, subject, value, Const(wanted))


def _present(cx: Lowering, subject: ast.Name, fits: Callable[[Value], Split]) -> Split:
    """A pattern for what is there: None fits none but its own."""
    value = cx.flow.names[subject.id]
    if value == NONE:
        return None, cx.current
    if not isinstance(value, MaybeRef | MaybeInt):
        return fits(value)
    there, absent = conditions.present(cx, value, subject.id)
    cx.go(there)
    yes, no = fits(cx.flow.names[subject.id])
    return yes, cx.join(no, absent)


def _capture(cx: Lowering, pattern: ast.MatchAs, subject: ast.Name) -> Split:
    """`case x:`, `case <pattern> as x:`, `case _:`."""
    name, inner = pattern.name, pattern.pattern
    yes, no = _pattern(cx, inner, subject) if inner is not None else (cx.current, None)
    if name is None or yes is None:
        return yes, no
    function = cx.frame.function
    if inner is None and (name in function.__globals__ or name in function.__code__.co_freevars):
        outer = function.__globals__.get(name, 0)
        what = "constant" if isinstance(outer, int | str | bytes | tuple) else "module's"
        cx.fail(
            pattern,
            f"`{name}` in a `case` captures every value in a new variable, it does not compare with the {what} `{name}`",
            hint=f"write a dotted name: `{instead.dotted(name, function.__globals__)}`, or `case x if x == {name}:`",
        )
    cx.go(yes)
    statements.bind(cx, subject, name, cx.flow.names[subject.id])
    return cx.current, no


def _sequence(cx: Lowering, pattern: ast.MatchSequence, patterns: list[ast.pattern], subject: ast.Name) -> Split:
    """`case (a, 0)`, `case [first, *rest]` over a tuple or an array."""
    value = cx.flow.names[subject.id]
    items = _items(cx, subject, value)
    if items is None:
        cx.usable(subject, value)
        return _never(cx, pattern, f"{describe(value)} is no tuple or array")
    star = next((i for i, p in enumerate(patterns) if isinstance(p, ast.MatchStar)), None)
    rest: tuple[Value, ...] = ()
    if star is not None and len(items) >= len(patterns) - 1:
        behind = len(patterns) - star - 1
        rest = items[star : len(items) - behind]
        items = (*items[:star], *items[len(items) - behind :])
    fixed = [p for p in patterns if not isinstance(p, ast.MatchStar)]
    if len(items) != len(fixed):
        return _never(cx, pattern, f"{count(len(items), 'value')} against {count(len(fixed), 'pattern')}")
    failed: list[Flow | None] = []
    for i, (p, item) in enumerate(zip(fixed, items, strict=True)):
        yes, no = _pattern(cx, p, _part(cx, subject, f"[{i}]", item, keep=not isinstance(value, Ref)))
        failed.append(no)
        if yes is None:
            return None, cx.join(*failed)
        cx.go(yes)
    named = patterns[star] if star is not None else None
    if isinstance(named, ast.MatchStar) and named.name is not None:
        statements.bind(cx, subject, named.name, TupleValue(rest))
    return cx.current, cx.join(*failed)


def _items(cx: Lowering, subject: ast.Name, value: Value) -> tuple[Value, ...] | None:
    """What a sequence is made of; None for what is none."""
    match value:
        case TupleValue(items=items):
            return items
        case Const(tuple() as plain):
            return tuple(map(Const, plain))
        case Ref(type=ArrayType()) as ref:
            cx.usable(subject, ref)
            return tuples.elements(cx, subject, ref)
    return None


def _part(cx: Lowering, subject: ast.Name, part: str, value: Value, keep: bool = False) -> ast.Name:
    """The hidden name of a part; with `keep`, what a pattern before has learnt of it holds (memory may have changed since)."""
    name = ast.copy_location(ast.Name(f"{subject.id}{part}", ast.Load()), subject)
    if not keep or isinstance(cx.flow.names.get(name.id, Unset("")), Unset | Conflict):
        cx.flow.names[name.id] = value
    return name


def _record(cx: Lowering, pattern: ast.MatchClass, subject: ast.Name, value: Value) -> Split:
    """`case Point(x=0, y=y):`, `case int():`, `case str():`."""
    named = cx.expression(pattern.cls)
    kind = named.value if isinstance(named, Const) else None
    if not isinstance(kind, type):
        cx.fail(pattern.cls, f"{describe(named)} is no class to match", hint="a @bpf.struct, `int`, `bool`, `str` or `bytes`")
    layout = type_of(kind)
    if isinstance(layout, StructType):
        if pattern.patterns:
            cx.fail(pattern.patterns[0], f"`{layout}` takes its fields by keyword", hint=f"case {layout}(field=...):")
        if not isinstance(value, Ref) or value.type != layout:
            return _never(cx, pattern, f"{describe(value)} is no `{layout}`")
        return _fields(cx, pattern, subject, value)
    if kind not in (int, bool, str, bytes, list):
        cx.fail(pattern.cls, f"a value is never known to be `{ast.unparse(pattern.cls)}` in a program", hint="match `int()`")
    if pattern.kwd_attrs or len(pattern.patterns) > 1:
        cx.fail(pattern, f"`{kind.__name__}` has at most one pattern inside", hint=f"case {kind.__name__}() as x:")
    if not _is_a(value, kind):
        return _never(cx, pattern, f"{describe(value)} is no `{kind.__name__}`")
    return _pattern(cx, pattern.patterns[0], subject) if pattern.patterns else (cx.current, None)


def _is_a(value: Value, kind: type) -> bool:
    match value:
        case Const(plain):
            return isinstance(plain, kind)
        case IntValue(boolean=boolean):
            return kind is int or (kind is bool and boolean)
        case Ref(type=type) | Fill(type=type):
            return kind in KINDS and isinstance(type, KINDS[kind])
    return False


def _fields(cx: Lowering, pattern: ast.MatchClass, subject: ast.Name, record: Ref) -> Split:
    failed: list[Flow | None] = []
    for attr, inner in zip(pattern.kwd_attrs, pattern.kwd_patterns, strict=True):
        node = ast.copy_location(ast.Attribute(subject, attr, ast.Load()), inner)
        yes, no = _pattern(cx, inner, _part(cx, subject, f".{attr}", memory.load_member(cx, node, record, attr)))
        failed.append(no)
        if yes is None:
            return None, cx.join(*failed)
        cx.go(yes)
    return cx.current, cx.join(*failed)
