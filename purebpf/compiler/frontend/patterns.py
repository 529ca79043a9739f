"""`match`: patterns as a ladder of tests, in order."""

from __future__ import annotations

import ast

from purebpf.compiler.frontend import conditions
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.lower import Lowering, lowers
from purebpf.compiler.frontend.statements import bind, items_of
from purebpf.compiler.frontend.values import NONE, Const, TupleValue, Value


@lowers(ast.Match)
def match_(cx: Lowering, node: ast.Match) -> None:
    """`match` as a ladder of tests, in order. Patterns: constants, dotted names, `|`, tuples, captures, `_`; with guards."""
    subject = cx.expression(node.subject)
    ends: list[Flow | None] = []
    for case in node.cases:
        assert cx.current is not None
        yes, no = _pattern(cx, case.pattern, node.subject, subject)
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


def _pattern(cx: Lowering, pattern: ast.pattern, subject_node: ast.expr, subject: Value) -> tuple[Flow | None, Flow | None]:
    """The flows where a pattern fits and where it does not."""
    if isinstance(subject_node, ast.Name) and subject_node.id in cx.flow.names:
        subject = cx.flow.names[subject_node.id]
    match pattern:
        case ast.MatchValue(value=value_node):
            return conditions.compare(cx, value_node, subject_node, subject, "==", value_node, cx.expression(value_node))
        case ast.MatchSingleton(value=None):
            return conditions.identity(cx, subject_node, subject_node, subject, "is", NONE)
        case ast.MatchSingleton(value=v):
            return conditions.compare(cx, subject_node, subject_node, subject, "==", subject_node, Const(v))
        case ast.MatchOr(patterns=patterns):
            fits: list[Flow | None] = []
            for p in patterns:
                yes, no = _pattern(cx, p, subject_node, subject)
                fits.append(yes)
                cx.go(no)
            return cx.join(*fits), cx.current
        case ast.MatchAs(pattern=inner, name=name):
            yes, no = _pattern(cx, inner, subject_node, subject) if inner is not None else (cx.current, None)
            if name is not None and yes is not None:
                if inner is None and (name in cx.frame.function.__globals__ or name in cx.frame.function.__code__.co_freevars):
                    cx.fail(
                        pattern,
                        f"`case {name}:` captures every value in a new variable, it does not compare with the constant "
                        f"`{name}`",
                        hint=f"write a dotted name such as `module.{name}`, or `case x if x == {name}:`",
                    )
                cx.go(yes)
                bind(cx, subject_node, name, subject)
            return yes, no
        case ast.MatchSequence(patterns=patterns) if not any(isinstance(p, ast.MatchStar) for p in patterns):
            if (length := _length(subject)) is not None and length != len(patterns):
                cx.warn(pattern, "this case never matches", f"{length} values against {len(patterns)}")
                return None, cx.current
            items = items_of(cx, subject_node, subject, len(patterns))
            failed: list[Flow | None] = []
            for i, (p, item) in enumerate(zip(patterns, items, strict=True)):
                node = (
                    subject_node.elts[i]
                    if isinstance(subject_node, ast.Tuple)
                    else ast.copy_location(ast.Constant(0), subject_node)
                )
                yes, no = _pattern(cx, p, node, item)
                failed.append(no)
                if yes is None:
                    return None, cx.join(*failed)
                cx.go(yes)
            return cx.current, cx.join(*failed)
    cx.fail(
        pattern, "this pattern is not available in a program", hint="use constants, dotted names, `|`, tuples, captures and `_`"
    )


def _length(subject: Value) -> int | None:
    """How many values a sequence has; None for what is none."""
    if isinstance(subject, TupleValue):
        return len(subject.items)
    return len(subject.value) if isinstance(subject, Const) and isinstance(subject.value, tuple | list) else None
