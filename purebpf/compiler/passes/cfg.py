"""Clean-up of the control-flow graph.

Folds constant branches, drops unreachable blocks and budgets of loops that are none, threads edges whose outcome is known
through the block that tests it, removes parameters that always get one value, and joins blocks that follow one another.

    before:  b1: jump b3(1)     b2: jump b3(0)     b3(%x): br %x, b4(), b5()
    after:   b1: jump b4()      b2: jump b5()

Requires: ssa. A threaded edge still goes through the check that made its value: no guard is removed.
"""

from __future__ import annotations

from purebpf.compiler.ir.analysis import dominated, immediate_dominators, reachable, reverse_postorder
from purebpf.compiler.ir.fold import evaluate
from purebpf.compiler.ir.ops import VOID, Block, Flag, Function, Op, Ptr, Target


def simplify_cfg(fn: Function) -> None:
    changed = True
    while changed:
        changed = fold_branches(fn)
        remove_unreachable(fn)
        changed |= drop_idle_budgets(fn)
        changed |= remove_parameters(fn)
        changed |= forward_empty(fn)
        changed |= merge_chains(fn)
        changed |= thread_edges(fn)


def remove_unreachable(fn: Function) -> None:
    live = set(reverse_postorder(fn))
    fn.blocks = [block for block in fn.blocks if block in live]


def fold_branches(fn: Function) -> bool:
    """A branch on a constant, or with equal targets, is a jump."""
    changed = False
    for block in fn.blocks:
        last = block.terminator
        if last is None or last.kind != "br":
            continue
        yes, no = last.targets
        taken = None
        if last.args[0].is_const:
            taken = yes if last.args[0].value else no
        elif yes.block is no.block and yes.args == no.args:
            taken = yes
        if taken is not None:
            block.ops[-1] = Op("jump", VOID, [], (), last.loc, [taken], block)
            changed = True
    return changed


def drop_idle_budgets(fn: Function) -> bool:
    """A loop's budget where no loop is left. Some kernels refuse a `may_goto` that goes nowhere as a fault of their own."""
    budgets = [block for block in fn.blocks if block.terminator is not None and block.terminator.kind == "may_goto"]
    idle = [block for block in budgets if block not in reachable(block)]
    for block in idle:
        last = block.ops[-1]
        block.ops[-1] = Op("jump", VOID, [], (), last.loc, [last.targets[0]], block)
    return bool(idle)


def remove_parameters(fn: Function) -> bool:
    """A parameter that gets the same value on every edge (or itself) is that value; one that nobody reads is dropped."""
    changed = False
    uses = fn.uses()
    replacement: dict[Op, Op] = {}
    edges = fn.predecessors()
    for block in fn.blocks[1:]:
        for i in reversed(range(len(block.params))):
            param = block.params[i]
            values = {target.args[i] for _, target in edges[block]} - {param}
            values = {replacement.get(v, v) for v in values} - {param}
            only = next(iter(values)) if len(values) == 1 else None
            if only is not None and isinstance(param.type, Ptr) and only.type not in (param.type, Ptr(param.type.kind)):
                only = None  # what may be null keeps the parameter's type
            if only is not None or param not in uses:
                if only is not None:
                    replacement[param] = only
                del block.params[i]
                for _, target in edges[block]:
                    del target.args[i]
                changed = True
    fn.substitute(replacement)
    return changed


def forward_empty(fn: Function) -> bool:
    """An edge to a block that only jumps on goes to where that jumps."""
    changed = False
    elsewhere: set[Op] | None = None  # parameters that other blocks read
    for block in fn.blocks:
        last = block.terminator
        for target in last.targets if last else ():
            seen = set()
            while target.block not in seen:
                seen.add(target.block)
                through = target.block.ops
                if len(through) != 1 or through[0].kind != "jump" or target.block is fn.entry:
                    break
                onward = through[0].targets[0]
                if onward.block is target.block:
                    break
                mapping = dict(zip(target.block.params, target.args, strict=True))
                if target.block.params:
                    elsewhere = _read_elsewhere(fn) if elsewhere is None else elsewhere
                    if not elsewhere.isdisjoint(target.block.params):
                        break
                target.args = [mapping.get(arg, arg) for arg in onward.args]
                target.block = onward.block
                changed = True
    return changed


def _read_elsewhere(fn: Function) -> set[Op]:
    """Parameters that are read outside of their block."""
    found: set[Op] = set()
    for block in fn.blocks:
        for op in block.ops:
            for operand in op.operands():
                if operand.kind == "param" and operand not in block.params:
                    found.add(operand)
    return found


def merge_chains(fn: Function) -> bool:
    """A block that only one jump leads to is the rest of the block that jumps."""
    changed = False
    edges = fn.predecessors()
    replacement: dict[Op, Op] = {}
    gone: set[Block] = set()
    for block in fn.blocks:
        if block in gone:
            continue
        while True:
            last = block.terminator
            if last is None or last.kind != "jump":
                break
            target = last.targets[0]
            follower = target.block
            if follower is fn.entry or follower is block or len(edges[follower]) != 1:
                break
            replacement |= dict(zip(follower.params, target.args, strict=True))
            block.ops.pop()
            for op in follower.ops:
                op.block = block
            block.ops += follower.ops
            gone.add(follower)
            changed = True
    fn.blocks = [block for block in fn.blocks if block not in gone]
    fn.substitute(replacement)
    return changed


def thread_edges(fn: Function) -> bool:
    """Edges into a block that only decides, and whose outcome their arguments determine, go straight on. Blocks around one that
    was bypassed wait for the next round: what was found out of the graph no longer holds for them."""
    edges = fn.predecessors()
    readers: Readers | None = None
    idom: dict[Block, Block] = {}
    stale: set[Block] = set()
    for block in fn.blocks:
        last = block.terminator
        if last is None or last.kind != "br" or not block.params or len(block.ops) > 3 or block is fn.entry:
            continue
        if any(not op.pure for op in block.ops[:-1]):
            continue
        if any(arg in block.ops for target in last.targets for arg in target.args):
            continue  # what it hands on is computed here
        incoming = [(source, target) for source, target in edges[block] if source is not block]
        known = [(source, target, outcome) for source, target in incoming if (outcome := _outcome(block, target)) is not None]
        around = {block, *block.successors, *(source for source, _ in incoming)}
        if not known or not stale.isdisjoint(around):
            continue
        if readers is None:
            readers, idom = _all_readers(fn), immediate_dominators(fn)
        if not _closed(block, readers, edges, idom):
            continue
        _close(block, readers, edges, idom)
        for _, target, outcome in known:
            onward = last.targets[0 if outcome else 1]
            mapping = dict(zip(block.params, target.args, strict=True))
            target.block, target.args = onward.block, [mapping.get(arg, arg) for arg in onward.args]
            around.update(arg.block for arg in target.args if arg.block is not None)  # these have new readers
        stale |= around
    return bool(stale)


Readers = dict[Op, list[tuple[Block, Op]]]  # by value: who reads it, and in which block


def _all_readers(fn: Function) -> Readers:
    readers: Readers = {}
    for block in fn.blocks:
        for op in block.ops:
            for operand in set(op.operands()):
                readers.setdefault(operand, []).append((block, op))
    return readers


def _outcome(block: Block, target: Target) -> bool | None:
    """What the block's branch does when entered with these arguments."""
    values: dict[Op, Op | int] = dict(zip(block.params, target.args, strict=True))

    def known(op: Op) -> int | None:
        value = values.get(op, op)
        if isinstance(value, int):
            return value
        if value.is_const:
            return value.value
        return 1 if isinstance(value.type, Ptr) and not value.type.nullable else None  # some address that is not 0

    for op in block.ops[:-1]:
        args = [known(arg) for arg in op.args]
        if any(isinstance(arg.type, Ptr) for arg in op.args) and not (op.kind in ("eq", "ne") and 0 in args):
            continue
        if all(arg is not None for arg in args):
            result = evaluate(op.kind, op.type, [int(arg) for arg in args if arg is not None], op.imm)
            if result is not None:
                values[op] = result
    condition = known(block.ops[-1].args[0])
    return None if condition is None else bool(condition)


def _closed(block: Block, readers: Readers, edges: dict[Block, list[tuple[Block, Target]]], idom: dict[Block, Block]) -> bool:
    """Whether all readers of the block's values lie behind one of its targets, which only it leads to. Computed values must not
    be read elsewhere at all."""
    targets = [target.block for target in block.ops[-1].targets]
    computed = [op for op in block.ops if not op.info.flags & Flag.TERMINATOR]
    if any(reader is not block for op in computed for reader, _ in readers.get(op, ())):
        return False
    outside = {reader for param in block.params for reader, _ in readers.get(param, ()) if reader is not block}
    if targets[0] is targets[1] or block in targets:
        return not outside
    return all(any(len(edges[t]) == 1 and dominated(idom, reader, t) for t in targets) for reader in outside)


def _close(block: Block, readers: Readers, edges: dict[Block, list[tuple[Block, Target]]], idom: dict[Block, Block]) -> None:
    """Hand the parameters on to the targets, so that nobody beyond them reads the block's own."""
    for target in block.ops[-1].targets:
        if len(edges[target.block]) != 1:
            continue
        for param in block.params:
            beyond = [(b, op) for b, op in readers.get(param, ()) if b is not block and dominated(idom, b, target.block)]
            if not beyond:
                continue
            fresh = Op("param", param.type, [], (), param.loc, block=target.block)
            target.block.params.append(fresh)
            target.args.append(param)
            for _, op in beyond:
                op.args = [fresh if arg is param else arg for arg in op.args]
                for onward in op.targets:
                    onward.args = [fresh if arg is param else arg for arg in onward.args]
