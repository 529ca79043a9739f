"""The IR's text: canonical, complete, read back exactly, friendly to hands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from purebpf.compiler.ir.check import check_module
from purebpf.compiler.ir.ops import I32, I64, OPS, Op, Ptr
from purebpf.compiler.ir.parse import IrSyntaxError, parse_function, parse_module
from purebpf.compiler.ir.text import Names, format_function, format_module, format_op
from purebpf.isa.instruction import SourceLine
from tests.compiler.ir.samples import ALL


def shape(text: str) -> list[object]:
    """Everything the IR of a text consists of, but for names: to compare two modules without the printer."""
    found: list[object] = []
    for fn in parse_module(text).functions:
        numbers: dict[Op, int] = {}
        for op in (*fn.params, *(op for block in fn.blocks for op in (*block.params, *block.ops))):
            numbers[op] = len(numbers)
        blocks = {block: i for i, block in enumerate(fn.blocks)}
        found.append((fn.name, fn.result, [param.type for param in fn.params]))
        for block in fn.blocks:
            found.append([param.type for param in block.params])
            for op in block.ops:
                targets = [(blocks[target.block], [numbers[arg] for arg in target.args]) for target in op.targets]
                found.append((op.kind, op.type, [numbers[arg] for arg in op.args], op.imm, op.loc, targets))
    return found


@pytest.mark.parametrize("name", ALL)
def test_text_is_read_back_exactly(name: str) -> None:
    printed = format_module(parse_module(ALL[name]))
    assert shape(printed) == shape(ALL[name])
    assert format_module(parse_module(printed)) == printed


def test_the_samples_have_every_kind_of_op_and_obey_the_rules() -> None:
    modules = [parse_module(text) for text in ALL.values()]
    for module in modules:
        check_module(module)
    kinds = {op.kind for module in modules for fn in module.functions for op in fn.ops()}
    kinds |= {param.kind for module in modules for fn in module.functions for param in fn.params}
    assert kinds == set(OPS)


def test_names_and_spacing_do_not_matter() -> None:
    one = parse_function('function f(%a: i64) -> i64 file "f.py"\nx:\n  %s: i64 = add %a, 1 @1:2\n  ret %s @2:3\n')
    two = parse_function('function f(%7: i64) -> i64 file "f.py"\n\nentry:   # here\n%q:i64=add %7,0x1@1:2\nret %q@2:3')
    expected = """function f(%0: i64) -> i64 file "f.py"
b0:
  %1: i32 = const 1
  %2: i64 = add %0, %1  @1:2
  ret %2  @2:3
"""
    assert format_function(one) == format_function(two) == expected


def test_values_may_be_defined_further_down() -> None:
    fn = parse_function("function f() -> i64\na:\n  jump c\nb:\n  ret %x\nc:\n  %x: i64 = add 1, 2\n  jump b\n")
    assert fn.blocks[1].ops[0].args == [fn.blocks[2].ops[0]]


def test_integers_as_operands_are_shared_constants_of_the_entry_block() -> None:
    fn = parse_function(
        "function f(%x: i64) -> i64\na:\n  %y: i64 = add %x, 5\n  jump b(5, -1)\nb(%p: i64, %q: i64):\n  ret %p\n"
    )
    constants = [(op.value, op.type) for op in fn.entry.ops if op.is_const]
    assert constants == [(5, I32), (-1, I64)]
    assert fn.entry.ops[-1].targets[0].args[0] is fn.entry.ops[-2].args[1]
    big = parse_function("function f() -> i64\na:\n  ret 0xffffffffffffffff\n")
    assert big.entry.ops[0].imm == (-1,)


def test_ops_without_a_location_get_the_line_of_the_text_unless_the_header_names_a_file() -> None:
    fn = parse_function("function f() -> i64\na:\n  %m: ptr map = map m\n  ret 0\n")
    assert fn.entry.ops[-1].loc == SourceLine("<ir>", 4, 0, "")
    assert all(op.loc is None for op in fn.entry.ops[:-1])
    fn = parse_function('function f() -> i64 file "f.py"\na:\n  ret 0\n')
    assert fn.entry.ops[-1].loc is None


def test_locations_of_other_files_name_them() -> None:
    text = 'function f() file "a.py"\nb0:\n  call one  @1:2\n  call two  @"b \\"q\\" \\\\.py":3:4\n  ret  @5:6\n'
    fn = parse_function(text)
    assert [op.loc and (op.loc.file, op.loc.line, op.loc.column) for op in fn.entry.ops] == [
        ("a.py", 1, 2),
        ('b "q" \\.py', 3, 4),
        ("a.py", 5, 6),
    ]
    assert format_function(fn) == text


def test_locations_can_be_left_out() -> None:
    text = format_function(parse_function('function f() file "a.py"\nb0:\n  call one  @1:2\n  ret  @5:6\n'), locations=False)
    assert text == "function f()\nb0:\n  call one\n  ret\n"


@pytest.mark.parametrize(
    "name", ["x", ".rodata", "prog.data", "two words", 'quo"te', "back\\slash", "ü", "9lives", "", "a\nb", "#"]
)
def test_any_name_is_read_back(name: str) -> None:
    fn = parse_function("function f()\nb0:\n  %m: ptr map = map m\n  ret\n")
    fn.name = name
    fn.entry.ops[0].imm = (name,)
    again = parse_function(format_function(fn))
    assert (again.name, again.entry.ops[0].imm) == (name, (name,))


def test_parts_of_an_immediate_that_are_0_need_not_be_written() -> None:
    fn = parse_function("function f(%p: ptr stack)\na:\n  %x: i64 = load %p size=8\n  ret\n")
    assert fn.entry.ops[0].imm == (8, 0, 0)
    assert "load %0 size=8  @" in format_function(fn)


def test_broken_ops_can_still_be_shown() -> None:
    stray = Op("const", I64, [], (1,), None)
    broken = Op("load", Ptr("ctx"), [stray], (8,), None)
    fn = parse_function("function f()\na:\n  ret\n")
    assert format_op(broken, Names(fn)) == "%?: ptr ctx = load %? (8,)"


WRONG = {
    "": (1, "there is no function"),
    "b0:\n": (1, "a program starts with a function"),
    "function f(\n": (1, "a parameter such as `%x: i64` is wanted, not the end of the line"),
    "function f(%x)\n": (1, "`:` is wanted, not `)`"),
    "function f(%x: i16)\n": (1, "there is no type `i16`"),
    "function f(%x: i64, %x: i64)\n": (1, "`%x` is defined twice"),
    "function f() file x\n": (1, "the file in quotes"),
    "function f() -> i64 i64\n": (1, "nothing more is wanted, but `i64` follows"),
    "function f()\n": (1, "function `f` has no block"),
    "function f()\n  ret\n": (2, "the function's first block is wanted"),
    "function f()\na(%x: i64):\n": (2, "the first block takes no parameters of its own"),
    "function f()\na:\n  ret\na:\n": (4, "block `a` is there twice"),
    "function f()\na:\n  ret\n\nfunction f()\na:\n  ret\n": (5, "there are two functions `f`"),
    "function f()\na:\n  nop\n": (3, "there is no op `nop`"),
    "function f()\na:\n  %x: i64 = param\n": (3, "there is no op `param`"),
    "function f()\na:\n  ret %x\n": (3, "no value `%x` is defined in function `f`"),
    "function f()\na:\n  jump b\n": (3, "no block `b` is in function `f`"),
    "function f()\na:\n  %x: i64 = add 1,\n": (3, "a value is wanted after the comma"),
    "function f()\na:\n  %x: i64 = const x\n": (3, "`const`'s value, an integer, is wanted, not `x`"),
    "function f()\na:\n  %x: i64 = call 5\n": (3, "`call`'s helper is wanted, not `5`"),
    "function f(%p: ptr stack)\na:\n  %x: i64 = load %p\n": (3, "`load` needs `size=…`"),
    "function f(%p: ptr stack)\na:\n  %x: i64 = load %p size=8 size=4\n": (3, "`size` is given twice"),
    "function f(%p: ptr stack)\na:\n  %x: i64 = load %p width=8\n": (3, "`load` has no `width`; it has size, signed, offset"),
    "function f()\na:\n  %x: void = call f\n": (3, "an op without a value has no name"),
    "function f()\na:\n  br b, 5\n": (3, "operands come before targets"),
    "function f()\na:\n  ret 0x10000000000000000\n": (3, "18446744073709551616 does not fit 64 bits"),
    "function f()\na:\n  ret ; done\n": (3, "`;` is no part of the IR's text"),
    "function f()\na:\n  ret @7\n": (3, "`@7` is no part of the IR's text"),
    "function f()\na:\n  ret %1 %2\n": (3, "nothing more is wanted, but `%2` follows"),
    "function f()\na:\n  jump a(1\n": (3, "`,` is wanted, not the end of the line"),
}


@pytest.mark.parametrize(("text", "line", "message"), [(text, *expected) for text, expected in WRONG.items()])
def test_wrong_text_is_refused_at_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(IrSyntaxError, match=re.escape(message)) as raised:
        parse_module(text)
    assert raised.value.line == line
    assert str(raised.value).startswith(f"line {line}: ")


def test_the_documentation_names_every_kind_of_op_and_its_examples_obey_the_rules() -> None:
    text = (Path(__file__).parents[3] / "docs" / "ir.md").read_text()
    for kind in OPS:
        assert f"`{kind}" in text, kind
    examples = re.findall(r"```ir\n(.*?)```", text, re.DOTALL)
    assert examples
    for example in examples:
        check_module(parse_module(example))
