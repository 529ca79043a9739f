"""Parameters of operations that programs implement (struct_ops): those of the function pointer, in their order.

    @bpf.struct_ops("tcp_congestion_ops")
    class steady:
        def ssthresh(sk): ...           # u32 (*ssthresh)(struct sock *sk)

BTF has no names for the parameters of function pointers, so the author's are by position. Where the verifier takes a pointer
for one to a larger struct, so does the program.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.btf.types import FuncProto, Ptr, Struct
from purebpf.compiler.frontend import kernel
from purebpf.compiler.frontend.values import Context, KernelRef, Value, count
from purebpf.data import replace
from purebpf.errors import Error

if TYPE_CHECKING:
    from purebpf.btf.reader import Btf
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.compiler.frontend.source import Source

LARGER = {("tcp_congestion_ops", "sock"): "tcp_sock"}  # bpf_tcp_ca_is_valid_access, net/ipv4/bpf_tcp_ca.c


def bind(cx: Lowering, source: Source, names: list[ast.arg], contexts: list[ast.arg]) -> None:
    """Give the program's parameters their values."""
    from purebpf.compiler.frontend import parameters, statements

    assert cx.context is not None
    prototype = _prototype(cx, source)
    struct, _, member = cx.unit.hook.partition(".")
    if prototype.returns:
        cx.unit.kind = replace(cx.unit.kind, returns=f"what `{member}` of `{struct}` gives")
    else:
        cx.unit.kind = replace(cx.unit.kind, results=(0, 0))
    own = [argument for argument in names if argument not in contexts]
    wanted = [parameter for parameter in prototype.parameters if parameter.type]
    if len(own) > len(wanted):
        cx.fail(own[len(wanted)], f"`{member}` of `{struct}` has {count(len(wanted), 'parameter')}, not {len(own)}")
    number = 0
    for argument in names:
        with cx.at(argument):
            if argument in contexts:
                value: Value = Context(cx.context)
            else:
                value = _larger(cx, argument, parameters._value(cx, argument, parameters.Slot(8 * number, wanted[number].type)))
                number += 1
            statements.bind(cx, argument, argument.arg, value)


def _larger(cx: Lowering, node: ast.AST, value: Value) -> Value:
    if not isinstance(value, KernelRef):
        return value
    value = replace(value, nullable=False)
    name = LARGER.get((cx.unit.hook.partition(".")[0], value.name))
    if name is None:
        return value
    return kernel.pointing(cx, node, value.op, kernel.named(cx, node, name), value.direct, nullable=False, trust=value.trust)


def _prototype(cx: Lowering, source: Source) -> FuncProto:
    btf = kernel.btf_of(cx, source.node)
    try:
        return prototype(btf, *cx.unit.hook.split("."))
    except Error as error:
        cx.fail(source.node, str(error))


def prototype(btf: Btf, struct: str, member: str) -> FuncProto:
    """The type of an operation. Raises Error, with the right names, for one that is not there or is no function."""
    numbers = btf.types_named(struct, Struct.kind)
    found = btf.type(numbers[0]) if numbers else None
    if not isinstance(found, Struct):
        raise Error(f"the kernel has no operations `{struct}`{_others(btf, struct)}")
    functions = {one.name: proto for one in found.members if (proto := _pointed(btf, one.type)) is not None}
    if member not in functions:
        raise Error(f"`{struct}` has no operation `{member}`; it has: {', '.join(functions)}")
    return functions[member]


def _others(btf: Btf, struct: str) -> str:
    """The operations that programs may be on this kernel, the nearest first if there is one: for a message."""
    import difflib

    wrapped = (btf.name(number).partition("bpf_struct_ops_") for number in btf.numbers(Struct.kind))
    there = sorted(name for before, _, name in wrapped if name and not before and name != "common_value")
    near = difflib.get_close_matches(struct, there, 1)
    return f"; did you mean {near[0]}?" if near else f"; it has: {', '.join(there)}" if there else ""


def _pointed(btf: Btf, type: int) -> FuncProto | None:
    pointer = btf.type(btf.resolve(type))
    inner = btf.type(btf.resolve(pointer.type)) if isinstance(pointer, Ptr) and pointer.type else None
    return inner if isinstance(inner, FuncProto) else None
