"""`with bpf.kfuncs.bpf_task_from_pid(1) as task:`: what a kernel function gives or begins, until the block ends.

a reference            is given back on every way out, where there is one
bpf_preempt_disable    ends with bpf_preempt_enable (Linux 6.10)
bpf_local_irq_save     ends with bpf_local_irq_restore (Linux 6.14)
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import kfunc_calls, kfunc_types, kfuncs, references, scopes
from purebpf.compiler.frontend.values import KernelRef
from purebpf.compiler.ir.ops import VOID, Op

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

ENDS = {"bpf_preempt_disable": "bpf_preempt_enable", "bpf_local_irq_save": "bpf_local_irq_restore"}
FLAGS_BYTES = 8


def hold(cx: Lowering, node: ast.Call, name: str, target: ast.expr | None) -> None:
    """The start of the block; the scope stays open for the caller to close."""
    if name in ENDS:
        return _pair(cx, node, name, target)
    from purebpf.compiler.frontend.statements import bind

    value = kfunc_calls.call(cx, node, name)
    if not isinstance(value, KernelRef) or not references.is_held(cx, value.op):
        cx.fail(node, f"`{name}` gives no reference that a `with` could give back")
    if not isinstance(target, ast.Name):
        cx.fail(node, "what the `with` gives back needs a name", hint=f"with {ast.unparse(node)} as it:")
    references.keep_to_the_end(cx, value.op)
    bind(cx, target, target.id, value)
    scopes.enter(cx, f"`with {ast.unparse(node)}`", lambda: references.release(cx, value.op, "the `with` gave it back"))


def _pair(cx: Lowering, node: ast.Call, name: str, target: ast.expr | None) -> None:
    if node.args or node.keywords:
        cx.fail(node, f"`{name}` takes no arguments in a `with`")
    if target is not None:
        cx.fail(target, f"`with {ast.unparse(node)}` gives nothing to name")
    if cx.unit.kind.sleepable:
        cx.fail(node, f"`{name}` is for programs that cannot sleep")
    for each in (name, ENDS[name]):
        kfunc_types.find(cx, node, each)
    kfunc_calls.allowed(cx, node, name)
    place = [cx.stack(FLAGS_BYTES, 8, "irq_flags")] if name == "bpf_local_irq_save" else []
    kfuncs.call(cx, node, name, place, VOID)
    scopes.enter(cx, f"`with {ast.unparse(node)}`", lambda: _end(cx, node, ENDS[name], place))


def _end(cx: Lowering, node: ast.Call, name: str, place: list[Op]) -> None:
    kfuncs.call(cx, node, name, place, VOID)
