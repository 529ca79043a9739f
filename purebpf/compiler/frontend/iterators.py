"""What an iterator's program writes: `ctx.emit(record)` and `print(...)`, into the file that attaching it gives.

Both go by `meta.seq`, the kernel's file of the reading (helpers seq_write and seq_printf, Linux 5.8). What does not fit the
kernel's buffer is no loss: it calls the program again for the same object when there is room.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import helpers, kernel, memory, text
from purebpf.compiler.frontend.values import NONE, KernelRef, MaybeInt, MaybeRef, Ref, Value, named
from purebpf.compiler.ir.ops import BOOL, I64, VOID, Op, Ptr
from purebpf.data import replace
from purebpf.lang.types import type_of

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.lang.types import Type

MOST_VALUES = 12  # MAX_BPRINTF_VARARGS, include/linux/bpf.h
META = "bpf_iter_meta"
READ_ONLY = "key"  # of an entry of a map; its value may be written


def _output(cx: Lowering, node: ast.AST, what: str) -> Op:
    """The file of the reading: `ctx->meta->seq`."""
    if cx.context is None:
        cx.fail(node, f"{what} needs the iterator's context, which this function does not have", hint="give it `ctx`")
    meta = cx.builder.emit("load", I64, [cx.context], (8, 0, 0))
    place = kernel.pointing(cx, node, meta, kernel.named(cx, node, META), True, nullable=False)
    found = kernel.attribute(cx, ast.copy_location(ast.Attribute(ast.Name("meta"), "seq", ast.Load()), node), place)
    assert isinstance(found, KernelRef)
    return found.op


def emit(cx: Lowering, node: ast.Call) -> Value:
    """`ctx.emit(record)`: one row of the iterator's output."""
    row = cx.unit.kind.row
    layout = None if row is None else type_of(row)
    if layout is None:
        hint = f'name it in the decorator: `@bpf.iter("{cx.unit.hook}", Record)`; texts are written by `print(...)`'
        cx.fail(node, "what this iterator emits is not known", hint=hint)
    if len(node.args) != 1 or node.keywords:
        cx.fail(node, "`emit` takes one record", hint=f"ctx.emit({layout}(...))")
    value = cx.expression(node.args[0])
    if isinstance(value, Ref) and value.type != layout:
        cx.fail(node.args[0], f"this iterator emits {named(layout)}, not {named(value.type)}")
    helpers.allowed(cx, node, "seq_write")
    place = memory.materialized(cx, node.args[0], value, layout, "row")
    cx.call("seq_write", [_output(cx, node, "`emit`"), helpers.readable(cx, node, place, "seq_write"), cx.const(layout.size)])
    return NONE


def print_(cx: Lowering, node: ast.Call) -> Value:
    """`print(...)`: a line of the iterator's output."""
    if node.keywords:
        cx.fail(
            node.keywords[0].value, "`print` takes no keyword arguments in a program", hint="put all of it into one f-string"
        )
    if cx.unit.kind.row is not None:
        cx.fail(
            node, "this iterator emits records", hint="`bpf.printk(...)` prints to the trace pipe; records: `ctx.emit(...)`"
        )
    form, values = text.formatted(cx, node, list(node.args))
    if len(values) > MOST_VALUES:
        cx.fail(node, f"a line has {len(values)} values, and the kernel prints {MOST_VALUES}", hint="write two `print`s")
    helpers.allowed(cx, node, "seq_printf")
    line = form.encode() + b"\n\0"
    shown = cx.builder.emit("map_value", Ptr("map_value"), [], (cx.unit.rodata_name, cx.unit.literal(line)))
    array = cx.const(0)
    if values:
        array = cx.stack(8 * len(values), 8, "values")
        for i, value in enumerate(values):
            cx.builder.emit("store", VOID, [array, value], (8, 8 * i))
    cx.call("seq_printf", [_output(cx, node, "`print`"), shown, cx.const(len(line)), array, cx.const(8 * len(values))])
    return NONE


def entry(cx: Lowering, node: ast.AST, name: str, offset: int, layout: Type) -> Value:
    """`key` or `value` of an iterator over a map, of the type that it is annotated with: None behind the last one."""
    assert cx.context is not None
    maybe = Ptr("mem", nullable=True)
    op = cx.builder.emit("load", maybe, [cx.context], (8, 0, offset))

    def there() -> Value:
        guarded = cx.builder.emit("guard", Ptr("mem"), [op], ("nonnull", 0, 0))
        return memory.load(cx, node, Ref(guarded, 0, layout, "mem", writable=name != READ_ONLY))

    found = cx.diamond(cx.builder.emit("ne", BOOL, [op, cx.builder.const(0, maybe)]), there, lambda: NONE)
    why = f"`{name}` is None behind the last entry"
    return replace(found, why=why) if isinstance(found, MaybeRef | MaybeInt) else found
