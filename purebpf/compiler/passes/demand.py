"""What is computed and nobody reads: upper halves, masks and sign extensions that change only bits that go unread.

    before:  a = and x, 0xffff; store p, a size=2        after:  store p, x size=2
    before:  a = sext x bits=32; c = low32 a             after:  c = low32 x
    before:  a = load p size=4 signed=1; store q, a size=4        after:  a = load p size=4; store q, a size=4
    before:  b = add i64 a, 5; c = low32 b               after:  c = add i32 a, 5, when nobody else reads b
    before:  a = load p size=2; b = and a, 0xff          after:  b = load p size=1, when nobody else reads a
    before:  a = load p size=4 signed; c = eq a, -1      after:  a = load p size=4; c = eq a, 0xffffffff

Requires: ssa. Sums, products and bitwise ops have low halves that depend on low halves only; other ops read all of their
operands. It goes backward from what stores, branches and calls read; an address and whatever a guard speaks of need all bits,
so that nothing the verifier is told gets lost.
"""

from __future__ import annotations

from purebpf.compiler.ir.ops import BOOL, I32, I64, Block, Flag, Function, Op, Ptr

ALL, M32 = (1 << 64) - 1, (1 << 32) - 1
LOW_HALF = frozenset({"add", "sub", "mul", "and", "or", "xor"})


def drop_unread_bits(fn: Function) -> None:
    _unsign(fn)
    _load_less(fn)
    demand = _demand(fn)
    for op in fn.ops():
        number = op.kind in LOW_HALF and not any(isinstance(arg.type, Ptr) for arg in op.args)
        if number and op.type == I64 and demand.get(op, ALL) <= M32:
            op.type = I32
        if op.kind == "load" and op.imm[1] and op.imm[0] < 8 and demand.get(op, ALL) < 1 << 8 * op.imm[0]:
            op.type, op.imm = I32, (op.imm[0], 0, op.imm[2])
    for op in fn.ops():
        op.args = [_uncut(arg, demand) if _reads_bits(op) else arg for arg in op.args]
        for target in op.targets:
            target.args = [
                _uncut(arg, demand, only=param.type) for param, arg in zip(target.block.params, target.args, strict=True)
            ]


def _unsign(fn: Function) -> None:
    """Load without the sign what is only stored in as many bytes or compared with constants for equality."""
    readers: dict[Op, list[Op]] = {}
    for op in fn.ops():
        for operand in op.operands():
            readers.setdefault(operand, []).append(op)
    for op in list(fn.ops()):
        if op.kind != "load" or not op.imm[1] or op.imm[0] == 8 or isinstance(op.type, Ptr):
            continue
        size = op.imm[0]
        if all(_ignores_sign(reader, op, size) for reader in readers.get(op, ())):
            op.imm, op.type = (size, 0, op.imm[2]), I32
            for reader in readers.get(op, ()):
                if reader.kind in ("eq", "ne"):
                    unsigned = reader.args[1].value & (1 << 8 * size) - 1
                    constant = Op("const", I32, [], (unsigned,), None, block=fn.entry)
                    fn.entry.ops.insert(0, constant)
                    reader.args = [op, constant]


def _load_less(fn: Function) -> None:
    """Load only the bytes that are wanted. The context is left alone: its fields can be read as they are declared only."""
    uses = fn.uses()
    replacement: dict[Op, Op] = {}
    for op in fn.ops():
        load = op.args[0] if op.kind in ("and", "lshr") and op.args[1].is_const else None
        if load is None or load.kind != "load" or uses.get(load) != 1 or load.imm[1]:
            continue
        place = load.args[0].type
        if not isinstance(place, Ptr) or place.kind not in ("packet", "map_value", "stack"):
            continue
        size, _, offset = load.imm
        less, start = _bytes_of(op.kind, op.args[1].value, size)
        if less:
            load.imm, load.type = (less, 0, offset + start), I32
            replacement[op] = load
    for block in fn.blocks:
        block.ops = [op for op in block.ops if op not in replacement]
    fn.substitute(replacement)


def _bytes_of(kind: str, n: int, size: int) -> tuple[int, int]:
    """How many bytes, from which on, a mask or shift leaves of `size` bytes; (0, 0) when they are no whole ones."""
    if kind == "and":
        less = {0xFF: 1, 0xFFFF: 2, M32: 4}.get(n, 0)
        return (less, 0) if less < size else (0, 0)
    less = size - n // 8
    return (less, n // 8) if n % 8 == 0 and 0 < less < size and less in (1, 2, 4) else (0, 0)


def _ignores_sign(reader: Op, load: Op, size: int) -> bool:
    if reader.kind == "store":
        return reader.args[0] is not load and reader.imm[0] <= size
    if reader.kind in ("eq", "ne") and reader.args[0] is load and reader.args[1].is_const:
        return -(1 << 8 * size - 1) <= reader.args[1].value < 1 << 8 * size - 1
    return reader.kind == "and" and reader.args[1].is_const and 0 <= reader.args[1].value < 1 << 8 * size


def _reads_bits(op: Op) -> bool:
    return not isinstance(op.type, Ptr) and op.kind != "guard"


def _uncut(op: Op, demand: dict[Op, int], only: object = None) -> Op:
    """What can be read instead of `op`; of the type `only`, if one is given."""
    while op.kind in ("and", "low32", "sext") and not isinstance(op.type, Ptr):
        source, wanted = op.args[0], demand.get(op, 0)
        if source.type == BOOL or (only is not None and source.type != only):
            break
        match op.kind:
            case "and" if op.args[1].is_const and not wanted & ~op.args[1].value:
                pass
            case "low32" if wanted <= M32 or source.type == I32:
                pass
            case "sext" if wanted < 1 << op.imm[0]:
                pass
            case _:
                break
        op = source
    return op


def _demand(fn: Function) -> dict[Op, int]:
    """For each integer, the bits that somebody reads."""
    demand: dict[Op, int] = {}
    edges: dict[Op, list[Op]] = {}
    for block in fn.blocks:
        for args, target in _targets(block):
            for param, arg in zip(target.params, args, strict=True):
                edges.setdefault(param, []).append(arg)
    work: list[Op] = []

    def want(op: Op, bits: int) -> None:
        if bits & ~demand.get(op, 0):
            demand[op] = demand.get(op, 0) | bits
            work.append(op)

    for op in fn.ops():
        if op.kind == "guard":  # what it says must stay true, even where nobody reads its bits
            want(op.args[0], ALL)
        if op.info.flags & (Flag.WRITES | Flag.READS | Flag.TERMINATOR):
            for i, arg in enumerate(op.args):
                want(arg, (1 << 8 * op.imm[0]) - 1 if op.kind == "store" and i == 1 else ALL)
    while work:
        op = work.pop()
        for arg in edges.get(op, ()):
            want(arg, demand[op])
        for arg, bits in zip(op.args, _asks(op, demand[op]), strict=True):
            want(arg, bits)
    return demand


def _targets(block: Block) -> list[tuple[list[Op], Block]]:
    last = block.terminator
    return [(target.args, target.block) for target in last.targets] if last else []


def _asks(op: Op, bits: int) -> list[int]:
    """The bits of its operands that an op needs for these bits of its result."""
    everything = [ALL] * len(op.args)
    if isinstance(op.type, Ptr) or op.kind == "guard" or not op.pure:
        return everything
    if op.type == I32:
        bits &= M32
        everything = [M32] * len(op.args)
    second = op.args[1].value if len(op.args) == 2 and op.args[1].is_const else None
    match op.kind:
        case "and" if second is not None:
            return [bits & second, ALL]
        case "or" if second is not None:
            return [bits & ~second, ALL]
        case "and" | "or" | "xor":
            return [bits, bits]
        case "add" | "sub" | "mul":
            return [(1 << bits.bit_length()) - 1] * 2
        case "shl" if second is not None:
            return [bits >> (second & 63), ALL]
        case "lshr" if second is not None:
            return [bits << (second & 63) & everything[0], ALL]
        case "low32":
            return [bits & M32]
        case "sext":
            low = (1 << op.imm[0]) - 1
            return [bits & low | (1 << op.imm[0] - 1 if bits & ~low else 0)]
        case "tobe":
            return [(1 << op.imm[0]) - 1]
    return [ALL] * len(op.args) if op.type != I32 else everything
