"""The lowering context: everything that turning one function's syntax tree into IR needs to know.

A `Unit` is one program being compiled: its maps, literals, subprograms, options. A `Lowering` makes one IR function; a
`Frame` is one
Python function inside it (the function itself, or one inlined into it).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from purebpf.compiler.diagnostics import Place, ProgramError, render
from purebpf.compiler.frontend import debugging, meetings, references
from purebpf.compiler.frontend.advice import not_a_number
from purebpf.compiler.frontend.flow import Flow, as_int, join
from purebpf.compiler.frontend.source import Source
from purebpf.compiler.frontend.unsupported import UNSUPPORTED
from purebpf.compiler.frontend.values import Conflict, Const, Dynptr, IntValue, MaybeInt, MaybeRef, Ref, Unset, Value, describe
from purebpf.compiler.ir.build import Builder
from purebpf.compiler.ir.ops import I64, Function, Op, Ptr
from purebpf.compiler.meaning import Annotation, Meaning, Result, Spot, spot
from purebpf.compiler.options import Options
from purebpf.compiler.signatures import Signature
from purebpf.data import data, made, replace
from purebpf.errors import Error
from purebpf.isa.instruction import SourceLine
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.program_types import ProgramKind
from purebpf.lang.types import StructType
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

if TYPE_CHECKING:
    from purebpf.btf.reader import Btf
    from purebpf.compiler.frontend.kernel_declared import DeclaredTypes
    from purebpf.compiler.frontend.scopes import Scope

BPF_F_RDONLY_PROG = 1 << 7
ZEROS = 64  # so many values of a loop can start from a zero that the verifier does not know


@data
class Subprogram:
    """A function of its own: its name, a value like its result, whether it gives nothing, whether it may move the packet."""

    name: str
    result: Value
    nothing: bool
    moves_packet: bool


IN_MEMORY = "@"  # in the names under which a flow's state keeps what memory may change


class NeedsInlining(Exception):
    """Raised inside a subprogram that turns out to need what only its caller has."""


@data(frozen=False, eq=False)
class Unit:
    """One program being compiled, with what its functions have in common."""

    name: str
    kind: ProgramKind
    hook: str
    options: Options
    license: str
    maps: dict[str, MapDeclaration] = made(dict)  # of all programs compiled together
    used: dict[str, MapDeclaration] = made(dict)  # of this one
    reached: dict[int, tuple[Op, MapDeclaration]] = made(dict)  # maps in others, by the pointers that lead to them
    rodata: bytearray = made(bytearray)
    literals: dict[bytes, int] = made(dict)
    functions: dict[str, Function] = made(dict)
    subprograms: dict[object, Subprogram | None] = made(dict)  # by function and arguments; None: inlined
    global_: dict[str, Signature] = made(dict)  # subprograms that are verified by themselves
    later: dict[object, str] = made(dict)  # functions of timers
    active: list[object] = made(list)  # code objects of subprograms being lowered
    call_counts: dict[object, int] = made(dict)
    btf: Btf | None = None  # of the kernel module that it traces, on top of the kernel's
    declared: DeclaredTypes | None = None  # types of the kernel that the program declares itself, on top of all others
    unions: bool = False  # whether a field of a union was named: fields of different names may share bytes
    scratch: int = 0  # bytes of local memory in a per-CPU map
    warnings: list[str] = made(list)
    requires: dict[str, None] = made(dict)  # features, in order
    objects: list[tuple[Op, StructType, Place]] = made(list)  # numbers of their types, to be known at the end
    graph: Place | None = None  # where it first uses a list or tree
    types_of: str = ""  # the map whose types the program shares
    costs: dict[str, int] = made(dict)  # of subprograms: see `Lowering.cost`
    meaning: Meaning = made(Meaning)
    own: object = None  # the Python function of the program itself

    def map_name(self, declaration: MapDeclaration, name: str) -> str:
        """The name a map has in this program; the same declaration always has the same one."""
        for known, other in self.maps.items():
            if other is declaration:
                self.used[known] = declaration
                return known
        base = declaration.name or name
        free, n = base, 1
        while free in self.maps:
            n += 1
            free = f"{base}_{n}"
        declaration.name = declaration.name or free
        self.maps[free] = self.used[free] = declaration
        return free

    @property
    def rodata_name(self) -> str:
        """The map of this program's read-only data."""
        return f"{self.name}.rodata"

    @property
    def zero_name(self) -> str:
        """The map of zeros that the verifier does not know of (see `loops.py`)."""
        return f"{self.name}.zero"

    @property
    def scratch_name(self) -> str:
        """The per-CPU map of local memory that the stack has no room for."""
        return f"{self.name}.scratch"

    def literal(self, data: bytes) -> int:
        """Where these bytes lie in the read-only data; equal ones are kept once."""
        if data not in self.literals:
            self.literals[data] = len(self.rodata)
            self.rodata += data
        return self.literals[data]

    def map_specs(self) -> dict[str, MapSpec]:
        specs = {name: declaration.describe(name) for name, declaration in self.used.items()}
        if self.rodata:
            content = ((bytes(4), bytes(self.rodata)),)
            specs[self.rodata_name] = MapSpec(
                self.rodata_name, MapType.ARRAY, 4, len(self.rodata), 1, BPF_F_RDONLY_PROG, content, frozen=True
            )
        ops = (op for fn in self.functions.values() for block in fn.blocks for op in block.ops)
        if any(op.kind == "map_value" and op.imm[0] == self.zero_name for op in ops):
            specs[self.zero_name] = MapSpec(self.zero_name, MapType.ARRAY, 4, 8 * ZEROS, 1)
        if self.scratch:
            specs[self.scratch_name] = MapSpec(self.scratch_name, MapType.PERCPU_ARRAY, 4, self.scratch, 1)
        return specs


@data(frozen=False, eq=False)
class Loop:
    """An enclosing loop: flows that left it by `break`, flows that go on by `continue`."""

    breaks: list[Flow] = made(list)
    continues: list[Flow] = made(list)


@data(frozen=False, eq=False)
class Frame:
    """A Python function being lowered: its variables' types and that of its result, where annotated. `returns` collects
    (flow, value, statement) of every `return`; `call` is where it is inlined, `shared` what it declares `nonlocal`."""

    function: Any  # a FunctionType, which a checker would bind to the frame
    source: Source
    local: frozenset[str]
    types: dict[str, Annotation] = made(dict)
    result: Annotation | None = None
    call: ast.AST | None = None
    loops: list[Loop] = made(list)
    returns: list[tuple[Flow, Value, ast.AST]] = made(list)
    shared: frozenset[str] = frozenset()


EXPRESSIONS: dict[type[ast.expr], Callable[[Lowering, Any], Value]] = {}
STATEMENTS: dict[type[ast.stmt], Callable[[Lowering, Any], None]] = {}
H = TypeVar("H", bound=Callable[..., Any])


def lowers(*kinds: type[ast.AST]) -> Callable[[H], H]:
    """Registers a function as the one that lowers these kinds of syntax nodes."""

    def register(handler: H) -> H:
        for kind in kinds:
            table: dict[Any, Any] = EXPRESSIONS if issubclass(kind, ast.expr) else STATEMENTS
            table[kind] = handler
        return handler

    return register


class Lowering:
    """Lowers one IR function. `flow` is where code goes; None after a `return`, `break` or `continue`. `last` is where it went
    before; None where the types leave no way on, not even for a check."""

    def __init__(self, unit: Unit, fn: Function) -> None:
        self.unit = unit
        self.fn = fn
        self.builder = Builder(fn, unit.options.big_endian)
        self.current: Flow | None = Flow(self.builder.block, self.builder.scope)
        self.last: Flow | None = self.current
        self.repeated = 0  # see `cost`
        self.frames: list[Frame] = []
        self.turns: list[Spot] = []  # of the loops around that stand once for each item
        self.context: Op | None = None
        self.places: dict[ast.AST, Ref] = {}
        self.here: ast.AST = ast.Pass()  # whose ops are being made
        self.pieces: list[Op] = []  # of stack memory, in the order they were made
        self.scopes: list[Scope] = []  # open `with` blocks
        self.never: list[Flow] = []  # ways that are never taken but must lead somewhere: they join the returns

    # -- where we are

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    @property
    def flow(self) -> Flow:
        assert self.current is not None
        return self.current

    def go(self, flow: Flow | None) -> None:
        """Continue at this flow."""
        self.current = flow
        if flow is not None:
            self.builder.block = flow.block
            self.builder.scope = flow.scope

    @contextmanager
    def at(self, node: ast.AST) -> Iterator[None]:
        """Ops made inside belong to this node's source position."""
        before, self.here = (self.builder.loc, self.here), node
        place = self.place(node)
        self.builder.loc = SourceLine(place.file, place.line, place.column + 1, place.text.strip("\n"), place.end + 1)
        try:
            yield
        finally:
            self.builder.loc, self.here = before

    # -- errors

    def place(self, node: ast.AST) -> Place:
        return self.frame.source.place(node)

    def fail(self, node: ast.AST, message: str, label: str = "", hint: str = "") -> NoReturn:
        raise ProgramError(message, self.place(node), label, hint) from None

    def warn(self, node: ast.AST, message: str, label: str = "", hint: str = "") -> None:
        if not self.flow.dead:
            warning = render(message, self.place(node), label, hint).replace("error:", "warning:", 1)
            if warning not in self.unit.warnings:  # a loop's body and a function may be lowered several times
                self.unit.warnings.append(warning)

    def python(self, node: ast.AST, compute: Callable[[], Any]) -> Any:
        """Let Python compute with constants; what it raises becomes a compile error."""
        try:
            return compute()
        except Exception as error:
            ours = isinstance(error, Error)
            self.fail(node, str(error) if ours else f"this constant expression fails: {type(error).__name__}: {error}")

    # -- syntax

    def expression(self, node: ast.expr) -> Value:
        """Lower an expression."""
        handler = EXPRESSIONS.get(type(node))
        if handler is None:
            self.fail(node, *UNSUPPORTED.get(type(node), (f"`{type(node).__name__}` is not available in a program", "", "")))
        with self.at(node):
            return handler(self, node)

    def statements(self, body: list[ast.stmt]) -> None:
        """Lower a block of statements. What follows a `return` or the like is checked and dropped."""
        for node in body:
            if self.current is None:
                if self.last is None:
                    return
                if not self.last.dead:
                    self.go(self.last)
                    self.warn(node, "this is never reached", "no way leads here")
                self.go(self.unreachable_flow())
            if self.unit.options.debugging and debugging.serves(node):
                continue
            handler = STATEMENTS.get(type(node))
            if handler is None:
                self.fail(
                    node, *UNSUPPORTED.get(type(node), (f"`{type(node).__name__}` is not available in a program", "", ""))
                )
            with self.at(node):
                handler(self, node)
            if self.current is not None:
                self.last = self.current

    def unreachable_flow(self) -> Flow:
        """A dead flow for statements that control cannot reach."""
        assert self.last is not None
        return self.last.fork(self.builder.new_block(), dead=True)

    # -- control flow

    def branch(self, condition: Op) -> tuple[Flow, Flow]:
        """End the current block with a branch; gives the two flows. A constant condition marks the other one dead."""
        here = self.flow
        if condition.is_const:
            live = here.fork(self.builder.new_block())
            dead = here.fork(self.builder.new_block(), dead=True)
            self.builder.jump(live.block)
            return (live, dead) if condition.value else (dead, live)
        yes, no = here.fork(self.builder.new_block()), here.fork(self.builder.new_block())
        self.builder.branch(condition, yes.block, no.block)
        return yes, no

    @property
    def cost(self) -> int:
        """How many ops the verifier goes through so far, each loop that it walks times its trips, every branch once."""
        return self.repeated + sum(len(block.ops) for block in self.fn.blocks)

    def join(self, *flows: Flow | None) -> Flow | None:
        alive = [flow for flow in flows if flow is not None]
        result = join(self.builder, alive, partial(meetings.brought, self), partial(meetings.copied, self))
        references.meet(alive, result)
        return result

    def moved(self, flow: Flow, ref: Ref) -> Ref:
        """The same place with its constant offset inside the pointer, computed at the end of `flow`."""
        if ref.offset == 0:
            return ref
        keep = self.current
        self.go(flow)
        op = self.builder.emit("add", ref.op.type, [ref.op, self.builder.const(ref.offset)])
        self.go(keep)
        return replace(ref, op=op, offset=0)

    def diamond(self, condition: Op, yes: Callable[[], Value], no: Callable[[], Value]) -> Value:
        """`yes()` if the condition holds, else `no()`, as one value."""
        a, b = self.branch(condition)
        results: list[Flow] = []
        for flow, make in ((a, yes), (b, no)):
            self.go(flow)
            value = make()
            self.flow.names["?"] = value
            results.append(self.flow)
        self.go(self.join(*results))
        return self.flow.names.pop("?")

    def when(self, condition: Op, action: Callable[[], None]) -> None:
        """Do it if the condition holds."""
        yes, no = self.branch(condition)
        self.go(yes)
        action()
        self.go(self.join(self.current, no))

    # -- values

    def computed(self, node: ast.AST, low: int, wraps: bool = False) -> None:
        """Note a result of arithmetic, whose least value is `low`; `wraps` where 64 bits may not hold it."""
        if self.current is None or self.current.dead:
            return
        calls = [spot(f.call, outer.source.file) for outer, f in zip(self.frames, self.frames[1:], strict=False) if f.call]
        way = (*calls, *self.turns)
        self.unit.meaning.results.append(Result(spot(node, self.frame.source.file), way, wraps, low < 0))

    def const(self, value: int) -> Op:
        return self.builder.const(value)

    def int_const(self, value: int) -> IntValue:
        return IntValue(self.builder.const(value), value, value, value < 0)

    def held(self, value: Value) -> Value:
        """What a name holds once this value was assigned to it: an integer becomes one of 64 bits, which wraps."""
        return as_int(self.builder, value) or value

    def integer(self, node: ast.AST, value: Value, what: str = "") -> IntValue:
        """The value as an integer, or an error that says what it is instead."""
        number = as_int(self.builder, value)
        if number is not None:
            return number
        self.usable(node, value)
        if isinstance(value, Const) and isinstance(value.value, int):
            self.fail(node, f"the constant {value.value} does not fit 64 bits")
        if isinstance(value, Const) and isinstance(value.value, float):
            self.fail(
                node, "there are no floating-point numbers in the kernel", hint="scale to integers, for example thousandths"
            )
        self.fail(node, f"{what or 'an integer'} is wanted here, not {describe(value)}", hint=not_a_number(value))

    def usable(self, node: ast.AST, value: Value) -> None:
        """Refuse values that cannot be used before a test, or at all."""
        name = ast.unparse(node) if isinstance(node, ast.expr) else "this"
        match value:
            case MaybeRef(why=why) | MaybeInt(why=why):
                test = name if isinstance(node, ast.Name) else "the value"
                hint = f"test it first: `if {test} is not None:`"
                if not isinstance(node, ast.Name):
                    hint = f"give it a name and test that: `v = {name}`, `if v is not None:`"
                if isinstance(value, MaybeInt) and name.endswith(")") and ".get(" in why and why.startswith(f"`{name}`"):
                    hint = f"`{name[:-1]}, 0)` gives 0 instead; or test it: `v = {name}`, `if v is not None:`"
                self.fail(node, f"`{name}` may be None here", why, hint)
            case Unset(name=n, why=why):
                why = why or "not every way that leads here assigns it"
                self.fail(node, f"`{n}` may have no value here", why, f"give `{n}` a value before")
            case Conflict(name=n, first=a, second=b):
                hint = value.hint or "use two names"
                self.fail(node, f"`{n}` has no single type here", f"{a} on one way, {b} on another", hint)
            case Ref(region="packet" | "slice", generation=g) if g != self.packet_generation:
                self.fail(
                    node,
                    f"`{name}` refers to a packet that has been changed since",
                    "the packet may have moved",
                    "call `ctx.packet.at(...)` again after changing the packet's size",
                )
            case Dynptr() as data:
                from purebpf.compiler.frontend import dynptrs

                dynptrs.check_usable(self, node, name, data)
            case Ref(region="mem") as ref:
                from purebpf.compiler.frontend import rings

                if rings.closed(self, ref):
                    self.fail(
                        node,
                        f"`{name}` has been handed over to the ring",
                        "submitted at the end of the `with`, or discarded",
                        "read what you need before",
                    )

    @property
    def packet_generation(self) -> int:
        return self.flow.generation

    def stack(self, size: int, align: int, name: str = "") -> Op:
        """Memory on the stack."""
        self.pieces.append(self.builder.entry_op("alloca", Ptr("stack"), [], (size, align, name)))
        return self.pieces[-1]

    @property
    def held_lock(self) -> str:
        """The lock that is held here, in words; "" for none."""
        return next((scope.what for scope in self.scopes if scope.what.startswith("the lock")), "")

    def refuse_call(self, what: str) -> None:
        """While a lock is held nothing can be called."""
        if (held := self.held_lock) and not self.flow.dead:
            self.fail(
                self.here,
                f"{what} cannot be called while {held.removeprefix('the lock ')} is held",
                "the kernel allows no call there",
                "do it before or behind the `with`",
            )

    def call(self, helper: str, args: list[Op], result: Any = I64) -> Op:
        """A helper call, unchecked. Forgets what was known of memory that others can write."""
        self.refuse_call(f"helper `{helper}`")
        self.forget()
        return self.builder.emit("call", result, args, (helper,))

    def forget(self) -> None:
        """Tests of fields in memory hold no longer, nor do entries that were found by keys there."""
        state = self.flow.state
        for key in [key for key in state if isinstance(key, tuple) or (isinstance(key, str) and IN_MEMORY in key)]:
            del state[key]
