"""References that the kernel wants back: `task = bpf.kfuncs.bpf_task_from_pid(1)`, `bpf.kfuncs.bpf_task_release(task)`.

What is held is kept in a flow's state, by the object's op. Where a test has found None nothing is held; where ways meet all
must hold the same, under one name. On the end of the program nothing may be left: the error is at the line that took it.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NoReturn

from purebpf.compiler.diagnostics import ProgramError
from purebpf.compiler.frontend.values import NONE, Held, KernelRef, MaybeRef, Ref, Unset, Value
from purebpf.compiler.ir.ops import BOOL, VOID, Op, Ptr
from purebpf.data import replace

if TYPE_CHECKING:
    from purebpf.compiler.frontend.flow import Flow
    from purebpf.compiler.frontend.lower import Lowering


DROP = "bpf_obj_drop_impl"
SOCKET_RELEASE = "sk_release"  # a helper; the others are kernel functions
OBJECT, BORROWED = "object", "borrowed"  # regions: memory of an object that the program holds, or looks at in a list or tree
SOCKET = "socket"  # the region of a socket that the program holds


def _key(op: Op) -> str:
    return f"reference {id(op)}"


def held(flow: Flow) -> dict[Op, Held]:
    """What is held in a flow."""
    return {value.op: value for value in flow.state.values() if isinstance(value, Held)}


def hold(cx: Lowering, node: ast.AST, op: Op, release: str, offset: int = 0) -> None:
    """From here on the program has this reference."""
    shown = ast.unparse(node) if isinstance(node, ast.expr) else "this"
    cx.flow.state[_key(op)] = Held(op, cx.place(node), shown, release, offset)


def is_held(cx: Lowering, op: Op) -> bool:
    return _key(op) in cx.flow.state


def keep_to_the_end(cx: Lowering, op: Op) -> None:
    """A `with` gives it back, whatever tests find out."""
    one = cx.flow.state[_key(op)]
    assert isinstance(one, Held)
    cx.flow.state[_key(op)] = replace(one, scoped=True)


def is_scoped(cx: Lowering, op: Op) -> bool:
    one = cx.flow.state.get(_key(op))
    return isinstance(one, Held) and one.scoped


def release(cx: Lowering, op: Op, why: str) -> None:
    """Give it back where there is one."""
    one = cx.flow.state.get(_key(op))
    if isinstance(one, Held):
        cx.when(cx.builder.emit("ne", BOOL, [op, cx.const(0)]), lambda: _release(cx, one))
        give_up(cx, op, why)


def absent(flow: Flow, op: Op) -> bool:
    """A test has found that there is nothing; whether it was of a reference that is the program's to give back."""
    one = flow.state.get(_key(op))
    if not isinstance(one, Held) or one.scoped:
        return False
    del flow.state[_key(op)]
    return True


def give_up(cx: Lowering, op: Op, why: str) -> None:
    """The kernel has taken it back: no name stands for it any more."""
    cx.flow.state.pop(_key(op), None)
    for name, value in cx.flow.names.items():
        if _op(value) is op:
            cx.flow.names[name] = Unset(name, why)


def check_end(cx: Lowering, flow: Flow, node: ast.AST, where: str = "") -> None:
    """At the end of the program, or where it may end: nothing may be held."""
    if flow.dead:
        return
    for one in held(flow).values():
        line = getattr(node, "end_lineno", 0) if isinstance(node, ast.FunctionDef) else getattr(node, "lineno", 0)
        _kept(
            one,
            where or f"still held where the program ends, in line {line + cx.place(node).line - getattr(node, 'lineno', 0)}",
        )


def _kept(one: Held, where: str) -> NoReturn:
    hint = f"`bpf.kfuncs.{one.release}(...)` gives it back" if one.release else "give it back"
    if one.release == SOCKET_RELEASE:
        hint = "`bpf.helpers.sk_release(...)` gives it back"
    if one.release == DROP:
        hint = "`bpf.drop(...)` gives it back, a list or tree takes it"
    raise ProgramError(f"the reference that `{one.shown}` gives is not given back", one.place, where, f"{hint}, on every way")


def release_all(cx: Lowering) -> None:
    """On a way that is never taken, but that the verifier follows: give all back."""
    for one in held(cx.flow).values():
        cx.flow.state.pop(_key(one.op))
        cx.when(cx.builder.emit("ne", BOOL, [one.op, cx.const(0)]), lambda one=one: _release(cx, one))  # type: ignore[misc]


def _release(cx: Lowering, one: Held) -> None:
    from purebpf.compiler.frontend import kfuncs

    more, whole = [cx.const(0)] if one.release == DROP else [], one.op
    if isinstance(whole.type, Ptr):
        whole = cx.builder.emit("guard", Ptr(whole.type.kind), [whole], ("nonnull", 0, 0))
    if one.offset:
        whole = cx.builder.emit("add", whole.type, [whole, cx.const(one.offset)])
    if one.release == SOCKET_RELEASE:
        cx.call(one.release, [whole])
        return
    kfuncs.call(cx, cx.here, one.release, [whole, *more], VOID)


def forget_borrowed(cx: Lowering, why: str) -> None:
    """Objects that were looked at in a list or tree are out of reach from here on."""
    for name, value in cx.flow.names.items():
        ref = value.ref if isinstance(value, MaybeRef) else value
        if isinstance(ref, Ref) and ref.region == BORROWED:
            cx.flow.names[name] = Unset(name, why)


def object_of(op: Op) -> Op:
    """What a guard has told about."""
    while op.kind == "guard":
        op = op.args[0]
    return op


def _op(value: Value | None) -> Op | None:
    if isinstance(value, KernelRef):
        return value.op
    ref = value.ref if isinstance(value, MaybeRef) else value
    return object_of(value.op) if isinstance(ref, Ref) and ref.region in (OBJECT, SOCKET) else None  # type: ignore[union-attr]


def _is_nothing(value: Value | None) -> bool:
    return value == NONE or (isinstance(value, KernelRef | MaybeRef) and value.op.is_const)


def meet(flows: list[Flow], result: Flow | None) -> None:
    """Where ways join: what all hold stays; what each holds under one name is that name's from here on."""
    alive = [flow for flow in flows if not flow.dead] or flows
    tables = [held(flow) for flow in alive]
    if result is None or len(alive) < 2 or not any(tables):
        return
    left = [{op: one for op, one in table.items() if not all(op in other for other in tables)} for table in tables]
    for partly in (False, True):  # first names that stand for a reference on every way, then those that may be None
        for name, value in result.names.items():
            op = _op(value)
            if op is not None and result.block is op.block and op.kind == "param":
                _meet_as(name, op, alive, left, result, partly)
    for table in left:
        for other in table.values():
            _kept(other, "held on one of the ways that meet behind this, and not on another")


def _meet_as(name: str, op: Op, flows: list[Flow], left: list[dict[Op, Held]], result: Flow, partly: bool) -> None:
    """Where each way brings a reference, or nothing, under a name: it is that name's."""
    given = [flow.names.get(name) for flow in flows]
    ops = [_op(one) for one in given]
    owners = [table[one] for table, one in zip(left, ops, strict=True) if one in table]
    if owners and all(one in t or (partly and _is_nothing(v)) for t, one, v in zip(left, ops, given, strict=True)):
        result.state[_key(op)] = replace(owners[0], op=op)
        for table, one in zip(left, ops, strict=True):
            table.pop(one, None)  # type: ignore[arg-type]


def at_header(entry: Flow, names: dict[str, Value], flow: Flow, brought: dict[str, Held]) -> None:
    """At the head of a loop: what comes in under a name that the loop changes is that name's, and so is what its trips are
    known to bring."""
    for name, value in names.items():
        op, given = _op(value), entry.names.get(name)
        before = _op(given)
        if op is None or op is before:
            continue
        one = flow.state.pop(_key(before), None) if before is not None else None
        if one is None and _is_nothing(given):
            one = brought.get(name)
        if isinstance(one, Held):
            flow.state[_key(op)] = replace(one, op=op)


def bring(ends: list[Flow], names: dict[str, Value]) -> dict[str, Held]:
    """The references that trips of a loop leave under names of its header."""
    found = {}
    for flow in ends:
        now = held(flow)
        for name in names:
            if (op := _op(flow.names.get(name))) in now:
                found[name] = now[op]
    return found


def check_trip(before: dict[Op, Held], names: dict[str, Value], flow: Flow) -> None:
    """At the end of a loop's trip the program must hold what it held at its start."""
    if flow.dead:
        return
    now, then = held(flow), dict(before)
    for name, value in names.items():
        op, given = _op(value), _op(flow.names.get(name))
        if op in then and given in now:
            del then[op], now[given]
        elif op in then and _is_nothing(flow.names.get(name)):
            del then[op]
    for op in [op for op in now if op in then]:
        del now[op], then[op]
    for one in now.values():
        _kept(one, "still held where the loop around it goes on to its next trip")
    for one in then.values():
        _kept(one, "held before a loop, but given back inside of it, which may go on to another trip")
