"""Expressions: names, constants, operators, attributes, subscripts, conditional values."""

from __future__ import annotations

import ast
import builtins
import operator
import sys
from types import ModuleType
from typing import Any

from purebpf.compiler.frontend import (
    advice,
    arithmetic,
    conditions,
    context,
    data,
    instead,
    maps,
    memory,
    packets,
    rings,
    slices,
    tables,
    tuples,
)
from purebpf.compiler.frontend.lower import Lowering, lowers
from purebpf.compiler.frontend.maps import nested
from purebpf.compiler.frontend.values import (
    NONE,
    Bound,
    Conflict,
    Const,
    Context,
    Dynptr,
    IntValue,
    KernelRef,
    ListValue,
    Packet,
    Ref,
    TupleValue,
    Unset,
    Value,
    describe,
    known,
)
from purebpf.data import replace
from purebpf.lang import idioms
from purebpf.lang.data import ArrayView, RecordView
from purebpf.lang.kernel_types import KernelName
from purebpf.lang.kfuncs import KfuncName, kfuncs
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.rings import RingBuf
from purebpf.lang.types import KernelType, StructType, type_of

PYTHON: dict[type[ast.AST], Any] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv, ast.Mod:
    operator.mod, ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_, ast.BitXor: operator.xor, ast.LShift: operator.lshift, ast.RShift: operator.rshift, ast.Div:
    operator.truediv, ast.Pow: operator.pow,
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert, ast.Not: operator.not_, ast.MatMult:
    operator.matmul,
}  # fmt: skip

INTEGER_METHODS = ("bit_count", "bit_length")


@lowers(ast.Constant)
def constant(cx: Lowering, node: ast.Constant) -> Value:
    if isinstance(node.value, float | complex):
        cx.fail(node, "there are no floating-point numbers in the kernel", hint=instead.scaled(node.value))
    if node.value is ...:
        cx.fail(node, "`...` has no meaning in a program", hint="write `pass` for an empty block")
    return Const(node.value)


@lowers(ast.Name)
def name(cx: Lowering, node: ast.Name) -> Value:
    frame = cx.frame
    if node.id in frame.local or node.id in cx.flow.names:
        value = cx.flow.names.get(node.id, Unset(node.id))
        if isinstance(value, Unset):
            advice.missing_value(cx, node)
        if isinstance(value, Unset | Conflict):
            cx.usable(node, value)
        if isinstance(value, Ref) and value.region == nested.REGION:
            return nested.reached(cx, value)
        return value
    value = resolve(cx, node, node.id)
    if isinstance(value, Const):
        cx.unit.meaning.names.setdefault(frame.function, {})[node.id] = value.value
    return value


def resolve(cx: Lowering, node: ast.AST, name: str) -> Value:
    """A name that the function does not assign: closure, module, builtins, in this order."""
    function = cx.frame.function
    code = function.__code__
    if name in code.co_freevars and function.__closure__ is not None:
        cell = function.__closure__[code.co_freevars.index(name)]
        try:
            return external(cx, node, name, cell.cell_contents)
        except ValueError:
            cx.fail(
                node, f"`{name}` has no value yet", "the enclosing function assigns it later", "compile after it is assigned"
            )
    if name in function.__globals__:
        return external(cx, node, name, function.__globals__[name])
    if hasattr(builtins, name):
        return Const(getattr(builtins, name))
    import difflib

    near = difflib.get_close_matches(name, [*cx.flow.names, *function.__globals__, *dir(builtins)], 1)
    cx.fail(
        node,
        f"the name `{name}` is not defined",
        hint=instead.not_defined(name, function.__globals__)
        or (f"did you mean `{near[0]}`?" if near else "define it at module level or assign it before"),
    )


def external(cx: Lowering, node: ast.AST, name: str, value: Any) -> Value:
    """An object of the Python around the program."""
    if isinstance(value, MapDeclaration):
        value.name = value.name or name
    if isinstance(value, RecordView | ArrayView):
        return data.reference(cx, node, value)
    if isinstance(value, float | complex):
        cx.fail(
            node,
            f"`{name}` is {value!r}: there are no floating-point numbers in the kernel",
            hint=instead.scaled(value),
        )
    return Const(value)


@lowers(ast.Attribute)
def attribute(cx: Lowering, node: ast.Attribute) -> Value:
    base = memory.in_memory(cx, cx.expression(node.value))
    match base:
        case Const(value):
            return _python_attribute(cx, node, value)
        case Ref(type=type) as ref:
            cx.usable(node.value, ref)
            if type_has_field(type, node.attr):
                place, field = memory.member(cx, node, ref, node.attr)
                if not field.bits:
                    cx.places[node] = place
                return memory.load_member(cx, node, ref, node.attr)
            if isinstance(type, StructType):
                return _of_the_class(cx, node, ref, type)
            if isinstance(type, KernelType) and type.of and type.element is None:
                from purebpf.compiler.frontend import kptrs

                kptrs.check_method(cx, node)
            return Bound(ref, node.attr)
        case Context():
            return context.attribute(cx, node, base)
        case KernelRef():
            from purebpf.compiler.frontend import kernel

            return kernel.attribute(cx, node, base)
        case Dynptr():
            return Bound(base, node.attr)
        case IntValue() if node.attr in INTEGER_METHODS:
            return Bound(base, node.attr)
        case Packet():
            context.check_method(cx, node)
            return Bound(base, node.attr)
    cx.usable(node.value, base)
    of_an_enum = isinstance(base, IntValue) and node.attr in ("value", "name")
    cx.fail(
        node,
        f"{describe(base)} has no attribute `{node.attr}`",
        hint="a variable that holds an enum's member holds its number" if of_an_enum else "",
    )


def type_has_field(type: object, name: str) -> bool:
    field = getattr(type, "field", None)
    return field is not None and field(name) is not None


def _of_the_class(cx: Lowering, node: ast.Attribute, ref: Ref, type: StructType) -> Value:
    """What a record's class has under a name that is no field: a method, or a constant."""
    if not hasattr(type.record, node.attr):
        memory.member(cx, node, ref, node.attr)
    found = vars(type.record).get(node.attr)
    if isinstance(found, property):
        call = f"{ast.unparse(node)}()"
        cx.fail(node, f"`{node.attr}` is a property, which a program does not call", hint=f"make it a method: `{call}`")
    if found is None or callable(found) or isinstance(found, staticmethod | classmethod):
        return Bound(ref, node.attr)
    return external(cx, node, node.attr, found)


def _python_attribute(cx: Lowering, node: ast.Attribute, value: Any) -> Value:
    """`module.name`, `Class.name`, `Color.RED`: dotted through at compile time; methods of maps are bound."""
    if isinstance(value, RingBuf) and node.attr == "dropped":
        return rings.dropped(cx, node, value)
    if isinstance(value, MapDeclaration):
        return Bound(Const(value), node.attr)
    if isinstance(value, idioms.Current):
        return idioms_current(cx, node)
    if value is idioms.helpers:
        from purebpf.tables.helpers import helper

        if helper(node.attr) is None:
            from purebpf.compiler.frontend.helpers import unknown

            unknown(cx, node, node.attr)
        return Const(idioms.HelperName(node.attr))
    if value is kfuncs:
        return Const(KfuncName(node.attr))
    if isinstance(value, int | str | bytes | tuple) and not hasattr(type(value), "__members__"):
        found = getattr(value, node.attr, None)
        if found is not None and not callable(found):  # a field of a named tuple
            return external(cx, node, node.attr, found)
        return Bound(Const(value), node.attr)
    try:
        return external(cx, node, node.attr, getattr(value, node.attr))
    except AttributeError:
        shown = f"module `{value.__name__}`" if isinstance(value, ModuleType) else describe(Const(value))
        import difflib

        candidates = dir(value)
        if value is sys.modules["purebpf"]:
            from purebpf.tables.constants import names

            candidates += names("")
        near = difflib.get_close_matches(node.attr, candidates, 1)
        hint = f"did you mean `{near[0]}`?" if near else ""
        if node.attr in ("size", "__len__", "sizeof") and isinstance(type_of(value), StructType):
            hint = f"its size in bytes is `bpf.sizeof({ast.unparse(node.value)})`"
        if isinstance(value, KernelName):
            name = value.__bpf_kernel_type__
            shown = f"the kernel's `{name}`, a type,"
            hint = f'an enumerator is `bpf.enum_value({name}, "{node.attr}")`; a field is one of an object, `{name}(address)`'
        cx.fail(node, f"{shown} has no attribute `{node.attr}`", hint=hint)


def idioms_current(cx: Lowering, node: ast.Attribute) -> Value:
    from purebpf.compiler.frontend.intrinsics import current

    return current(cx, node, node.attr)


@lowers(ast.Subscript)
def subscript(cx: Lowering, node: ast.Subscript) -> Value:
    base = memory.in_memory(cx, cx.expression(node.value))
    if isinstance(base, Const) and isinstance(base.value, MapDeclaration):
        return maps.item(cx, node, base.value)
    if isinstance(node.slice, ast.Slice) and isinstance(base, Packet):
        return packets.part(cx, node, base)
    if isinstance(node.slice, ast.Slice) and isinstance(base, TupleValue):
        return tuples.cut(cx, node, base.items)
    if isinstance(node.slice, ast.Slice):
        if isinstance(base, Ref):
            cx.usable(node.value, base)
            return slices.read(cx, node, base)
        if isinstance(base, Const):
            bounds = [
                cx.expression(b) if b is not None else Const(None)
                for b in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            if all(b == NONE or known(b) is not None for b in bounds):
                return Const(cx.python(node, lambda: base.value[slice(*map(known, bounds))]))
        cx.fail(node, f"{describe(base)} cannot be sliced here", hint=instead.indexed(node, base))
    if isinstance(base, KernelRef):
        from purebpf.compiler.frontend import kernel

        return kernel.subscript(cx, node, base)
    index = cx.expression(node.slice)
    if isinstance(base, Const):
        at = index.value if isinstance(index, Const) else known(index)
        if at is not None:
            return external(cx, node, ast.unparse(node), cx.python(node, lambda: base.value[at]))
        return tables.look_up(cx, node, base.value, index)
    if isinstance(base, TupleValue):
        at = known(index)
        if at is None and isinstance(base, tables.Row):
            return tables.pick(cx, node, base, index)
        if at is None:
            kind, hint = (
                ("list", "write a tuple of constants") if isinstance(base, ListValue) else ("tuple of run-time values", "")
            )
            cx.fail(node.slice, f"a {kind} needs a constant index", hint=hint)
        return cx.python(node, lambda: base.items[at])  # type: ignore[no-any-return]
    if isinstance(base, Ref):
        cx.usable(node.value, base)
        place = memory.element(cx, node, base, index)
        cx.places[node] = place
        return memory.load(cx, node, place)
    cx.usable(node.value, base)
    number = isinstance(base, IntValue)
    hint = instead.at_an_address(cx, node.value, text=False) if number else instead.indexed(node, base)
    cx.fail(node, f"{describe(base)} cannot be indexed", hint=hint)


@lowers(ast.BinOp)
def binary(cx: Lowering, node: ast.BinOp) -> Value:
    return operate(cx, node, node.op, node.left, cx.expression(node.left), node.right, cx.expression(node.right))


def operate(
    cx: Lowering, node: ast.AST, op: ast.operator, left_node: ast.AST, left: Value, right_node: ast.AST, right: Value
) -> Value:
    symbol = arithmetic.SYMBOLS[type(op)]
    if isinstance(left, ListValue) or isinstance(right, ListValue):
        return _list_operation(cx, node, symbol, left, right)
    if instead.is_text(left) and not (isinstance(left, Const) and isinstance(right, Const)):
        instead.text_operation(cx, node, symbol, left, right_node)
    if isinstance(right, Const):
        _check_operand(cx, node, symbol, left, right.value)
    for at, operand in ((left_node, left), (right_node, right)):
        advice.check_operand(cx, at, operand)
    if isinstance(left, Const) and isinstance(right, Const):
        result = cx.python(node, lambda: PYTHON[type(op)](left.value, right.value))
        if isinstance(result, float):
            cx.fail(node, "there are no floating-point numbers in the kernel", hint="use `//`, which rounds down")
        return Const(result)
    if (joined := tuples.operate(symbol, left, right)) is not None:
        return joined
    power = known(right)
    if symbol == "**" and power is not None and 0 <= power <= 64:
        base = cx.integer(left_node, left)
        result_value = cx.int_const(1)
        for _ in range(power):
            result_value = arithmetic.binary(cx, node, "*", base, result_value)
        return result_value
    return arithmetic.binary(cx, node, symbol, cx.integer(left_node, left), cx.integer(right_node, right))


def _list_operation(cx: Lowering, node: ast.AST, symbol: str, left: Value, right: Value) -> Value:
    """`[0] * 4`, `[a] + [b]`."""
    times = known(right) if isinstance(left, ListValue) else known(left)
    items = left if isinstance(left, ListValue) else right
    if symbol == "*" and times is not None and isinstance(items, ListValue):
        return ListValue(items.items * times)
    if symbol == "+" and isinstance(left, ListValue) and isinstance(right, ListValue):
        return ListValue(left.items + right.items)
    cx.fail(node, f"{describe(left)} and {describe(right)} have no `{symbol}` in a program")


def _check_operand(cx: Lowering, node: ast.AST, symbol: str, left: Value, right: Any) -> None:
    """Refuse what is certainly a mistake when it is written out, though the same at run time has a meaning."""
    numeric = isinstance(left, IntValue) or (isinstance(left, Const) and isinstance(left.value, int))
    if symbol in ("//", "%") and right == 0 and numeric:
        cx.fail(
            node,
            "division by the constant 0",
            hint="a run-time 0 gives 0 for `//` and the dividend for `%`; a constant 0 is a mistake",
        )
    if symbol in ("<<", ">>") and isinstance(left, IntValue) and isinstance(right, int) and not 0 <= right <= 63:
        cx.fail(node, f"the shift count {right} is outside 0 to 63")


@lowers(ast.UnaryOp)
def unary(cx: Lowering, node: ast.UnaryOp) -> Value:
    if isinstance(node.op, ast.Not):
        return boolean(cx, node)
    value = cx.expression(node.operand)
    advice.check_operand(cx, node.operand, value)
    if isinstance(value, Const):
        return Const(cx.python(node, lambda: PYTHON[type(node.op)](value.value)))
    number = cx.integer(node.operand, value)
    if isinstance(node.op, ast.USub):
        return arithmetic.negate(cx, node, number)
    if isinstance(node.op, ast.Invert):
        return arithmetic.invert(cx, node, number)
    return replace(number, boolean=False)


@lowers(ast.Compare)
def comparison(cx: Lowering, node: ast.Compare) -> Value:
    """A comparison as a value. A single one of integers is one op; the rest goes through the flow."""
    return boolean(cx, node)


def boolean(cx: Lowering, node: ast.expr) -> Value:
    """A condition as a bool."""
    yes, no = conditions.test(cx, node)
    return chosen(cx, [(yes, Const(True)), (no, Const(False))])


def chosen(cx: Lowering, ways: list[tuple[Any, Value]]) -> Value:
    """One value where several flows meet, each with its own."""
    flows = []
    for flow, value in ways:
        if flow is not None:
            flow.names["?"] = value
            flows.append(flow)
    cx.go(cx.join(*flows))
    return cx.flow.names.pop("?")


def _is_test(node: ast.expr) -> bool:
    """Whether an expression is a bool by its syntax."""
    match node:
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return True
        case ast.BoolOp(values=values):
            return all(_is_test(value) for value in values)
    return False


@lowers(ast.BoolOp)
def either(cx: Lowering, node: ast.BoolOp) -> Value:
    """`a and b`, `a or b` give an operand, as in Python."""
    if _is_test(node):
        return boolean(cx, node)
    conjunction = isinstance(node.op, ast.And)
    ways: list[tuple[Any, Value]] = []
    for i, operand in enumerate(node.values):
        last = i + 1 == len(node.values)
        if not last and _is_test(operand):
            yes, no = conditions.test(cx, operand)
            go_on, leave = (yes, no) if conjunction else (no, yes)
            ways.append((leave, Const(not conjunction)))
            if go_on is None:
                break
            cx.go(go_on)
            continue
        value = cx.expression(operand)
        if last:
            ways.append((cx.current, cx.held(value)))
            break
        cx.flow.names["?left"] = value
        yes, no = conditions.truth(cx, operand, value, "?left")
        go_on, leave = (yes, no) if conjunction else (no, yes)
        for flow in (go_on, leave):
            if flow is not None:
                kept = flow.names.pop("?left", value)
                if flow is leave:
                    ways.append((flow, cx.held(kept)))
        if go_on is None:
            break
        cx.go(go_on)
    return _common(cx, node, f"the operands of this `{'and' if conjunction else 'or'}`", chosen(cx, ways))


def _common(cx: Lowering, node: ast.AST, what: str, value: Value) -> Value:
    """The value, or an error where the ways to it bring things that no one name can stand for."""
    if isinstance(value, Conflict):
        cx.fail(node, f"{what} have no common type", f"{value.first}, and {value.second}", value.hint)
    return value


@lowers(ast.IfExp)
def conditional(cx: Lowering, node: ast.IfExp) -> Value:
    yes, no = conditions.test(cx, node.test)
    ways: list[tuple[Any, Value]] = []
    for flow, branch in ((yes, node.body), (no, node.orelse)):
        if flow is not None:
            cx.go(flow)
            value = cx.held(cx.expression(branch))
            ways.append((cx.current, value))
    return _common(cx, node, "the two sides of this `if`", chosen(cx, ways))


@lowers(ast.NamedExpr)
def walrus(cx: Lowering, node: ast.NamedExpr) -> Value:
    from purebpf.compiler.frontend.owned import own
    from purebpf.compiler.frontend.statements import assign

    made = len(cx.pieces)
    value = cx.expression(node.value)
    assign(cx, node, node.target, own(cx, node.value, node.target, value, made))
    return cx.flow.names[node.target.id]


@lowers(ast.List)
def list_(cx: Lowering, node: ast.List) -> Value:
    return ListValue(tuple(cx.expression(item) for item in node.elts))


@lowers(ast.Tuple)
def tuple_(cx: Lowering, node: ast.Tuple) -> Value:
    items = tuple(cx.expression(item) for item in node.elts)
    if all(isinstance(item, Const) for item in items):
        return Const(tuple(item.value for item in items if isinstance(item, Const)))
    return TupleValue(items)
