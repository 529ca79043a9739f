"""Hypothesis strategies: any valid instruction, drawn from the table of forms."""

from __future__ import annotations

from hypothesis import strategies as st

from purebpf.isa.forms import Form, rows
from purebpf.isa.instruction import WIDE_LOAD, Instruction
from purebpf.isa.opcodes import GOTOL_OPCODE

registers = st.integers(0, 10)
offsets = st.integers(-0x8000, 0x7FFF)
constants = st.integers(-0x8000_0000, 0x7FFF_FFFF)
labels = st.from_regex(r"\A[a-zA-Z_.$][a-zA-Z0-9_.$]{0,8}\Z").filter(
    lambda name: name != "pc" and not (name[0] in "rw" and name[1:].isdigit())
)
ODD = "aZ09_.-/@$ ;:,#()[]{}'\"\\\t\n\x00\u00e9\u2028\U0001f41d\ud800"  # whatever a name might trip over
names = labels | st.text(ODD, max_size=10)


@st.composite
def of_form(draw: st.DrawFn, form: Form, symbols: bool = True) -> Instruction:
    """Any instruction of the form; with a symbol sometimes, where it can have one."""
    wide = form.opcode == WIDE_LOAD
    widest = 64 if form.high else 32
    imm = form.imm if form.imm is not None else draw(st.integers(0, 2**widest - 1) if wide else constants)
    offset = form.offset if form.offset is not None else draw(offsets)
    symbol = None
    if symbols and form.symbolic and draw(st.booleans()):
        if "{label}" in form.symbolic:
            symbol = draw(labels)
            offset, imm = (offset, 0) if form.opcode == GOTOL_OPCODE else (0, imm)
        else:
            symbol = draw(names)
    dst = draw(registers) if form.free_dst else 0
    src = form.src if form.src is not None else draw(registers)
    return Instruction(form.opcode, dst, src, offset, imm, symbol)


instructions = st.sampled_from(list(rows())).flatmap(of_form)
resolved = st.sampled_from(list(rows())).flatmap(lambda form: of_form(form, symbols=False))
