"""Helper calls by name: `bpf.helpers.ktime_get_ns()`, checked against the generated signatures.

A map stands for its address; a record, array or text for its pointer, and where the helper takes a size beside a pointer, for
both (the size may still be given, by keyword or in its place). Scalars are integers of the argument's width.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import advice, flow, memory
from purebpf.compiler.frontend.flow import as_int
from purebpf.compiler.frontend.values import (
    NONE,
    Const,
    Context,
    Fill,
    IntValue,
    MaybeInt,
    MaybeRef,
    Ref,
    Value,
    describe,
    named,
)
from purebpf.compiler.ir.ops import I32, I64, Op, Ptr
from purebpf.errors import Error
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.types import BoolType, BytesType, IntType, kept_fields
from purebpf.spec import PER_CPU_MAPS

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.tables.helpers import Arg, Helper

RCU = "`with bpf.rcu()`"  # how the scope of RCU is called
OF_MAPS = frozenset(
    ("map_update_elem", "map_delete_elem", "map_push_elem", "map_pop_elem", "map_peek_elem", "for_each_map_elem")
)  # see `from_map`

INTO = {"packet": "the packet", "ctx": "the context", "arena": "an arena"}
READS_PACKETS = frozenset(
    (
        "map_lookup_elem", "map_update_elem", "map_delete_elem", "map_push_elem", "map_pop_elem", "map_peek_elem",
        "map_lookup_percpu_elem", "csum_diff", "sk_lookup_tcp", "sk_lookup_udp", "skc_lookup_tcp", "tcp_check_syncookie",
        "tcp_gen_syncookie", "tcp_raw_gen_syncookie_ipv4", "tcp_raw_gen_syncookie_ipv6", "tcp_raw_check_syncookie_ipv4",
        "tcp_raw_check_syncookie_ipv6",
    )
)  # fmt: skip
"""Helpers that take pointers into the packet (`pkt_access` in net/core/filter.c and kernel/bpf/helpers.c)."""


def unknown(cx: Lowering, node: ast.AST, name: str) -> None:
    import difflib

    from purebpf.tables.helpers import HELPER_NAMES

    near = difflib.get_close_matches(name, HELPER_NAMES, 1)
    hint = (
        f"did you mean `{near[0]}`?" if near else "names are the kernel's without `bpf_`, such as `bpf.helpers.ktime_get_ns()`"
    )
    cx.fail(node, f"the kernel has no helper `{name}`", hint=hint)


TRACING = ("fentry", "fexit", "fmod_ret", "tp_btf")
HAS_PATHS = frozenset(  # btf_allowlist_d_path in kernel/trace/bpf_trace.c
    {
        "security_file_permission", "security_inode_getattr", "security_file_open", "security_path_truncate", "vfs_truncate",
        "vfs_fallocate", "dentry_open", "vfs_getattr", "filp_close",
    }
)  # fmt: skip


def allowed(cx: Lowering, node: ast.AST, name: str) -> Helper:
    """The helper's description, or an error: unknown, not for this program type, GPL-only under another licence."""
    from purebpf.tables.helpers import helper

    found = helper(name)
    if found is None:
        unknown(cx, node, name)
    assert found is not None
    if cx.flow.dead:
        return found
    if cx.unit.kind.type not in found.programs:
        from purebpf.lang.network_types import all_kinds

        kinds = all_kinds().values()
        hooks = found.attach_types
        ours = [
            each.decorator
            for each in kinds
            if each.type in found.programs and each.attach in hooks.get(each.type, (each.attach,))
        ]
        others = sorted(t.name.lower() for t in found.programs if t not in {k.type for k in kinds})
        cx.fail(
            node,
            f"helper `{name}` is not available in a program of type `{cx.unit.kind.decorator}`",
            hint=f"it is in: {', '.join(ours + others) or 'no type'}",
        )
    _at_this_hook(cx, node, found)
    if found.sleeps and not cx.unit.kind.sleepable:
        cx.fail(
            node,
            f"helper `{name}` may sleep, which a program of type `{cx.unit.kind.decorator}` cannot",
            hint="`bpf.helpers.probe_read_user` reads what is in memory now" if "copy_from_user" in name else "",
        )
    if found.sleeps and any(scope.what == RCU for scope in cx.scopes):
        cx.fail(node, f"helper `{name}` may sleep, which cannot be while RCU is held", hint="call it behind the `with`")
    if found.gpl_only and not gpl_compatible(cx.unit.license):
        cx.fail(
            node,
            f"helper `{name}` is for GPL-compatible programs only",
            f"this module's licence is {cx.unit.license!r}",
            'bpf.license("GPL") at module level',
        )
    return found


def _at_this_hook(cx: Lowering, node: ast.AST, found: Helper) -> None:
    """Refuse a helper that only programs for other hooks of the type may call."""
    kind = cx.unit.kind
    if found.name == "d_path" and kind.decorator in TRACING and cx.unit.hook not in HAS_PATHS:
        hint = f"iterators and security hooks have it, and probes of: {', '.join(sorted(HAS_PATHS))}"
        cx.fail(node, f"helper `d_path` is not available in a `@bpf.{kind.decorator}` program of `{cx.unit.hook}`", hint=hint)
    hooks = found.attach_types.get(kind.type)
    if hooks is None or kind.attach is None or kind.attach in hooks:
        return
    from purebpf.lang.network_types import HOOKS, all_kinds

    of_this = HOOKS.get(kind.decorator, {})
    if of_this:
        able = ", ".join(f'"{name}"' for name, hook in of_this.items() if hook.attach in hooks)
        where, hint = "at this hook of", f"it is at the hooks: {able}" if able else ""
    else:
        able = ", ".join(other.decorator for other in all_kinds().values() if other.attach in hooks)
        where, hint = "in", f"of its relatives these have it: {able or 'none'}"
    cx.fail(node, f"helper `{found.name}` is not available {where} a program of type `{kind.decorator}`", hint=hint)


def gpl_compatible(license: str) -> bool:
    """The kernel's own list (include/linux/license.h)."""
    return license in ("GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL")


def call(cx: Lowering, node: ast.Call, name: str) -> Value:
    """Lower `bpf.helpers.name(...)`."""
    from purebpf.tables.helpers import ArgKind

    found = allowed(cx, node, name)
    if found.result.kind == "socket" and not cx.flow.dead:
        from purebpf.compiler.frontend import sockets

        sockets.check_result(cx, node, found)
    if name.removeprefix("bpf_") == "sk_release":
        from purebpf.compiler.frontend import sockets

        return sockets.release(cx, node)
    values = [(a, cx.expression(a)) for a in node.args]
    keywords = {k.arg: (k.value, cx.expression(k.value)) for k in node.keywords if k.arg}
    for keyword in node.keywords:
        if keyword.arg not in [a.name for a in found.args]:
            cx.fail(
                keyword,
                f"helper `{name}` has no argument `{keyword.arg}`",
                hint=f"its arguments are: {', '.join(a.name for a in found.args)}",
            )
    given = _matched(cx, node, found, values, keywords)
    declared = next((v.value for at, v in given.values() if isinstance(v, Const) and isinstance(v.value, MapDeclaration)), None)
    ops: list[Op] = []
    sizes: dict[int, int] = {}
    for index, argument in enumerate(found.args):
        where, value = given.get(index, (node, None))
        if argument.kind == ArgKind.SIZE and argument.pair is not None and value is None:
            ops.append(cx.const(sizes[argument.pair]))
            continue
        assert value is not None
        ops.append(_argument(cx, where, found, argument, value, declared, sizes, index))
    if found.invalidates_packet:
        result = _result(cx, node, found, ops, declared)
        changed(cx)
        return result
    return _result(cx, node, found, ops, declared)


def _matched(
    cx: Lowering,
    node: ast.Call,
    found: Helper,
    values: list[tuple[ast.expr, Value]],
    keywords: dict[str, tuple[ast.expr, Value]],
) -> dict[int, tuple[ast.AST, Value]]:
    """Arguments by index. Sizes that belong to a buffer may be left out, all of them or none."""
    from purebpf.tables.helpers import ArgKind

    full = [i for i, a in enumerate(found.args)]
    short = [i for i in full if not (found.args[i].kind == ArgKind.SIZE and found.args[i].pair is not None)]
    named = {next(i for i in full if found.args[i].name == k): v for k, v in keywords.items()}
    for order in (full, short):
        free = [i for i in order if i not in named]
        if len(free) == len(values):
            result: dict[int, tuple[ast.AST, Value]] = {**dict(zip(free, values, strict=True)), **named}
            return result
    wanted = ", ".join(f"{a.name}" for i, a in enumerate(found.args) if i in short)
    cx.fail(
        node, f"helper `{found.name}` takes {len(short)} arguments, not {len(values) + len(named)}", f"{found.name}({wanted})"
    )


def _argument(
    cx: Lowering,
    at: ast.AST,
    found: Helper,
    argument: Arg,
    value: Value,
    declared: MapDeclaration | None,
    sizes: dict[int, int],
    index: int,
) -> Op:
    from purebpf.tables.helpers import ArgKind

    what = f"argument `{argument.name}` of helper `{found.name}`"
    if isinstance(value, MaybeRef | MaybeInt):
        cx.usable(at, value)
    match argument.kind:
        case ArgKind.SCALAR | ArgKind.SIZE | ArgKind.ADDRESS:
            number = cx.integer(at, value, what)
            low, high = (-(1 << (argument.width - 1)), (1 << argument.width) - 1)
            if isinstance(value, Const) and not low <= number.low <= high:
                cx.fail(at, f"{number.low} does not fit {argument.width} bits, as {what} has")
            if argument.constant and not number.op.is_const:
                cx.fail(at, f"{what} must be a constant")
            return number.op
        case ArgKind.MAP:
            if isinstance(value, Const) and isinstance(value.value, MapDeclaration):
                return map_op(cx, at, value.value)
            cx.fail(at, f"{what} is a map, not {describe(value)}")
        case ArgKind.CONTEXT:
            if isinstance(value, Context):
                return value.op
            cx.fail(at, f"{what} is the program's context, not {describe(value)}")
        case ArgKind.MAP_KEY | ArgKind.MAP_VALUE:
            assert declared is not None
            layout = declared.key_type if argument.kind == ArgKind.MAP_KEY else declared.value_type
            return _pointer(cx, memory.materialized(cx, at, value, layout))
        case ArgKind.BTF:
            from purebpf.compiler.frontend import kernel

            return kernel.lent(cx, at, what, argument.pointee or "", value)
        case ArgKind.SOCKET:
            from purebpf.compiler.frontend import sockets

            return sockets.argument(cx, at, what, argument, value)
        case ArgKind.MEM | ArgKind.STRING:
            return _memory(cx, at, what, found.name, argument, value, sizes, index)
    cx.fail(at, f"{what} ({argument.c_type}) cannot be given by a program yet")


def _memory(
    cx: Lowering, at: ast.AST, what: str, helper: str, argument: Arg, value: Value, sizes: dict[int, int], index: int
) -> Op:
    if value == NONE or (isinstance(value, Const) and value.value == 0):
        if not argument.nullable:
            cx.fail(at, f"{what} is a buffer and cannot be None")
        sizes[index] = 0
        return cx.const(0)
    if isinstance(value, Const) and isinstance(value.value, str | bytes):
        if argument.writes:
            cx.fail(at, f"{what} is written, so it cannot be a constant")

        data = value.value.encode() + b"\0" if isinstance(value.value, str) else value.value
        sizes[index] = len(data)
        return cx.builder.emit("map_value", Ptr("map_value"), [], (cx.unit.rodata_name, cx.unit.literal(data)))
    if isinstance(value, Fill):
        place = memory.temporary(cx, value.type)
        memory.fill(cx, at, place, value)
        value = place
    number = as_int(cx.builder, value)
    if number is not None and not argument.writes:
        bits = 32 if number.low >= -(1 << 31) and number.high < 1 << 32 else 64
        place = memory.temporary(cx, IntType(bits, signed=number.low < 0))
        memory.store(cx, at, place, number)
        value = place
    if isinstance(value, MaybeRef | MaybeInt):
        cx.usable(at, value)
    if not isinstance(value, Ref):
        cx.fail(at, f"{what} is a buffer (a record, array or text), not {describe(value)}")
    cx.usable(at, value)
    if value.region in ("object", "borrowed"):
        memory.whole(cx, at, value)
    if argument.writes and not value.writable:
        cx.fail(at, f"{what} is written, and this memory is read-only")
    if argument.size is not None and value.type.size < argument.size:
        cx.fail(at, f"{what} needs {argument.size} bytes", f"{named(value.type)} has {value.type.size}")
    if argument.writes and value.region in ("packet", "ctx", "arena"):
        cx.fail(
            at,
            f"helper `{helper}` cannot write into {INTO[value.region]}",
            hint=f"let it write into memory of the program's own, then assign: `v = bpf.bytes({value.type.size})`",
        )
    sizes[index] = value.type.size
    return readable(cx, at, value, helper)


def readable(cx: Lowering, at: ast.AST, ref: Ref, helper: str) -> Op:
    """The address of what a helper reads: a copy on the stack, where the kernel does not let this one read the packet."""
    if ref.region in ("ctx", "arena") or (ref.region == "packet" and helper not in READS_PACKETS):
        place = memory.temporary(cx, ref.type, f"of the {'context' if ref.region == 'ctx' else 'packet'}")
        memory.copy(cx, at, place, ref, apart=True)
        ref = place
    return _pointer(cx, ref)


def _pointer(cx: Lowering, ref: Ref) -> Op:
    op = memory.pointer(cx, ref)
    assert isinstance(op, Op)
    return op


def _holds_what_it_may(cx: Lowering, node: ast.AST, declaration: MapDeclaration) -> None:
    """Programs that trace the kernel cannot use maps with locks or timers (check_map_prog_compatibility)."""
    from purebpf.tables.enums import ProgramType

    tracing = (ProgramType.KPROBE, ProgramType.TRACEPOINT, ProgramType.PERF_EVENT, ProgramType.RAW_TRACEPOINT,
               ProgramType.RAW_TRACEPOINT_WRITABLE)  # fmt: skip
    for field in kept_fields(declaration.value_type) if declaration.parameters and declaration.has_types else ():
        if str(field.type) not in ("bpf_spin_lock", "bpf_timer"):
            continue
        refused = (*tracing, ProgramType.SOCKET_FILTER) if str(field.type) == "bpf_spin_lock" else tracing
        if cx.unit.kind.type in refused and not cx.flow.dead:
            cx.fail(
                node,
                f"a program of type `{cx.unit.kind.decorator}` cannot use a map with `{field.type}`",
                f"`{declaration.name}` has one in its records",
                "change a field with one atomic instruction instead: `record.count += 1`"
                if str(field.type) == "bpf_spin_lock"
                else "keep the time in the record, and look at it when the entry is used next",
            )


def map_op(cx: Lowering, node: ast.AST, declaration: MapDeclaration) -> Op:
    """The map's address."""
    _holds_what_it_may(cx, node, declaration)
    if declaration.reached is not None:
        assert isinstance(declaration.reached, Op)
        return declaration.reached
    try:
        name = cx.unit.map_name(declaration, declaration.name or "map")
        declaration.describe(name)
    except Error as error:
        advice.misdeclared(cx, node, declaration, error)
    return cx.builder.emit("map", Ptr("map"), [], (name,))


def _result(cx: Lowering, node: ast.AST, found: Helper, ops: list[Op], declared: MapDeclaration | None) -> Value:
    from purebpf.tables.helpers import ResultKind

    result = found.result
    if result.kind == ResultKind.SCALAR:
        op = cx.call(found.name, ops)
        if found.name in OF_MAPS:
            return from_map(cx, op)
        if result.signed:
            return IntValue(op, -(1 << 63), (1 << 63) - 1, True)
        if result.width == 32:
            return IntValue(cx.builder.emit("low32", I32, [op]), 0, (1 << 32) - 1)
        return IntValue(op, 0, (1 << 64) - 1)
    if result.kind == ResultKind.MAP_VALUE and declared is not None:
        op = cx.call(found.name, ops, Ptr("map_value", nullable=True))
        layout = declared.value_type
        ref = Ref(
            op,
            0,
            layout if not isinstance(layout, IntType | BoolType) else BytesType(layout.size),
            "map_value",
            shared=is_shared(cx, declared),
        )
        return MaybeRef(op, ref, f"`{found.name}` gives None when there is no such entry")
    if result.kind == ResultKind.SOCKET:
        from purebpf.compiler.frontend import sockets

        return sockets.found(cx, node, found, ops)
    if result.kind == ResultKind.BTF:
        from purebpf.compiler.frontend import kernel

        op, type = cx.call(found.name, ops), kernel.named(cx, node, result.pointee)
        return kernel.pointing(cx, node, op, type, cx.unit.options.kernel_pointers, result.nullable)
    if result.kind not in (ResultKind.VOID, ResultKind.NEVER) and not cx.flow.dead:
        cx.fail(node, f"helper `{found.name}` cannot be called by a program yet: it gives a pointer (`{result.c_type}`)")
    cx.call(found.name, ops, I64)
    return NONE


def is_shared(cx: Lowering, declaration: MapDeclaration) -> bool:
    """Whether others may write a value of the map while the program runs: other CPUs, or an interrupt on this one."""
    from purebpf.tables.enums import ProgramType

    return declaration.kind not in PER_CPU_MAPS or cx.unit.kind.type == ProgramType.PERF_EVENT


def changed(cx: Lowering, resized: bool = True) -> None:
    """The packet may have moved: references into it hold no longer."""
    cx.flow.state["generation"] = Const(flow.changed(cx.packet_generation, resized))
    cx.flow.state.pop("bases", None)


def from_map(cx: Lowering, op: Op) -> IntValue:
    """The result of a map's own operation: 0, a number, or -errno. Before Linux 6.4 it is an int in C, so that the upper half
    of a negative one is no sign."""
    if cx.unit.options.old_kernels:
        op = cx.builder.emit("sext", I64, [op], (32,))
    return IntValue(op, -(1 << 31), (1 << 31) - 1, True)


def scalar(cx: Lowering, node: ast.AST, name: str, ops: list[Op], low: int, high: int) -> IntValue:
    """A checked call whose result is an integer in a known range."""
    allowed(cx, node, name)
    op = cx.call(name, ops, I64)
    if low == 0 and high == (1 << 32) - 1:
        op = cx.builder.emit("low32", I32, [op])
    return IntValue(op, low, high, low < 0)
