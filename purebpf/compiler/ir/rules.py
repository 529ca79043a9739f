"""What each kind of op takes and gives: types, provenance, bounds that are known. One function a kind, in `RULES`.

Provenance follows the kernel's verifier: memory is reached through a pointer that is known not to be 0, pointers of different
kinds do not mix, only packet pointers compare with the packet's end, and a context is read at constant offsets.
"""

from __future__ import annotations

from collections.abc import Callable

from purebpf.compiler.ir.ops import BOOL, CALLS, I32, I64, OPS, VOID, Block, Flag, Function, Int, Module, Op, Ptr, Type
from purebpf.data import data

SIZES = (1, 2, 4, 8)
ADDRESSABLE = frozenset({"ctx", "stack", "map_value", "packet", "packet_meta", "mem", "btf"})
"""Kinds of pointers through which memory is read and written."""
POINTER_SOURCES = frozenset({"ctx", "stack", "map_value", "btf"})
"""Where a pointer can be loaded from: elsewhere the verifier has forgotten that it is one."""
ATOMIC_PLACES = frozenset({"stack", "map_value", "mem"})
LENDABLE = frozenset({"stack", "map_value", "packet", "mem"})
"""What a global subprogram takes for plain memory."""
ATOMIC_OPS = frozenset({"add", "and", "or", "xor", "xchg"})
COMPARABLE = frozenset({("packet", "packet_end"), ("packet_meta", "packet")})
"""Kinds that compare and subtract although they differ: the packet with its end, its metadata with its start."""
KINDS = ADDRESSABLE | {"map", "packet_end", "func"}
RANGES: dict[Type, tuple[int, int]] = {BOOL: (0, 1), I32: (0, (1 << 32) - 1), I64: (-(1 << 63), (1 << 63) - 1)}
"""The constants of each integer type."""
MAX_ARGUMENTS = 5


class Complaint(Exception):
    """What a rule finds wrong with an op; `check` adds where."""


@data
class Surroundings:
    """What rules know besides the op."""

    fn: Function
    block: Block
    module: Module | None


Rule = Callable[[Op, Surroundings], None]


def is_type(type: Type) -> bool:
    return type.kind in KINDS if isinstance(type, Ptr) else type in (VOID, BOOL, I32, I64)


def gives_nothing(op: Op) -> bool:
    if op.kind in CALLS:
        return op.type == VOID
    if op.kind == "atomic":
        return not op.imm[3]
    return op.kind in ("store", "core_store") or bool(OPS[op.kind].flags & Flag.TERMINATOR)


def is_null(op: Op) -> bool:
    return op.kind == "const" and op.imm[0] == 0


def fits(value: Op, type: Type) -> bool:
    """Whether a value may be given where this type is wanted, as it is."""
    given = value.type
    if given == type:
        return True
    if isinstance(type, Ptr):
        return type.nullable and (is_null(value) or given == Ptr(type.kind))
    if isinstance(given, Ptr):
        return False
    if value.kind == "const":
        low, high = RANGES[type]
        return bool(low <= value.imm[0] <= high)
    return given == BOOL or (given == I32 and type == I64)


def target_arguments(params: list[Op], args: list[Op]) -> None:
    if len(params) != len(args):
        raise Complaint(f"the target takes {len(params)} arguments, not {len(args)}")
    for number, (param, arg) in enumerate(zip(params, args, strict=True), 1):
        if not fits(arg, param.type):
            raise Complaint(f"argument {number} of the target is of type {arg.type}; {param.type} is wanted")


def _want(condition: bool, message: str) -> None:
    if not condition:
        raise Complaint(message)


def _integers(op: Op) -> None:
    for number, arg in enumerate(op.args, 1):
        _want(isinstance(arg.type, Int), f"operand {number} is of type {arg.type}; an integer is wanted")


def _memory(op: Op, size: int, offset: int, kinds: frozenset[str] = ADDRESSABLE) -> Ptr:
    """The pointer of an access, after checking that memory may be reached through it."""
    type = op.args[0].type
    if not isinstance(type, Ptr):
        raise Complaint(f"the address is of type {type}; a pointer is wanted")
    _want(not type.nullable, f"{type} may be 0: a guard has to say that it is not")
    _want(type.kind in kinds, f"there is no such access through a {type}")
    _want(size in SIZES, f"an access has 1, 2, 4 or 8 bytes, not {size}")
    base, start = op.args[0], offset
    while base.kind == "guard" or (base.kind == "add" and base.args[1].is_const):
        start += base.args[1].value if base.kind == "add" else 0
        base = base.args[0]
    if base.kind == "alloca":
        _want(
            start >= 0 and start + size <= base.imm[0],
            f"bytes {start} to {start + size - 1} are outside the {base.imm[0]} of the alloca",
        )
    return type


def _const(op: Op, here: Surroundings) -> None:
    value = op.imm[0]
    if isinstance(op.type, Ptr):
        _want(value == 0 and op.type.nullable, "a constant pointer is 0 and of a nullable type")
        return
    low, high = RANGES[op.type]
    _want(low <= value <= high, f"{value} is no value of type {op.type}")


def _arithmetic(op: Op, here: Surroundings) -> None:
    _integers(op)
    _want(op.type in (I32, I64), f"the result is an i32 or i64, not {op.type}")


def _bitwise(op: Op, here: Surroundings) -> None:
    _integers(op)
    _want(isinstance(op.type, Int), f"the result is an integer, not {op.type}")
    _want(op.type != BOOL or all(fits(arg, BOOL) for arg in op.args), "a bool is made of two bools")


def _add(op: Op, here: Surroundings) -> None:
    pointer, amount = op.args
    if not isinstance(pointer.type, Ptr):
        return _arithmetic(op, here)
    _want(isinstance(amount.type, Int), "a pointer moves by an integer, its second operand")
    _want(not pointer.type.nullable, f"{pointer.type} may be 0: a guard has to say that it is not before it is moved")
    _want(pointer.type.kind in ADDRESSABLE, f"a {pointer.type} cannot be moved")
    _want(pointer.type.kind != "ctx" or amount.is_const, "a ctx pointer moves by constants only")
    _want(op.type == pointer.type, f"the result is a {pointer.type}, not {op.type}")


def _sub(op: Op, here: Surroundings) -> None:
    a, b = (arg.type for arg in op.args)
    if isinstance(a, Ptr) and isinstance(b, Int):
        raise Complaint("a pointer is moved by `add` of a negative integer")
    if not isinstance(a, Ptr):
        return _arithmetic(op, here)
    assert isinstance(b, Ptr)
    _want(not a.nullable and not b.nullable, "a distance is between pointers that are not 0")
    _want(_related(a, b), f"there is no distance between {a} and {b}")
    _want(op.type == I64, f"the distance of two pointers is an i64, not {op.type}")


def _related(a: Ptr, b: Ptr) -> bool:
    return a.kind == b.kind or (a.kind, b.kind) in COMPARABLE or (b.kind, a.kind) in COMPARABLE


def _low32(op: Op, here: Surroundings) -> None:
    _integers(op)
    _want(op.type in (I32, I64), f"the result is an i32, not {op.type}")


def _sext(op: Op, here: Surroundings) -> None:
    _integers(op)
    _want(op.imm[0] in (8, 16, 32), f"8, 16 or 32 bits are extended, not {op.imm[0]}")
    _want(op.type == I64, f"the result is an i64, not {op.type}")


def _tobe(op: Op, here: Surroundings) -> None:
    _integers(op)
    _want(op.imm[0] in (16, 32, 64), f"16, 32 or 64 bits are put in network order, not {op.imm[0]}")
    _want(op.type == I64 or (op.type == I32 and op.imm[0] < 64), f"the result does not fit {op.type}")


def _compare(op: Op, here: Surroundings) -> None:
    _want(op.type == BOOL, f"a comparison gives a bool, not {op.type}")
    a, b = op.args
    if isinstance(a.type, Int) and isinstance(b.type, Int):
        return
    if is_null(a) or is_null(b):
        _want(op.kind in ("eq", "ne"), "a pointer compares with 0 by eq and ne only")
        return
    if not isinstance(a.type, Ptr) or not isinstance(b.type, Ptr):
        raise Complaint("a pointer compares with a pointer or with the constant 0")
    _want(not a.type.nullable and not b.type.nullable, "a pointer that may be 0 compares with the constant 0 only")
    _want(_related(a.type, b.type), f"{a.type} does not compare with {b.type}")


def _guard(op: Op, here: Surroundings) -> None:
    what, low, high = op.imm
    _want(what in GUARDS, f"a guard says {', '.join(GUARDS)}, not {what}")
    GUARDS[what](op, low, high)


def _guard_range(op: Op, low: int, high: int) -> None:
    _integers(op)
    _want(isinstance(op.type, Int), f"the result is an integer, not {op.type}")
    _want(-(1 << 63) <= low <= high < 1 << 64, f"{low} to {high} is no range")
    least, most = RANGES[op.type]
    fits_range = op.type == I64 or least <= low <= high <= most
    _want(fits(op.args[0], op.type) or fits_range, f"a {op.args[0].type} in {low} to {high} need not be a {op.type}")


def _guard_nonnull(op: Op, low: int, high: int) -> None:
    given = op.args[0].type
    if not isinstance(given, Ptr):
        raise Complaint(f"the operand is of type {given}; a pointer is wanted")
    _want(op.type == Ptr(given.kind), f"the result is a {Ptr(given.kind)}, not {op.type}")
    _want(low == high == 0, "a nonnull guard has no bounds")


def _guard_packet(op: Op, low: int, high: int) -> None:
    given = op.args[0].type
    _want(given in (Ptr("packet"), Ptr("packet_meta")), f"the operand is of type {given}; a packet pointer is wanted")
    _want(op.type == given, f"the result is a {given}, not {op.type}")
    _want(low >= 0 and high == 0, "a packet guard says how many bytes are there: low >= 0, high = 0")


def _guard_lent(op: Op, low: int, high: int) -> None:
    given = op.args[0].type
    if not isinstance(given, Ptr) or given.kind not in LENDABLE:
        raise Complaint(f"the operand is of type {given}; a pointer to {', '.join(sorted(LENDABLE))} is wanted")
    _want(op.type == Ptr("mem", nullable=True), f"the result is a {Ptr('mem', nullable=True)}, not {op.type}")
    _want(low == high == 0, "a lent guard has no bounds")


def _guard_mem(op: Op, low: int, high: int) -> None:
    given = op.args[0].type
    if not isinstance(given, Ptr) or given.kind not in ("stack", "map_value", "mem"):
        raise Complaint(f"the operand is of type {given}; a pointer to the stack or into a map's value is wanted")
    _want(op.type == Ptr("mem", given.nullable), f"the result is a {Ptr('mem', given.nullable)}, not {op.type}")
    _want(low == high == 0, "a mem guard has no bounds")


GUARDS: dict[str, Callable[[Op, int, int], None]] = {
    "range": _guard_range,
    "nonnull": _guard_nonnull,
    "packet": _guard_packet,
    "lent": _guard_lent,
    "mem": _guard_mem,
}


def _map(op: Op, here: Surroundings) -> None:
    _want(op.type == Ptr("map"), f"the result is a ptr map, not {op.type}")


def _map_value(op: Op, here: Surroundings) -> None:
    _want(op.type == Ptr("map_value"), f"the result is a ptr map_value, not {op.type}")
    _want(op.imm[1] >= 0, "the offset is not negative")


def _core(op: Op, here: Surroundings) -> None:
    _integers(op)
    _want(op.type == I64, f"the result is an i64, not {op.type}")


def _there(op: Op, here: Surroundings) -> None:
    _want(op.type == BOOL, f"the result is a bool, not {op.type}")


def _func(op: Op, here: Surroundings) -> None:
    _want(op.type == Ptr("func"), f"the result is a ptr func, not {op.type}")
    if here.module is not None:
        _want(any(fn.name == op.imm[0] for fn in here.module.functions), f"there is no function `{op.imm[0]}`")


def _alloca(op: Op, here: Surroundings) -> None:
    size, align, _ = op.imm
    _want(here.block is here.fn.entry, "stack memory is made in the entry block only")
    _want(op.type == Ptr("stack"), f"the result is a ptr stack, not {op.type}")
    _want(size > 0, f"stack memory has at least 1 byte, not {size}")
    _want(align in SIZES, f"the alignment is 1, 2, 4 or 8, not {align}")


def _load(op: Op, here: Surroundings) -> None:
    size, signed, offset = op.imm
    pointer = _memory(op, size, offset)
    _want(signed in (0, 1), f"signed is 0 or 1, not {signed}")
    if isinstance(op.type, Ptr):
        _want(pointer.kind in POINTER_SOURCES, f"no pointer can be loaded through a {pointer}")
        _want(
            size == 8 or (size == 4 and pointer.kind == "ctx"), "a pointer is loaded whole: 8 bytes, or a context's field of 4"
        )
        _want(not signed, "a pointer has no sign")
        return
    _want(op.type in (I32, I64), f"the result is an i32 or i64, not {op.type}")
    _want(op.type == I64 or size <= 4, "8 bytes do not fit an i32")
    _want(op.type == I64 or not signed, "a sign-extended value is an i64")


def _store(op: Op, here: Surroundings) -> None:
    pointer = _memory(op, *op.imm)
    if isinstance(op.args[1].type, Ptr) and not is_null(op.args[1]):
        _want(pointer.kind == "stack", f"a pointer is stored on the stack only, not through a {pointer}")
        _want(op.imm[0] == 8, "a pointer is stored whole, in 8 bytes")


def _atomic(op: Op, here: Surroundings) -> None:
    name, size, offset, fetch = op.imm
    _memory(op, size, offset, ATOMIC_PLACES)
    _want(name in ATOMIC_OPS, f"there is no atomic {name}; there are {', '.join(sorted(ATOMIC_OPS))}")
    _want(size in (4, 8), f"an atomic op has 4 or 8 bytes, not {size}")
    _want(isinstance(op.args[1].type, Int), f"the second operand is of type {op.args[1].type}; an integer is wanted")
    _want(fetch in (0, 1) and (fetch == 1 or name != "xchg"), "fetch is 0 or 1; an exchange always fetches")
    _want(not fetch or op.type == I64 or (op.type == I32 and size == 4), f"the old value does not fit {op.type}")


def _cmpxchg(op: Op, here: Surroundings) -> None:
    size, offset = op.imm
    _memory(op, size, offset, ATOMIC_PLACES)
    _want(size in (4, 8), f"an atomic op has 4 or 8 bytes, not {size}")
    for arg in op.args[1:]:
        _want(isinstance(arg.type, Int), f"an operand is of type {arg.type}; an integer is wanted")
    _want(op.type == I64 or (op.type == I32 and size == 4), f"the old value does not fit {op.type}")


def _call(op: Op, here: Surroundings) -> None:
    _want(len(op.args) <= MAX_ARGUMENTS, f"a call has at most {MAX_ARGUMENTS} arguments, not {len(op.args)}")


def _callsub(op: Op, here: Surroundings) -> None:
    _call(op, here)
    if here.module is None:
        return
    name = op.imm[0]
    callee = next((fn for fn in here.module.functions if fn.name == name), None)
    if callee is None:
        raise Complaint(f"there is no function `{name}`")
    _want(len(callee.params) == len(op.args), f"`{name}` takes {len(callee.params)} arguments, not {len(op.args)}")
    for number, (param, arg) in enumerate(zip(callee.params, op.args, strict=True), 1):
        _want(fits(arg, param.type), f"argument {number} is of type {arg.type}; `{name}` wants {param.type}")
    result = Op("param", callee.result, [], (), None)
    _want(
        op.type == VOID or (callee.result != VOID and fits(result, op.type)), f"`{name}` gives {callee.result}, not {op.type}"
    )


def _core_store(op: Op, here: Surroundings) -> None:
    for arg in op.args:
        _want(isinstance(arg.type, Int), f"an address in the kernel and a number are wanted, not {arg.type}")


def _jump(op: Op, here: Surroundings) -> None:
    """Its target is checked with those of all terminators."""


def _br(op: Op, here: Surroundings) -> None:
    type = op.args[0].type
    _want(isinstance(type, Int), f"the condition is of type {type}; an integer is wanted: compare a pointer with 0")


def _ret(op: Op, here: Surroundings) -> None:
    result = here.fn.result
    if result == VOID:
        _want(not op.args, "the function gives no result")
        return
    _want(len(op.args) == 1, f"the function gives one result, a {result}, not {len(op.args)}")
    _want(fits(op.args[0], result), f"the result is of type {op.args[0].type}; the function gives {result}")


RULES: dict[str, Rule] = {
    "const": _const,
    "add": _add,
    "sub": _sub,
    **dict.fromkeys(("mul", "udiv", "umod", "sdiv", "smod", "shl", "lshr", "ashr"), _arithmetic),
    **dict.fromkeys(("and", "or", "xor"), _bitwise),
    "low32": _low32,
    "sext": _sext,
    "tobe": _tobe,
    **dict.fromkeys(("eq", "ne", "ult", "ule", "slt", "sle"), _compare),
    "guard": _guard,
    "map": _map,
    "map_value": _map_value,
    "func": _func,
    "core": _core,
    "core_add": _core,
    "core_load": _core,
    "core_store": _core_store,
    "alloca": _alloca,
    "load": _load,
    "store": _store,
    "atomic": _atomic,
    "cmpxchg": _cmpxchg,
    "call": _call,
    "callsub": _callsub,
    "kfunc": _call,
    "kfunc_there": _there,
    **dict.fromkeys(("jump", "may_goto", "unreachable"), _jump),
    "br": _br,
    "ret": _ret,
}
