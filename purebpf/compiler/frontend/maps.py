"""Maps in a program: `get`, `m[k]`, `in`, `del`, `m[k] += n`, `set`, `delete`, `redirect`, `tail_call`, `output`."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import advice, instead, memory, rings
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.lower import IN_MEMORY
from purebpf.compiler.frontend.values import (
    NONE,
    Const,
    IntValue,
    MaybeInt,
    MaybeRef,
    Ref,
    Value,
    describe,
    known,
    named,
    with_article,
)
from purebpf.compiler.ir.ops import BOOL, Op, Ptr
from purebpf.data import replace
from purebpf.errors import Error
from purebpf.lang.maps import DevMap, KeyedMap, MapDeclaration, PerfEventArray, ProgArray
from purebpf.lang.rings import RingBuf
from purebpf.lang.stacks import StackTrace
from purebpf.lang.types import BoolType, IntType, StructType
from purebpf.tables.enums import MapType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

ARRAYS = frozenset({MapType.ARRAY, MapType.PERCPU_ARRAY})
ARRAY_ENTRY, HASH_ENTRY = "array ", "hash "
NUMBER, THERE = " number", " there"  # of a looked up entry: what `get` gave for it, and that it is not None
BPF_ANY, BPF_NOEXIST = 0, 1
BPF_F_CURRENT_CPU = 0xFFFFFFFF


def _keyed(cx: Lowering, node: ast.AST, declaration: MapDeclaration, doing: str) -> None:
    _typed(cx, node, declaration)
    if not isinstance(declaration, KeyedMap) or isinstance(declaration, DevMap):
        cx.fail(
            node, f"{with_article(type(declaration).__name__)} cannot be {doing} in a program", hint=_abilities(declaration)
        )


def _typed(cx: Lowering, node: ast.AST, declaration: MapDeclaration) -> None:
    """A declaration without its types is an error where it is used."""
    try:
        declaration.types  # noqa: B018
    except Error as error:
        advice.misdeclared(cx, node, declaration, error)


def _abilities(declaration: MapDeclaration) -> str:
    names = sorted(_methods_of(declaration))
    if isinstance(declaration, StackTrace):
        return "`bpf.stack(stacks)` gives the number of the current stack; user space looks it up"
    sends = {RingBuf: "`ring.emit(record)` sends one; ", PerfEventArray: "`events.output(record)` sends one; "}
    return f"{sends.get(type(declaration), '')}it has: {', '.join(names)}"


def key_pointer(cx: Lowering, node: ast.AST, declaration: MapDeclaration, key: Value) -> Op:
    """The key in memory."""
    from purebpf.compiler.frontend.helpers import _pointer

    layout = declaration.key_type
    if isinstance(layout, StructType) and not (isinstance(key, Ref) and key.type == layout):
        cx.usable(node, key)
        cx.fail(node, f"the key of `{declaration.name}` is {named(layout)}, not {describe(key)}")
    return _pointer(cx, memory.materialized(cx, node, key, layout, "key"))


def _map(cx: Lowering, node: ast.AST, declaration: MapDeclaration) -> Op:
    from purebpf.compiler.frontend.helpers import map_op

    return map_op(cx, node, declaration)


def value_ref(cx: Lowering, declaration: MapDeclaration, op: Op) -> Ref:
    from purebpf.compiler.frontend.helpers import is_shared

    return Ref(op, 0, declaration.value_type, "map_value", shared=is_shared(cx, declaration), owner=declaration)


def lookup(
    cx: Lowering, node: ast.AST, declaration: MapDeclaration, key_node: ast.AST, key: Value, place: Op | None = None
) -> MaybeRef:
    """The entry of a key (which lies in `place` if it does), or None. The same key is looked up once, until the map may have
    changed, or the key, where it lies in memory."""
    name = _looked_up(declaration, key)
    before = cx.flow.state.get(name) if name else None
    if isinstance(before, MaybeRef):
        return before
    place = place or key_pointer(cx, key_node, declaration, key)
    op = cx.call("map_lookup_elem", [_map(cx, node, declaration), place], Ptr("map_value", nullable=True))
    found = MaybeRef(op, value_ref(cx, declaration, op), "")
    if name:
        cx.flow.state[name] = found
    return found


def _looked_up(declaration: MapDeclaration, key: Value) -> str:
    """The name under which a flow's state keeps the entry of a key; "" for a key without a place. Of a key in memory
    `Lowering.forget` drops it."""
    number = known(key)
    if number is not None:
        which = f"{number}"
    elif isinstance(key, IntValue):
        which = f"%{id(key.op)}"
    elif isinstance(key, Ref):
        which = f"{IN_MEMORY}{id(key.op)}+{key.offset}"
    else:
        return ""
    return f"{ARRAY_ENTRY if declaration.kind in ARRAYS else HASH_ENTRY}{id(declaration)} {which}"


def learn_presence(flow: Flow, value: MaybeRef | MaybeInt) -> None:
    """In a flow where this is not None: if it is the entry of a key, that key is known to be there until the map may have
    changed."""
    for name, held in list(flow.state.items()):
        if isinstance(name, str) and name.startswith(HASH_ENTRY) and isinstance(held, MaybeRef | MaybeInt):
            mine = held.present if isinstance(held, MaybeInt) else held.op
            if mine is (value.present if isinstance(value, MaybeInt) else value.op):
                flow.state[name.removesuffix(NUMBER) + THERE] = Const(True)


def _known_entry(cx: Lowering, node: ast.AST, declaration: MapDeclaration, key: Value) -> Ref | None:
    """The entry of a key that a test has shown to be there; the branch for null is never taken, the verifier wants it."""
    name = _looked_up(declaration, key)
    found = cx.flow.state.get(name)
    if not isinstance(found, MaybeRef) or name + THERE not in cx.flow.state:
        return None
    return _surely(cx, declaration, found.op)


def changed(cx: Lowering, declaration: MapDeclaration | None = None) -> None:
    """Entries found in a map may be others now; in any map, without a declaration. An array's always stay."""
    start = HASH_ENTRY if declaration is None else f"{HASH_ENTRY}{id(declaration)} "
    for key in [key for key in cx.flow.state if isinstance(key, str) and key.startswith(start)]:
        del cx.flow.state[key]


def _index(cx: Lowering, node: ast.AST, declaration: MapDeclaration, key: Value) -> IntValue:
    """An array's index, proven in range; or an error."""
    number = cx.integer(node, key, "an array's index")
    if known(key) is not None and not 0 <= number.low < declaration.max_entries:
        cx.fail(node, f"index {number.low} is outside `{declaration.name}`", f"it has {declaration.max_entries} entries")
    if number.low < 0 or number.high >= declaration.max_entries:
        shown = ast.unparse(node) if isinstance(node, ast.expr) else "index"
        cx.fail(
            node,
            f"the index may be outside `{declaration.name}`, which has {declaration.max_entries} entries",
            f"{number.low}..{number.high}",
            f"{advice.to_test(node, number.low, declaration.max_entries)}, or use `{declaration.name}.get({shown})`",
        )
    return number


def if_there(
    cx: Lowering, maybe: MaybeRef, use: Callable[[Ref], Value], otherwise: Callable[[], Value], why: str = ""
) -> Value:
    """`use(reference)` where the entry is there, else `otherwise()`; `why` tells when an integer is None."""
    value = _if_there(cx, maybe, use, otherwise)
    return replace(value, why=why) if isinstance(value, MaybeInt) else value


def _if_there(cx: Lowering, maybe: MaybeRef, use: Callable[[Ref], Value], otherwise: Callable[[], Value]) -> Value:
    kind = maybe.op.type
    assert isinstance(kind, Ptr)
    test = cx.builder.emit("ne", BOOL, [maybe.op, cx.builder.const(0, kind)])

    def there() -> Value:
        plain = cx.builder.emit("guard", Ptr(kind.kind), [maybe.op], ("nonnull", 0, 0))
        return use(replace(maybe.ref, op=plain))

    return cx.diamond(test, there, otherwise)


def item(cx: Lowering, node: ast.Subscript, declaration: MapDeclaration) -> Value:
    """`m[k]` read."""
    _keyed(cx, node, declaration, "read by index")
    if declaration.kind not in ARRAYS:
        return _hash_item(cx, node, declaration)
    if isinstance(declaration.value_type, IntType | BoolType):
        return memory.load(cx, node, _entry(cx, node, declaration, node.slice, cx.expression(node.slice)))
    return _record_item(cx, node, declaration)


def _hash_item(cx: Lowering, node: ast.Subscript, declaration: MapDeclaration) -> Value:
    """`m[k]` of a hash: allowed where a test has shown that the key is there."""
    found = _known_entry(cx, node, declaration, cx.expression(node.slice))
    if found is not None:
        return memory.load(cx, node, found)
    name, key = ast.unparse(node.value), ast.unparse(node.slice)
    cx.fail(
        node,
        f"`{name}[{key}]` may not exist",
        "a hash may lack the key",
        f"use `{name}.get({key})` and test for None"
        + (f", or `{name}.get({key}, 0)`" if isinstance(declaration.value_type, IntType | BoolType) else ""),
    )


def _record_item(cx: Lowering, node: ast.Subscript, declaration: MapDeclaration) -> Value:
    """A record of an array: the index is proven, so the branch for null is never taken; the verifier wants it."""
    return _entry(cx, node, declaration, node.slice, cx.expression(node.slice))


def _entry(cx: Lowering, node: ast.AST, declaration: MapDeclaration, key_node: ast.AST, key: Value) -> Ref:
    _index(cx, key_node, declaration, key)
    return _surely(cx, declaration, lookup(cx, node, declaration, key_node, key).op)


def _surely(cx: Lowering, declaration: MapDeclaration, op: Op) -> Ref:
    """The entry that a lookup has found for certain."""
    kind = op.type
    assert isinstance(kind, Ptr)
    from purebpf.compiler.frontend import scopes

    there, absent = cx.branch(cx.builder.emit("ne", BOOL, [op, cx.builder.const(0, kind)]))
    scopes.never(cx, absent)
    cx.go(there)
    plain = cx.builder.emit("guard", Ptr(kind.kind), [op], ("nonnull", 0, 0))
    return value_ref(cx, declaration, plain)


def entry(cx: Lowering, node: ast.Subscript, declaration: MapDeclaration, key: Value) -> Ref | MaybeRef:
    """The place `m[k]`; of a hash it may be missing."""
    _keyed(cx, node, declaration, "changed")
    if declaration.kind in ARRAYS:
        return _entry(cx, node, declaration, node.slice, key)
    return lookup(cx, node, declaration, node.slice, key)


def get(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`m.get(k)` is `V | None`; `m.get(k, default)` an integer."""
    _keyed(cx, node, declaration, "looked up")
    key, *rest = arguments(cx, node, declaration, "get", ("key", "default"), 1)
    maybe = lookup(cx, node, declaration, key[0], key[1])
    maybe = replace(maybe, why=f"`{ast.unparse(node)}` gives None when the key is absent")
    layout = declaration.value_type
    if rest:
        default = rest[0][1]
        if not isinstance(layout, IntType | BoolType):
            if default == NONE:
                return maybe
            cx.fail(
                rest[0][0],
                "a default is for maps of integers",
                hint=f"`{ast.unparse(node.func)}({ast.unparse(key[0])}) or {ast.unparse(rest[0][0])}`",
            )
        return _if_there(cx, maybe, lambda ref: memory.load(cx, node, ref), lambda: default)
    if not isinstance(layout, IntType | BoolType):
        return maybe
    found = if_there(cx, maybe, lambda ref: memory.load(cx, node, ref), lambda: NONE, maybe.why)
    if name := _looked_up(declaration, key[1]):
        cx.flow.state[name + NUMBER] = found
    return found


def contains(cx: Lowering, node: ast.expr, key: Value, container: Value) -> tuple[Flow | None, Flow | None] | None:
    """`k in m`; None when the container is no map."""
    if not isinstance(container, Const) or not isinstance(container.value, MapDeclaration):
        return None
    declaration = container.value
    _keyed(cx, node, declaration, "searched")
    found = lookup(cx, node, declaration, node, key)
    assert isinstance(found.op.type, Ptr)
    yes, no = cx.branch(cx.builder.emit("ne", BOOL, [found.op, cx.builder.const(0, found.op.type)]))
    learn_presence(yes, found)
    return yes, no


def assign(cx: Lowering, node: ast.Subscript, declaration: MapDeclaration, value: Value, given: ast.AST) -> None:
    """`m[k] = v`: the kernel's answer is ignored. `given` is the syntax of the value."""
    _keyed(cx, node, declaration, "assigned")
    key = cx.expression(node.slice)
    if declaration.kind in ARRAYS and isinstance(declaration.value_type, IntType | BoolType):
        number = cx.integer(node.slice, key)
        if known(key) is not None:
            _index(cx, node.slice, declaration, key)
        if number.low >= 0 and number.high < declaration.max_entries:
            return memory.store(cx, given, _entry(cx, node, declaration, node.slice, key), value)
    _update(cx, node, node.slice, key, given, value, declaration, cx.const(BPF_ANY))


def _update(
    cx: Lowering,
    node: ast.AST,
    key_node: ast.AST,
    key: Value,
    value_node: ast.AST,
    value: Value,
    declaration: MapDeclaration,
    flags: Op,
) -> IntValue:
    from purebpf.compiler.frontend.helpers import _pointer, from_map

    cx.usable(value_node, value)
    layout = declaration.value_type
    if isinstance(layout, StructType) and not (isinstance(value, Ref) and value.type == layout):
        cx.fail(value_node, f"`{declaration.name}` holds `{layout}`, not {describe(value)}")
    key_op = key_pointer(cx, key_node, declaration, key)
    value_op = _pointer(cx, memory.materialized(cx, value_node, value, layout, "value"))
    result = from_map(cx, cx.call("map_update_elem", [_map(cx, node, declaration), key_op, value_op, flags]))
    changed(cx, declaration)
    return result


def augment(cx: Lowering, node: ast.AugAssign, target: ast.Subscript, declaration: MapDeclaration) -> None:
    """`m[k] += n`: one lookup; where the kind can, a missing entry is created at 0 first."""
    from purebpf.compiler.frontend import atomics
    from purebpf.compiler.frontend.arithmetic import SYMBOLS
    from purebpf.compiler.frontend.expressions import operate

    _keyed(cx, target, declaration, "changed")
    layout = declaration.value_type
    if not isinstance(layout, IntType):
        cx.fail(
            target,
            f"`{declaration.name}` holds `{layout}`, which `{SYMBOLS[type(node.op)]}=` cannot change",
            hint="look it up and change a field",
        )
    key = cx.expression(target.slice)
    if declaration.kind in ARRAYS:
        _index(cx, target.slice, declaration, key)
    amount = cx.expression(node.value)

    def change(ref: Ref) -> Value:
        if not atomics.update(cx, node, ref, SYMBOLS[type(node.op)], amount):
            old = memory.load(cx, target, ref)
            memory.store(cx, node, ref, operate(cx, node, node.op, target, old, node.value, amount))
        return NONE

    surely = _known_entry(cx, target, declaration, key) if declaration.kind not in ARRAYS else None
    if surely is not None:
        change(surely)
        return
    looked_up = _looked_up(declaration, key) in cx.flow.state
    place = None if looked_up else key_pointer(cx, target.slice, declaration, key)
    maybe: Value = lookup(cx, target, declaration, target.slice, key, place)
    if declaration.creates:
        found = maybe
        assert isinstance(found, MaybeRef) and isinstance(found.op.type, Ptr)

        def create() -> Value:
            zero = memory.temporary(cx, layout, "zero")
            memory.store(cx, target, zero, Const(0))
            key_op = place or key_pointer(cx, target.slice, declaration, key)
            cx.call("map_update_elem", [_map(cx, target, declaration), key_op, zero.op, cx.const(BPF_NOEXIST)])
            changed(cx, declaration)
            return lookup(cx, target, declaration, target.slice, key, key_op)

        there = cx.builder.emit("ne", BOOL, [found.op, cx.builder.const(0, found.op.type)])
        maybe = cx.diamond(there, lambda: found, create)
    assert isinstance(maybe, MaybeRef)
    _if_there(cx, maybe, change, lambda: NONE)


def delete_item(cx: Lowering, node: ast.Subscript, declaration: MapDeclaration) -> None:
    """`del m[k]`: the kernel's answer is ignored."""
    _delete(cx, node, node.slice, declaration)


def _delete(cx: Lowering, node: ast.AST, key_node: ast.expr, declaration: MapDeclaration) -> IntValue:
    _keyed(cx, node, declaration, "deleted from")
    if declaration.kind in ARRAYS:
        cx.fail(node, f"an entry of `{declaration.name}` cannot be deleted", "all entries of an array always exist", "assign 0")
    return _removed(cx, node, declaration, key_pointer(cx, key_node, declaration, cx.expression(key_node)))


def _removed(cx: Lowering, node: ast.AST, declaration: MapDeclaration, key_op: Op) -> IntValue:
    from purebpf.compiler.frontend.helpers import from_map

    result = from_map(cx, cx.call("map_delete_elem", [_map(cx, node, declaration), key_op]))
    changed(cx, declaration)
    return result


def _pop(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`m.pop(k)`: a copy of the value, whose entry is deleted, or None."""
    _keyed(cx, node, declaration, "deleted from")
    ((at, key),) = arguments(cx, node, declaration, "pop", ("key",), 1)
    place = key_pointer(cx, at, declaration, key)
    maybe = lookup(cx, node, declaration, at, key, place)
    layout = declaration.value_type
    plain = isinstance(layout, IntType | BoolType)
    copy = None if plain else memory.temporary(cx, layout, "popped")

    def take(ref: Ref) -> Value:
        value: Value = memory.load(cx, node, ref)
        if copy is not None:
            memory.copy(cx, node, copy, ref, apart=True)
            value = copy
        _removed(cx, node, declaration, place)
        return value

    value = if_there(cx, maybe, take, lambda: NONE, why := f"`{ast.unparse(node)}` gives None when the key is absent")
    return replace(value, why=why) if isinstance(value, MaybeRef) else value


def arguments(
    cx: Lowering, node: ast.Call, declaration: MapDeclaration, name: str, names: tuple[str, ...], required: int
) -> list[tuple[ast.expr, Value]]:
    """Positional and keyword arguments in the order of `names`; trailing ones from `required` on may be missing."""
    given: dict[str, ast.expr] = dict(zip(names, node.args, strict=False))
    bad = len(node.args) > len(names)
    for keyword in node.keywords:
        bad = bad or keyword.arg not in names or keyword.arg in given
        given[keyword.arg or ""] = keyword.value
    if bad or any(n not in given for n in names[:required]):
        shown = ", ".join(n if i < required else f"{n}=..." for i, n in enumerate(names))
        cx.fail(node, f"`{name}` takes ({shown})")
    return [(given[n], cx.expression(given[n])) for n in names if n in given]


def _set(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`m.set(k, v, flags=0)`: 0 or -errno."""
    _keyed(cx, node, declaration, "assigned")
    key, value, *rest = arguments(cx, node, declaration, "set", ("key", "value", "flags"), 2)
    flags = cx.integer(*rest[0]).op if rest else cx.const(BPF_ANY)
    return _update(cx, node, key[0], key[1], value[0], value[1], declaration, flags)


def _delete_method(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`m.delete(k)`: 0 or -errno."""
    if len(node.args) != 1 or node.keywords:
        cx.fail(node, "`delete` takes (key)")
    return _delete(cx, node, node.args[0], declaration)


def _redirect(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`devices.redirect(index, flags=0)`: the result to return; the low bits of `flags` are returned when there is no such
    device."""
    from purebpf.compiler.frontend.helpers import allowed

    index, *rest = arguments(cx, node, declaration, "redirect", ("index", "flags"), 1)
    allowed(cx, node, "redirect_map")
    flags = cx.integer(*rest[0]).op if rest else cx.const(0)
    op = cx.call("redirect_map", [_map(cx, node, declaration), cx.integer(*index).op, flags])
    return IntValue(op, -(1 << 63), (1 << 63) - 1, True)


def _tail_call(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`table.tail_call(ctx, index)`: does not return when there is a program; goes on when there is none."""
    from purebpf.compiler.frontend.helpers import allowed
    from purebpf.compiler.frontend.values import Context

    context, index = arguments(cx, node, declaration, "tail_call", ("ctx", "index"), 2)
    allowed(cx, node, "tail_call")
    if cx.scopes:
        cx.fail(node, f"a tail call would never come back to end {cx.scopes[-1].what}", hint="make it behind the block")
    if not isinstance(context[1], Context):
        cx.fail(context[0], f"the first argument of `tail_call` is the context, not {describe(context[1])}")
    cx.call("tail_call", [context[1].op, _map(cx, node, declaration), cx.integer(*index).op])
    return NONE


def _output(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`events.output(record)`: send a copy to this CPU's ring; 0 or -errno."""
    from purebpf.compiler.frontend.helpers import allowed, readable

    value, *rest = arguments(cx, node, declaration, "output", ("record", "flags"), 1)
    allowed(cx, node, "perf_event_output")
    context = cx.context
    if context is None:
        cx.fail(
            node,
            "`output` needs the program's context, which this subprogram does not have",
            hint="give it `ctx` as a parameter",
        )
    layout = declaration.value_type
    if isinstance(layout, StructType) and not (isinstance(value[1], Ref) and value[1].type == layout):
        cx.usable(*value)
        cx.fail(value[0], f"`{declaration.name}` takes `{layout}`, not {describe(value[1])}")
    flags = cx.integer(*rest[0]).op if rest else cx.const(BPF_F_CURRENT_CPU)
    place = memory.materialized(cx, value[0], value[1], layout, "record")
    source = readable(cx, value[0], place, "perf_event_output")
    op = cx.call("perf_event_output", [context, _map(cx, node, declaration), flags, source, cx.const(layout.size)])
    return IntValue(op, -(1 << 63), (1 << 63) - 1, True)


def _reserve(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    cx.fail(node, "this stands in a `with`, which hands the record over", hint=f"with {ast.unparse(node)} as record:")


Method = Callable[["Lowering", ast.Call, MapDeclaration], Value]


def _for_each(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    from purebpf.compiler.frontend.each import for_each

    return for_each(cx, node, declaration)


KEYED_METHODS: dict[str, Method] = {"get": get, "set": _set, "delete": _delete_method, "pop": _pop, "for_each": _for_each}


def _methods_of(declaration: MapDeclaration) -> dict[str, Method]:
    match declaration:
        case DevMap():
            return {"redirect": _redirect}
        case ProgArray():
            return {"tail_call": _tail_call}
        case PerfEventArray():
            return {"output": _output}
        case RingBuf():
            return {"emit": rings.emit, "discard": rings.discard, "reserve": _reserve, "reserve_bytes": _reserve}
        case KeyedMap():
            return (
                KEYED_METHODS
                if declaration.kind not in ARRAYS
                else {k: m for k, m in KEYED_METHODS.items() if k not in ("delete", "pop")}
            )
    return {}


def method(cx: Lowering, node: ast.Call, declaration: MapDeclaration, name: str) -> Value:
    """A call of a map's method."""
    found = _methods_of(declaration).get(name)
    if found is None:
        if name == "delete" and declaration.kind in ARRAYS:
            _delete_method(cx, node, declaration)
        cx.fail(
            node.func,
            f"{with_article(type(declaration).__name__)} has no method `{name}` in a program",
            hint=instead.method(node, Const(declaration), name) or _abilities(declaration),
        )
    _typed(cx, node.func, declaration)
    return found(cx, node, declaration)
