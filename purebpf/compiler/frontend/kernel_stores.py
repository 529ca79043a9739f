"""Stores into objects of the kernel: `sk.snd_cwnd = 10`, where an operation that programs implement lets them.

Which fields may be written the kernel decides by the operation (its btf_struct_access); a store is one CO-RE relocation, as a
load is.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NoReturn

from purebpf.btf.types import Array, Enum, Enum64, Int, Struct, Union
from purebpf.compiler.frontend import kernel, memory
from purebpf.compiler.frontend.values import KernelRef, Value, known
from purebpf.compiler.ir.ops import VOID
from purebpf.data import replace
from purebpf.lang.types import IntType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

# By the operations that a program implements: the last names of fields (net/ipv4/bpf_tcp_ca.c, kernel/sched/ext.c,
# net/bpf/bpf_dummy_struct_ops.c).
WRITABLE = {
    "tcp_congestion_ops": (
        "sk_pacing_rate",
        "sk_pacing_status",
        "icsk_ca_priv",
        "pending",
        "snd_cwnd",
        "snd_cwnd_cnt",
        "snd_cwnd_stamp",
        "snd_ssthresh",
        "ecn_flags",
        "app_limited",
    ),
    "sched_ext_ops": ("slice", "dsq_vtime", "disallow"),
    "bpf_dummy_ops": ("val",),
}


def assign_field(cx: Lowering, target: ast.Attribute, base: KernelRef, value: Value, given: ast.AST) -> None:
    """`base.field = value`."""
    btf = kernel.btf_of(cx, target)
    found = btf.type(base.type)
    if not isinstance(found, Struct | Union):
        _refuse(cx, target, base.name)
    way = kernel.member(btf, base.type, target.attr)
    if way is None:
        kernel.no_field(cx, target, base.name, base.type, target.attr)
    steps, last, _ = way
    shown = f"{base.name}.{target.attr}"
    if last.bit_size:
        cx.fail(target, f"`{shown}` is a bit field, which cannot be written")
    place = replace(base, path=base.path + steps, type=btf.resolve(last.type), name=shown)
    _store(cx, target, place, target.attr, value, given)


def assign_element(cx: Lowering, target: ast.Subscript, base: KernelRef, value: Value, given: ast.AST) -> None:
    """`base[i] = value` of an array in an object."""
    btf = kernel.btf_of(cx, target)
    found = btf.type(base.type)
    index = known(cx.expression(target.slice))
    if not isinstance(found, Array):
        _refuse(cx, target, base.name)
    if index is None or not 0 <= index < found.length:
        cx.fail(target.slice, f"an index from 0 to {found.length - 1} that is known when the program is compiled is wanted")
    place = replace(base, path=(*base.path, index), type=btf.resolve(found.type))
    _store(cx, target, place, base.name.rpartition(".")[2], value, given)


def _store(cx: Lowering, target: ast.AST, place: KernelRef, field: str, value: Value, given: ast.AST) -> None:
    able = WRITABLE.get(cx.unit.hook.partition(".")[0], ()) if cx.unit.kind.decorator == "struct_ops" else ()
    unknown = not place.direct and cx.unit.options.kernel_pointers  # other engines say what they lack
    if (field not in able or unknown) and not cx.flow.dead:
        _refuse(cx, target, place.name, able)
    found = kernel.btf_of(cx, target).type(place.type)
    if not isinstance(found, Int | Enum | Enum64) or found.size not in (1, 2, 4, 8):
        cx.fail(target, f"`{place.name}` is no integer, and only those can be written")
    layout = IntType(8 * found.size, found.signed)
    number = memory.kept(cx, given, value, layout)
    at = kernel.offset(kernel.btf_of(cx, target), place.root, place.path)
    cx.forget()
    imm = (layout.size, place.root, kernel.access(place.path), at)
    cx.builder.emit("core_store", VOID, [place.op, number.op], imm)


def _refuse(cx: Lowering, node: ast.AST, shown: str, able: tuple[str, ...] = ()) -> NoReturn:
    if able:
        cx.fail(node, f"the kernel does not let these programs write `{shown}`", hint=f"they may write: {', '.join(able)}")
    cx.fail(node, f"the kernel's `{shown}` cannot be written", hint="keep what you need in a map")
