"""`with bpf.rcu():` holds the RCU read lock (Linux 6.2): what it protects stays while the block lasts."""

from __future__ import annotations

import ast

from purebpf.compiler.diagnostics import UnsupportedProgram
from purebpf.compiler.frontend import kfuncs, scopes
from purebpf.compiler.frontend.helpers import RCU
from purebpf.compiler.frontend.lower import Lowering, Unit
from purebpf.compiler.ir.ops import VOID


def hold(cx: Lowering, node: ast.Call, target: ast.expr | None) -> None:
    """The start of the block; the scope stays open for the caller to close."""
    if node.args or node.keywords:
        cx.fail(node, "`rcu` takes no arguments")
    if target is not None:
        cx.fail(target, f"{RCU} gives nothing to name")
    if is_held(cx):
        cx.fail(node, "RCU is held already", "an inner block adds nothing", "leave out the inner `with`")
    kfuncs.call(cx, node, "bpf_rcu_read_lock", [], VOID)
    scopes.enter(cx, RCU, lambda: _give_back(cx, node))


def _give_back(cx: Lowering, node: ast.Call) -> None:
    kfuncs.call(cx, node, "bpf_rcu_read_unlock", [], VOID)


def is_held(cx: Lowering) -> bool:
    return any(scope.what == RCU for scope in cx.scopes)


def refuse_callback(cx: Lowering, node: ast.AST) -> None:
    """Before Linux 6.9 a subprogram must end with the lock as it began, which for the verifier is: without it."""
    if is_held(cx) and not cx.unit.options.may_goto:
        raise UnsupportedProgram(
            "nothing can be called back inside of `with bpf.rcu()` on this kernel",
            cx.place(node),
            "that came with Linux 6.9",
            "call it before or behind the `with`",
        )


def refuse_sleeping(cx: Lowering, node: ast.AST, function: str, shown: str) -> None:
    """While RCU is held nothing may be called that may sleep, not even through others."""
    helper = _sleeping(cx.unit, function, set()) if is_held(cx) and not cx.flow.dead else None
    if helper is not None:
        cx.fail(
            node,
            f"`{shown}` may sleep, which cannot be while RCU is held",
            f"it calls `{helper}`",
            "call it behind the `with`",
        )


def _sleeping(unit: Unit, name: str, seen: set[str]) -> str | None:
    """A helper that may sleep and that a function calls, itself or through others."""
    from purebpf.tables.helpers import helper
    from purebpf.tables.kfuncs import kfunc

    if name in seen or name not in unit.functions:
        return None
    seen.add(name)
    for op in unit.functions[name].ops():
        if op.kind == "call" and (found := helper(op.imm[0])) is not None and found.sleeps:
            return found.name
        if op.kind == "kfunc" and (facts := kfunc(op.imm[0])) is not None and facts.sleeps:
            return facts.name
        if op.kind in ("callsub", "func") and (inner := _sleeping(unit, op.imm[0], seen)) is not None:
            return inner
    return None
