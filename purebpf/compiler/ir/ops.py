"""The intermediate representation: SSA over a control-flow graph whose blocks take arguments.

One class, `Op`, is instruction and value at once; `OPS` says what each kind takes and may do. A value is a 64-bit register.
`I32` is the subset of `I64` whose upper half is zero: an op of type `I32` reads the low half of its operands and zero-extends
its result (as the machine's ALU32 does), so either may be used where an integer is wanted and no conversion ops exist.
Pointers carry their provenance (`Ptr.kind`), because it decides what may be merged, moved or forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from purebpf.data import data, made
from purebpf.isa.instruction import SourceLine


@data
class Int:
    """`void` (no value), `bool` (0 or 1), `i32` (upper half zero) or `i64`."""

    name: str

    def __str__(self) -> str:
        return self.name


VOID, BOOL, I32, I64 = Int("void"), Int("bool"), Int("i32"), Int("i64")


@data
class Ptr:
    """A pointer. `kind` is where it points: ctx, stack, map_value, map, packet, packet_end, packet_meta, mem (of a ring, or
    memory that may be of several kinds), btf, func. A `nullable` one is 0 or valid and may only be compared with 0 until a
    guard strips the mark."""

    kind: str
    nullable: bool = False

    def __str__(self) -> str:
        return f"ptr {self.kind}{'?' if self.nullable else ''}"


Type = Int | Ptr


class Flag:
    """Bits for what an op may do (plain integers: they are tested very often). A pure op depends on its operands alone and can
    be shared, moved down and dropped."""

    NONE = 0
    PURE = 1
    READS = 2
    WRITES = 4
    TERMINATOR = 8
    COMMUTATIVE = 16
    COMPARE = 32


@data
class OpInfo:
    """`arity` is the number of operands (-1: any), `imm` the names of the immediate's parts, in order."""

    arity: int
    flags: int
    imm: tuple[str, ...] = ()
    meaning: str = ""


_P, _R, _W, _T, _C = Flag.PURE, Flag.READS, Flag.WRITES, Flag.TERMINATOR, Flag.COMMUTATIVE
_CMP = Flag.PURE | Flag.COMPARE

OPS: dict[str, OpInfo] = {
    "const": OpInfo(0, _P, ("value",), "an integer, kept signed: -2**63 <= value < 2**63"),
    "param": OpInfo(0, Flag.NONE, (), "a block's or the function's argument"),
    "add": OpInfo(2, _P | _C, (), "sum; of a pointer and an integer: the pointer moved"),
    "sub": OpInfo(2, _P, (), "difference; of two pointers of one kind: the distance"),
    "mul": OpInfo(2, _P | _C, (), "product"),
    "udiv": OpInfo(2, _P, (), "unsigned quotient, 0 when divided by 0"),
    "umod": OpInfo(2, _P, (), "unsigned remainder, the dividend when divided by 0"),
    "sdiv": OpInfo(2, _P, (), "signed quotient truncated toward 0, 0 when divided by 0"),
    "smod": OpInfo(2, _P, (), "signed remainder with the dividend's sign, the dividend when divided by 0"),
    "and": OpInfo(2, _P | _C, (), "bitwise and"),
    "or": OpInfo(2, _P | _C, (), "bitwise or"),
    "xor": OpInfo(2, _P | _C, (), "bitwise exclusive or"),
    "shl": OpInfo(2, _P, (), "shift left, the count modulo the width"),
    "lshr": OpInfo(2, _P, (), "shift right, zeros in"),
    "ashr": OpInfo(2, _P, (), "shift right, sign in"),
    "low32": OpInfo(1, _P, (), "the low 32 bits, zero-extended"),
    "sext": OpInfo(1, _P, ("bits",), "the low `bits` bits, sign-extended"),
    "tobe": OpInfo(1, _P, ("bits",), "the low `bits` bits in network byte order, zero-extended"),
    "eq": OpInfo(2, _CMP | _C, (), "equal"),
    "ne": OpInfo(2, _CMP | _C, (), "not equal"),
    "ult": OpInfo(2, _CMP, (), "unsigned less"),
    "ule": OpInfo(2, _CMP, (), "unsigned less or equal"),
    "slt": OpInfo(2, _CMP, (), "signed less"),
    "sle": OpInfo(2, _CMP, (), "signed less or equal"),
    "guard": OpInfo(1, _P, ("what", "low", "high"), "the operand: in a range, not null, checked, lent, of either memory"),
    "map": OpInfo(0, _P, ("name",), "a map by name"),
    "map_value": OpInfo(0, _P, ("name", "offset"), "the address inside the only value of an array map"),
    "func": OpInfo(0, _P, ("function",), "the address of a subprogram, for a helper that calls it"),
    "core": OpInfo(0, _P, ("ask", "root", "access", "value"), "what a relocation asks of the kernel it will run on"),
    "core_add": OpInfo(1, _P, ("root", "access", "value"), "an address in the kernel moved to a field of the type there"),
    "core_load": OpInfo(1, _R, ("size", "root", "access", "value"), "such a field, zero-extended; 0 where nothing can be read"),
    "core_store": OpInfo(2, _W, ("size", "root", "access", "value"), "the second operand's low `size` bytes to such a field"),
    "alloca": OpInfo(0, Flag.NONE, ("size", "align", "name"), "memory on the stack for this call of the function"),
    "load": OpInfo(1, _R, ("size", "signed", "offset"), "`size` bytes at pointer + offset"),
    "store": OpInfo(2, _W, ("size", "offset"), "the low `size` bytes of the second operand to pointer + offset"),
    "atomic": OpInfo(
        2, _R | _W, ("op", "size", "offset", "fetch"), "an atomic update of memory; with fetch gives the old value"
    ),
    "cmpxchg": OpInfo(
        3, _R | _W, ("size", "offset"), "puts the third operand where memory holds the second; gives the old value"
    ),
    "call": OpInfo(-1, _R | _W, ("helper",), "a helper by name"),
    "callsub": OpInfo(-1, _R | _W, ("function",), "a subprogram by name"),
    "kfunc": OpInfo(-1, _R | _W, ("kfunc",), "a kernel function by name"),
    "kfunc_there": OpInfo(0, _P, ("kfunc",), "whether the kernel it will run on has a kernel function"),
    "jump": OpInfo(0, _T, (), "go to the only target"),
    "br": OpInfo(1, _T, (), "go to the first target when the operand is not 0, else to the second"),
    "may_goto": OpInfo(0, _T, (), "go to the first target, or to the second when the kernel's loop budget is used up"),
    "ret": OpInfo(-1, _T, (), "leave the function with the operand, if there is one"),
    "unreachable": OpInfo(0, _T, (), "control never comes here"),
}


CALLS = frozenset({"call", "callsub", "kfunc"})


@data(frozen=False)
class Target:
    """Where a terminator goes, and the values for that block's parameters."""

    block: Block
    args: list[Op] = made(list)


class Op:
    """One operation and the value it makes. Compared by identity."""

    __slots__ = ("args", "block", "imm", "kind", "loc", "targets", "type")

    def __init__(
        self,
        kind: str,
        type: Type,
        args: list[Op],
        imm: tuple[Any, ...],
        loc: SourceLine | None,
        targets: list[Target] | None = None,
        block: Block | None = None,
    ) -> None:
        self.kind = kind
        self.type = type
        self.args = args
        self.imm = imm
        self.loc = loc
        self.targets = targets or []
        self.block = block

    @property
    def info(self) -> OpInfo:
        return OPS[self.kind]

    @property
    def pure(self) -> bool:
        return bool(OPS[self.kind].flags & Flag.PURE)

    @property
    def is_const(self) -> bool:
        return self.kind == "const"

    @property
    def value(self) -> int:
        """A constant's value."""
        assert self.kind == "const", self.kind
        return int(self.imm[0])

    def operands(self) -> Iterator[Op]:
        """All values it reads, those handed to its targets included."""
        yield from self.args
        for target in self.targets:
            yield from target.args

    def __repr__(self) -> str:
        return f"<{self.kind} {self.type} {self.imm or ''}>"


class Block:
    """A straight run of ops that ends with a terminator; `params` are its arguments."""

    __slots__ = ("name", "ops", "params")

    def __init__(self, name: str) -> None:
        self.name = name
        self.params: list[Op] = []
        self.ops: list[Op] = []

    @property
    def terminator(self) -> Op | None:
        if self.ops and self.ops[-1].info.flags & Flag.TERMINATOR:
            return self.ops[-1]
        return None

    @property
    def successors(self) -> list[Block]:
        last = self.terminator
        return [target.block for target in last.targets] if last else []

    def __repr__(self) -> str:
        return f"<block {self.name}>"


@data(frozen=False, eq=False)
class Function:
    """A function: `blocks[0]` is the entry and takes the function's parameters. `result` is VOID for none."""

    name: str
    params: list[Op]
    result: Type
    blocks: list[Block] = made(list)

    @property
    def entry(self) -> Block:
        return self.blocks[0]

    def ops(self) -> Iterator[Op]:
        for block in self.blocks:
            yield from block.ops

    def predecessors(self) -> dict[Block, list[tuple[Block, Target]]]:
        """For each block, the edges that lead to it."""
        edges: dict[Block, list[tuple[Block, Target]]] = {block: [] for block in self.blocks}
        for block in self.blocks:
            last = block.terminator
            for target in last.targets if last else ():
                edges.setdefault(target.block, []).append((block, target))
        return edges

    def uses(self) -> dict[Op, int]:
        """How often each value is read."""
        count: dict[Op, int] = {}
        for op in self.ops():
            for operand in op.operands():
                count[operand] = count.get(operand, 0) + 1
        return count

    def substitute(self, replacement: dict[Op, Op]) -> None:
        """Read `replacement[x]` wherever `x` was read (chains are followed)."""
        if not replacement:
            return

        def final(op: Op) -> Op:
            while op in replacement:
                op = replacement[op]
            return op

        for op in self.ops():
            op.args = [final(arg) for arg in op.args]
            for target in op.targets:
                target.args = [final(arg) for arg in target.args]


@data(frozen=False, eq=False)
class Module:
    """A program: its main function first, then the subprograms it calls."""

    functions: list[Function]


def signed64(value: int) -> int:
    """`value` modulo 2**64 as a signed number, the form constants are kept in."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    return value - (1 << 64) if value >> 63 else value
