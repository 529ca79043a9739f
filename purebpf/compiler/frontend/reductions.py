"""`any`, `all`, `sum`, `min`, `max` over a generator expression or anything a `for` goes over: a loop written in place.

any(p.x == n for p in points if p.y)      ->      for p in points:
                                                      if p.y:
                                                          if p.x == n: found = True; break
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from purebpf.compiler.frontend import comparing, conditions, iteration, numeric
from purebpf.compiler.frontend.expressions import operate
from purebpf.compiler.frontend.lower import Lowering, lowers
from purebpf.compiler.frontend.names import assigned_names
from purebpf.compiler.frontend.values import NONE, S64_HIGH, S64_LOW, U64, Conflict, Const, IntValue, MaybeInt, Value, known
from purebpf.data import data


class Action(ast.stmt):
    """A statement of the compiler's own: `run` lowers it; `targets` are the names that it binds."""

    _fields = ("targets",)
    run: Callable[[], None]
    targets: list[ast.expr]


@lowers(Action)
def action(cx: Lowering, node: Action) -> None:
    node.run()


@data
class Parts:
    """A call taken apart: the generator expression, the sequence that its first `for` goes over, the other arguments."""

    generator: ast.GeneratorExp
    sequence: iteration.Sequence
    others: dict[str, Value]

    @property
    def certain(self) -> bool:
        """Whether there is at least one item."""
        return self.sequence.certain and len(self.generator.generators) == 1 and not self.generator.generators[0].ifs


def any_(cx: Lowering, node: ast.Call) -> Value:
    """`any(...)`: stops at the first that is true."""
    return _search(cx, node, True)


def all_(cx: Lowering, node: ast.Call) -> Value:
    """`all(...)`: stops at the first that is false."""
    return _search(cx, node, False)


def _search(cx: Lowering, node: ast.Call, wanted: bool) -> Value:
    """Whether one of them is `wanted`."""
    taken = _parts(cx, node)
    if isinstance(taken, Const):
        return taken
    name = ast.unparse(node)

    def step() -> None:
        yes, no = conditions.test(cx, taken.generator.elt)
        hit, miss = (yes, no) if wanted else (no, yes)
        if hit is not None:
            hit.names[name] = Const(wanted)
            cx.frame.loops[-1].breaks.append(hit)
        cx.go(miss)

    return _reduced(cx, node, taken, name, Const(not wanted), step, wanted)


def search(
    cx: Lowering, node: ast.expr, source: ast.expr, sequence: iteration.Sequence, test: Callable[[Value], comparing.Split]
) -> comparing.Split:
    """The flows where the test holds for one of a sequence, which `source` names, and where it holds for none."""
    generator = _items_of(source)
    name, item = f"found: {ast.unparse(node)}", ast.unparse(generator.elt)

    def step() -> None:
        hit, miss = test(cx.flow.names[item])
        if hit is not None:
            hit.names[name] = Const(True)
            cx.frame.loops[-1].breaks.append(hit)
        cx.go(miss)

    answer = _reduced(cx, node, Parts(generator, sequence, {}), name, Const(False), step, True)
    return conditions.truth(cx, node, answer)


def sum_(cx: Lowering, node: ast.Call) -> Value:
    """`sum(..., start=0)`."""
    taken = _parts(cx, node, "start", True)
    if isinstance(taken, Const):
        return taken
    name, item = ast.unparse(node), taken.generator.elt

    def step() -> None:
        value = cx.expression(item)
        total = operate(cx, item, ast.Add(), item, cx.flow.names[name], item, value)
        cx.flow.names[name] = held = cx.held(total)
        if isinstance(held, IntValue):
            cx.computed(node, held.low, (held.low, held.high) in ((0, U64), (S64_LOW, S64_HIGH)))

    return _reduced(cx, node, taken, name, cx.held(taken.others.get("start", Const(0))), step)


def extreme(cx: Lowering, node: ast.Call, symbol: str) -> Value:
    """`min(...)` (`<`) and `max(...)` (`>`) of one argument, with `default=` for when there is nothing."""
    taken = _parts(cx, node, "default")
    if isinstance(taken, Const):
        return taken
    name, item = ast.unparse(node), taken.generator.elt
    if not taken.certain and not taken.others:
        called = ast.unparse(node.func)
        inside = "..." if taken.generator is not node.args[0] else "(... for ...)"
        cx.fail(
            node,
            f"`{called}` may have nothing to choose from",
            "where Python raises ValueError",
            f"say what it gives then: `{called}({inside}, default=0)`",
        )

    def step() -> None:
        number = cx.integer(item, cx.expression(item))
        cx.flow.names[name] = _better(cx, symbol, cx.flow.names[name], number)

    result = _reduced(cx, node, taken, name, NONE, step)
    default = taken.others.get("default", Const(0))
    if isinstance(result, MaybeInt):
        found = result
        return found.inner if taken.certain else cx.diamond(found.present, lambda: found.inner, lambda: cx.held(default))
    return default if result == NONE else result


def _better(cx: Lowering, symbol: str, best: Value, number: IntValue) -> Value:
    """The new value where it beats the best so far, which may be None; the earlier one where they are equal."""
    match best:
        case IntValue():
            return numeric.better(cx, symbol, number, best)
        case MaybeInt(present=present, inner=inner):
            return cx.diamond(present, lambda: numeric.better(cx, symbol, number, inner), lambda: number)
    return number


def _parts(cx: Lowering, node: ast.Call, keyword: str = "", positional: bool = False) -> Parts | Const:
    """The call taken apart, the sequence evaluated; what it gives, where Python can tell now."""
    name = ast.unparse(node.func)
    for word in node.keywords:
        if word.arg != keyword:
            cx.fail(word.value, f"`{name}` has no parameter `{word.arg}` in a program")
    if len(node.args) not in (1, 1 + positional) or len(node.args) + len(node.keywords) > 2:
        cx.fail(node, f"`{name}` goes over one thing", hint="a tuple, a range, an array or a generator expression")
    only = node.args[0]
    if isinstance(only, ast.ListComp | ast.SetComp):
        cx.fail(only, "a comprehension makes a heap object, which a program cannot have", hint="leave out the brackets")
    generator = only if isinstance(only, ast.GeneratorExp) else _items_of(only)
    if any(part.is_async for part in generator.generators):
        cx.fail(only, "`async` does not exist in the kernel")
    if isinstance(only, ast.Name) and len(node.args) == 1 and not node.keywords:
        match cx.expression(only), cx.expression(node.func):
            case Const(tuple() | bytes() as whole), Const(compute):
                return Const(cx.python(node, lambda: compute(whole)))
    sequence = iteration.over(cx, generator.generators[0].iter)
    given = [*node.args[1:], *(word.value for word in node.keywords)]
    others = {keyword: cx.expression(given[0])} if given else {}
    if generator is not only and isinstance(sequence, iteration.Items):
        values = (*sequence.values, *others.values())
        if all(isinstance(value, Const) for value in values):
            plain = [value.value for value in values if isinstance(value, Const)]
            items, rest = plain[: len(sequence.values)], plain[len(sequence.values) :]
            function = cx.expression(node.func)
            assert isinstance(function, Const)
            return Const(cx.python(node, lambda: function.value(tuple(items), **dict(zip(others, rest, strict=True)))))
    return Parts(generator, sequence, others)


def _items_of(node: ast.expr) -> ast.GeneratorExp:
    """`x` as `(item for item in x)`."""
    target = ast.Name(f"an item of {ast.unparse(node)}", ast.Store())
    item = ast.Name(target.id, ast.Load())
    made = ast.GeneratorExp(item, [ast.comprehension(target, node, [], 0)])
    for part in (target, item, made):
        ast.copy_location(part, node)
    return made


def _reduced(
    cx: Lowering,
    node: ast.expr,
    taken: Parts,
    name: str,
    first: Value,
    step: Callable[[], None],
    stops_at: bool | None = None,
) -> Value:
    """Run `step` for each item, with the result in the hidden name `name`; leave all loops once it is `stops_at`."""
    generators = taken.generator.generators
    names = {target for part in generators for target in assigned_names([part.target])}
    with _own_scope(cx, names):
        cx.flow.names[name] = first
        body: list[ast.stmt] = [_action(node, step, name)]
        for depth, part in reversed(list(enumerate(generators))):
            for condition in reversed(part.ifs):
                body = [ast.copy_location(ast.If(condition, body, []), condition)]
            source = part.iter
            if not depth:
                source = ast.copy_location(iteration.Ready(), source)
                source.sequence = taken.sequence
            body = [ast.copy_location(ast.For(part.target, source, body, []), node)]
            if depth and stops_at is not None:
                body.append(_action(node, partial(_leave, cx, name, stops_at), name))
        cx.statements(body)
        result = cx.flow.names.pop(name)
    if isinstance(result, Conflict):
        cx.fail(node, f"`{name}` has no single type: {result.first} and {result.second}", hint="cast to one type: `s64(x)`")
    return result


def _action(node: ast.AST, run: Callable[[], None], name: str) -> Action:
    made = ast.copy_location(Action(), node)
    made.targets, made.run = [ast.Name(name, ast.Store())], run
    return made


def _leave(cx: Lowering, name: str, wanted: bool) -> None:
    """Leave the loop around when an inner one was left with the answer."""
    answer = cx.flow.names[name]
    if known(answer) is not None and known(answer) != wanted:
        return
    yes, no = conditions.truth(cx, ast.Name(name, ast.Load()), answer, name)
    hit, miss = (yes, no) if wanted else (no, yes)
    if hit is not None:
        hit.names[name] = Const(wanted)
        cx.frame.loops[-1].breaks.append(hit)
    cx.go(miss)


@contextmanager
def _own_scope(cx: Lowering, names: set[str]) -> Iterator[None]:
    """A generator's variables are its own: they hide the function's and are gone behind it."""
    types = {name: cx.frame.types.pop(name) for name in names if name in cx.frame.types}
    hidden = {name: cx.flow.names.pop(name) for name in names if name in cx.flow.names}
    yield
    cx.frame.types.update(types)
    for name in names:
        cx.flow.names.pop(name, None)
    cx.flow.names.update(hidden)
