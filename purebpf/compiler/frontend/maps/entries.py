"""Entries of maps: keys in memory, lookups, what is known of an entry until the map may have changed."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import advice, memory
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.helpers import _pointer, is_shared, map_op
from purebpf.compiler.frontend.lower import IN_MEMORY
from purebpf.compiler.frontend.maps import arena
from purebpf.compiler.frontend.maps.nested import REGION
from purebpf.compiler.frontend.values import (
    Const,
    IntValue,
    MaybeInt,
    MaybeRef,
    Ref,
    Value,
    count,
    describe,
    known,
    named,
    with_article,
)
from purebpf.compiler.ir.ops import BOOL, Op, Ptr
from purebpf.data import replace
from purebpf.errors import Error
from purebpf.lang.maps import Held, KeyedMap, MapDeclaration, PerfEventArray
from purebpf.lang.maps.arena import Arena
from purebpf.lang.maps.lpm import LpmTrie
from purebpf.lang.maps.nested import Outer
from purebpf.lang.rings import RingBuf
from purebpf.lang.stacks import StackTrace
from purebpf.lang.types import IntType, StructType, Type
from purebpf.tables.enums import MapType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

ARRAYS = frozenset({MapType.ARRAY, MapType.PERCPU_ARRAY, MapType.ARENA})
ARRAY_ENTRY, HASH_ENTRY = "array ", "hash "
NUMBER, THERE = " number", " there"  # of a looked up entry: what `get` gave for it, and that it is not None


def keyed(cx: Lowering, node: ast.AST, declaration: MapDeclaration, doing: str) -> None:
    typed(cx, node, declaration)
    if isinstance(declaration, Outer) and doing in ("looked up", "searched"):
        return
    if isinstance(declaration, Arena) and doing in ("read by index", "changed", "assigned"):
        return
    if not isinstance(declaration, KeyedMap) or isinstance(declaration, Held):
        cx.fail(node, f"{with_article(type(declaration).__name__)} cannot be {doing} in a program", hint=abilities(declaration))


def typed(cx: Lowering, node: ast.AST, declaration: MapDeclaration) -> None:
    """A declaration without its types is an error where it is used."""
    try:
        declaration.types  # noqa: B018
    except Error as error:
        advice.misdeclared(cx, node, declaration, error)


def abilities(declaration: MapDeclaration) -> str:
    from purebpf.compiler.frontend.maps.methods import methods_of

    names = sorted(methods_of(declaration))
    if isinstance(declaration, StackTrace):
        return "`bpf.stack(stacks)` gives the number of the current stack; user space looks it up"
    if isinstance(declaration, Arena):
        return "`arena[i]` is a place in it, to be read and written"
    sends = {RingBuf: "`ring.emit(record)` sends one; ", PerfEventArray: "`events.output(record)` sends one; "}
    return f"{sends.get(type(declaration), '')}it has: {', '.join(names)}"


def key_pointer(cx: Lowering, node: ast.AST, declaration: MapDeclaration, key: Value) -> Op:
    """The key in memory."""
    layout = declaration.key_type
    if isinstance(declaration, LpmTrie) and declaration.network is not None:
        address = _whole_address(cx, node, layout, key)
        if address is not None:
            return _pointer(cx, address)
    if isinstance(layout, StructType) and not (isinstance(key, Ref) and key.type == layout):
        cx.usable(node, key)
        cx.fail(node, f"the key of `{declaration.name}` is {named(layout)}, not {describe(key)}")
    return _pointer(cx, memory.materialized(cx, node, key, layout, "key"))


def _whole_address(cx: Lowering, node: ast.AST, layout: Type, key: Value) -> Ref | None:
    """An address as a trie's key, with all its bits; None for what is no address."""
    assert isinstance(layout, StructType)
    field = layout.field("address")
    assert field is not None
    plain = (
        isinstance(key, IntValue | Const)
        if isinstance(field.type, IntType)
        else isinstance(key, Ref) and key.type == field.type
    )
    if not plain:
        return None
    place = memory.temporary(cx, layout, "key")
    memory.store_member(cx, node, place, "length", Const(8 * field.type.size))
    memory.store_member(cx, node, place, "address", key)
    return place


def pointed(declaration: MapDeclaration) -> str:
    """The kind of pointer that a lookup gives."""
    return REGION if isinstance(declaration, Outer) else "map_value"


def value_ref(cx: Lowering, declaration: MapDeclaration, op: Op) -> Ref:
    if isinstance(declaration, Outer):
        return Ref(op, 0, declaration.value_type, REGION, writable=False, owner=declaration)
    return Ref(op, 0, declaration.value_type, "map_value", shared=is_shared(cx, declaration), owner=declaration)


def lookup(
    cx: Lowering, node: ast.AST, declaration: MapDeclaration, key_node: ast.AST, key: Value, place: Op | None = None
) -> MaybeRef:
    """The entry of a key (which lies in `place` if it does), or None. The same key is looked up once, until the map may have
    changed, or the key, where it lies in memory."""
    name = name_of_entry(declaration, key)
    before = cx.flow.state.get(name) if name else None
    if isinstance(before, MaybeRef):
        return before
    place = place or key_pointer(cx, key_node, declaration, key)
    op = cx.call("map_lookup_elem", [map_op(cx, node, declaration), place], Ptr(pointed(declaration), nullable=True))
    found = MaybeRef(op, value_ref(cx, declaration, op), "")
    if name:
        cx.flow.state[name] = found
    return found


def name_of_entry(declaration: MapDeclaration, key: Value) -> str:
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


def known_entry(cx: Lowering, node: ast.AST, declaration: MapDeclaration, key: Value) -> Ref | None:
    """The entry of a key that a test has shown to be there; the branch for null is never taken, the verifier wants it."""
    name = name_of_entry(declaration, key)
    found = cx.flow.state.get(name)
    if not isinstance(found, MaybeRef) or name + THERE not in cx.flow.state:
        return None
    return surely(cx, declaration, found.op)


def changed(cx: Lowering, declaration: MapDeclaration | None = None) -> None:
    """Entries found in a map may be others now; in any map, without a declaration. An array's always stay."""
    start = HASH_ENTRY if declaration is None else f"{HASH_ENTRY}{id(declaration)} "
    for key in [key for key in cx.flow.state if isinstance(key, str) and key.startswith(start)]:
        del cx.flow.state[key]


def proven_index(cx: Lowering, node: ast.AST, declaration: MapDeclaration, key: Value) -> IntValue:
    """An array's index, proven in range; or an error."""
    number = cx.integer(node, key, "an array's index")
    if known(key) is not None and not 0 <= number.low < declaration.max_entries:
        has = f"it has {count(declaration.max_entries, 'element')}"
        cx.fail(node, f"index {number.low} is outside `{declaration.name}`", has)
    if number.low < 0 or number.high >= declaration.max_entries:
        shown = ast.unparse(node) if isinstance(node, ast.expr) else "index"
        cx.fail(
            node,
            f"the index may be outside `{declaration.name}`, which has {declaration.max_entries} entries",
            f"{number.low}..{number.high}",
            advice.to_test(node, number.low, declaration.max_entries)
            + ("" if isinstance(declaration, Arena) else f", or use `{declaration.name}.get({shown})`"),
        )
    return number


def if_there(
    cx: Lowering, maybe: MaybeRef, use: Callable[[Ref], Value], otherwise: Callable[[], Value], why: str = ""
) -> Value:
    """`use(reference)` where the entry is there, else `otherwise()`; `why` tells when an integer is None."""
    value = where_there(cx, maybe, use, otherwise)
    return replace(value, why=why) if isinstance(value, MaybeInt) else value


def where_there(cx: Lowering, maybe: MaybeRef, use: Callable[[Ref], Value], otherwise: Callable[[], Value]) -> Value:
    kind = maybe.op.type
    assert isinstance(kind, Ptr)
    test = cx.builder.emit("ne", BOOL, [maybe.op, cx.builder.const(0, kind)])

    def there() -> Value:
        plain = cx.builder.emit("guard", Ptr(kind.kind), [maybe.op], ("nonnull", 0, 0))
        return use(replace(maybe.ref, op=plain))

    return cx.diamond(test, there, otherwise)


def array_entry(cx: Lowering, node: ast.AST, declaration: MapDeclaration, key_node: ast.AST, key: Value) -> Ref:
    index = proven_index(cx, key_node, declaration, key)
    if isinstance(declaration, Arena):
        return arena.place(cx, node, declaration, index)
    return surely(cx, declaration, lookup(cx, node, declaration, key_node, key).op)


def surely(cx: Lowering, declaration: MapDeclaration, op: Op) -> Ref:
    """The entry that a lookup has found for certain."""
    kind = op.type
    assert isinstance(kind, Ptr)
    from purebpf.compiler.frontend import scopes

    there, absent = cx.branch(cx.builder.emit("ne", BOOL, [op, cx.builder.const(0, kind)]))
    scopes.never(cx, absent)
    cx.go(there)
    plain = cx.builder.emit("guard", Ptr(kind.kind), [op], ("nonnull", 0, 0))
    return value_ref(cx, declaration, plain)


def _instead(node: ast.Call, name: str) -> str:
    """What to write instead of a call that does not fit."""
    map = ast.unparse(node.func).rpartition(".")[0]
    if name == "get" and any(keyword.arg == "create" for keyword in node.keywords):
        return f"storage at tasks, sockets and the like is created by `get`; an entry of `{map}` by `{map}[key] = ...`"
    return ""


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
        cx.fail(node, f"`{name}` takes ({shown})", hint=_instead(node, name))
    return [(given[n], cx.expression(given[n])) for n in names if n in given]
