"""Objects of the program's own: `bpf.new(Item, key=5)`, `bpf.drop(item)` (bpf_obj_new, bpf_obj_drop; Linux 6.2).

The kernel knows an object by the number of its type in the program's types. These are the types of the map whose records have
a list or tree of such objects, and so the numbers are set when the program is lowered as a whole.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from purebpf.btf.types import Kind
from purebpf.compiler.diagnostics import ProgramError
from purebpf.compiler.frontend import kernel, kfunc_calls, kfunc_types, kfuncs, memory, references
from purebpf.compiler.frontend.references import BORROWED, DROP, OBJECT, object_of
from purebpf.compiler.frontend.values import NONE, Const, MaybeRef, Ref, Value, describe, named
from purebpf.compiler.ir.ops import BOOL, I64, VOID, Op, Ptr
from purebpf.lang import graphs
from purebpf.lang.map_types import numbers_in
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.types import BoolType, IntType, KernelType, StructType, kept_fields, type_of

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering, Unit

NEW = "bpf_obj_new_impl"
MAYBE = Ptr("btf", nullable=True)


def allowed(cx: Lowering, node: ast.AST, name: str) -> None:
    """An error where this program may not call it, or this kernel has it not, or other nodes."""
    kfunc_types.find(cx, node, name)
    kfunc_calls.allowed(cx, node, name)
    btf = kernel.btf_of(cx, node)
    for own in (graphs.ListNode, graphs.RbNode):
        found = btf.types_named(own.__bpf_type__.name, Kind.STRUCT)
        if not found or btf.size_of(found[0]) != own.__bpf_type__.size:
            cx.fail(node, "this kernel has no lists and trees of such nodes", "they came with Linux 6.6")


def new(cx: Lowering, node: ast.Call) -> Value:
    """`bpf.new(Item, key=5)`: its fields are set where there is memory for it."""
    from purebpf.compiler.frontend import calls

    kind = cx.expression(node.args[0]) if len(node.args) == 1 else None
    layout = type_of(kind.value) if isinstance(kind, Const) else None
    if not isinstance(layout, StructType) or layout.union:
        cx.fail(node, "`new` takes a @bpf.struct, and its fields by keyword", hint="bpf.new(Item, key=5)")
    for field in layout.values:
        if not isinstance(field.type, IntType | BoolType) or field.bits:
            cx.fail(node, "an object has integers and bools only", f"`{layout.name}.{field.name}` is a `{field.type}`")
    allowed(cx, node, NEW)
    given = calls.given_fields(cx, ast.copy_location(ast.Call(node.func, [], node.keywords), node), layout)
    for field in layout.values:
        if field.required and field.name not in given:
            cx.fail(node, f"`{layout}` needs `{field.name}`", hint=f"bpf.new({layout}, {field.name}=...)")
    number = Op("const", I64, [], (0,), cx.builder.loc, block=cx.fn.entry)  # none that others share
    cx.fn.entry.ops.insert(0, number)
    cx.unit.objects.append((number, layout, cx.place(node)))
    op = kfuncs.call(cx, node, NEW, [number, cx.const(0)], MAYBE)
    cx.when(cx.builder.emit("ne", BOOL, [op, cx.builder.const(0, MAYBE)]), lambda: _fill(cx, node, op, layout, given))
    references.hold(cx, node, op, DROP)
    return MaybeRef(op, Ref(op, 0, layout, OBJECT), f"`{ast.unparse(node)}` gives None when there is no memory")


def _fill(cx: Lowering, node: ast.Call, op: Op, layout: StructType, given: dict[str, tuple[ast.expr, Value]]) -> None:
    place = Ref(cx.builder.emit("guard", Ptr("btf"), [op], ("nonnull", 0, 0)), 0, layout, OBJECT)
    for field in layout.values:
        at, value = given.get(field.name, (node, Const(field.default or 0)))
        if field.name not in given and isinstance(field.type, BoolType):
            value = Const(bool(field.default))
        memory.store_member(cx, at, place, field.name, value)


def held(cx: Lowering, at: ast.expr, value: Value, what: str) -> Ref:
    """An object that the program holds; an error for anything else."""
    cx.usable(at, value)
    if not isinstance(value, Ref) or value.region != OBJECT or not isinstance(value.type, StructType):
        hint = "`remove` takes it out first" if isinstance(value, Ref) and value.region == BORROWED else "item = bpf.new(Item)"
        cx.fail(at, f"{what} is an object that the program holds, not {describe(value)}", hint=hint)
    return value


def drop(cx: Lowering, node: ast.Call) -> Value:
    """`bpf.drop(item)`."""
    if len(node.args) != 1 or node.keywords:
        cx.fail(node, "`drop` takes an object", hint="bpf.drop(item)")
    item = held(cx, node.args[0], cx.expression(node.args[0]), "what is dropped")
    allowed(cx, node, DROP)
    kfuncs.call(cx, node, DROP, [cx.moved(cx.flow, item).op, cx.const(0)], VOID)
    references.give_up(cx, object_of(item.op), "`drop` gave it back")
    return NONE


def settle(unit: Unit) -> None:
    """Which map's types are the program's, and so the number of each object's type."""
    owners = {name: one for name, one in unit.used.items() if one.has_types and heads(one)}
    where = unit.graph or unit.objects[0][2]
    if unit.global_:
        raise ProgramError("a program with global subprograms has no lists and trees", where)
    if len(owners) > 1:
        raise ProgramError(
            "the lists and trees of a program lie in one map",
            where,
            f"it uses {' and '.join(f'`{name}`' for name in owners)}",
            "put them into one record, each with a name of its own",
        )
    unit.types_of = next(iter(owners), "")
    for number, layout, place in unit.objects:
        owner = next((one for one in owners.values() if any(head.element is layout for head in heads(one))), None)
        if owner is None:
            hint = f"items: bpf.List[{layout}] or bpf.RbTree[{layout}] in the record of a map that the program uses"
            raise ProgramError(f"there is no list or tree that {named(layout)} could be in", place, hint=hint)
        number.imm = (numbers_in(owner.key_type, owner.value_type, layout),)


def heads(declaration: MapDeclaration) -> list[KernelType]:
    """The lists and trees in a map's records."""
    kept = kept_fields(declaration.value_type)
    return [field.type for field in kept if isinstance(field.type, KernelType) and field.type.element is not None]


INTRINSICS: dict[Any, Callable[[Lowering, ast.Call], Value]] = {graphs.new: new, graphs.drop: drop}
