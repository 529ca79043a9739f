"""`bpf.kfuncs.bpf_task_from_pid(1)`: calls of kernel functions by name, checked as the verifier will check them.

An object of the kernel stands for its pointer, a record or array for its memory (and the size beside it, which may be left
out), a map for itself. A function that gives a reference makes the program hold it (see `references.py`).
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NoReturn

from purebpf.btf.types import Enum, Enum64, Int, Ptr, Struct, Union
from purebpf.compiler.frontend import advice, helpers, kernel, kfunc_types, kfuncs, memory, rcu, references, trust
from purebpf.compiler.frontend import parameters as own_parameters
from purebpf.compiler.frontend.flow import as_int
from purebpf.compiler.frontend.kfunc_types import Parameter, Signature, Wants
from purebpf.compiler.frontend.values import (
    NONE,
    U64,
    Const,
    Context,
    Dynptr,
    Fill,
    IntValue,
    KernelRef,
    Ref,
    Value,
    describe,
    named,
)
from purebpf.compiler.ir.ops import BOOL, I32, I64, VOID, Op
from purebpf.compiler.ir.ops import Ptr as IrPtr
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.types import BytesType, IntType
from purebpf.tables.enums import ProgramType
from purebpf.tables.kfuncs import Kfunc, kfunc

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

INSTEAD = {  # what has a form of its own
    "bpf_rcu_read_": "`with bpf.rcu():`",
    "bpf_iter_num_": "`for i in range(n):`",
    "bpf_iter_": "`for x in bpf.iter.{}(...):`",
    "bpf_dynptr_": "`data = bpf.dynptr(...)`, `data.at(offset, T)`",
    "bpf_rdonly_cast": "`task_struct(address)`: the type of the kernel, called",
    "bpf_obj_new_": "`item = bpf.new(Item, field=...)`",
    "bpf_obj_drop_": "`bpf.drop(item)`",
    "bpf_list_": "`record.items.push_back(item)`, of a `bpf.List[Item]`",
    "bpf_rbtree_": "`record.items.add(item, less)`, of a `bpf.RbTree[Item]`",
    "bpf_percpu_obj_": "",
    "bpf_refcount_acquire_": "",
    "bpf_res_spin_": "",
    "bpf_wq_": "",
    "bpf_task_work_": "",
    "bpf_arena_": "",
    "bpf_session_is_return": "`bpf.returning()` tells which end of the function it is",
    "bpf_session_": "",
    "bpf_preempt_": "`with bpf.kfuncs.bpf_preempt_disable():`",
    "bpf_local_irq_": "`with bpf.kfuncs.bpf_local_irq_save():`",
}
BY_THEMSELVES = frozenset(
    {"bpf_dynptr_copy", "bpf_dynptr_memset", "bpf_dynptr_size", "bpf_dynptr_is_null", "bpf_dynptr_is_rdonly"}
)
KERNEL_CONTEXTS = {  # what bpf_cast_to_kern_ctx gives (include/linux/bpf_types.h)
    ProgramType.XDP: "xdp_buff",
    ProgramType.SOCK_OPS: "bpf_sock_ops_kern",
    ProgramType.CGROUP_SOCK_ADDR: "bpf_sock_addr_kern",
    ProgramType.CGROUP_SOCK: "sock",
    ProgramType.SK_MSG: "sk_msg",
    ProgramType.SK_LOOKUP: "bpf_sk_lookup_kern",
    ProgramType.SK_REUSEPORT: "sk_reuseport_kern",
    ProgramType.PERF_EVENT: "bpf_perf_event_data_kern",
    ProgramType.NETFILTER: "bpf_nf_ctx",
} | dict.fromkeys(
    (ProgramType.SOCKET_FILTER, ProgramType.SCHED_CLS, ProgramType.SCHED_ACT, ProgramType.SK_SKB, ProgramType.CGROUP_SKB),
    "sk_buff",
)
UNLISTED = Kfunc("", frozenset(), frozenset(ProgramType))
Given = dict[int, tuple[ast.AST, Value]]


def call(cx: Lowering, node: ast.Call, name: str) -> Value:
    """Lower `bpf.kfuncs.name(...)`."""
    signature = kfunc_types.find(cx, node, name)
    facts = allowed(cx, node, name)
    if name == "bpf_cast_to_kern_ctx":
        return _kernel_context(cx, node)
    _refuse_special(cx, node, name)
    return made(cx, node, signature, facts)


def made(cx: Lowering, node: ast.Call, signature: Signature, facts: Kfunc) -> Value:
    """The call, its arguments checked, and what it gives."""
    given = _matched(cx, node, signature)
    ops, sizes = [], dict[int, int]()
    for index, wanted in enumerate(signature.parameters):
        at, value = given.get(index, (node, NONE))
        if wanted.wants == Wants.SIZE and index not in given:
            ops.append(cx.const(sizes.get(index - 1, 0)))
        else:
            ops.append(argument(cx, at, signature.name, facts, wanted, value, sizes, index))
    if signature.name == "bpf_throw":
        references.check_end(cx, cx.flow, node, "still held where `bpf_throw` ends the program")
    result = _result(cx, node, signature, facts, ops)
    if facts.releases:
        why = f"`{signature.name}` took it back"
        references.give_up(cx, ops[0], why)
    return result


def allowed(cx: Lowering, node: ast.AST, name: str) -> Kfunc:
    """What is known beside BTF; an error where this program may not call it."""
    facts = kfunc(name) or UNLISTED
    if cx.flow.dead:
        return facts
    if cx.unit.kind.type not in facts.programs:
        from purebpf.lang.program_types import KINDS

        ours = [kind.decorator for kind in KINDS.values() if kind.type in facts.programs]
        others = sorted(t.name.lower() for t in facts.programs if t not in {k.type for k in KINDS.values()})
        hint = f"it is in: {', '.join(ours + others)}"
        cx.fail(node, f"`{name}` is not available in a program of type `{cx.unit.kind.decorator}`", hint=hint)
    if facts.sleeps and not cx.unit.kind.sleepable:
        cx.fail(
            node,
            f"`{name}` may sleep, which a program of type `{cx.unit.kind.decorator}` cannot",
            hint="`sleepable=True` at the decorator makes it one that may" if cx.unit.kind.may_sleep else "",
        )
    if facts.sleeps and rcu.is_held(cx):
        cx.fail(node, f"`{name}` may sleep, which cannot be while RCU is held", hint="call it behind the `with`")
    if "protected" in facts.flags and not trust.in_rcu(cx):
        cx.fail(node, f"`{name}` wants RCU to be held", "this program may sleep", "`with bpf.rcu():` around it")
    return facts


def _refuse_special(cx: Lowering, node: ast.Call, name: str) -> None:
    for start, form in INSTEAD.items():
        if name.startswith(start) and name not in BY_THEMSELVES:
            kind = name.removeprefix("bpf_iter_").rpartition("_")[0]
            what = "is not called by itself" if form else "has no form in a program yet"
            cx.fail(node, f"`{name}` {what}", hint=form.format(kind))


def _matched(cx: Lowering, node: ast.Call, signature: Signature) -> Given:
    """Arguments by the parameters' indexes. Sizes may be left out, all of them or none."""
    values: list[tuple[ast.AST, Value]] = [(one, cx.expression(one)) for one in node.args]
    names = {one.name: index for index, one in enumerate(signature.parameters) if one.wants != Wants.NOTHING}
    keywords: Given = {}
    for keyword in node.keywords:
        if keyword.arg not in names:
            cx.fail(
                keyword.value,
                f"`{signature.name}` has no parameter `{keyword.arg}`",
                hint=f"its parameters: {', '.join(names)}",
            )
        keywords[names[keyword.arg]] = (keyword.value, cx.expression(keyword.value))
    full = [index for index in names.values() if index not in keywords]
    short = [index for index in full if signature.parameters[index].wants != Wants.SIZE]
    for order in (full, short):
        if len(order) == len(values):
            return dict(zip(order, values, strict=True)) | keywords
    wanted = [one.name for one in signature.given if one.wants != Wants.SIZE]
    count = f"{len(wanted)} argument{'' if len(wanted) == 1 else 's'}"
    cx.fail(
        node, f"`{signature.name}` takes {count}, not {len(values) + len(keywords)}", f"{signature.name}({', '.join(wanted)})"
    )


def argument(
    cx: Lowering, at: ast.AST, name: str, facts: Kfunc, wanted: Parameter, value: Value, sizes: dict[int, int], index: int
) -> Op:
    """One argument in its register."""
    what = f"argument `{wanted.name}` of `{name}`"
    if value == NONE and wanted.wants not in (Wants.NOTHING, Wants.SCALAR, Wants.CONSTANT, Wants.SIZE):
        if not wanted.nullable:
            cx.fail(at, f"{what} cannot be None")
        return cx.const(0)
    match wanted.wants:
        case Wants.NOTHING:
            return cx.const(0)
        case Wants.SCALAR | Wants.CONSTANT | Wants.SIZE:
            return _scalar(cx, at, what, wanted, value, constant=wanted.wants == Wants.CONSTANT)
        case Wants.CONTEXT:
            if isinstance(value, Context):
                return value.op
            cx.fail(at, f"{what} is the program's context, not {describe(value)}")
        case Wants.OBJECT:
            return _object(cx, at, what, facts, wanted, value, first=index == 0)
        case Wants.MEMORY if isinstance(value, KernelRef) and kernel.is_struct(cx, at, wanted.type):
            return _object(cx, at, what, facts, wanted, value, first=index == 0)
        case Wants.MEMORY:
            return _memory(cx, at, what, wanted, value, sizes, index)
        case Wants.TEXT:
            return _text(cx, at, what, value)
        case Wants.MAP:
            if isinstance(value, Const) and isinstance(value.value, MapDeclaration):
                return helpers.map_op(cx, at, value.value)
            cx.fail(at, f"{what} is a map, not {describe(value)}")
        case Wants.DYNPTR:
            if isinstance(value, Dynptr):
                cx.usable(at, value)
                return value.op
            cx.fail(at, f"{what} is a dynptr, not {describe(value)}", hint="bpf.dynptr(...)")
        case Wants.ADDRESS:
            return _address(cx, at, what, value)
    cx.fail(at, f"{what} is nothing that a program can give")


def _scalar(cx: Lowering, at: ast.AST, what: str, wanted: Parameter, value: Value, constant: bool) -> Op:
    btf = kernel.btf_of(cx, at)
    found = btf.type(btf.resolve(wanted.type))
    number = cx.integer(at, value, what)
    if isinstance(found, Int | Enum | Enum64):
        bits = 8 * found.size
        if number.low == number.high and not -(1 << bits - 1) <= number.low < 1 << bits:
            cx.fail(at, f"{number.low} does not fit {bits} bits, as {what} has")
    if constant and not number.op.is_const:
        cx.fail(at, f"{what} is a constant")
    return number.op


def _object(cx: Lowering, at: ast.AST, what: str, facts: Kfunc, wanted: Parameter, value: Value, first: bool) -> Op:
    """A pointer to an object of the kernel: of the right type, not None, trusted as far as the function wants it."""
    btf = kernel.btf_of(cx, at)
    type = btf.resolve(wanted.type)
    struct = btf.name(type)
    shown = ast.unparse(at) if isinstance(at, ast.expr) else "this"
    if not isinstance(value, KernelRef):
        cx.usable(at, value)
        cx.fail(at, f"{what} is the kernel's `{struct}`, not {describe(value)}")
    if not _is_a(cx, value.type, type):
        cx.fail(at, f"{what} is the kernel's `{struct}`, not {describe(value)}")
    if facts.releases and first and (len(value.path) > 1 or not references.is_held(cx, value.op)):
        cx.fail(at, f"`{shown}` is no reference that this program has to give back", f"`{facts.name}` takes one")
    if facts.releases and first and references.is_scoped(cx, value.op):
        cx.fail(at, f"`{shown}` is given back at the end of its `with`", f"`{facts.name}` would do it too early")
    wants_trust = {"trusted", "release"} & facts.flags
    if value.nullable and len(value.path) == 1 and not (wanted.nullable and not first):
        cx.fail(at, f"`{shown}` may be None here", f"{what} cannot be", advice.none_test(at))
    if not cx.unit.options.kernel_pointers:
        return kernel.address(cx, value)  # another engine, which says what it lacks
    if not value.direct:
        cx.fail(at, f"`{shown}` is an address without a type for the verifier", f"{what} is a pointer that it knows")
    if (wants_trust and value.trust != "trusted" and not references.is_held(cx, value.op)) or (
        "rcu" in facts.flags and not value.trust
    ):
        _distrusted(cx, at, what, shown, struct, value.trust)
    if value.trust == "rcu" and "rcu" in facts.flags and not trust.in_rcu(cx):
        cx.fail(at, f"`{shown}` is protected by RCU, which is not held any more", hint="call it inside of `with bpf.rcu():`")
    return kernel.address(cx, value)


def _distrusted(cx: Lowering, at: ast.AST, what: str, shown: str, struct: str, has: str) -> NoReturn:
    sources = {"task_struct": "bpf_task_from_pid(pid)", "cgroup": "bpf_cgroup_from_id(id)"}
    if has == "rcu":
        sources = {"task_struct": f"bpf_task_acquire({shown})", "cgroup": f"bpf_cgroup_acquire({shown})"}
    source = sources.get(struct)
    hint = f"take a reference of your own: `bpf.kfuncs.{source}`" if source else ""
    if not trust.in_rcu(cx):
        hint += f"{'; ' if hint else ''}what RCU protects, as `task.real_parent`, is one inside of `with bpf.rcu():`"
    cx.fail(
        at,
        f"`{shown}` is no pointer that the verifier trusts",
        f"{what} is one: from a kernel function, a traced argument, or the current task",
        hint,
    )


def _is_a(cx: Lowering, given: int, wanted: int) -> bool:
    """Whether an object is of a type, or begins with one."""
    btf = kernel.btf_of(cx, cx.here)
    while True:
        if given == wanted or (btf.name(given) and btf.name(given) == btf.name(wanted)):
            return True
        found = btf.type(given)
        if not isinstance(found, Struct) or not found.members or found.members[0].bit_offset:
            return False
        given = btf.resolve(found.members[0].type)


def _memory(cx: Lowering, at: ast.AST, what: str, wanted: Parameter, value: Value, sizes: dict[int, int], index: int) -> Op:
    """Memory of the program's own, which the verifier wants to be one that can be written, whatever the function does."""
    if isinstance(value, Const) and isinstance(value.value, str | bytes):
        if not wanted.reads:
            cx.fail(at, f"{what} may be written, so it cannot be a constant")
        text = value.value.encode() + b"\0" if isinstance(value.value, str) else value.value
        value = Const(text)
        place = memory.temporary(cx, BytesType(len(text)))
        memory.store(cx, at, place, value)
        value = place
    if isinstance(value, Fill):
        place = memory.temporary(cx, value.type)
        memory.fill(cx, at, place, value)
        value = place
    number = as_int(cx.builder, value)
    if number is not None and wanted.reads:
        size = wanted.size or 8
        place = memory.temporary(cx, IntType(8 * size, signed=number.low < 0))
        memory.store(cx, at, place, number)
        value = place
    cx.usable(at, value)
    if not isinstance(value, Ref):
        cx.fail(at, f"{what} is memory (a record, array or text), not {describe(value)}")
    if value.region in ("object", "borrowed"):
        memory.whole(cx, at, value)
    if wanted.size and value.type.size < wanted.size:
        cx.fail(at, f"{what} has {wanted.size} bytes", f"{named(value.type)} has {value.type.size}")
    if not value.writable or value.region in ("packet", "slice"):
        if not wanted.reads:
            cx.fail(at, f"{what} may be written, and this memory cannot be", hint="give memory of the program's own")
        place = memory.temporary(cx, value.type, "argument")
        memory.copy(cx, at, place, value, apart=True)
        value = place
    sizes[index] = value.type.size
    return helpers._pointer(cx, value)


def _text(cx: Lowering, at: ast.AST, what: str, value: Value) -> Op:
    if not isinstance(value, Const) or not isinstance(value.value, str):
        cx.fail(at, f"{what} is a text that is written out, not {describe(value)}")
    return cx.builder.emit(
        "map_value", IrPtr("map_value"), [], (cx.unit.rodata_name, cx.unit.literal(value.value.encode() + b"\0"))
    )


def _address(cx: Lowering, at: ast.AST, what: str, value: Value) -> Op:
    """Any address: the function copes with bad ones."""
    if isinstance(value, Const) and isinstance(value.value, str):
        return _text(cx, at, what, value)
    if isinstance(value, KernelRef):
        return kernel.address(cx, value)
    if isinstance(value, Ref):
        cx.usable(at, value)
        return helpers._pointer(cx, value)
    return cx.integer(at, value, what).op


def _kernel_context(cx: Lowering, node: ast.Call) -> Value:
    """The kernel's own context behind the program's, such as `struct sk_buff`."""
    value = cx.expression(node.args[0]) if len(node.args) == 1 and not node.keywords else None
    struct = KERNEL_CONTEXTS.get(cx.unit.kind.type)
    if struct is None:
        cx.fail(node, f"the context of a program of type `{cx.unit.kind.decorator}` is the kernel's own already")
    if not isinstance(value, Context):
        cx.fail(node, "`bpf_cast_to_kern_ctx` takes the program's context", hint="bpf.kfuncs.bpf_cast_to_kern_ctx(ctx)")
    op = kfuncs.call(cx, node, "bpf_cast_to_kern_ctx", [value.op])
    return kernel.pointing(cx, node, op, kernel.named(cx, node, struct), True, nullable=False, trust="trusted")


def _result(cx: Lowering, node: ast.Call, signature: Signature, facts: Kfunc, ops: list[Op]) -> Value:
    btf = kernel.btf_of(cx, node)
    if not signature.returns:
        kfuncs.call(cx, node, signature.name, ops, VOID)
        return NONE
    found = btf.type(btf.resolve(signature.returns))
    op = kfuncs.call(cx, node, signature.name, ops, I64)
    match found:
        case Ptr():
            return _pointer(cx, node, signature, facts, op, found)
        case Int(bool=True):
            low = cx.builder.emit("and", I32, [op, cx.const(0xFF)])
            return IntValue(cx.builder.emit("ne", BOOL, [low, cx.const(0)]), 0, 1, False, True)
        case Int(size=size, signed=signed) | Enum(size=size, signed=signed) | Enum64(size=size, signed=signed) if size <= 8:
            return own_parameters.narrowed(cx, op, 8 * size, signed)
    cx.fail(node, f"`{signature.name}` gives a {found.kind.name.lower()}, which a program cannot take")


def _pointer(cx: Lowering, node: ast.Call, signature: Signature, facts: Kfunc, op: Op, found: Ptr) -> Value:
    btf = kernel.btf_of(cx, node)
    if not found.type or not isinstance(btf.type(btf.resolve(found.type)), Struct | Union):
        if not facts.name:
            return IntValue(op, 0, U64)
        cx.fail(node, f"`{signature.name}` gives a pointer to memory, which has no form in a program yet")
    nullable = "null" in facts.flags or not facts.name or facts.acquires
    result = kernel.pointing(cx, node, op, found.type, True, nullable, "trusted")
    if facts.acquires:
        references.hold(cx, node, op, release_of(btf.name(result.type)))
    return result


RELEASES = {
    "task_struct": "bpf_task_release",
    "cgroup": "bpf_cgroup_release",
    "bpf_cpumask": "bpf_cpumask_release",
    "nf_conn": "bpf_ct_release",
    "nf_conn___init": "bpf_ct_release",
    "bpf_key": "bpf_key_put",
    "file": "bpf_put_file",
    "bpf_crypto_ctx": "bpf_crypto_ctx_release",
    "xfrm_state": "bpf_xdp_xfrm_state_release",
}


def release_of(struct: str) -> str:
    """The kernel function that takes back a reference to a struct; "" for one that is not known."""
    return RELEASES.get(struct, "")
