"""Lists and search trees of objects: `record.items.push_back(item)`, `record.items.add(item, less)` (Linux 6.2 and 6.3).

Their lock, which lies in the same record, is held for all of it. What is handed over the program has no longer; what is looked
at, it has for as long as the lock. The kernel gives the address of an object's node, and takes that.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import callbacks, each, kfuncs, locks, memory, objects, references, scopes
from purebpf.compiler.frontend.references import BORROWED, DROP, OBJECT, object_of
from purebpf.compiler.frontend.values import NONE, MaybeRef, Ref, Value, describe, with_article
from purebpf.compiler.ir.ops import I64, Function, Op, Ptr
from purebpf.lang.graphs import LIST_HEAD
from purebpf.lang.map_types import node_of
from purebpf.lang.types import Field, KernelType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.callbacks import End
    from purebpf.compiler.frontend.lower import Lowering

TAKES = {"push_front": 1, "push_back": 1, "pop_front": 0, "pop_back": 0, "front": 0, "back": 0}
TREE_TAKES = {"add": 2, "first": 0, "remove": 1, "root": 0, "left": 1, "right": 1}
LOOKS = {  # methods that give what stays where it is
    "first": "bpf_rbtree_first",
    "root": "bpf_rbtree_root",  # this and what follows: Linux 6.16
    "left": "bpf_rbtree_left",
    "right": "bpf_rbtree_right",
    "front": "bpf_list_front",
    "back": "bpf_list_back",
}


def method(cx: Lowering, node: ast.Call, place: Ref, name: str) -> Value:
    """One of a list's or tree's methods."""
    head = place.type
    assert isinstance(head, KernelType) and head.element is not None
    methods = TAKES if head.name == LIST_HEAD else TREE_TAKES
    if name not in methods:
        cx.fail(node.func, f"a {_word(head)} has no method `{name}`", hint=f"it has: {', '.join(methods)}")
    if len(node.args) != methods[name] or node.keywords:
        cx.fail(node, f"`{name}` takes {('no arguments', '(item)', '(item, less)')[methods[name]]}")
    locks._in_a_map(cx, node.func, place)
    cx.unit.graph = cx.unit.graph or cx.place(node)
    _locked(cx, node, place, name)
    field = node_of(head)
    if name in ("pop_front", "pop_back"):
        return _taken(cx, node, head, field, f"bpf_list_{name}", [_head(cx, place)])
    if name in LOOKS:
        from_here = [_node(cx, _in_it(cx, node.args[0], head), field)] if node.args else []
        return _seen(cx, node, head, field, LOOKS[name], [_head(cx, place), *from_here])
    if name == "remove":
        return _removed(cx, node, place, head, field)
    return _handed_over(cx, node, place, head, field, name)


def _word(head: KernelType) -> str:
    return "list" if head.name == LIST_HEAD else "tree"


def _locked(cx: Lowering, node: ast.Call, place: Ref, name: str) -> None:
    """The lock that lies beside it must be held."""
    if cx.flow.dead:
        return
    scope = next((one for one in cx.scopes if one.what.startswith(locks.LOCK)), None)
    if scope is None or scope.record is not place.op:
        shown = ast.unparse(node.func.value.value) if _inner(node.func) else "record"  # type: ignore[attr-defined]
        cx.fail(node, f"`{name}` wants the lock beside it to be held", hint=f"with {shown}.lock:")


def _inner(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute)


def _head(cx: Lowering, place: Ref) -> Op:
    at = memory.pointer(cx, place)
    assert isinstance(at, Op)
    return at


def _node(cx: Lowering, item: Ref, field: Field) -> Op:
    """The address of an object's node."""
    offset = item.offset + field.offset
    return item.op if not offset else cx.builder.emit("add", item.op.type, [item.op, cx.const(offset)])


def _taken(cx: Lowering, node: ast.Call, head: KernelType, field: Field, name: str, args: list[Op]) -> Value:
    """An object that the program holds from here on."""
    objects.allowed(cx, node, name)
    op = kfuncs.call(cx, node, name, args, objects.MAYBE, locked=True)
    references.forget_borrowed(cx, f"the {_word(head)} has changed since")
    references.hold(cx, node, op, DROP, -field.offset)
    assert head.element is not None
    return MaybeRef(
        op, Ref(op, -field.offset, head.element, OBJECT), f"`{ast.unparse(node)}` gives None where there is nothing"
    )


def _seen(cx: Lowering, node: ast.Call, head: KernelType, field: Field, name: str, args: list[Op]) -> Value:
    """An object that stays where it is."""
    objects.allowed(cx, node, name)
    op = kfuncs.call(cx, node, name, args, objects.MAYBE, locked=True)
    assert head.element is not None
    return MaybeRef(
        op, Ref(op, -field.offset, head.element, BORROWED), f"`{ast.unparse(node)}` gives None where there is nothing"
    )


def _in_it(cx: Lowering, at: ast.expr, head: KernelType) -> Ref:
    """An object that the tree gave to look at."""
    item = cx.expression(at)
    cx.usable(at, item)
    if not isinstance(item, Ref) or item.region != BORROWED or item.type is not head.element:
        wanted = with_article(f"`{head.of}`")
        hint = "item = record.items.first()"
        cx.fail(at, f"this is {wanted} that the tree gave, not {describe(item)}", hint=hint)
    return item


def _removed(cx: Lowering, node: ast.Call, place: Ref, head: KernelType, field: Field) -> Value:
    item = _in_it(cx, node.args[0], head)
    return _taken(cx, node, head, field, "bpf_rbtree_remove", [_head(cx, place), _node(cx, item, field)])


def _handed_over(cx: Lowering, node: ast.Call, place: Ref, head: KernelType, field: Field, name: str) -> Value:
    """`push_front(item)`, `push_back(item)`, `add(item, less)`."""
    item = objects.held(cx, node.args[0], cx.expression(node.args[0]), "what is handed over")
    if item.type is not head.element:
        cx.fail(node.args[0], f"the {_word(head)} holds {with_article(f'`{head.of}`')}, not {describe(item)}")
    function = f"bpf_list_{name}_impl" if name != "add" else "bpf_rbtree_add_impl"
    objects.allowed(cx, node, function)
    args = [_head(cx, place), _node(cx, item, field)]
    if name == "add":
        args.append(cx.builder.emit("func", Ptr("func"), [], (_less(cx, node, head, field),)))
    kfuncs.call(cx, node, function, [*args, cx.const(0), cx.const(0)], I64, locked=True)
    references.give_up(cx, object_of(item.op), f"the {_word(head)} has it now")
    return NONE


def _less(cx: Lowering, node: ast.Call, head: KernelType, field: Field) -> str:
    """The subprogram that compares two objects of the tree."""
    element = head.element
    assert element is not None

    def start(inner: Lowering, ops: list[Op]) -> list[Value]:
        return [Ref(op, -field.offset, element, BORROWED) for op in ops]

    body = each.function_body(cx, node, node.args[1], 2, (Ptr("btf"), Ptr("btf")), start, later=True)
    key = (body.key, head.of)
    if key in cx.unit.later:
        return cx.unit.later[key]
    name = cx.unit.later[key] = callbacks.free_name(cx, body.name)
    cx.unit.functions[name] = Function(name, [], I64)  # keeps the name
    lower = body.lower

    def compared(inner: Lowering, ops: list[Op]) -> list[End]:
        scopes.enter(inner, f"{locks.LOCK}the tree's lock", lambda: None)
        ends = lower(inner, ops)
        inner.scopes.clear()
        for _, value, at in ends:
            number = inner.integer(at, value, "what `less` gives")
            if number.low < 0 or number.high > 1:
                inner.fail(at, "`less` says True or False", hint="return a.key < b.key")
        return ends

    here = cx.current
    callbacks.lower_later(cx, node, callbacks.Body(name, body.parameters, body.frame, compared, later=True))
    cx.go(here)
    return name
