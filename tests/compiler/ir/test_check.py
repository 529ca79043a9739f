"""The checker accepts what the rules allow and names what breaks them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from purebpf.compiler.ir.check import IrError, check, check_module
from purebpf.compiler.ir.ops import I32, I64, OPS, VOID, Block, Function, Op, Target
from purebpf.compiler.ir.parse import parse_function, parse_module
from purebpf.compiler.ir.rules import RULES
from tests.compiler.ir.generate import random_module

POINTERS = "%s: ptr stack, %c: ptr ctx, %v: ptr map_value, %n: ptr map_value?, %p: ptr packet, %e: ptr packet_end, %m: ptr map"


def function(body: str, params: str = f"%x: i64, %y: i32, %b: bool, {POINTERS}", result: str = " -> i64") -> Function:
    """The function with these lines as its entry block (and what labels follow)."""
    lines = "\n".join(line if line.endswith(":") else f"  {line}" for line in map(str.strip, body.strip().splitlines()))
    return parse_function(f"function f({params}){result}\nstart:\n{lines}\n")


ACCEPTED = {
    "an i32 or bool for an i64": "jump b(%y, %b)\nb(%i: i64, %j: i64):\nret %j",
    "a constant for any integer type it fits": "%k: i64 = const 1\njump b(%k, %k)\nb(%i: bool, %j: i32):\nret %i",
    "0 for a nullable pointer": "jump b(0)\nb(%i: ptr map_value?):\nret 0",
    "null for a nullable pointer": "%k: ptr map_value? = const 0\njump b(%k)\nb(%i: ptr map_value?):\nret 0",
    "a pointer for a nullable one": "jump b(%v)\nb(%i: ptr map_value?):\nret 0",
    "a nullable pointer kept on the stack": "store %s, %n size=8\n%q: ptr map_value? = load %s size=8\nret 0",
    "0 stored through any pointer": "%k: ptr map_value? = const 0\nstore %v, %k size=8\nret 0",
    "the end of the packet less its start": "%l: i64 = sub %e, %p\nret %l",
    "the start of the packet compared with its end": "%t: bool = ult %e, %p\nret %t",
    "a pointer compared with 0": "%t: bool = eq %v, 0\n%u: bool = ne 0, %n\nret %t",
    "32-bit fields of a context as pointers": "%d: ptr packet = load %c size=4\nret 0",
    "a guard that narrows an i64": "%g: i32 = guard %x what=range high=7\nret %g",
    "a range above the signed numbers": "%g: i64 = guard %x what=range high=0xffffffffffffffff\nret %g",
    "the last bytes of an alloca": (
        "%a: ptr stack = alloca size=8 align=8 name=a\n%q: ptr stack = add %a, 6\n%l: i32 = load %q size=2\nret %l"
    ),
    "an unknown offset into an alloca": (
        "%a: ptr stack = alloca size=8 align=8 name=a\n%q: ptr stack = add %a, %x\n%l: i64 = load %q size=8 offset=9\nret %l"
    ),
    "both targets of a branch the same": "br %b, z(1), z(2)\nz(%i: i64):\nret %i",
    "a block that nothing leads to": "ret %x\nlost:\n%l: i64 = add %x, 1\nret %l",
    "a call whose result nobody wants": "call f %x, %n\nret 0",
}


@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(body: str) -> None:
    check(function(body))


REFUSED = {
    "it does not end with a terminator": ("%z: i64 = add %x, 1", "the block does not end with a terminator"),
    "terminator inside": ("ret 0\nret 0", "a terminator stands inside the block"),
    "arity": ("%z: i64 = add %x\nret 0", "`add` takes 2 operands, not 1"),
    "too few targets": ("br %b, t\nt:\nret 0", "`br` has 2 targets, not 1"),
    "targets of a return": ("ret 0, t\nt:\nret 0", "`ret` has 0 targets, not 1"),
    "jump to the entry": ("jump start", "it goes to the entry block"),
    "use before definition": (
        "%z: i64 = add %w, 1\n%w: i64 = add %x, 1\nret 0",
        "which is not defined on every way that leads here",
    ),
    "use of itself": ("%z: i64 = add %z, 1\nret 0", "which is not defined on every way that leads here"),
    "definition on one way only": (
        "br %b, l, r\nl:\n%z: i64 = add %x, 1\njump j\nr:\njump j\nj:\nret %z",
        "block b3, `ret %11`: it reads %11, which is not defined on every way that leads here",
    ),
    "definition in a block that nothing leads to": ("ret %z\nlost:\n%z: i64 = add %x, 1\nret %z", "not defined on every way"),
    "parameter of a later block": ("br %b, l, r\nl:\njump r2(1)\nr:\nret %i\nr2(%i: i64):\nret 0", "not defined on every way"),
    "too few arguments": ("jump b\nb(%i: i64):\nret 0", "the target takes 1 arguments, not 0"),
    "i64 for an i32 parameter": ("jump b(%x)\nb(%i: i32):\nret 0", "argument 1 of the target is of type i64; i32 is wanted"),
    "large constant for an i32 parameter": ("jump b(-1)\nb(%i: i32):\nret 0", "argument 1 of the target is of type i64; i32"),
    "i32 for a bool parameter": (
        "jump b(0, %y)\nb(%i: bool, %j: bool):\nret 0",
        "argument 2 of the target is of type i32; bool",
    ),
    "pointer for an integer parameter": ("jump b(%v)\nb(%i: i64):\nret 0", "is of type ptr map_value; i64 is wanted"),
    "pointer of another kind": ("jump b(%v)\nb(%i: ptr stack):\nret 0", "is of type ptr map_value; ptr stack is wanted"),
    "nullable pointer for one that is not": (
        "jump b(%n)\nb(%i: ptr map_value):\nret 0",
        "is of type ptr map_value?; ptr map_value is",
    ),
    "0 for a pointer that is not nullable": (
        "jump b(0)\nb(%i: ptr map_value):\nret 0",
        "is of type i32; ptr map_value is wanted",
    ),
    "constant that is no i32": ("%z: i32 = const -1\nret 0", "-1 is no value of type i32"),
    "constant that is no bool": ("%z: bool = const 2\nret 0", "2 is no value of type bool"),
    "constant pointer": ("%z: ptr map_value? = const 8\nret 0", "a constant pointer is 0 and of a nullable type"),
    "constant 0 that is not nullable": ("%z: ptr map_value = const 0\nret 0", "a constant pointer is 0 and of a nullable type"),
    "product of a pointer": ("%z: i64 = mul %v, %x\nret 0", "operand 1 is of type ptr map_value; an integer is wanted"),
    "bool sum": ("%z: bool = add %b, %b\nret 0", "the result is an i32 or i64, not bool"),
    "bool of integers": ("%z: bool = and %b, %x\nret 0", "a bool is made of two bools"),
    "pointer moved by a pointer": ("%z: ptr packet = add %p, %p\nret 0", "a pointer moves by an integer, its second operand"),
    "integer plus pointer": ("%z: ptr packet = add %x, %p\nret 0", "operand 2 is of type ptr packet; an integer is wanted"),
    "move of a nullable pointer": (
        "%z: ptr map_value? = add %n, %x\nret 0",
        "may be 0: a guard has to say that it is not before",
    ),
    "move of the packet's end": ("%z: ptr packet_end = add %e, 1\nret 0", "a ptr packet_end cannot be moved"),
    "move of a map": ("%z: ptr map = add %m, 1\nret 0", "a ptr map cannot be moved"),
    "move of the context by a variable": ("%z: ptr ctx = add %c, %x\nret 0", "a ctx pointer moves by constants only"),
    "move that changes the kind": ("%z: ptr packet = add %v, %x\nret 0", "the result is a ptr map_value, not ptr packet"),
    "pointer less integer": ("%z: ptr packet = sub %p, 1\nret 0", "a pointer is moved by `add` of a negative integer"),
    "distance of pointers of two kinds": (
        "%z: i64 = sub %v, %s\nret 0",
        "there is no distance between ptr map_value and ptr stack",
    ),
    "distance from a nullable pointer": ("%z: i64 = sub %n, %n\nret 0", "a distance is between pointers that are not 0"),
    "32-bit distance": ("%z: i32 = sub %e, %p\nret 0", "the distance of two pointers is an i64, not i32"),
    "low half of a pointer": ("%z: i32 = low32 %v\nret 0", "operand 1 is of type ptr map_value; an integer is wanted"),
    "odd sign extension": ("%z: i64 = sext 24 %x\nret 0", "8, 16 or 32 bits are extended, not 24"),
    "32-bit sign extension": ("%z: i32 = sext 8 %x\nret 0", "the result is an i64, not i32"),
    "odd byte order": ("%z: i64 = tobe 8 %x\nret 0", "16, 32 or 64 bits are put in network order, not 8"),
    "byte order that does not fit": ("%z: i32 = tobe 64 %x\nret 0", "the result does not fit i32"),
    "comparison that is no bool": ("%z: i64 = eq %x, %y\nret 0", "a comparison gives a bool, not i64"),
    "order of a pointer and 0": ("%z: bool = ult %v, 0\nret 0", "a pointer compares with 0 by eq and ne only"),
    "pointer compared with a number": (
        "%z: bool = eq %v, 5\nret 0",
        "a pointer compares with a pointer or with the constant 0",
    ),
    "nullable compared with a pointer": (
        "%z: bool = eq %n, %v\nret 0",
        "a pointer that may be 0 compares with the constant 0 only",
    ),
    "pointers of two kinds compared": ("%z: bool = ule %v, %e\nret 0", "ptr map_value does not compare with ptr packet_end"),
    "unknown guard": ("%z: i64 = guard %x what=even\nret 0", "a guard says range, nonnull, packet, lent, mem, not even"),
    "an integer lent": ("%z: ptr mem? = guard %x what=lent\nret 0", "a pointer to map_value, mem, packet, stack is wanted"),
    "the context lent": ("%z: ptr mem? = guard %c what=lent\nret 0", "a pointer to map_value, mem, packet, stack is wanted"),
    "lent as memory that is not 0": ("%z: ptr mem = guard %v what=lent\nret 0", "the result is a ptr mem?, not ptr mem"),
    "empty range": ("%z: i64 = guard %x what=range low=2 high=1\nret 0", "2 to 1 is no range"),
    "range that does not fit": ("%z: i32 = guard %x what=range low=-1 high=1\nret 0", "a i64 in -1 to 1 need not be a i32"),
    "range of a pointer": (
        "%z: i64 = guard %p what=range high=1\nret 0",
        "operand 1 is of type ptr packet; an integer is wanted",
    ),
    "nonnull integer": ("%z: ptr map_value = guard %x what=nonnull\nret 0", "the operand is of type i64; a pointer is wanted"),
    "nonnull guard that keeps the mark": (
        "%z: ptr map_value? = guard %n what=nonnull\nret 0",
        "the result is a ptr map_value, not",
    ),
    "nonnull guard with bounds": ("%z: ptr map_value = guard %n what=nonnull high=1\nret 0", "a nonnull guard has no bounds"),
    "packet guard of a map value": ("%z: ptr map_value = guard %v what=packet low=1\nret 0", "a packet pointer is wanted"),
    "packet guard of negative size": (
        "%z: ptr packet = guard %p what=packet low=-1\nret 0",
        "a packet guard says how many bytes",
    ),
    "mem guard of a packet": (
        "%z: ptr mem = guard %p what=mem\nret 0",
        "a pointer to the stack or into a map's value is wanted",
    ),
    "mem guard that stays": ("%z: ptr map_value = guard %v what=mem\nret 0", "the result is a ptr mem, not ptr map_value"),
    "map that is no map": ("%z: ptr map_value = map x\nret 0", "the result is a ptr map, not ptr map_value"),
    "nullable address of a map's value": ("%z: ptr map_value? = map_value name=x\nret 0", "the result is a ptr map_value, not"),
    "address before a map's value": ("%z: ptr map_value = map_value name=x offset=-1\nret 0", "the offset is not negative"),
    "alloca beyond the entry": (
        "jump b\nb:\n%a: ptr stack = alloca size=8 align=8 name=a\nret 0",
        "stack memory is made in the entry block",
    ),
    "empty alloca": ("%a: ptr stack = alloca size=0 align=8 name=a\nret 0", "stack memory has at least 1 byte, not 0"),
    "odd alignment": ("%a: ptr stack = alloca size=8 align=3 name=a\nret 0", "the alignment is 1, 2, 4 or 8, not 3"),
    "load through an integer": ("%z: i64 = load %x size=8\nret 0", "the address is of type i64; a pointer is wanted"),
    "load through a nullable pointer": (
        "%z: i64 = load %n size=8\nret 0",
        "ptr map_value? may be 0: a guard has to say that it is not",
    ),
    "load through the packet's end": ("%z: i64 = load %e size=8\nret 0", "there is no such access through a ptr packet_end"),
    "load from a map": ("%z: i64 = load %m size=8\nret 0", "there is no such access through a ptr map"),
    "load of 3 bytes": ("%z: i64 = load %v size=3\nret 0", "an access has 1, 2, 4 or 8 bytes, not 3"),
    "load past an alloca": (
        "%a: ptr stack = alloca size=8 align=8 name=a\n%q: ptr stack = add %a, 6\n%z: i32 = load %q size=4\nret 0",
        "bytes 6 to 9 are outside the 8 of the alloca",
    ),
    "store before an alloca": (
        "%a: ptr stack = alloca size=8 align=8 name=a\nstore %a, 0 size=4 offset=-4\nret 0",
        "bytes -4 to -1 are outside the 8 of the alloca",
    ),
    "8 bytes into an i32": ("%z: i32 = load %v size=8\nret 0", "8 bytes do not fit an i32"),
    "signed i32": ("%z: i32 = load %v size=2 signed=1\nret 0", "a sign-extended value is an i64"),
    "load of a bool": ("%z: bool = load %v size=1\nret 0", "the result is an i32 or i64, not bool"),
    "half a pointer": ("%z: ptr map_value = load %s size=4\nret 0", "a pointer is loaded whole"),
    "pointer from a packet": ("%z: ptr map_value = load %p size=8\nret 0", "no pointer can be loaded through a ptr packet"),
    "pointer into a map": ("store %v, %p size=8\nret 0", "a pointer is stored on the stack only, not through a ptr map_value"),
    "half a pointer stored": ("store %s, %p size=4\nret 0", "a pointer is stored whole, in 8 bytes"),
    "unknown atomic": ("atomic %v, 1 op=sub size=8\nret 0", "there is no atomic sub; there are add, and, or, xchg, xor"),
    "atomic on a packet": ("atomic %p, 1 op=add size=8\nret 0", "there is no such access through a ptr packet"),
    "atomic on 2 bytes": ("atomic %v, 1 op=add size=2\nret 0", "an atomic op has 4 or 8 bytes, not 2"),
    "atomic without its value": ("atomic %v, 1 op=add size=8 fetch=1\nret 0", "`atomic` gives a value: void is no type for it"),
    "atomic with a value nobody fetched": ("%z: i64 = atomic %v, 1 op=add size=8\nret 0", "`atomic` gives no value"),
    "exchange that does not fetch": ("atomic %v, 1 op=xchg size=8\nret 0", "an exchange always fetches"),
    "compare-exchange on 2 bytes": ("%z: i64 = cmpxchg %v, 1, 2 size=2\nret 0", "an atomic op has 4 or 8 bytes, not 2"),
    "compare-exchange on a packet": ("%z: i64 = cmpxchg %p, 1, 2 size=8\nret 0", "no such access through a ptr packet"),
    "compare-exchange of a pointer": ("%z: i64 = cmpxchg %v, 1, %v size=8\nret 0", "an integer is wanted"),
    "compare-exchange that does not fit": ("%z: i32 = cmpxchg %v, 1, 2 size=8\nret 0", "the old value does not fit i32"),
    "old value that does not fit": ("%z: i32 = atomic %v, 1 op=add size=8 fetch=1\nret 0", "the old value does not fit i32"),
    "six arguments": ("call f 1, 2, 3, 4, 5, 6\nret 0", "a call has at most 5 arguments, not 6"),
    "branch on a pointer": ("br %v, t, t\nt:\nret 0", "the condition is of type ptr map_value; an integer is wanted: compare"),
    "no result": ("ret", "the function gives one result, a i64, not 0"),
    "pointer as result": ("ret %v", "the result is of type ptr map_value; the function gives i64"),
    "store that gives a value": ("%z: i64 = store %v, 1 size=8\nret 0", "`store` gives no value"),
    "unknown kind of pointer": ("%z: ptr heap = load %c size=8\nret 0", "there is no type ptr heap"),
}


@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(body: str, message: str) -> None:
    with pytest.raises(IrError, match=re.escape(message)) as raised:
        check(function(body))
    assert str(raised.value).startswith("function `f`, block b")


def test_a_function_without_result_returns_none() -> None:
    with pytest.raises(IrError, match="the function gives no result"):
        check(function("ret 0", "", ""))
    check(function("ret", "", ""))


def damage_nothing(fn: Function) -> None:
    """The function as it is."""


def no_block(fn: Function) -> None:
    fn.blocks.clear()


def block_twice(fn: Function) -> None:
    fn.blocks.append(fn.entry)


def foreign_entry_parameter(fn: Function) -> None:
    fn.entry.params = [Op("param", I64, [], (), None)]


def op_twice(fn: Function) -> None:
    fn.entry.ops.insert(0, fn.entry.ops[0])


def op_of_another_block(fn: Function) -> None:
    fn.entry.ops[0].block = fn.blocks[1]


def unknown_op(fn: Function) -> None:
    fn.entry.ops[0].kind = "fma"


def param_among_ops(fn: Function) -> None:
    fn.entry.ops.insert(0, Op("param", I64, [], (), None))


def op_as_parameter(fn: Function) -> None:
    fn.params[0].kind = "const"


def void_parameter(fn: Function) -> None:
    fn.params[0].type = VOID


def foreign_operand(fn: Function) -> None:
    fn.entry.ops[0].args[0] = Op("const", I32, [], (1,), None)


def void_operand(fn: Function) -> None:
    fn.blocks[1].ops[-1].args = [fn.blocks[1].ops[0]]


def foreign_target(fn: Function) -> None:
    fn.entry.ops[-1].targets = [Target(Block("elsewhere"))]


def no_location(fn: Function) -> None:
    fn.entry.ops[0].loc = None


def missing_immediate(fn: Function) -> None:
    fn.blocks[1].ops[0].imm = (8,)


def immediate_of_wrong_type(fn: Function) -> None:
    fn.blocks[1].ops[0].imm = (8, "0")


def no_terminator(fn: Function) -> None:
    fn.blocks[1].ops.pop()


def no_ops(fn: Function) -> None:
    fn.blocks[1].ops.clear()


DAMAGED: dict[Callable[[Function], None], str] = {
    no_block: "function `f` has no block",
    block_twice: "a block stands in it twice",
    foreign_entry_parameter: "the entry block has parameters that are not the function's",
    op_twice: "it stands in the function twice",
    op_of_another_block: "it says that it stands in block b1",
    unknown_op: "there is no op `fma`",
    param_among_ops: "a `param` stands among the block's ops",
    op_as_parameter: "a block's parameter is a `param` without operands",
    void_parameter: "a parameter cannot be of type void",
    foreign_operand: "it reads `const`, which is not in the function",
    void_operand: "it reads `store`, which gives no value",
    foreign_target: "it goes to block `elsewhere`, which is not in the function",
    no_location: "it has no source location",
    missing_immediate: "`store` has the immediates (size, offset), not (8,)",
    immediate_of_wrong_type: "its offset is '0', not an integer",
    no_terminator: "the block does not end with a terminator",
    no_ops: "the block does not end with a terminator",
}


@pytest.mark.parametrize("damage", [damage_nothing, *DAMAGED], ids=lambda damage: damage.__name__)
def test_damage_that_text_cannot_say_is_refused(damage: Callable[[Function], None]) -> None:
    fn = function("%z: i64 = add %x, %y\njump b\nb:\nstore %v, %z size=8\nret %z")
    damage(fn)
    if damage is damage_nothing:
        check(fn)
        return
    with pytest.raises(IrError, match=re.escape(DAMAGED[damage])):
        check(fn)


def test_errors_carry_the_op() -> None:
    fn = function("%z: i64 = add %x\nret 0")
    with pytest.raises(IrError) as raised:
        check(fn)
    assert raised.value.op is next(op for op in fn.entry.ops if op.kind == "add")
    assert str(raised.value) == "function `f`, block b0, `%11: i64 = add %0`: `add` takes 2 operands, not 1"


CALLS = """function main(%x: i64) -> i64
a:
  {call}
  ret 0
function sub(%a: i32, %p: ptr map_value?) -> i32
a:
  ret %a
function nothing()
a:
  ret
"""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("%r: i32 = callsub sub 1, 0", ""),
        ("%r: i64 = callsub sub 1, 0", ""),
        ("callsub sub 1, 0", ""),
        ("callsub nothing", ""),
        ("callsub other", "there is no function `other`"),
        ("%f: ptr func = func sub", ""),
        ("%f: ptr func = func other", "there is no function `other`"),
        ("%f: ptr map = func sub", "the result is a ptr func, not ptr map"),
        ("callsub sub 1", "`sub` takes 2 arguments, not 1"),
        ("callsub sub %x, 0", "argument 1 is of type i64; `sub` wants i32"),
        ("callsub sub 1, 2", "argument 2 is of type i32; `sub` wants ptr map_value?"),
        ("%r: bool = callsub sub 1, 0", "`sub` gives i32, not bool"),
        ("%r: i64 = callsub nothing", "`nothing` gives void, not i64"),
        ("callsub main 1", "function `main` calls itself, directly or through others"),
    ],
)
def test_calls_are_checked_against_the_module(call: str, message: str) -> None:
    module = parse_module(CALLS.format(call=call))
    if not message:
        check_module(module)
        return
    with pytest.raises(IrError, match=re.escape(message)):
        check_module(module)


def test_functions_have_different_names_and_no_cycle_of_calls() -> None:
    module = parse_module(CALLS.format(call="callsub nothing"))
    module.functions[1].name = "nothing"
    with pytest.raises(IrError, match="there are two functions `nothing`"):
        check_module(module)
    ring = "function {}()\na:\n  callsub {}\n  ret\n"
    with pytest.raises(IrError, match="function `b` calls itself"):
        check_module(parse_module(ring.format("a", "b") + ring.format("b", "c") + ring.format("c", "b")))


def test_every_kind_of_op_has_a_rule() -> None:
    assert set(RULES) == set(OPS) - {"param"}


def test_the_check_takes_little_time() -> None:
    modules = [random_module(seed) for seed in range(40)]
    ops = sum(len(list(fn.ops())) for module in modules for fn in module.functions)
    start = time.process_time()
    for module in modules:
        check_module(module)
    assert (time.process_time() - start) / ops < 100e-6  # seconds an op; about 5e-6 on an idle machine
