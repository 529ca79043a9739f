"""The short names a program calls: printing, time, CPU, random numbers, redirects, the current task."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from purebpf.compiler.frontend import (
    atomics,
    dynptrs,
    each,
    helpers,
    kfunc_queries,
    kfuncs,
    memory,
    objects,
    reading,
    stacks,
    text,
)
from purebpf.compiler.frontend.values import Const, Fill, IntValue, Ref, Value, known
from purebpf.compiler.frontend.verdicts import SESSIONS
from purebpf.compiler.ir.ops import BOOL, I32, I64
from purebpf.data import replace
from purebpf.lang import idioms, locks, records
from purebpf.lang.types import CharsType, IntType, type_of
from purebpf.lang.usdt import COOKIE_BITS, LARGEST_COOKIE

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

U32, U64 = (1 << 32) - 1, (1 << 64) - 1
COMM_LENGTH = 16  # TASK_COMM_LEN, include/linux/sched.h


def printk(cx: Lowering, node: ast.Call) -> Value:
    """`bpf.printk("...")`, `bpf.printk(f"...")`; `print` with several values puts spaces between, as Python's."""
    name = ast.unparse(node.func)
    if node.keywords:
        cx.fail(
            node.keywords[0].value, f"`{name}` takes no keyword arguments in a program", hint="put all of it into one f-string"
        )
    if not name.endswith("print") and len(node.args) != 1:
        parts = [str(a.value) if isinstance(a, ast.Constant) else f"{{{ast.unparse(a)}}}" for a in node.args]
        cx.fail(node, f"`{name}` takes one text or f-string", hint=f'`{name}(f"{" ".join(parts) or "..."}")`')
    return text.print_(cx, node, list(node.args))


def print_(cx: Lowering, node: ast.Call) -> Value:
    """Python's `print`: a line of what an iterator writes, elsewhere the same as `bpf.printk`."""
    if cx.unit.kind.decorator == "iter":
        from purebpf.compiler.frontend import iterators

        return iterators.print_(cx, node)
    return printk(cx, node)


def cookie(cx: Lowering, node: ast.Call) -> Value:
    """`bpf.cookie()`: the number given by `attach(cookie=...)`."""
    if node.args or node.keywords:
        cx.fail(node, "`cookie` takes no arguments")
    if cx.context is None:
        cx.fail(node, "`cookie` needs the program's context, which this function does not have", hint="give it `ctx`")
    whole = helpers.scalar(cx, node, "get_attach_cookie", [cx.context], 0, U64)
    if cx.unit.kind.decorator != "usdt":
        return whole
    return IntValue(cx.builder.emit("lshr", I64, [whole.op, cx.const(COOKIE_BITS)]), 0, LARGEST_COOKIE)


def returning(cx: Lowering, node: ast.Call) -> Value:
    """`bpf.returning()`: whether a program at both ends of functions runs where one returns."""
    if node.args or node.keywords:
        cx.fail(node, "`returning` takes no arguments")
    if cx.unit.kind.decorator not in SESSIONS and not cx.flow.dead:
        cx.fail(
            node,
            "`returning` is for programs that run at both ends of functions",
            hint="@bpf.kprobe_session(...), @bpf.uprobe_session(...)",
        )
    if cx.context is None:
        cx.fail(node, "`returning` needs the program's context, which this function does not have", hint="give it `ctx`")
    answer = kfuncs.call(cx, node, "bpf_session_is_return", [cx.context])  # later kernels want it, earlier take nothing
    low = cx.builder.emit("and", I32, [answer, cx.const(0xFF)])
    return IntValue(cx.builder.emit("ne", BOOL, [low, cx.const(0)]), 0, 1, False, True)


def _simple(helper: str, high: int) -> Callable[[Lowering, ast.Call], Value]:
    def lower(cx: Lowering, node: ast.Call) -> Value:
        if node.args or node.keywords:
            cx.fail(node, f"`{ast.unparse(node.func)}` takes no arguments")
        return helpers.scalar(cx, node, helper, [], 0, high)

    return lower


def redirect(cx: Lowering, node: ast.Call) -> Value:
    """`bpf.redirect(ifindex, flags=0)`."""
    values = [(a, cx.expression(a)) for a in node.args] + [
        (k.value, cx.expression(k.value)) for k in node.keywords if k.arg in ("ifindex", "flags")
    ]
    if not 1 <= len(values) <= 2 or len(values) != len(node.args) + len(node.keywords):
        cx.fail(node, "`redirect` takes an interface index and optional flags")
    ops = [cx.integer(at, value).op for at, value in values]
    return helpers.scalar(cx, node, "redirect", ops + [cx.const(0)] * (2 - len(ops)), -(1 << 63), (1 << 63) - 1)


def raw(cx: Lowering, node: ast.Call) -> Value:
    """`bpf.raw(header.saddr)`: a network-order field without the swap."""
    if len(node.args) != 1 or node.keywords:
        cx.fail(node, "`raw` takes one field in network order", hint="bpf.raw(ip.saddr)")
    cx.expression(node.args[0])
    place = cx.places.get(node.args[0])
    if place is None or not isinstance(place.type, IntType) or not place.type.big:
        cx.fail(
            node.args[0],
            f"`{ast.unparse(node.args[0])}` is no field in network order",
            "only a be16, be32 or be64 in memory has other bits than its number",
            "name the field itself: `bpf.raw(ip.saddr)`",
        )
    return memory.load(cx, node, replace(place, type=IntType(place.type.bits)))


def current(cx: Lowering, node: ast.Attribute, name: str) -> Value:
    """`bpf.current.pid` and its siblings."""
    match name:
        case "pid" | "tgid":
            both = helpers.scalar(cx, node, "get_current_pid_tgid", [], 0, U64)
            op = (
                cx.builder.emit("low32", I32, [both.op])
                if name == "pid"
                else cx.builder.emit("lshr", I64, [both.op, cx.const(32)])
            )
            return IntValue(op, 0, U32)
        case "uid" | "gid":
            both = helpers.scalar(cx, node, "get_current_uid_gid", [], 0, U64)
            op = (
                cx.builder.emit("low32", I32, [both.op])
                if name == "uid"
                else cx.builder.emit("lshr", I64, [both.op, cx.const(32)])
            )
            return IntValue(op, 0, U32)
        case "cgroup_id":
            return helpers.scalar(cx, node, "get_current_cgroup_id", [], 0, U64)
        case "task":
            from purebpf.compiler.frontend import kernel

            return kernel.current_task(cx, node)
        case "comm":
            helpers.allowed(cx, node, "get_current_comm")

            def write(place: Ref) -> None:
                cx.call("get_current_comm", [helpers._pointer(cx, place), cx.const(COMM_LENGTH)])

            return Fill(CharsType(COMM_LENGTH), write, leaves=cx.unit.options.old_kernels)  # before Linux 6.2
    known = sorted(k for k in vars(idioms.Current) if not k.startswith("_"))
    cx.fail(node, f"`current` has no attribute `{name}`", hint=f"it has: {', '.join(known)}")


def local_memory(cx: Lowering, node: ast.Call) -> Value:
    """`bpf.array(u32, 6)`, `bpf.bytes(64)`, `bpf.chars(16)` as a value: zeroed memory on the stack."""
    values = [cx.expression(a) for a in node.args]
    target = cx.expression(node.func)
    if node.keywords or not isinstance(target, Const) or not all(isinstance(v, Const) or known(v) is not None for v in values):
        cx.fail(node, f"`{ast.unparse(node.func)}` takes constants", hint="bpf.array(u32, 6), bpf.bytes(64), bpf.chars(16)")
    plain = [v.value if isinstance(v, Const) else known(v) for v in values]
    specifier = cx.python(node, lambda: target.value(*plain))
    layout = type_of(specifier)
    assert layout is not None
    place = memory.temporary(cx, layout, ast.unparse(node.func))
    memory.zero(cx, node, place)
    return place


def without_with(cx: Lowering, node: ast.Call) -> Value:
    """`bpf.rcu()` as an expression."""
    cx.fail(node, f"`{ast.unparse(node)}` stands in a `with` only", hint=f"with {ast.unparse(node)}:")


INTRINSICS: dict[Any, Callable[[Lowering, ast.Call], Value]] = {
    **atomics.INTRINSICS,
    **dynptrs.INTRINSICS,
    **each.INTRINSICS,
    **kfunc_queries.INTRINSICS,
    **objects.INTRINSICS,
    **reading.INTRINSICS,
    **stacks.INTRINSICS,
    idioms.printk: printk,
    idioms.ktime: _simple("ktime_get_ns", U64),
    idioms.cookie: cookie,
    idioms.returning: returning,
    idioms.cpu: _simple("get_smp_processor_id", U32),
    idioms.random: _simple("get_prandom_u32", U32),
    idioms.raw: raw,
    idioms.redirect: redirect,
    locks.rcu: without_with,
    records.array: local_memory,
    records.bytes_: local_memory,
    records.chars: local_memory,
}
