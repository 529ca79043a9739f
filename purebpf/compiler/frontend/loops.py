"""Loops: `while` and `for` over ranges and constant tuples.

A loop's header takes every name that the loop assigns as a block parameter. Their ranges are found by assuming what comes in,
lowering the body, and starting over with wider ranges when a way back brings more; usually the second try holds.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from purebpf.compiler.frontend import (
    budgets,
    called,
    comparing,
    conditions,
    counted,
    iteration,
    kernel_walks,
    meetings,
    references,
    scopes,
    starts,
    statements,
)
from purebpf.compiler.frontend.arithmetic import width
from purebpf.compiler.frontend.bounds import provable
from purebpf.compiler.frontend.flow import RESIZES, Flow, as_int, changed, unify
from purebpf.compiler.frontend.lower import Loop, Lowering, lowers
from purebpf.compiler.frontend.maps import HASH_ENTRY
from purebpf.compiler.frontend.names import assigned_names, nonlocals
from purebpf.compiler.frontend.records import keep_records
from purebpf.compiler.frontend.steps import origin, reached, steady
from purebpf.compiler.frontend.trips import choices, forks
from purebpf.compiler.frontend.values import (
    S64_HIGH,
    S64_LOW,
    U64,
    Conflict,
    Const,
    Held,
    IntValue,
    LocalFunction,
    MaybeInt,
    MaybeRef,
    Ref,
    TupleValue,
    Unset,
    Value,
    parts,
    rebuilt,
)
from purebpf.compiler.ir.ops import BOOL, I32, I64, VOID, Block, Op, Ptr, Target, Type
from purebpf.compiler.meaning import turn
from purebpf.data import data, made, replace

WIDER = (0xFF, 0xFFFF, 0xFFFF_FFFF, S64_HIGH, U64)
MAX_TRIES = 12
WALKED = 10_000  # trips x cost of a trip up to which the verifier simply walks through a loop
WALKED_AT_MOST = 100_000  # the same where a budget cannot be had
FOLLOWED = 200  # the same up to which the verifier may follow every number that the trips give
FEW = 9  # trips that are walked through even where they branch on what trips change, and the ways through them double


@data(frozen=False)
class Parts:
    """A loop for `run`: `test` splits at the header, `body` lowers the body, `step` goes before the way back."""

    assigned: set[str]
    test: Callable[[Lowering], tuple[Flow | None, Flow | None]]
    body: Callable[[Lowering], None]
    step: Callable[[Lowering], None]
    trips: int | None  # how many at most, if the verifier sees the end without help
    stepped: set[str] = made(set)  # variables whose range comes from the number of trips
    steps: bool = True  # whether such ranges can be had
    fenced: bool = False  # whether the counter is compared with its last value too: see `_fenced`
    iterated: bool = False  # whether it goes over an iterator of the kernel's, and which: see `budgets.py`
    iterator: Op | None = None
    walk: budgets.Numbers | kernel_walks.Walk = budgets.NUMBERS
    ended: bool = True  # whether it is a condition or a known number that ends it, not a number that the verifier may forget
    counter: str = ""  # the hidden variable that counts the trips of a `for`
    brought: dict[str, Held] = made(dict)  # references that trips leave under names of the header
    held: dict[Op, Held] = made(dict)  # what its trips begin with, of references that the kernel wants back
    callable: bool = True  # whether the parts can be lowered in a function of their own


@lowers(ast.While)
def while_(cx: Lowering, node: ast.While) -> None:
    assigned = assigned_names(node.body) | assigned_names([node.test])

    def test(cx: Lowering) -> tuple[Flow | None, Flow | None]:
        return conditions.test(cx, node.test)

    loop = Parts(assigned, test, lambda cx: cx.statements(node.body), lambda cx: None, counted.most_trips(cx, node))
    run(cx, node, loop, node.orelse)


@lowers(ast.For)
def for_(cx: Lowering, node: ast.For) -> None:
    from purebpf.compiler.frontend import each

    if (seen := each.view(cx, node.iter)) is not None:
        return each.for_map(cx, node, *seen)
    if (walk := kernel_walks.over(cx, node.iter)) is not None:
        return _walked(cx, node, walk)
    sequence = iteration.over(cx, node.iter)
    if isinstance(sequence, iteration.Items):
        _unrolled(cx, node, list(sequence.values))
    else:
        _counted(cx, node, sequence)


def _walked(cx: Lowering, node: ast.For, walk: kernel_walks.Walk) -> None:
    """Over objects of the kernel, by an iterator of its own."""

    def test(cx: Lowering) -> tuple[Flow | None, Flow | None]:
        statements.assign(cx, node.iter, node.target, walk.value(cx, node.iter))
        return cx.current, None

    names = assigned_names(node.body) | assigned_names([node.target])
    loop = Parts(names, test, lambda cx: cx.statements(node.body), lambda cx: None, None)
    loop.iterated, loop.walk, loop.callable = True, walk, False
    run(cx, node, loop, node.orelse)


def _unrolled(cx: Lowering, node: ast.For, items: list[Value]) -> None:
    """Over a tuple: the body once per item, each with its own types."""
    loop = Loop()
    cx.frame.loops.append(loop)
    for index, item in enumerate(items):
        if cx.current is None:
            break
        cx.turns.append(turn(node, cx.frame.source.file, index))
        statements.assign(cx, node.iter, node.target, item)
        cx.statements(node.body)
        cx.turns.pop()
        cx.go(cx.join(cx.current, *loop.continues))
        loop.continues.clear()
    cx.frame.loops.pop()
    if cx.current is not None:
        cx.last = cx.current
        cx.statements(node.orelse)
    cx.go(cx.join(cx.current, *loop.breaks))


def _counted(cx: Lowering, node: ast.For, over: iteration.Counted) -> None:
    """Over a range or an array: a hidden counter; the variable gets what it stands for at the start of each trip and keeps the
    last one."""
    start, stop, step = over.start, over.stop, over.step
    counter, limit = f"?i{len(cx.frame.loops)}", f"?end{len(cx.frame.loops)}"
    low, high = (start.low, max(start.low, stop.high - 1)) if step > 0 else (min(start.high, stop.low + 1), start.high)
    if low < 0 and high > S64_HIGH:
        cx.fail(node.iter, "this range goes from negative to beyond 2**63", hint="cast its bounds to one type")
    past = (low, stop.high - 1 + step) if step > 0 else (stop.low + 1 + step, high)
    past = (min(past[0], start.low), max(past[1], start.high))
    trips = max(0, -(-(stop.high - start.low) // step) if step > 0 else -(-(start.high - stop.low) // -step))
    signed = past[0] < 0
    plain = trips <= WALKED_AT_MOST and all(end.low >= 0 or end.op.is_const for end in (start, stop))
    if plain:  # the verifier will walk through the trips, so it must know the ends
        start, stop = (replace(end, op=provable(cx, end.op, end.high)) for end in (start, stop))
    cx.flow.names[counter] = replace(start, low=past[0], high=past[1], signed=signed)
    cx.flow.names[limit] = stop
    names = assigned_names(node.body) | assigned_names([node.target]) | {counter}
    if over.certain:
        statements.assign(cx, node.iter, node.target, over.at(start))

    def test(cx: Lowering) -> tuple[Flow | None, Flow | None]:
        at, stop = cx.flow.names[counter], cx.flow.names[limit]
        assert isinstance(at, IntValue) and isinstance(stop, IntValue)
        op = comparing.integer_compare(cx, "<" if step > 0 else ">", at, stop)
        yes, no = cx.branch(op)
        cx.go(yes)
        inside = at.op
        if not stop.op.is_const and (loop.fenced or (plain and not cx.unit.options.may_goto)):
            inside = _fenced(cx, inside, low, high)
        if not inside.is_const:  # going down, the comparison shows the lower end only
            shown = high if step > 0 or low < 0 else S64_HIGH if inside.type == I64 else (1 << 32) - 1
            if low <= shown:  # else there is no trip
                inside = cx.builder.emit("guard", inside.type, [inside], ("range", low, shown))
        value = IntValue(inside, low, high, low < 0)
        yes.names[counter] = value
        statements.assign(cx, node.iter, node.target, over.at(value))
        return cx.current, no

    def advance(cx: Lowering) -> None:
        at = cx.flow.names[counter]
        assert isinstance(at, IntValue)
        next_op = cx.builder.emit("add", width(*past) if past[0] >= 0 else I64, [at.op, cx.const(step)])
        cx.flow.names[counter] = IntValue(next_op, past[0], past[1], signed)

    loop = Parts(names, test, lambda cx: cx.statements(node.body), advance, trips if plain else None)
    loop.ended, loop.counter = stop.op.is_const, counter
    loop.callable = over.item is None  # items refer to what is around the loop
    run(cx, node, loop, node.orelse)
    if cx.current is not None:
        cx.flow.names.pop(counter, None)
        cx.flow.names.pop(limit, None)


def _fenced(cx: Lowering, counter: Op, low: int, high: int) -> Op:
    """A counter that never leaves low..high, with a comparison that says so: before Linux 6.8 the verifier learns nothing from
    one with an end that it does not know itself, and would walk on for ever; later ones may forget the end in a loop with a
    budget."""
    if low >= 0:
        return provable(cx, counter, high)
    yes, no = cx.branch(cx.builder.emit("sle", BOOL, [counter, cx.const(high)]))
    scopes.never(cx, no)
    cx.go(yes)
    return counter


def run(cx: Lowering, node: ast.While | ast.For, loop: Parts, orelse: list[ast.stmt]) -> None:
    """Lower a loop: find what its header can assume, then its body, its `else`, and what follows."""
    entry = cx.flow
    loop.assigned |= reassigned(cx, node)
    assumed: dict[str, Value] = {name: entry.names[name] for name in sorted(loop.assigned) if name in entry.names}
    mark = _Mark(cx, entry)
    changing = False
    for attempt in range(MAX_TRIES + len(assumed)):
        try:
            names, header, ends, exits, breaks = _attempt(cx, node, loop, entry, assumed)
        except called.CallIsWanted:
            mark.rewind(cx)
            return called.run(cx, node, loop)
        except budgets.IteratorIsWanted:
            mark.rewind(cx)
            _forget_numbers(loop)
            loop.iterated = True
            assumed = {name: entry.names[name] for name in assumed}
            continue
        if header.terminator is not None and header.terminator.kind == "may_goto" and (loop.stepped or not loop.ended):
            mark.rewind(cx)
            _forget_numbers(loop)
            assumed = {name: entry.names[name] for name in assumed}
            continue
        live = [flow for flow in ends if not flow.dead]
        changes = not changing and any(flow.generation != entry.generation for flow in live)
        if changing:
            _drop_packet(live, assumed)
        keep_records(cx, node, live, assumed, mark.allocas)
        wider = _widened(cx, loop, assumed, (entry, names), live, attempt)
        brought = {**references.bring(live, names), **loop.brought}
        more, loop.brought = len(brought) > len(loop.brought), brought
        if wider is None and not changes and not more:
            break
        mark.rewind(cx)
        if changes:  # what was known of the packet before the loop does not hold inside
            changing = True
            resized = any(flow.generation // RESIZES != entry.generation // RESIZES for flow in live)
            entry.state["generation"] = Const(changed(entry.generation, resized))
            entry.state.pop("bases", None)
            mark = _Mark(cx, entry)
        assumed = wider or assumed
    else:
        cx.fail(node, "the types of this loop's variables do not settle", hint="annotate them: `n: u64 = 0`")
    for flow in ends:
        references.check_trip(loop.held, names, flow)
        if not flow.dead:
            flow.block.ops.append(
                Op("jump", VOID, [], (), cx.builder.loc, [Target(header, _arguments(cx, names, flow))], flow.block)
            )
    if not orelse:
        exits, breaks = cx.join(exits, *breaks), []
    _leave(cx, node, loop, exits)
    if cx.current is not None:
        cx.last = cx.current
        cx.statements(orelse)
    here = cx.current
    _leave(cx, node, loop, cx.join(*breaks))
    cx.go(cx.join(here, cx.current))


def _leave(cx: Lowering, node: ast.AST, loop: Parts, flow: Flow | None) -> None:
    """Go on behind the loop."""
    cx.go(flow)
    if flow is not None and loop.iterator is not None:
        loop.walk.end(cx, node, loop.iterator)


def _forget_numbers(loop: Parts) -> None:
    """The verifier does not walk through the trips after all, and forgets numbers on the way."""
    loop.steps, loop.stepped, loop.fenced, loop.ended = False, set(), not loop.ended, True


def reassigned(cx: Lowering, node: ast.AST) -> set[str]:
    """The names that functions assign which this code mentions, and so may have called back."""
    found: set[str] = set()
    for inner in ast.walk(node):
        local = cx.flow.names.get(inner.id) if isinstance(inner, ast.Name) else None
        if isinstance(local, LocalFunction):
            found |= nonlocals(local.node)
    return found


def _attempt(
    cx: Lowering, node: ast.stmt, loop: Parts, entry: Flow, assumed: dict[str, Value]
) -> tuple[dict[str, Value], Block, list[Flow], Flow | None, list[Flow]]:
    """Lower header and body under an assumption. Gives the header's values, its block, the flows that go back, the flow where
    the condition fails, and the flows that broke out."""
    header = cx.builder.new_block()
    names: dict[str, Value] = {}
    arguments: list[Op] = []
    for name, value in assumed.items():
        shape = value
        incoming = entry.names[name]
        number = as_int(cx.builder, value)
        if number is not None:
            shape, incoming = number, as_int(cx.builder, incoming) or incoming
        elif isinstance(value, Const | Unset | Conflict):
            names[name] = value
            continue
        elif not isinstance(value, IntValue):
            incoming = meetings.brought(cx, entry, incoming, shape)
            incoming = unify(cx.builder, name, shape, incoming)[2]
        given = parts(incoming)
        types = [_parameter_type(shape, op, first) for op, first in zip(parts(shape), given, strict=True)]
        names[name] = rebuilt(shape, [cx.builder.add_param(header, type) for type in types])
        arguments += given
    cx.go(entry)
    loop.iterator = loop.walk.begin(cx, node) if loop.iterated else None
    entry.block.ops.append(Op("jump", VOID, [], (), cx.builder.loc, [Target(header, arguments)], entry.block))
    start, spent = entry.fork(header), entry.fork(header)  # `spent`: where the kernel's budget is used up
    for flow in (start, spent):
        flow.names.update(names)
        flow.state = {key: value for key, value in flow.state.items() if _holds_in_a_loop(key)}
        references.at_header(entry, names, flow, loop.brought)
    loop.held = references.held(start)
    cx.go(start)
    if (iterator := loop.iterator) is not None:
        spent = loop.walk.next_trip(cx, node, iterator)
        scopes.enter(cx, budgets.WHAT, lambda: loop.walk.end(cx, node, iterator))
    frame_loop = Loop()
    cx.frame.loops.append(frame_loop)
    cost_before, budgets_before = cx.cost, budgets.count(cx)
    budget = cx.builder.new_block() if iterator is None else header
    yes, no = loop.test(cx)
    cx.go(yes)
    cx.last = yes
    if yes is not None:
        for name in loop.stepped & set(names):
            _tell(cx, yes, name, names[name])
        loop.body(cx)
    cx.frame.loops.pop()
    cx.go(cx.join(cx.current, *frame_loop.continues))
    if cx.current is not None:
        loop.step(cx)
    if iterator is not None:
        cx.scopes.pop()
    ends = [cx.current] if cx.current is not None else []
    nested = budgets.count(cx) > budgets_before  # a budget inside makes the verifier forget this loop's counter too
    goes_back = any(not end.dead for end in ends)
    trip = max(1, cx.cost - cost_before)
    options = cx.unit.options
    means = budgets.means(cx, loop)
    limit = (0 if options.sparing else WALKED) if means else WALKED_AT_MOST
    if (means or options.bpf_loop) and loop.trips:
        trip *= loop.trips if any(forks(header, end.block) for end in ends) else 1
        if loop.trips > FEW and any(choices(cx.fn, header, end.block, _moving(cx, loop, names, ends)) for end in ends):
            trip <<= FEW
    if loop.iterated or (goes_back and (nested or loop.trips is None or loop.trips * trip > limit)):
        if not loop.iterated and means == "iterator":
            raise budgets.IteratorIsWanted
        if not loop.iterated and means == "call":
            raise called.CallIsWanted
        for name in loop.assigned:
            if loop.walk is budgets.NUMBERS and isinstance(spent.names.get(name, Unset(name)), Unset):
                spent.names[name] = Unset(name, "the kernel may end this loop before it, when the loop's budget is used up")
        no = cx.join(no, spent) if loop.iterated else budgets.put_may_goto(cx, node, spent, header, budget, no)
        moved = {name for name, value in names.items() if name == loop.counter or budgets.moves(cx, entry.names[name], value)}
        pointers = {op for value in names.values() for op in starts.pointers(value)}
        starts.hide(cx, entry, header, {value.op for name in moved if isinstance(value := names[name], IntValue)}, pointers)
    else:
        cx.fn.blocks.remove(budget)
        counter = names.get(loop.counter)
        if goes_back and isinstance(counter, IntValue) and (loop.trips or 1) * trip > FOLLOWED:
            starts.hide_sums(cx, entry, header, ends[0], _sums(loop, names), counter.op)
        cx.repeated += trip * (max(1, loop.trips or 1) - 1) if goes_back else 0
    return names, header, ends, no, frame_loop.breaks


def _moving(cx: Lowering, loop: Parts, names: dict[str, Value], ends: list[Flow]) -> set[Op]:
    """The integers of a loop's header that its trips change, but not all by the same number."""
    numbers = {name: value for name, value in names.items() if isinstance(value, IntValue) and not value.boolean}
    return {v.op for name, v in numbers.items() if name != loop.counter and not steady(cx.fn, name, v, ends)}


def _sums(loop: Parts, names: dict[str, Value]) -> dict[str, Op]:
    """The integers of a loop's header whose range does not come from the number of trips."""
    kept = {name: value for name, value in names.items() if name not in loop.stepped and name != loop.counter}
    return {name: value.op for name, value in kept.items() if isinstance(value, IntValue)}


def _tell(cx: Lowering, flow: Flow, name: str, head: Value) -> None:
    """The verifier, which walks through the trips, knows the range of a variable that they move by constants."""
    value = flow.names.get(name)
    if not isinstance(value, IntValue) or not isinstance(head, IntValue) or value.low > value.high:
        return
    if origin(value.op) is head.op:
        guard = cx.builder.emit("guard", value.op.type, [value.op], ("range", value.low, value.high))
        flow.names[name] = replace(value, op=guard)


def _holds_in_a_loop(key: object) -> bool:
    """Whether what a flow's state says under a key stays true whatever the body does."""
    return isinstance(key, str) and not key.startswith(HASH_ENTRY)


def _drop_packet(ends: list[Flow], names: Iterable[str]) -> None:
    """In a loop that changes the packet, no reference into it lives on to the next trip."""
    for flow in ends:
        for name in names:
            value = flow.names.get(name)
            ref = value.ref if isinstance(value, MaybeRef) else value
            if isinstance(ref, Ref) and ref.region in ("packet", "slice"):
                flow.names[name] = Conflict(name, "a reference into the packet", "one into the packet as it was before")


def _parameter_type(shape: Value, op: Op, given: Op) -> Type:
    """The type of a header's parameter for a part of an assumed value, whose first content is `given`."""
    if isinstance(op.type, Ptr):
        return Ptr(op.type.kind, op.type.nullable or isinstance(shape, MaybeRef))
    if isinstance(shape, IntValue):
        if shape.boolean:
            return BOOL
        return I32 if shape.low >= 0 and shape.high < 1 << 32 and given.type in (I32, BOOL) else I64
    return BOOL if op.type == BOOL else I64


def _arguments(cx: Lowering, names: dict[str, Value], flow: Flow) -> list[Op]:
    """What a way back hands to the header, op by op."""
    arguments: list[Op] = []
    keep = cx.current
    for name, value in names.items():
        if isinstance(value, Const | Unset | Conflict):
            continue
        given = flow.names.get(name, Unset(name))
        given = meetings.brought(cx, flow, given, value)
        shaped = unify(cx.builder, name, value, given)[2]
        for param, op in zip(parts(value), parts(shaped), strict=True):
            if param.type == I32 and op.type == I64:
                cx.go(flow)
                op = cx.builder.emit("low32", I32, [op])
            arguments.append(op)
    cx.go(keep)
    return arguments


class _Mark:
    """Where the graph stood before a loop, to start over."""

    def __init__(self, cx: Lowering, entry: Flow) -> None:
        self.blocks = list(cx.fn.blocks)
        self.ops = {block: list(block.ops) for block in cx.fn.blocks}
        self.params = {block: list(block.params) for block in cx.fn.blocks}
        self.entry = entry
        self.names, self.state = dict(entry.names), dict(entry.state)
        self.returns = len(cx.frame.returns)
        self.never = len(cx.never)
        self.warnings = len(cx.unit.warnings)
        self.results = len(cx.unit.meaning.results)
        self.scope_ops = dict(entry.scope.ops)
        self.allocas = {op for op in cx.fn.entry.ops if op.kind == "alloca"}
        self.constants = dict(cx.builder.constants)
        self.repeated = cx.repeated
        self.outer = [(outer, len(outer.breaks), len(outer.continues)) for frame in cx.frames for outer in frame.loops]

    def rewind(self, cx: Lowering) -> None:
        cx.fn.blocks[:] = self.blocks
        for block, ops in self.ops.items():
            block.ops[:] = ops
            block.params[:] = self.params[block]
        self.entry.names, self.entry.state = dict(self.names), dict(self.state)
        self.entry.scope.ops = dict(self.scope_ops)
        cx.builder.constants = dict(self.constants)
        cx.repeated = self.repeated
        del cx.frame.returns[self.returns :]
        del cx.never[self.never :]
        del cx.unit.warnings[self.warnings :]
        del cx.unit.meaning.results[self.results :]
        for outer, breaks, continues in self.outer:
            del outer.breaks[breaks:]
            del outer.continues[continues:]
        cx.go(self.entry)


def _widened(
    cx: Lowering,
    loop: Parts,
    assumed: dict[str, Value],
    head: tuple[Flow, dict[str, Value]],
    ends: list[Flow],
    attempt: int,
) -> dict[str, Value] | None:
    """A wider assumption if a way back brings what the header did not expect; None if it holds. `head` is what comes in and
    what the header makes of it."""
    wider = dict(assumed)
    for name in assumed:
        stepped = _stepped(cx, loop, name, assumed[name], head, ends)
        if stepped is not None:
            wider[name] = stepped
            continue
        for flow in ends:
            wider[name] = _wider(cx, name, wider[name], flow.names.get(name, Unset(name)), attempt)
    return wider if any(wider[name] is not assumed[name] for name in assumed) else None


def _stepped(
    cx: Lowering, loop: Parts, name: str, shape: Value, head: tuple[Flow, dict[str, Value]], ends: list[Flow]
) -> Value | None:
    """What to assume of a variable that every trip moves by constants; None if this is none, or needs no widening."""
    held, before = head[1].get(name), as_int(cx.builder, head[0].names[name])
    if loop.trips is None or not loop.steps or not isinstance(held, IntValue) or before is None or held.boolean:
        return None
    assumed = as_int(cx.builder, shape)
    values = [as_int(cx.builder, flow.names.get(name, Unset(name))) for flow in ends]
    if assumed is None or any(v is None for v in values):
        return None
    if all(v is not None and assumed.low <= v.low and v.high <= assumed.high for v in values):
        return None
    bounds = reached(cx.fn, name, held, before, ends, loop.trips)
    if bounds is None:
        loop.stepped.discard(name)
        return None
    if name in loop.stepped and assumed.low <= bounds[0] and bounds[1] <= assumed.high:
        return shape
    loop.stepped.add(name)
    return IntValue(assumed.op, *bounds, assumed.signed)


def _wider(cx: Lowering, name: str, shape: Value, given: Value, attempt: int) -> Value:
    """`shape` itself if it takes in what is given, else one that does."""
    if given == shape or isinstance(shape, Conflict | Unset):
        return shape
    a, b = as_int(cx.builder, shape), as_int(cx.builder, given)
    if a is not None and b is not None:
        inside = a.low <= b.low and b.high <= a.high and (b.boolean or not a.boolean)
        return shape if inside and not isinstance(shape, Const) else _wider_int(name, a, b, attempt)
    if isinstance(shape, TupleValue) and isinstance(given, TupleValue) and len(shape.items) == len(given.items):
        items = tuple(_wider(cx, name, x, y, attempt) for x, y in zip(shape.items, given.items, strict=True))
        bad = next((item for item in items if isinstance(item, Conflict | Unset)), None)
        same = all(x is y for x, y in zip(items, shape.items, strict=True))
        return shape if same else bad or TupleValue(items)
    merged = unify(cx.builder, name, shape, given)[0]
    match shape, merged:
        case MaybeInt(), MaybeInt():
            if shape.inner.low <= merged.inner.low and merged.inner.high <= shape.inner.high:
                return shape
            inner = _wider_int(name, shape.inner, merged.inner, attempt)
            return replace(merged, inner=inner) if isinstance(inner, IntValue) else inner
        case Ref(), Ref():
            settled = all(getattr(merged, n) == getattr(shape, n) for n in ("offset", "shared", "region", "aligned"))
            return shape if settled else merged
        case MaybeRef(), MaybeRef() if merged.ref.region != shape.ref.region:
            return merged
    return shape if type(merged) is type(shape) and not isinstance(merged, Const | TupleValue) else merged


def _wider_int(name: str, a: IntValue, b: IntValue, attempt: int) -> Value:
    """The join of two ranges, its moved bounds pushed out to the next round limit."""
    low, high = min(a.low, b.low), max(a.high, b.high)
    if attempt:
        limits = WIDER if attempt < 2 else WIDER[2:] if attempt < 4 else WIDER[3:]
        if high > a.high:
            high = next(limit for limit in limits if high <= limit)
        if low < a.low:
            low = 0 if low >= 0 else next((-limit - 1 for limit in limits[:-1] if low >= -limit - 1), S64_LOW)
    if low < 0 and high > S64_HIGH:
        if a.high <= S64_HIGH and b.high <= S64_HIGH:
            high = S64_HIGH
        else:
            return Conflict(name, f"an integer up to {high}", f"one down to {low}, which no 64 bits hold together")
    return IntValue(a.op, low, high, a.signed or b.signed or low < 0, a.boolean and b.boolean)


@lowers(ast.Break)
def break_(cx: Lowering, node: ast.Break) -> None:
    scopes.leave_loop(cx)
    cx.frame.loops[-1].breaks.append(cx.flow)
    cx.last = cx.flow
    cx.go(None)


@lowers(ast.Continue)
def continue_(cx: Lowering, node: ast.Continue) -> None:
    scopes.leave_loop(cx)
    cx.frame.loops[-1].continues.append(cx.flow)
    cx.last = cx.flow
    cx.go(None)
