"""Code that the kernel calls back: the functions of `bpf.loop` and `m.for_each`, and the bodies of loops over maps.

Such code becomes a subprogram. The variables around it lie in a frame on the caller's stack while it runs: the caller stores
those that are used, the callback loads them at its start and stores those it assigns (by `nonlocal`) at its end.

    caller:    store frame, total; call loop n, func, frame, 0; total' = load frame
    callback:  total = load frame; ...; store frame, total + i; ret 0

The ranges of assigned variables are found as a loop's are: by assuming what comes in and starting over with wider ones.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from purebpf.compiler.diagnostics import UnsupportedProgram
from purebpf.compiler.frontend import loops, meetings, rcu, rings
from purebpf.compiler.frontend.flow import Flow, unify
from purebpf.compiler.frontend.lower import ZEROS, Frame, Lowering
from purebpf.compiler.frontend.names import nonlocals
from purebpf.compiler.frontend.values import (
    EITHER,
    NONE,
    Bound,
    Conflict,
    Const,
    Context,
    Fill,
    IntValue,
    MaybeInt,
    MaybeRef,
    Ref,
    Unset,
    Value,
    describe,
    named,
    parts,
    rebuilt,
)
from purebpf.compiler.ir.ops import BOOL, CALLS, I64, VOID, Flag, Function, Op, Ptr, Type
from purebpf.data import data, made, replace

if TYPE_CHECKING:
    from collections.abc import Iterable

SLOT = 8  # bytes of the frame for each register that a variable takes
CONTEXT = "?context"
UNKNOWN = CALLS | {"load", "atomic", "cmpxchg"}  # ops of which the verifier knows no value
End = tuple[Flow, Value, ast.AST]  # where the callback returns, whether it wants to stop, the statement


@data
class Body:
    """What is called back. `frame` makes its Python frame anew for each try; `lower` gets the parameters' ops and gives the
    ends; `assigned` are the variables around it that it assigns, `hidden` those that it does not see."""

    name: str
    parameters: tuple[Type, ...]
    frame: Callable[[], Frame]
    lower: Callable[[Lowering, list[Op]], list[End]]
    assigned: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    sees: bool = True  # whether it sees the variables around it at all
    later: bool = False  # whether it is called when the program has ended
    key: object = None  # what tells it from other code


@data(frozen=False)
class Slot:
    """A register's place in the frame; `wanted` once the callback is there and reads it, or assigns it."""

    load: Op
    stores: list[Op] = made(list)
    offset: int = -1


@data(frozen=False)
class Made:
    """A lowered callback: each variable's shape and slots (None for a part that is a constant on both sides)."""

    function: Function
    shapes: dict[str, Value]
    slots: dict[str, list[Slot | None]]
    cost: int


def run(cx: Lowering, node: ast.AST, body: Body, call: Callable[[Op, Op], Op]) -> Op:
    """Lower the body, put its variables into the frame, let `call(function, frame)` emit the helper call, take them out."""
    rcu.refuse_callback(cx, node)
    made = _settled(cx, node, body)
    if not cx.unit.options.may_goto:
        _follow_first_call(cx, node, body, made)
    used = [slot for slots in made.slots.values() for slot in slots if slot is not None and slot.offset >= 0]
    frame = cx.stack(SLOT * len(used), SLOT, f"{body.name} variables") if used else cx.const(0)
    for name, slots in made.slots.items():
        value = _shaped(cx, name, made.shapes[name], _around(cx)[name])
        for slot, op in zip(slots, parts(value), strict=True):
            if slot is not None and slot.offset >= 0:
                changes = name in body.assigned and (not name.startswith("?") or name.startswith("?i"))
                stored = _hidden(cx, op, slot.offset) if changes else op
                cx.builder.emit("store", VOID, [frame, stored], (SLOT, slot.offset))
    cx.unit.functions[made.function.name] = made.function
    rcu.refuse_sleeping(cx, node, made.function.name, body.name)
    cx.repeated += made.cost
    answer = call(cx.builder.emit("func", Ptr("func"), [], (made.function.name,)), frame)
    from purebpf.compiler.frontend.maps import changed

    changed(cx)
    for name in sorted(body.assigned & made.shapes.keys()):
        ops = [_load(cx, frame, slot, op) for slot, op in zip(made.slots[name], parts(made.shapes[name]), strict=True)]
        cx.flow.names[name] = rebuilt(made.shapes[name], ops)
    return answer


def _follow_first_call(cx: Lowering, node: ast.AST, body: Body, made: Made) -> None:
    """Kernels before 6.7 verify a callback as if it were called once, and drop what that call does not reach. So nothing that
    it changes may be known at first: neither references nor local memory, whose content the verifier follows."""
    who = "this loop" if body.key is None else f"`{body.name}`"
    for name, slots in made.slots.items():
        if not any(slot is not None and slot.offset >= 0 for slot in slots):
            continue
        shape = made.shapes[name]
        ref = shape.ref if isinstance(shape, MaybeRef) else shape
        if isinstance(ref, Ref) and (name in body.assigned or ref.region in ("stack", EITHER)):
            what = "cannot assign the reference" if name in body.assigned else "cannot use the local memory"
            raise UnsupportedProgram(
                f"{who} {what} `{name}` on this kernel, which checks a callback's first call only",
                cx.place(node),
                "checks of all calls came with Linux 6.7",
                "keep it in a map, or note a key or an index instead",
            )


def _hidden(cx: Lowering, op: Op, n: int) -> Op:
    """A number that the callback changes, from a start that the verifier does not know: from a known one it may follow every
    call to the end, and before Linux 6.7 it looks at the first call only. Each start is loaded by itself."""
    if op.kind in UNKNOWN or isinstance(op.type, Ptr) or n >= SLOT * ZEROS:
        return op
    place = cx.builder.emit("map_value", Ptr("map_value"), [], (cx.unit.zero_name, 0))
    zero = cx.builder.emit("load", I64, [place], (SLOT, 0, n))
    return zero if op.is_const and not op.value else cx.builder.emit("add", I64, [zero, op])


def lower_later(cx: Lowering, node: ast.AST, body: Body) -> None:
    """Lower code that is called when the program has ended, and sees nothing of it."""
    made = _settled(cx, node, body)
    cx.unit.functions[made.function.name] = made.function


def _load(cx: Lowering, frame: Op, slot: Slot | None, like: Op) -> Op:
    assert slot is not None
    return _loaded(cx, frame, like.type, slot.offset)[1]


def _loaded(cx: Lowering, frame: Op, type: Type, offset: int) -> tuple[Op, Op]:
    """(the load, what it stands for)."""
    load = cx.builder.emit("load", type if isinstance(type, Ptr) else I64, [frame], (SLOT, 0, offset))
    return load, cx.builder.emit("ne", BOOL, [load, cx.const(0)]) if type == BOOL else load


def _around(cx: Lowering) -> dict[str, Value]:
    """The variables around, and the context."""
    context: dict[str, Value] = {CONTEXT: Context(cx.context)} if cx.context is not None else {}
    return {**cx.flow.names, **context}


def _shaped(cx: Lowering, name: str, shape: Value, value: Value) -> Value:
    """The value in the shape that the callback expects."""
    value = meetings.brought(cx, cx.flow, value, shape)
    return value if value == shape else unify(cx.builder, name, shape, value)[2]


def _settled(cx: Lowering, node: ast.AST, body: Body) -> Made:
    """Lower the body under wider and wider assumptions until they hold."""
    around = {} if body.later else _around(cx) if body.sees else {k: v for k, v in _around(cx).items() if k == CONTEXT}
    shapes = {name: _plain(cx, value) for name, value in around.items() if name not in body.hidden and _carriable(value)}
    assigned = {name: shapes[name] for name in sorted(body.assigned) if name in shapes}
    results = len(cx.unit.meaning.results)
    for attempt in range(loops.MAX_TRIES + len(assigned)):
        del cx.unit.meaning.results[results:]
        inner, made, ends = _attempt(cx, node, body, shapes | assigned)
        live = [flow for flow, _, _ in ends if not flow.dead]
        wider = _widened(inner, assigned, live, attempt)
        if wider is None:
            _finish(inner, node, made, ends, assigned)
            return made
        assigned = wider
    cx.fail(node, "the types of the variables that this function assigns do not settle", hint="annotate them: `n: u64 = 0`")


def _widened(inner: Lowering, assigned: dict[str, Value], ends: list[Flow], attempt: int) -> dict[str, Value] | None:
    """Shapes that take in what the callback's ends bring as well; None if these do."""
    wider = dict(assigned)
    for name in assigned:
        for flow in ends:
            wider[name] = loops._wider(inner, name, wider[name], flow.names.get(name, Unset(name)), attempt)
    return wider if any(wider[name] is not assigned[name] for name in assigned) else None


def _plain(cx: Lowering, value: Value) -> Value:
    """References without constant offset, so that they are one register."""
    return cx.moved(cx.flow, value) if isinstance(value, Ref) else value


def _carriable(value: Value) -> bool:
    return not isinstance(value, Fill | Unset | Conflict) and not (isinstance(value, Bound) and parts(value.receiver))


def _attempt(cx: Lowering, node: ast.AST, body: Body, shapes: dict[str, Value]) -> tuple[Lowering, Made, list[End]]:
    fn = Function(body.name if body.later else free_name(cx, body.name), [], I64)
    inner = Lowering(cx.unit, fn)
    inner.frames.append(body.frame())
    fn.params += [Op("param", type, [], (), None, block=fn.entry) for type in (*body.parameters, Ptr("stack"))]
    slots: dict[str, list[Slot | None]] = {}
    with inner.at(node):
        start = inner.flow.fork(inner.builder.new_block())
        start.state["generation"] = Const(cx.packet_generation)
        inner.builder.jump(start.block)
        inner.go(start)
        for name, value in shapes.items():
            slots[name], carried = _carried(inner, value, fn.params[-1], name in body.assigned)
            if name == CONTEXT:
                inner.context = parts(carried)[0]
            else:
                inner.flow.names[name] = carried
        ends = body.lower(inner, fn.params[:-1])
    for flow, _, at in ends:
        if flow.generation != cx.packet_generation:
            cx.fail(at, "the packet cannot be resized inside a callback", hint="resize it before or behind the loop")
    return inner, Made(fn, shapes, slots, inner.cost), ends


def free_name(cx: Lowering, base: str) -> str:
    name, n = base, 1
    while name in cx.unit.functions:
        n += 1
        name = f"{base}_{n}"
    return name


def _carried(inner: Lowering, value: Value, frame: Op, assigned: bool) -> tuple[list[Slot | None], Value]:
    """The value as the callback has it, loaded from the frame; constants need no place unless they may change."""
    slots: list[Slot | None] = []
    ops: list[Op] = []
    for op in parts(value):
        if op.is_const and not assigned:
            slots.append(None)
            ops.append(inner.builder.const(op.value, op.type))
            continue
        type = Ptr(op.type.kind, op.type.nullable or isinstance(value, MaybeRef)) if isinstance(op.type, Ptr) else op.type
        load, loaded = _loaded(inner, frame, BOOL if isinstance(value, IntValue) and value.boolean else type, 0)
        slots.append(Slot(load))
        ops.append(loaded)
    return slots, rebuilt(value, ops)


def _finish(inner: Lowering, node: ast.AST, made: Made, ends: list[End], assigned: dict[str, Value]) -> None:
    """Store what was assigned, return whether to stop, and give the slots that are used their places."""
    from purebpf.compiler.frontend import functions

    frame_op = made.function.params[-1]
    frame = inner.frame
    returns: list[End] = []
    with inner.at(node):
        for flow, stop, at in ends:
            inner.go(flow)
            number = _stops(inner, at, stop)
            for name, shape in assigned.items():
                value = _shaped(inner, name, shape, inner.flow.names.get(name, Unset(name)))
                _outlives(inner, at, name, value)
                for slot, op in zip(made.slots[name], parts(value), strict=True):
                    assert slot is not None
                    slot.stores.append(inner.builder.emit("store", VOID, [frame_op, op], (SLOT, 0)))
            returns.append((inner.flow, number, at))
        frame.returns = returns
        functions.finish(inner, frame, "")
    made.cost = inner.cost
    read = _needed(made.function)
    for block in made.function.blocks:  # what nobody wants has no place to be read from
        block.ops = [op for op in block.ops if op in read or op.info.flags & (Flag.WRITES | Flag.TERMINATOR)]
    offset = 0
    for slot in [slot for slots in made.slots.values() for slot in slots if slot is not None]:
        if slot.load in read or slot.stores:
            slot.offset = offset
            slot.load.imm = (SLOT, 0, offset)
            for store in slot.stores:
                store.imm = (SLOT, offset)
            offset += SLOT
    if not offset:
        frame_op.type = Ptr("stack", nullable=True)  # the kernel hands on the 0 that it gets


def _stops(inner: Lowering, node: ast.AST, value: Value) -> IntValue:
    """A callback's result as 0 (go on) or 1 (stop)."""
    if value == NONE:
        return inner.integer(node, Const(False))
    if isinstance(value, MaybeInt | MaybeRef | Ref) or (isinstance(value, Const) and not isinstance(value.value, int)):
        inner.fail(node, f"a callback gives True to stop or False to go on, not {describe(value)}")
    number = inner.integer(node, value, "True to stop or False to go on")
    if number.op.type == BOOL or (number.op.is_const and number.op.value in (0, 1)):
        return number
    return IntValue(inner.builder.emit("ne", BOOL, [number.op, inner.const(0)]), 0, 1, False, True)


def _outlives(inner: Lowering, node: ast.AST, name: str, value: Value) -> None:
    """Refuse references that end with the callback."""
    ref = value.ref if isinstance(value, MaybeRef) else value
    if not isinstance(ref, Ref):
        return
    base = rings.origin(ref.op)
    if base.kind == "alloca" or (base.kind == "param" and ref.region in ("mem", EITHER)):
        either = ref.region == EITHER
        what = "is the map's own copy of a key" if ref.region == "mem" else "may be made here" if either else "is made here"
        inner.fail(
            node,
            f"`{name}` {'may' if either else 'would'} refer to {named(ref.type)} that is gone when this function returns",
            f"it {what}",
            "copy the fields that you need, or fill a record that was made before",
        )


def _needed(fn: Function) -> set[Op]:
    """The ops whose values something reads in the end."""
    work = [op for op in fn.ops() if op.info.flags & (Flag.WRITES | Flag.TERMINATOR)]
    needed: set[Op] = set()
    while work:
        op = work.pop()
        if op not in needed:
            needed.add(op)
            work += op.operands()
    return needed


def function_frame(outer: Frame, node: ast.FunctionDef, types: dict[str, Any], own: Iterable[str]) -> Frame:
    """The frame of a function defined inside another: its names, and those of the one around it."""
    mine = frozenset(own)
    kept = {name: type for name, type in outer.types.items() if name not in mine}
    return replace(
        outer,
        source=replace(outer.source, node=node),
        local=outer.local | mine,
        types=kept | types,
        result=None,
        loops=[],
        returns=[],
        shared=nonlocals(node),
    )
