"""Programs whose parameter is a record of the author's own: what a syscall program is run with and leaves behind, and what a
writable tracepoint lets a program change.

    @bpf.syscall
    def probe(request: Request) -> int: ...                      # the record lies where the context begins

    @bpf.raw_tracepoint("bpf_test_finish", writable=True)
    def fail(result: Result) -> None: ...                        # the event's first argument points to it

The kernel lets both be read and written at constant, aligned places.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend.annotations import check_context
from purebpf.compiler.frontend.values import Context, Ref, named
from purebpf.compiler.ir.ops import Ptr
from purebpf.lang.types import StructType
from purebpf.tables.enums import ProgramType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.compiler.frontend.source import Source

LARGEST = 1 << 16  # U16_MAX, kernel/bpf/syscall.c: syscall_prog_is_valid_access


def bind(cx: Lowering, source: Source) -> None:
    """Give the program's parameters their values."""
    given, kind = source.node.args, cx.unit.kind
    names = [*given.posonlyargs, *given.args]
    most = 1 if kind.type is ProgramType.SYSCALL else 2
    if not 1 <= len(names) <= most or given.kwonlyargs:
        beside = "" if most == 1 else ", and `ctx`"
        cx.fail(source.node, f"a program takes one record{beside}: `def {source.node.name}(data: Record):`")
    records = [argument for argument in names if isinstance(cx.frame.types.get(argument.arg), StructType)]
    if len(records) > 1:
        cx.fail(records[1], "a program has one record", hint="the other parameter is `ctx`")
    for argument in names:
        if argument not in records:
            check_context(cx, argument)
            assert cx.context is not None
            cx.flow.names[argument.arg] = Context(cx.context)
    for argument in records:
        cx.flow.names[argument.arg] = _record(cx, argument)


def _record(cx: Lowering, node: ast.arg) -> Ref:
    layout = cx.frame.types[node.arg]
    assert isinstance(layout, StructType) and cx.context is not None
    if any(field.offset % max(field.type.align, 1) for field in layout.fields):
        cx.fail(node, f"{named(layout)} is packed", "the kernel takes aligned access only here", "leave out `packed=True`")
    if layout.size >= LARGEST:
        cx.fail(node, f"{named(layout)} has {layout.size} bytes, and a context less than {LARGEST}")
    if cx.unit.kind.type is ProgramType.SYSCALL:
        return Ref(cx.context, 0, layout, "ctx")
    return Ref(cx.builder.emit("load", Ptr("mem"), [cx.context], (8, 0, 0)), 0, layout, "ctx")
