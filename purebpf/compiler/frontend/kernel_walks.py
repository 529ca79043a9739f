"""`for task in bpf.iter.tasks():`: loops over the kernel's open-coded iterators (Linux 6.7; bits 6.11, dmabuf 6.16).

    new it, task, flags   header: next it; br it gave an object, body, out   out: destroy it

The iterator is memory on the stack that only these functions touch; it is destroyed on every way out of the loop. How an
iterator is made is checked as any call of a kernel function.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.btf.types import Kind
from purebpf.btf.types import Ptr as BtfPtr
from purebpf.compiler.frontend import advice, kernel, kfunc_calls, kfunc_types, kfuncs, memory
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.kfunc_types import Signature, Wants
from purebpf.compiler.frontend.values import NONE, Const, KernelRef, Ref, Value
from purebpf.compiler.ir.ops import BOOL, I64, VOID, Op, Ptr
from purebpf.data import data, replace
from purebpf.lang.types import IntType
from purebpf.lang.walks import Walks
from purebpf.tables.kfuncs import Kfunc, kfunc

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

ALL_PROCESSES, ALL_THREADS, THREADS_OF = 0, 1, 2  # BPF_TASK_ITER_*
ORDERS = {"pre": 2, "post": 3, "up": 4}  # BPF_CGROUP_ITER_*


@data(frozen=False)
class Walk:
    """A loop's iterator: `kind` is its name, `ops` what it is made with beside its memory, `size` of that in bytes. `item` is
    what the last step gave."""

    kind: str
    ops: tuple[Op, ...]
    size: int
    found: int  # the type that the pointer it gives is of
    trust: str
    of_cgroups: bool = False
    item: Op | None = None

    def begin(self, cx: Lowering, node: ast.AST) -> Op:
        place = cx.stack(self.size, 8, f"iter_{self.kind}")
        kfuncs.call(cx, node, f"bpf_iter_{self.kind}_new", [place, *self.ops])
        return place

    def next_trip(self, cx: Lowering, node: ast.AST, place: Op) -> Flow:
        """At the loop's header; gives the flow where there is nothing more."""
        numbers = not kernel.is_struct(cx, node, self.found)
        type = Ptr("mem", nullable=True) if numbers else I64
        op = kfuncs.call(cx, node, f"bpf_iter_{self.kind}_next", [place], type)
        yes, no = cx.branch(cx.builder.emit("ne", BOOL, [op, cx.builder.const(0, type if numbers else None)]))
        cx.go(yes)
        self.item = cx.builder.emit("guard", Ptr("mem"), [op], ("nonnull", 0, 0)) if numbers else op
        return no

    def value(self, cx: Lowering, node: ast.AST) -> Value:
        """What the loop's variable gets."""
        assert self.item is not None
        if not kernel.is_struct(cx, node, self.found):
            return memory.load(
                cx, node, Ref(self.item, 0, IntType(32), "slice", generation=cx.packet_generation, writable=False)
            )
        ref = kernel.pointing(cx, node, self.item, self.found, True, False, self.trust)
        if not self.of_cgroups:
            return ref
        return kernel.attribute(cx, ast.copy_location(ast.Attribute(ast.Name("css"), "cgroup", ast.Load()), node), ref)

    def end(self, cx: Lowering, node: ast.AST, place: Op) -> None:
        kfuncs.call(cx, node, f"bpf_iter_{self.kind}_destroy", [place], VOID)


def over(cx: Lowering, node: ast.expr) -> Walk | None:
    """The iterator that a `for` goes over; None for anything else."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    base = cx.expression(node.func.value) if _may_be(node.func.value) else None
    if not isinstance(base, Const) or not isinstance(base.value, Walks):
        return None
    with cx.at(node):
        if node.func.attr == "tasks":
            return _tasks(cx, node)
        if node.func.attr == "cgroups":
            return _cgroups(cx, node)
        return _named(cx, node, node.func.attr)


def _may_be(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Attribute)


def _tasks(cx: Lowering, node: ast.Call) -> Walk:
    signature, facts = _maker(cx, node, "task")
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    if node.args or not given.keys() <= {"threads", "of"} or len(given) > 1:
        cx.fail(node, "`tasks` takes `threads=True`, or `of=task`, or nothing")
    task: Value = NONE
    flags = ALL_PROCESSES
    if "threads" in given:
        flags = ALL_THREADS if cx.expression(given["threads"]) == Const(True) else ALL_PROCESSES
        if cx.expression(given["threads"]) not in (Const(True), Const(False)):
            cx.fail(given["threads"], "`threads` is True or False, written out")
    if "of" in given:
        flags, task = THREADS_OF, cx.expression(given["of"])
    return _made(cx, node, "task", signature, facts, [(given.get("of", node), task), (node, Const(flags))])


def _cgroups(cx: Lowering, node: ast.Call) -> Walk:
    signature, facts = _maker(cx, node, "css")
    given = dict(zip(("start", "order"), node.args, strict=False)) | {str(k.arg): k.value for k in node.keywords}
    if len(given) != len(node.args) + len(node.keywords) or not {"start"} <= given.keys() <= {"start", "order"}:
        cx.fail(node, '`cgroups` takes (start, order="pre")')
    order = cx.expression(given["order"]) if "order" in given else Const("pre")
    if not isinstance(order, Const) or order.value not in ORDERS:
        cx.fail(given["order"], f"the order is one of {', '.join(map(repr, ORDERS))}")
    start = cx.expression(given["start"])
    if isinstance(start, KernelRef) and start.name == "cgroup":
        _tested(cx, given["start"], start)
        start = kernel.attribute(cx, ast.copy_location(ast.Attribute(given["start"], "self", ast.Load()), node), start)
    walk = _made(cx, node, "css", signature, facts, [(given["start"], start), (node, Const(ORDERS[order.value]))])
    walk.of_cgroups = True
    return walk


def _tested(cx: Lowering, node: ast.expr, start: KernelRef) -> None:
    if start.nullable and len(start.path) == 1:
        cx.fail(node, f"`{ast.unparse(node)}` may be None here", "the start of a walk cannot be", advice.none_test(node))


def _named(cx: Lowering, node: ast.Call, kind: str) -> Walk:
    """One of the kernel's own names: `bpf.iter.task_vma(task, address)`."""
    signature, facts = _maker(cx, node, kind)
    given = kfunc_calls._matched(cx, node, signature)
    arguments = [given.get(index, (node, NONE)) for index in range(len(signature.parameters))]
    return _made(cx, node, kind, signature, facts, arguments)


def _maker(cx: Lowering, node: ast.Call, kind: str) -> tuple[Signature, Kfunc]:
    """The signature of what makes an iterator, without its memory; an error where this program may not."""
    name = f"bpf_iter_{kind}_new"
    if not kfunc_types.exists(cx, node, name) and kfunc(name) is None:
        kinds = ", ".join(kfunc_types.walks(cx, node))
        cx.fail(node.func, f"the kernel has no iterator `{kind}` for programs", hint=f"it has: tasks, cgroups, {kinds}")
    signature = kfunc_types.find(cx, node, name)
    facts = kfunc_calls.allowed(cx, node, name)
    if kind == "css_task" and not cx.unit.kind.sleepable and cx.unit.kind.decorator not in ("lsm", "iter") and not cx.flow.dead:
        cx.fail(node, f"a program of type `{cx.unit.kind.decorator}` cannot go over the tasks of a control group")
    return replace(signature, parameters=signature.parameters[1:]), facts


def _made(
    cx: Lowering, node: ast.Call, kind: str, signature: Signature, facts: Kfunc, arguments: list[tuple[ast.AST, Value]]
) -> Walk:
    ops, sizes = [], dict[int, int]()
    for index, (wanted, (at, value)) in enumerate(zip(signature.parameters, arguments, strict=True)):
        if wanted.wants == Wants.SIZE and value == NONE:
            ops.append(cx.const(sizes.get(index - 1, 0)))
        else:
            ops.append(kfunc_calls.argument(cx, at, signature.name, facts, wanted, value, sizes, index + 1))
    btf = kernel.btf_of(cx, node)
    following = kfunc_types.find(cx, node, f"bpf_iter_{kind}_next")
    pointer = btf.type(btf.resolve(following.returns))
    assert isinstance(pointer, BtfPtr)
    memory_of = btf.types_named(f"bpf_iter_{kind}", Kind.STRUCT)
    size = btf.size_of(memory_of[0])
    return Walk(kind, tuple(ops), size, pointer.type, "rcu" if "protected" in facts.flags else "trusted")
