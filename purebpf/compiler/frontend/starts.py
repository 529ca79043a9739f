"""What the verifier knows of the numbers that a loop starts from, where it had better not know them.

It compares a trip with earlier ones, and goes no further where all numbers that matter lie within what they were then. From a
known start each trip brings another number, and with several ways through the body each way another one: it follows them all.
A zero that it does not know, added to the start, leaves one case. Before an index the compiler's comparison tells the range.
"""

from __future__ import annotations

from purebpf.compiler.frontend.bounds import followed
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.lower import ZEROS, Lowering
from purebpf.compiler.frontend.steps import origin
from purebpf.compiler.frontend.values import IntValue, KernelRef, TupleValue, Value
from purebpf.compiler.ir.ops import I32, I64, Block, Flag, Op, Ptr, Type

SIZES: dict[Type, int] = {I32: 4, I64: 8}


def hide(cx: Lowering, entry: Flow, header: Block, moved: set[Op], pointers: set[Op]) -> None:
    """Before a loop with a budget: constants, for from a known number the verifier would follow the counter through every trip,
    times the ways through the body; and ranges that every trip moves, or that a comparison in the loop is about, which it would
    follow for ever. `moved` are the parameters of the header that the loop takes beyond the range in front of it,
    `pointers` those that are addresses in the kernel: 0 is no number there."""
    given = {op: start for op, start in zip(header.params, arguments(entry), strict=True) if op not in pointers}
    everything = cx.unit.options.sparing
    ranges = {op for op, start in given.items() if followed(start) and (everything or op in moved or compared(header, op))}
    hide_some(cx, entry, header, [op for op, start in given.items() if start.is_const or op in ranges])


def pointers(value: Value) -> list[Op]:
    """The addresses in the kernel that a value is made of."""
    if isinstance(value, TupleValue):
        return [op for item in value.items for op in pointers(item)]
    return [value.op] if isinstance(value, KernelRef) else []


def hide_sums(cx: Lowering, entry: Flow, header: Block, end: Flow, sums: dict[str, Op], counter: Op) -> None:
    """Before a loop that the verifier walks through, and whose counter it so knows: those of `sums` (by name, parameters of the
    header) that a comparison is about, and to which some ways through the body add what is made from the counter. (Constants
    give few sums, unknown numbers one.)"""
    made = derived(header, counter)
    given = dict(zip(header.params, arguments(entry), strict=True))
    unlike = [op for name, op in sums.items() if followed(given[op]) and _joined(end, name, header) in made]
    hide_some(cx, entry, header, [op for op in unlike if compared(header, op)])


def arguments(entry: Flow) -> list[Op]:
    """What a flow that ends in a jump hands over."""
    jump = entry.block.ops[-1]
    return jump.targets[0].args


def hide_some(cx: Lowering, entry: Flow, header: Block, params: list[Op]) -> None:
    """Each zero is loaded by itself and in full width: what is learnt of one says nothing of another, and the next trip's value
    is no news."""
    wanted = [op for op in params if op.type in SIZES][:ZEROS]
    if not wanted:
        return
    given = arguments(entry)
    jump = entry.block.ops.pop()
    here = cx.current
    cx.go(entry)
    place = cx.builder.emit("map_value", Ptr("map_value"), [], (cx.unit.zero_name, 0))
    for n, op in enumerate(wanted):
        i = header.params.index(op)
        zero = cx.builder.emit("load", op.type, [place], (SIZES[op.type], 0, 8 * n))
        given[i] = zero if given[i].is_const and not given[i].value else cx.builder.emit("add", op.type, [zero, given[i]])
    entry.block.ops.append(jump)
    cx.go(here)


def _joined(end: Flow, name: str, header: Block) -> Op | None:
    """The value at the end of a trip, when it is one of several by the way that was taken."""
    value = end.names.get(name)
    op = origin(value.op) if isinstance(value, IntValue) else None
    return op if op is not None and op.kind == "param" and op not in header.params else None


def compared(header: Block, number: Op) -> bool:
    """Whether something in a loop's body that was made from a number is compared."""
    return any(op.info.flags & Flag.COMPARE for op in derived(header, number))


def derived(header: Block, number: Op) -> set[Op]:
    """What a loop's body makes from a number. What is loaded from an address made from it counts too: of constant data the
    verifier knows the contents."""
    blocks = _reached(header)
    made, before = {number}, 0
    while len(made) > before:
        before = len(made)
        for block in blocks:
            for op in block.ops:
                if (op.info.flags & Flag.PURE or op.kind == "load") and not made.isdisjoint(op.args):
                    made.add(op)
                for target in op.targets:
                    passed = zip(target.block.params, target.args, strict=False)
                    made.update(param for param, given in passed if given in made)
    return made


def _reached(header: Block) -> list[Block]:
    """The blocks that a loop's header leads to."""
    found, work = {header: None}, [header]
    while work:
        last = work.pop().terminator
        for target in last.targets if last is not None else ():
            if target.block not in found:
                found[target.block] = None
                work.append(target.block)
    return list(found)
