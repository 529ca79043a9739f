"""Parameters of system calls: those of the call, by name and type, read from the registers that the process came in with.

    @bpf.ksyscall("openat")
    def opening(dfd, filename): ...

Names and types are those of the event syscalls/sys_enter_<call>, from tracefs or BTF.
"""

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING, NoReturn

from purebpf.compiler.frontend import helpers, memory
from purebpf.compiler.frontend.values import U64, Context, IntValue, Value
from purebpf.compiler.ir.ops import I64
from purebpf.data import replace
from purebpf.errors import Error
from purebpf.lang.system_calls import FIRST, REGISTERS, STEP
from purebpf.lang.tracepoints import EventField, event_fields
from purebpf.lang.types import IntType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.compiler.frontend.source import Source


def bind(cx: Lowering, source: Source, names: list[ast.arg], contexts: list[ast.arg]) -> None:
    """Give the program's parameters their values."""
    from purebpf.compiler.frontend import parameters, statements

    assert cx.context is not None
    registers, result = parameters.registers_here(cx, source)
    returning = cx.unit.kind.decorator == "kretsyscall"
    known = {} if returning else _arguments(cx, source)
    for argument in names:
        with cx.at(argument):
            if argument in contexts:
                value: Value = Context(cx.context)
            elif returning and argument.arg == parameters.RET:
                whole = cx.builder.emit("load", I64, [cx.context], (8, 0, result))
                value = parameters.narrowed(cx, whole, 64, True)
            elif argument.arg in known:
                value = _argument(cx, argument, known[argument.arg], registers[0])
            else:
                _unknown(cx, argument, known, returning)
            statements.bind(cx, argument, argument.arg, value)


def _unknown(cx: Lowering, node: ast.arg, known: dict[str, EventField], returning: bool) -> NoReturn:
    hint = "it has `ret` only, the result" if returning else f"it has: {', '.join(known) or 'none'}"
    if node.arg == "ret" and not returning:
        hint = "the result is there where the call ends: in a kretsyscall"
    cx.fail(node, f"the system call `{cx.unit.hook}` has no parameter `{node.arg}`", hint=hint)


def _arguments(cx: Lowering, source: Source) -> dict[str, EventField]:
    try:
        fields = event_fields(f"syscalls/sys_enter_{cx.unit.hook}")
    except Error as error:
        cx.fail(source.node.decorator_list[0] if source.node.decorator_list else source.node, str(error))
    return {name: field for name, field in fields.items() if field.offset >= FIRST}


def _argument(cx: Lowering, node: ast.AST, field: EventField, first: int) -> IntValue:
    """One argument, out of the registers that the function's only parameter points to."""
    from purebpf.compiler.frontend import parameters

    assert cx.context is not None
    helpers.allowed(cx, node, "probe_read_kernel")
    at = REGISTERS[os.uname().machine][(field.offset - FIRST) // STEP]
    saved = cx.builder.emit("load", I64, [cx.context], (8, 0, first))
    place = memory.temporary(cx, IntType(64))
    cx.call("probe_read_kernel", [place.op, cx.const(8), cx.builder.emit("add", I64, [saved, cx.const(at)])])
    whole = memory.load(cx, node, place)
    assert isinstance(whole, IntValue)
    if not isinstance(field.type, IntType) or (field.type.bits == 64 and not field.type.signed):
        return replace(whole, low=0, high=U64)
    return parameters.narrowed(cx, whole.op, field.type.bits, field.type.signed)
