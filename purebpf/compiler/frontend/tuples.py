"""Tuples, which exist while a program is compiled: joined, repeated, cut, unpacked with a star."""

from __future__ import annotations

import ast

from purebpf.compiler.frontend import memory
from purebpf.compiler.frontend.lower import Lowering, lowers
from purebpf.compiler.frontend.values import Const, Ref, TupleValue, Value, describe, known
from purebpf.data import replace
from purebpf.lang.types import ArrayType, BytesType, IntType

MOST_ELEMENTS = 64


def items(value: Value) -> tuple[Value, ...] | None:
    """The items of a tuple; None for what is none."""
    match value:
        case TupleValue(items=found):
            return found
        case Const(tuple() as plain):
            return tuple(map(Const, plain))
    return None


def elements(cx: Lowering, node: ast.AST, ref: Ref) -> tuple[Value, ...] | None:
    """What an array or bytes in memory consist of, one by one; None for what cannot be taken apart."""
    match ref.type:
        case ArrayType(element=element, count=count):
            pass
        case BytesType(size=count):
            element = IntType(8)
        case _:
            return None
    if count > MOST_ELEMENTS:
        cx.fail(node, f"{describe(ref)} has {count} elements", f"at most {MOST_ELEMENTS} are taken apart", "write a `for` loop")
    places = (replace(ref, offset=ref.offset + i * element.size, type=element) for i in range(count))
    return tuple(memory.load(cx, node, place) for place in places)


def made(values: tuple[Value, ...]) -> Value:
    """A tuple of values; a constant where they all are."""
    if all(isinstance(value, Const) for value in values):
        return Const(tuple(value.value for value in values if isinstance(value, Const)))
    return TupleValue(values)


def operate(symbol: str, left: Value, right: Value) -> Value | None:
    """`a + b` of tuples, `a * n`; None for anything else."""
    first, second = items(left), items(right)
    if symbol == "+" and first is not None and second is not None:
        return made(first + second)
    if symbol == "*":
        for values, times in ((first, known(right)), (second, known(left))):
            if values is not None and times is not None:
                return made(values * times)
    return None


def cut(cx: Lowering, node: ast.Subscript, whole: tuple[Value, ...]) -> Value:
    """`t[1:3]`, with constant bounds."""
    assert isinstance(node.slice, ast.Slice)
    bounds = []
    for part in (node.slice.lower, node.slice.upper, node.slice.step):
        bound = known(cx.expression(part)) if part is not None else None
        if part is not None and bound is None:
            cx.fail(part, "the bounds of a tuple's slice are constant")
        bounds.append(bound)
    return made(cx.python(node, lambda: whole[slice(*bounds)]))


def unpacked(cx: Lowering, node: ast.AST, values: list[Value], targets: list[ast.expr]) -> list[Value]:
    """What each target gets: one value each, a starred one a tuple of the rest."""
    star = next((i for i, target in enumerate(targets) if isinstance(target, ast.Starred)), None)
    if star is None:
        if len(values) != len(targets):
            cx.fail(node, f"{len(values)} values cannot be unpacked into {len(targets)} names")
        return values
    behind = len(targets) - star - 1
    if len(values) < star + behind:
        cx.fail(node, f"{len(values)} values cannot be unpacked into {star + behind} names and a starred one")
    end = len(values) - behind
    return [*values[:star], made(tuple(values[star:end])), *values[end:]]


def spread(cx: Lowering, node: ast.Call) -> ast.Call:
    """A call whose starred arguments are written out, one by one."""
    if not any(isinstance(argument, ast.Starred) for argument in node.args):
        return node
    arguments: list[ast.expr] = []
    for argument in node.args:
        if not isinstance(argument, ast.Starred):
            arguments.append(argument)
            continue
        value = cx.expression(argument.value)
        found = items(value)
        if found is None:
            cx.usable(argument.value, value)
            cx.fail(argument, f"`*` spreads a tuple, not {describe(value)}")
        arguments += [Spread.of(argument, item) for item in found]
    return ast.copy_location(ast.Call(node.func, arguments, node.keywords), node)


class Spread(ast.expr):
    """One item of a starred argument, evaluated already."""

    value: Value

    @staticmethod
    def of(node: ast.expr, value: Value) -> Spread:
        made = ast.copy_location(Spread(), node)
        made.value = value
        return made


@lowers(Spread)
def spread_item(cx: Lowering, node: Spread) -> Value:
    return node.value
