"""Order and dominance of a function's blocks; what is computed for addresses."""

from __future__ import annotations

from purebpf.compiler.ir.ops import Block, Function, Op, Ptr


def reverse_postorder(fn: Function) -> list[Block]:
    """Reachable blocks, each before its successors but for back edges."""
    order: list[Block] = []
    seen = {fn.entry}
    stack = [(fn.entry, iter(reversed(fn.entry.successors)))]
    while stack:
        block, rest = stack[-1]
        for successor in rest:
            if successor not in seen:
                seen.add(successor)
                stack.append((successor, iter(reversed(successor.successors))))
                break
        else:
            order.append(block)
            stack.pop()
    order.reverse()
    return order


def reachable(block: Block) -> set[Block]:
    """The blocks that some way from this one leads to; itself only if it is in a cycle."""
    found: set[Block] = set()
    work = list(block.successors)
    while work:
        here = work.pop()
        if here not in found:
            found.add(here)
            work += here.successors
    return found


def immediate_dominators(fn: Function) -> dict[Block, Block]:
    """The closest block that every way to a block goes through; the entry's is itself. (Cooper, Harvey, Kennedy.)"""
    order = reverse_postorder(fn)
    number = {block: i for i, block in enumerate(order)}
    predecessors: dict[Block, list[Block]] = {block: [] for block in order}
    for block in order:
        for successor in block.successors:
            predecessors[successor].append(block)
    idom = {fn.entry: fn.entry}
    changed = True
    while changed:
        changed = False
        for block in order[1:]:
            new: Block | None = None
            for other in predecessors[block]:
                if other not in idom:
                    continue
                if new is None:
                    new = other
                    continue
                a, b = new, other
                while a is not b:
                    while number[a] > number[b]:
                        a = idom[a]
                    while number[b] > number[a]:
                        b = idom[b]
                new = a
            assert new is not None
            if idom.get(block) is not new:
                idom[block] = new
                changed = True
    return idom


def dominator_children(fn: Function) -> dict[Block, list[Block]]:
    """The dominator tree, children in reverse postorder."""
    idom = immediate_dominators(fn)
    children: dict[Block, list[Block]] = {block: [] for block in idom}
    for block in reverse_postorder(fn):
        if block is not fn.entry:
            children[idom[block]].append(block)
    return children


def dominated(idom: dict[Block, Block], block: Block, by: Block) -> bool:
    """Whether every way to `block` goes through `by`."""
    while block is not by:
        up = idom.get(block)
        if up is None or up is block:
            return False
        block = up
    return True


def enclosing_loops(fn: Function) -> dict[Block, set[Block]]:
    """For each block, the headers of the natural loops it is in."""
    idom = immediate_dominators(fn)
    inside: dict[Block, set[Block]] = {block: set() for block in idom}
    predecessors: dict[Block, list[Block]] = {block: [] for block in idom}
    for block in idom:
        for successor in block.successors:
            predecessors[successor].append(block)
    for block in idom:
        for header in block.successors:
            if not dominated(idom, block, header):
                continue
            work = [block]
            inside[header].add(header)
            while work:
                member = work.pop()
                if header not in inside[member]:
                    inside[member].add(header)
                    work += predecessors[member]
    return inside


def has_budget(block: Block) -> bool:
    """Whether the kernel counts the trips of the loop that this block heads, by `may_goto` or by an iterator."""
    last = block.terminator
    return (last is not None and last.kind == "may_goto") or any(_steps(op) for op in block.ops)


def _steps(op: Op) -> bool:
    return op.kind == "kfunc" and op.imm[0].startswith("bpf_iter_") and op.imm[0].endswith("_next")


def told(fn: Function) -> set[Op]:
    """What the kernel's verifier has to know the range of: numbers that addresses are made of, calls and loops."""
    place = {block: i for i, block in enumerate(reverse_postorder(fn))}
    sources: dict[Op, list[Op]] = {}
    work: list[Op] = []
    for block in place:
        for target in block.terminator.targets if block.terminator is not None else ():
            for param, arg in zip(target.block.params, target.args, strict=True):
                sources.setdefault(param, []).append(arg)
            if place.get(target.block, 0) <= place[block]:
                work += target.block.params
        for op in block.ops:
            if isinstance(op.type, Ptr) or op.kind in ("guard", "call", "callsub", "kfunc"):
                work += op.args
    found: set[Op] = set()
    while work:
        op = work.pop()
        if op not in found and not isinstance(op.type, Ptr):
            found.add(op)
            work += [*op.args, *sources.get(op, ())] if op.pure or op.kind in ("guard", "param") else []
    return found
