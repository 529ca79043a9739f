"""The text form: labels, comments, spacing, listings, and the errors of the assembler."""

from __future__ import annotations

import pytest

from purebpf.data import replace
from purebpf.errors import AssemblerError
from purebpf.isa import Instruction, SourceLine, disassemble, format_instruction, parse, parse_instruction, parse_items
from purebpf.isa.asm import (
    R0,
    R1,
    R2,
    Add,
    Call,
    Exit,
    JEq,
    Jump,
    Label,
    LoadFunc,
    LoadImm64,
    LoadKsym,
    LoadMapIdx,
    LoadMapPtr,
    Mov,
)

PROGRAM = """
; count down from ten
        r0 = 10
again:  r0 += -1        ; a label may share its line
        if r0 != 0 goto again
        goto done
        r0 = 0x123456789 ll
done:
        exit
"""


def test_a_program_with_labels_and_comments() -> None:
    assert parse(PROGRAM) == (
        Mov.imm(R0, 10),
        Add.imm(R0, -1),
        Instruction(0x55, 0, offset=-2),
        Instruction(0x05, offset=2),
        LoadImm64(R0, 0x123456789),
        Exit(),
    )


def test_parse_items_keeps_labels() -> None:
    assert parse_items("start: goto start\nend:") == [Label("start"), Jump("start"), Label("end")]


def test_an_instruction_knows_its_line() -> None:
    source = parse("exit\n\n  r1 = r2 ; copy\n", "prog.s")[1].source
    assert source == SourceLine("prog.s", 3, 2, "  r1 = r2 ; copy")


SPELLINGS = {
    "r1=r2": "r1 = r2",
    "  r1   =  -  4 ": "r1 = -4",
    "r1 = +4": "r1 = 4",
    "r1 = 0x10": "r1 = 16",
    "r1 = -0x10": "r1 = -16",
    "r1 = 007": "r1 = 7",
    "w1 = 0xffffffff": "w1 = -1",
    "r1=*(u32*)(r2+4)": "r1 = *(u32 *)(r2 +4)",
    "r1 = *(u32 *)(r2 + 4)": "r1 = *(u32 *)(r2 +4)",
    "*(u8*)(r10 - 1) = 0xff": "*(u8 *)(r10 -1) = 255",
    "*(u32 *)(r1 +0) = 0xffffffff": "*(u32 *)(r1 +0) = -1",
    "if r1 == -1 goto +3": "if r1 == 0xffffffff goto pc+3",
    "if w1 s<= -3 goto -2": "if w1 s<= 0xfffffffd goto pc-2",
    "goto +0": "goto pc+0",
    "gotol -70000": "gotol pc-70000",
    "may_goto 5": "may_goto pc+5",
    "r1 = -1 ll": "r1 = 0xffffffffffffffff ll",
    "r0 = *(u8 *)skb[r1]": "r0 = *(u8 *)skb[r1 + 0]",
    "r0 = *(u8 *)skb[r1+3]": "r0 = *(u8 *)skb[r1 + 3]",
    "call 1": "call bpf_map_lookup_elem#1",
    "call bpf_map_lookup_elem": "call bpf_map_lookup_elem#1",
    "call helper_of_mine": "call subprog[helper_of_mine]",
    "r1 = map[fd:0x10]": "r1 = map[fd:16]",
    "r1 = map[ data  fd:3 ][0] + 8": "r1 = map[data fd:3][0]+8",
    "r1 = subprog[f]": "r1 = subprog[f]",
    "r1 = subprog[f -3]": "r1 = subprog[f -3]",
    "r1 = map[data\tfd:3]": "r1 = map[data fd:3]",
    "goto N": "goto N",
    "goto r": "goto r",
    "12: (b7) r0 = 0": "r0 = 0",
    "7: (18) r3 = 0x5": "r3 = 0x5 ll",
    "19: (61) r1 = *(u32 *)(r10 -8)        ; R1=scalar(id=1) R10=fp0": "r1 = *(u32 *)(r10 -8)",
}


@pytest.mark.parametrize(("text", "canonical"), SPELLINGS.items())
def test_other_spellings_mean_the_same(text: str, canonical: str) -> None:
    assert format_instruction(parse_instruction(text)) == canonical


SYMBOLIC = [
    (Jump("done"), "goto done"),
    (JEq.imm(R0, 0, "exit"), "if r0 == 0x0 goto exit"),
    (Call.local("f"), "call subprog[f]"),
    (replace(Call.local("f"), imm=5), "call subprog[f +5]"),
    (LoadFunc(R1, "f"), "r1 = subprog[f]"),
    (replace(LoadFunc(R1, "f"), imm=7), "r1 = subprog[f +7]"),
    (LoadMapPtr(R2, ".rodata.str1.1"), "r2 = map[.rodata.str1.1]"),
    (LoadMapPtr(R2, "two words;]"), 'r2 = map["two words;]"]'),
    (LoadMapPtr(R2, "fd:5"), 'r2 = map["fd:5"]'),
    (LoadMapPtr(R2, ""), 'r2 = map[""]'),
    (replace(LoadMapPtr(R2, "m"), imm=5), "r2 = map[m fd:5]"),
    (replace(LoadMapIdx(R2, 0), symbol="m"), "r2 = map[m idx:0]"),
    (LoadKsym(R1, "jiffies", 3), "r1 = ksym[jiffies fd:3]"),
    (LoadKsym(R1, 0, 3), "r1 = ksym[btf:0 fd:3]"),
]


@pytest.mark.parametrize(("instruction", "text"), SYMBOLIC)
def test_names_are_kept(instruction: Instruction, text: str) -> None:
    assert format_instruction(instruction) == text
    assert parse_instruction(text) == instruction


def test_a_listing_looks_like_the_kernel_s_log() -> None:
    source = SourceLine("prog.py", 7, 4, "    count += 1")
    program = [
        LoadImm64(R1, 1),
        replace(Add.imm(R1, 1), source=source),
        replace(Mov.reg(R0, R1), source=source),
        Call.local(1),
        Exit(),
        Mov.reg(R0, R2),
        Exit(),
    ]
    text = disassemble(program, {0: "main", 6: "helper"})
    assert text == (
        "main:\n"
        "   0: (18) r1 = 0x1 ll\n"
        "; count += 1 @ prog.py:7\n"
        "   2: (07) r1 += 1\n"
        "   3: (bf) r0 = r1\n"
        "   4: (85) call pc+1\n"
        "   5: (95) exit\n"
        "helper:\n"
        "   6: (bf) r0 = r2\n"
        "   7: (95) exit\n"
    )
    assert parse(text) == tuple(program)


REFUSED = {
    "nonsense": "<assembly>:1: no instruction looks like this; docs/assembly.md lists them all\n    nonsense",
    "r1 = r2 + r3": "no instruction looks like this; arithmetic has two operands: r1 += r3",
    "w1 = be16 w1": "no instruction looks like this; it works on whole registers: write rN, not wN",
    "r1 ~= 4": "'~= 4' is not understood",
    "r1 = 12ab": "'12ab' is not understood",
    "r11 = 4": "names register 11; registers are r0 to r10",
    "r1 = -r2": "both places must name the same register, r1 (in 'r2')",
    "r2 = atomic_xchg((u32 *)(r1 +8), r3)": "both places must name the same register, r2 (in 'r3')",
    "r1 = atomic_cmpxchg((u32 *)(r1 +8), r0, r2)": "only r0 (or element 0 of a map) is possible here (in 'r1')",
    "r1 = *(u8 *)skb[3]": "only r0 (or element 0 of a map) is possible here (in 'r1')",
    "r1 = map[data][1]+8": "only r0 (or element 0 of a map) is possible here (in '1')",
    "r1 = 0xffffffff": "the number must be between -2147483648 and 2147483647; a 64-bit operation extends the sign. "
    "A wider constant is loaded by 'rN = ... ll' (in '0xffffffff')",
    "w1 = 0x100000000": "the number must be between -2147483648 and 4294967295 (in '0x100000000')",
    "r1 = 0x10000000000000000 ll": "the number must be between -9223372036854775808 and 18446744073709551615",
    "goto +40000": "the number must be between -32768 and 32767",
    "goto nowhere": "there is no label 'nowhere'",
    "call nowhere": "there is no label 'nowhere'",
    "a:\na:": "the label 'a' is at slot 0 and again at slot 0",
    "pc: exit": "'pc' is no label",
    "r1 = map[]": "the brackets are empty",
    "r1 = map[fd:0x100000000]": "the numbers in the brackets must fit in 32 bits",
    "r1 = ksym[btf:1 fd:-1]": "is not between 0 and 18446744073709551615",
    "call kfunc[btf:0xffffffff]": "is not between -2147483648 and 2147483647",
    "r1 = map[idx:x]": "'x' in [idx:x] is not a number",
    "r1 = map[btf:3]": "'btf:3' is not understood in [btf:3]; inside the brackets stand a name and fd:N",
    "r1 = map[fd:3 fd:3]": "'fd:3' is not understood",
    "r1 = subprog[1:2]": "'1:2' is not understood in [1:2]; inside the brackets stand a name and +N",
    'r1 = map["\\q"]': "is no quoted name",
    "3: (b7) r0 = r1": "the line says opcode b7, but its text is bf",
    "r1 = r2 r3": "no instruction looks like this",
    "r1 = N": "no instruction looks like this",
    "r = 5": "no instruction looks like this",
    "r1 = w": "no instruction looks like this",
    "r1 = " + "9" * 5000: "the number is not understood: Exceeds the limit",
    "exit exit": "no instruction looks like this",
    "call": "no instruction looks like this",
    "call #1": "no instruction looks like this",
    "goto": "no instruction looks like this",
    "r1 = map[fd:-5][0]+8 ll": "no instruction looks like this",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items())
def test_refused(text: str, message: str) -> None:
    with pytest.raises(AssemblerError) as caught:
        parse(text)
    assert message in str(caught.value)


def test_an_error_names_file_line_and_text() -> None:
    with pytest.raises(AssemblerError) as caught:
        parse("exit\n  r1 == 2\n", "prog.s")
    assert str(caught.value).startswith("prog.s:2: no instruction looks like this")
    assert str(caught.value).endswith("\n    r1 == 2")


def test_an_unknown_label_names_file_and_line() -> None:
    with pytest.raises(AssemblerError, match=r"^slot 1 \(prog.s:2\): there is no label 'x'; labels are \(none\)"):
        parse("exit\ngoto x", "prog.s")


@pytest.mark.parametrize("text", ["", "exit\nexit", "label:"])
def test_parse_instruction_takes_exactly_one(text: str) -> None:
    with pytest.raises(AssemblerError, match="instructions; one is expected"):
        parse_instruction(text)


def test_format_refuses_what_is_no_instruction() -> None:
    with pytest.raises(AssemblerError, match="0xff is not the opcode"):
        format_instruction(Instruction(0xFF))
