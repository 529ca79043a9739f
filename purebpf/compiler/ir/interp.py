"""The executable meaning of IR: slow, exact, and unforgiving. The oracle that passes and engines are compared with.

Arithmetic is `fold.evaluate`; memory is `memory.py`; everything outside the program (context, maps, helpers) is asked of an
environment. A guard is checked, not believed, and claims nothing by itself: as for the verifier, packet bytes may be accessed
once a comparison with the packet's end, which the program acts on, has shown them to be there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from purebpf.compiler.ir.fold import ARITHMETIC, COMPARE, evaluate
from purebpf.compiler.ir.memory import (
    Callee,
    IrRuntimeError,
    Lent,
    Memory,
    PacketMemory,
    Pointer,
    Value,
    extended,
    integer,
    pointer,
)
from purebpf.compiler.ir.ops import BOOL, I32, I64, VOID, Block, Flag, Function, Module, Op, Ptr, Target
from purebpf.compiler.ir.text import Names, format_op
from purebpf.data import data, made

MAX_FRAMES = 8
"""Nested functions the kernel allows (MAX_CALL_FRAMES)."""
MAX_TAIL_CALLS = 33
LOOP_BUDGET = 1 << 23
"""Turns of `may_goto` loops before the kernel leaves them (BPF_MAX_LOOPS)."""


class World(Protocol):
    """What the interpreter asks of its environment; `environment.Environment` is one."""

    @property
    def big_endian(self) -> bool: ...
    @property
    def context(self) -> Pointer:
        """The context, the main function's argument. Loads and stores through it are the environment's."""

    def map(self, name: str) -> Pointer: ...
    def map_value(self, name: str, offset: int) -> Pointer: ...
    def call(self, helper: str, args: Sequence[Value]) -> Value:
        """The result of a helper. May raise TailCall."""

    def kfunc(self, name: str, args: Sequence[Value]) -> Value:
        """The result of a kernel function."""


class TailCall(Exception):
    """The program goes on in another one and does not come back."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self.module = module


@data(frozen=False)
class _Code:
    """What is worked out once for each function."""

    computed: frozenset[Op]
    """Comparisons whose result is a value: they decide where they stand, not where a branch reads them."""


@data(frozen=False)
class Frame:
    """One call of a function."""

    fn: Function
    code: _Code
    depth: int
    values: dict[Op, Value] = made(dict)
    memory: list[Memory] = made(list)


class Interpreter:
    """Runs a module's first function. `steps` is the number of ops after which a run is given up."""

    def __init__(self, module: Module, env: World, steps: int = 1_000_000, loop_budget: int = LOOP_BUDGET) -> None:
        self.module = module
        self.env = env
        self.steps = steps
        self.loop_budget = loop_budget
        self._codes: dict[Function, _Code] = {}
        self._left = steps
        self._loops_left = loop_budget
        self._functions: dict[str, Function] = {}

    def run(self, args: Sequence[Value] | None = None) -> int | None:
        """The result as a signed 64-bit number, None for a function that gives none. Without `args` the only parameter is the
        environment's context. Raises IrRuntimeError, which names function, block, op and source line."""
        self._left, self._loops_left = self.steps, self.loop_budget
        module = self.module
        for _ in range(MAX_TAIL_CALLS + 1):
            self._functions = {fn.name: fn for fn in module.functions}
            main = module.functions[0]
            given = list(args) if args is not None else [self.env.context] * len(main.params)
            try:
                result = self._call(main, given, 1)
            except TailCall as call:
                module, args = call.module, None
                continue
            if isinstance(result, Pointer):
                raise IrRuntimeError(f"function `{main.name}` gives its caller outside the program a pointer to {result}")
            return result
        raise IrRuntimeError(f"there were more than {MAX_TAIL_CALLS} tail calls")

    def _call(self, fn: Function, args: Sequence[Value], depth: int) -> Value | None:
        if depth > MAX_FRAMES:
            raise IrRuntimeError(f"function `{fn.name}` is call {depth} of a chain; the kernel allows {MAX_FRAMES}")
        if len(args) != len(fn.params):
            raise IrRuntimeError(f"function `{fn.name}` takes {len(fn.params)} arguments, not {len(args)}")
        if fn not in self._codes:
            self._codes[fn] = _Code(_computed(fn))
        frame = Frame(fn, self._codes[fn], depth)
        for param, arg in zip(fn.params, args, strict=True):
            frame.values[param] = typed(param, arg)
        block: Block | None = fn.entry
        result: Value | None = None
        while block is not None:
            block, result = self._block(block, frame)
        for memory in frame.memory:
            memory.gone = f"function `{fn.name}` has returned"
        return result

    def _block(self, block: Block, frame: Frame) -> tuple[Block | None, Value | None]:
        """Run one block; gives the next one, or the result of the function."""
        values = frame.values
        op = None
        try:
            for op in block.ops:
                self._left -= 1
                if self._left < 0:
                    raise IrRuntimeError(f"the run takes more than {self.steps} steps")
                if op.info.flags & Flag.TERMINATOR:
                    return self._leave(op, frame)
                value = HANDLERS[op.kind](self, op, frame)
                if op.type != VOID:
                    if value is None:
                        raise IrRuntimeError("it gives no value")
                    values[op] = typed(op, value)
            raise IrRuntimeError("the block does not end with a terminator")
        except IrRuntimeError as error:
            if error.op is not None or op is None:
                raise
            names = Names(frame.fn)
            line = f" ({op.loc.file}:{op.loc.line})" if op.loc else ""
            place = f"function `{frame.fn.name}`, block {names.block(block)}, `{format_op(op, names, locations=False)}`{line}"
            raise IrRuntimeError(f"{place}: {error}", op) from error

    def _leave(self, op: Op, frame: Frame) -> tuple[Block | None, Value | None]:
        if op.kind == "ret":
            return None, read(frame, op.args[0]) if op.args else None
        if op.kind == "unreachable":
            raise IrRuntimeError("control came to a place that was said to be unreachable")
        chosen = 0
        if op.kind == "br":
            condition = op.args[0]
            taken = bool(integer(read(frame, condition), "the condition"))
            chosen = 0 if taken else 1
            if condition.info.flags & Flag.COMPARE:
                establish(condition, frame, taken)
        elif op.kind == "may_goto":
            chosen = 0 if self._loops_left > 0 else 1
            self._loops_left -= 1
        target = op.targets[chosen]
        self._enter(target, frame)
        return target.block, None

    @staticmethod
    def _enter(target: Target, frame: Frame) -> None:
        args = [read(frame, arg) for arg in target.args]  # all are read before any parameter changes
        for param, arg in zip(target.block.params, args, strict=True):
            frame.values[param] = typed(param, arg)

    def const(self, op: Op, frame: Frame) -> Value:
        return int(op.imm[0])

    def arithmetic(self, op: Op, frame: Frame) -> Value:
        args = [read(frame, arg) for arg in op.args]
        if isinstance(op.args[0].type, Ptr):
            if op.kind == "add":
                return pointer(args[0], "the first operand").moved(extended(integer(args[1], "the distance"), 8, True))
            if op.kind == "sub":
                a, b = (pointer(arg, "an operand") for arg in args)
                if a.place is not b.place:
                    raise IrRuntimeError(f"there is no distance between {a} and {b}")
                return a.offset - b.offset
        numbers = [integer(arg, f"operand {number}") for number, arg in enumerate(args, 1)]
        value = evaluate(op.kind, op.type, numbers, op.imm, self.env.big_endian)
        assert value is not None, op.kind
        return value

    def compare(self, op: Op, frame: Frame) -> Value:
        value = compared(op, frame)
        if op in frame.code.computed:
            establish(op, frame, bool(value))
        return value

    def guard(self, op: Op, frame: Frame) -> Value:
        what, low, high = op.imm
        value = read(frame, op.args[0])
        if what == "range":
            number = integer(value, "the guarded value")
            if not (low <= number <= high or low <= number & ((1 << 64) - 1) <= high):
                raise IrRuntimeError(f"the guard says {low} to {high}, but the value is {number}")
        elif what == "mem":
            pass  # any pointer is one into memory
        elif what == "nonnull":
            pointer(value, "the guarded pointer")
        elif what == "lent":
            return Pointer(Lent(value)) if isinstance(value, Pointer) else value
        else:
            place = pointer(value, "the guarded pointer")
            kind = op.type.kind if isinstance(op.type, Ptr) else ""
            if isinstance(place.place, PacketMemory) and place.offset + low > place.place.limits(kind)[1]:
                there = place.place.limits(kind)[1] - place.offset
                raise IrRuntimeError(
                    f"the guard says that {low} bytes are there, but a comparison has shown only {max(there, 0)}"
                )
        return value

    def map(self, op: Op, frame: Frame) -> Value:
        return self.env.map(op.imm[0])

    def map_value(self, op: Op, frame: Frame) -> Value:
        return self.env.map_value(*op.imm)

    def func(self, op: Op, frame: Frame) -> Value:
        return Pointer(Callee(op.imm[0], lambda args: self._call(self._callee(op.imm[0]), args, frame.depth + 1)))

    def alloca(self, op: Op, frame: Frame) -> Value:
        size, _, name = op.imm
        memory = Memory("stack", name, bytes(size), blank=True, big_endian=self.env.big_endian)
        frame.memory.append(memory)
        return Pointer(memory)

    def load(self, op: Op, frame: Frame) -> Value:
        size, signed, offset = op.imm
        at = pointer(read(frame, op.args[0]), "the address")
        value = at.place.load(at.offset + offset, size, _kind(op.args[0]))
        return value if isinstance(value, Pointer) else extended(value, size, bool(signed))

    def store(self, op: Op, frame: Frame) -> None:
        size, offset = op.imm
        at = pointer(read(frame, op.args[0]), "the address")
        at.place.store(at.offset + offset, size, read(frame, op.args[1]), _kind(op.args[0]))

    def atomic(self, op: Op, frame: Frame) -> Value:
        name, size, offset, _ = op.imm
        at = pointer(read(frame, op.args[0]), "the address").moved(offset)
        kind = _kind(op.args[0])
        if at.offset % size:
            raise IrRuntimeError(
                f"an atomic op on {size} bytes at offset {at.offset} of {at.place}, which is no multiple of {size}"
            )
        old = integer(at.place.load(at.offset, size, kind), "the old value")
        operand = integer(read(frame, op.args[1]), "the second operand")
        new = operand if name == "xchg" else evaluate(name, I32 if size == 4 else I64, [old, operand], ())
        assert new is not None, name
        at.place.store(at.offset, size, new, kind)
        return extended(old, size, False)

    def cmpxchg(self, op: Op, frame: Frame) -> Value:
        size, offset = op.imm
        at = pointer(read(frame, op.args[0]), "the address").moved(offset)
        kind = _kind(op.args[0])
        if at.offset % size:
            raise IrRuntimeError(
                f"an atomic op on {size} bytes at offset {at.offset} of {at.place}, which is no multiple of {size}"
            )
        old = extended(integer(at.place.load(at.offset, size, kind), "the old value"), size, False)
        expected, new = (integer(read(frame, arg), "an operand") for arg in op.args[1:])
        if (old ^ expected) & ((1 << 8 * size) - 1) == 0:
            at.place.store(at.offset, size, new, kind)
        return old

    def call(self, op: Op, frame: Frame) -> Value:
        return self.env.call(op.imm[0], [read(frame, arg) for arg in op.args])

    def core(self, op: Op, frame: Frame) -> Value:
        return int(op.imm[3])

    def core_add(self, op: Op, frame: Frame) -> Value:
        address = read(frame, op.args[0])
        assert isinstance(address, int)
        return int((address + op.imm[2] + (1 << 63)) % (1 << 64) - (1 << 63))

    def core_load(self, op: Op, frame: Frame) -> Value:
        """There is no kernel memory here, so every field reads 0."""
        return 0

    def core_store(self, op: Op, frame: Frame) -> None:
        """Nor is there any to write."""

    def kfunc(self, op: Op, frame: Frame) -> Value:
        return self.env.kfunc(op.imm[0], [read(frame, arg) for arg in op.args])

    def kfunc_there(self, op: Op, frame: Frame) -> Value:
        from purebpf.compiler.ir.models import KFUNCS

        return int(op.imm[0] in KFUNCS)

    def callsub(self, op: Op, frame: Frame) -> Value | None:
        return self._call(self._callee(op.imm[0]), [read(frame, arg) for arg in op.args], frame.depth + 1)

    def _callee(self, name: str) -> Function:
        callee = self._functions.get(name)
        if callee is None:
            raise IrRuntimeError(f"there is no function `{name}`")
        return callee


def _computed(fn: Function) -> frozenset[Op]:
    """Comparisons that something else than a branch reads."""
    read: set[Op] = set()
    for op in fn.ops():
        operands = op.operands() if op.kind != "br" else (arg for target in op.targets for arg in target.args)
        read.update(value for value in operands if value.info.flags & Flag.COMPARE)
    return frozenset(read)


def _kind(op: Op) -> str:
    return op.type.kind if isinstance(op.type, Ptr) else ""


def read(frame: Frame, op: Op) -> Value:
    try:
        return frame.values[op]
    except KeyError:
        raise IrRuntimeError(f"a `{op.kind}` is read before it has a value") from None


STANDS_FOR = {("packet", "packet_end"), ("packet", "packet_meta"), ("stack", "mem"), ("map_value", "mem")}


def typed(op: Op, value: Value) -> Value:
    """The value, if it is one of the op's type."""
    type = op.type
    if isinstance(type, Ptr):
        if value == 0 and type.nullable:
            return value
        kind = pointer(value, f"the {type}").place.kind
        if kind != type.kind and (kind, type.kind) not in STANDS_FOR:
            raise IrRuntimeError(f"the value points to {value}, which is no {type}")
        return value
    number = integer(value, f"the {type}")
    if (type == I32 and not 0 <= number < 1 << 32) or (type == BOOL and number not in (0, 1)):
        raise IrRuntimeError(f"the value is {number}, which is no {type}")
    return number


def compared(op: Op, frame: Frame) -> int:
    a, b = read(frame, op.args[0]), read(frame, op.args[1])
    if isinstance(a, Pointer) and isinstance(b, Pointer):
        a.place.usable()
        b.place.usable()
        if a.place is b.place:
            return int(COMPARE[op.kind](a.offset + (1 << 62), b.offset + (1 << 62)))
        if op.kind not in ("eq", "ne"):
            raise IrRuntimeError(f"{a} and {b} have no order")
        return int(op.kind == "ne")
    if isinstance(a, Pointer) or isinstance(b, Pointer):
        if op.kind not in ("eq", "ne") or (b if isinstance(a, Pointer) else a) != 0:
            raise IrRuntimeError("a pointer is compared with an integer that is not 0")
        return int(op.kind == "ne")
    value = evaluate(op.kind, BOOL, [a, b], ())
    assert value is not None, op.kind
    return value


BEHIND = {("ule", False, True): 0, ("ult", False, True): 1, ("ult", True, False): 0, ("ule", True, False): 1}
"""For (comparison, whether the end is on the left, outcome): how many bytes behind the pointer are there."""


def establish(op: Op, frame: Frame, outcome: bool) -> None:
    """What a comparison of a packet pointer with the packet's end (or of its metadata with its start) shows."""
    kinds = _kind(op.args[0]), _kind(op.args[1])
    for end_left, (kind, end_kind) in enumerate((kinds, kinds[::-1])):
        if (kind, end_kind) not in (("packet", "packet_end"), ("packet_meta", "packet")):
            continue
        more = BEHIND.get((op.kind, bool(end_left), outcome))
        limit, end = (read(frame, arg) for arg in (reversed(op.args) if end_left else op.args))
        if more is None or not isinstance(limit, Pointer) or not isinstance(end, Pointer):
            continue
        packet = limit.place
        if isinstance(packet, PacketMemory) and (end_kind == "packet_end" or end.offset == packet.start):
            packet.establish(kind, limit.offset + more)


HANDLERS: dict[str, Callable[[Interpreter, Op, Frame], Value | None]] = {
    **dict.fromkeys(ARITHMETIC, Interpreter.arithmetic),
    **dict.fromkeys(COMPARE, Interpreter.compare),
    **dict.fromkeys(("low32", "sext", "tobe"), Interpreter.arithmetic),
    **{
        kind: getattr(Interpreter, kind)
        for kind in (
            "const",
            "guard",
            "map",
            "map_value",
            "func",
            "alloca",
            "load",
            "store",
            "atomic",
            "cmpxchg",
            "call",
            "callsub",
            "kfunc",
            "kfunc_there",
            "core",
            "core_add",
            "core_load",
            "core_store",
        )
    },
}
"""How each kind of op that is no terminator runs."""
