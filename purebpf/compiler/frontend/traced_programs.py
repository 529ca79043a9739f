"""Parameters of a program that traces another one: what that has as its context in the kernel, and its result.

    @bpf.fexit(count)                          # @bpf.xdp def count(ctx): ...
    def after(xdp: xdp_buff, ret: int): ...

A program has one parameter, so the traced one's context may have any name here; what it is in the kernel, the kernel's BTF
tells by the fields of `struct bpf_ctx_convert` (kernel/bpf/btf.c:btf_translate_to_vmlinux).
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.btf.types import Kind, Struct
from purebpf.compiler.frontend import kernel
from purebpf.compiler.frontend.parameters import RET, narrowed
from purebpf.compiler.frontend.values import Context, Value
from purebpf.compiler.ir.ops import I64

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.compiler.frontend.source import Source

CONTEXTS = "bpf_ctx_convert"


def bind(cx: Lowering, source: Source, names: list[ast.arg], contexts: list[ast.arg]) -> None:
    """Give the parameters their values."""
    from purebpf.compiler.frontend import statements

    assert cx.context is not None
    ends = cx.unit.kind.decorator == "fexit"
    others = [argument for argument in names if argument not in contexts and argument.arg != RET]
    for argument in names:
        with cx.at(argument):
            value: Value
            if argument in contexts:
                value = Context(cx.context)
            elif argument.arg == RET and ends:
                value = narrowed(cx, cx.builder.emit("load", I64, [cx.context], (8, 0, 8)), 32, True)
            elif argument.arg == RET:
                cx.fail(argument, f"`{cx.unit.hook}` has no result yet", hint="the result is there where it ends: in fexit")
            elif argument is others[0]:
                value = _context(cx, argument)
            else:
                cx.fail(argument, f"`{cx.unit.hook}` has one parameter, its context: `{others[0].arg}` is that")
            statements.bind(cx, argument, argument.arg, value)


def _context(cx: Lowering, argument: ast.arg) -> Value:
    """The kernel's side of the traced program's context."""
    assert cx.context is not None and cx.unit.kind.of is not None
    btf, wanted = kernel.btf_of(cx, argument), f"BPF_PROG_TYPE_{cx.unit.kind.of.name}_kern"
    found = None
    for number in btf.types_named(CONTEXTS, Kind.STRUCT):
        struct = btf.type(number)
        assert isinstance(struct, Struct)
        found = next((member.type for member in struct.members if member.name == wanted), None)
    if found is None or not kernel.is_struct(cx, argument, found):
        cx.fail(argument, f"what the context of `{cx.unit.hook}` is in the kernel is not known", hint="leave it out")
    whole = cx.builder.emit("load", I64, [cx.context], (8, 0, 0))
    return kernel.pointing(cx, argument, whole, found, cx.unit.options.kernel_pointers, nullable=False)
