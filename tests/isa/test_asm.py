"""Writing assembly in Python: operands, labels, distances, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from purebpf import isa
from purebpf.errors import AssemblerError
from purebpf.isa import Instruction, encode, label_slots
from purebpf.isa.asm import (
    FP,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    Add,
    AddrSpaceCast,
    Atomic,
    Bswap,
    Call,
    Exit,
    Fn,
    JEq,
    JEq32,
    JNe,
    Jump,
    JumpLong,
    Label,
    LoadAbs,
    LoadFunc,
    LoadImm64,
    LoadMapPtr,
    LoadMapValue,
    LoadMem,
    LoadMemSx,
    MayGoto,
    Mov,
    Mov32,
    MovSx,
    MovSx32,
    StoreImm,
    StoreMem,
    assemble,
)
from purebpf.isa.opcodes import DW, GOTO_OPCODE, GOTOL_OPCODE, B, H, W


def test_the_perf_ring_123_program() -> None:
    """Sends the number 123 through a perf event array; r1 is the context all along."""
    program = assemble(
        [
            Mov.imm(R2, 123),
            StoreMem(FP, -8, R2, W),
            LoadMapPtr(R2, "events"),
            LoadImm64(R3, 0xFFFF_FFFF),
            Mov.reg(R4, FP),
            Add.imm(R4, -8),
            Mov.imm(R5, 4),
            Fn.perf_event_output.call(),
            Mov.imm(R0, 0),
            Exit(),
        ]
    )
    assert encode(program).hex(" ", 8).split() == [
        "b70200007b000000",
        "632af8ff00000000",
        "1812000000000000",
        "0000000000000000",
        "18030000ffffffff",
        "0000000000000000",
        "bfa4000000000000",
        "07040000f8ffffff",
        "b705000004000000",
        "8500000019000000",
        "b700000000000000",
        "9500000000000000",
    ]
    assert program[2].symbol == "events"


def test_labels_become_distances_forwards_and_backwards() -> None:
    program = assemble(
        [
            Mov.imm(R0, 10),
            Label("again"),
            Add.imm(R0, -1),
            JEq.imm(R0, 0, "done"),
            LoadImm64(R1, 1),
            Jump("again"),
            Label("done"),
            Exit(),
        ]
    )
    assert [(i.offset, i.symbol) for i in program if i.opcode in (0x15, GOTO_OPCODE)] == [(3, None), (-5, None)]


def test_a_label_at_the_end_is_the_slot_after_the_last() -> None:
    assert assemble([Jump("end"), Exit(), Label("end")])[0].offset == 1


def test_local_calls_and_function_addresses_become_distances_and_keep_their_names() -> None:
    program = assemble([LoadFunc(R2, "f"), Call.local("f"), Exit(), Label("f"), Call.local("f"), Exit()])
    assert [(i.imm, i.symbol) for i in program if i.symbol] == [(3, "f"), (1, "f"), (-1, "f")]


def test_a_backward_function_address_is_a_signed_distance_in_the_lower_half() -> None:
    assert assemble([Label("f"), Exit(), LoadFunc(R2, "f")])[1].imm == 0xFFFF_FFFE


def test_numbers_are_distances_as_they_are() -> None:
    assert assemble([JNe.reg(R1, R2, -7), JumpLong(70000), MayGoto(2), Call.local(3), LoadFunc(R1, 4)]) == (
        Instruction(0x5D, 1, 2, -7),
        Instruction(GOTOL_OPCODE, imm=70000),
        Instruction(0xE5, offset=2),
        Instruction(0x85, src=1, imm=3),
        Instruction(0x18, 1, 4, imm=4),
    )


@pytest.mark.parametrize(("between", "opcode"), [(0x7FFF, GOTO_OPCODE), (0x8000, GOTOL_OPCODE)])
def test_a_jump_out_of_reach_becomes_a_long_one(between: int, opcode: int) -> None:
    program = assemble([Jump("far"), *[Exit()] * between, Label("far"), Exit()])
    assert program[0].opcode == opcode
    assert program[0].offset + program[0].imm == between


@pytest.mark.parametrize(("between", "opcode"), [(0x7FFF, GOTO_OPCODE), (0x8000, GOTOL_OPCODE)])
def test_a_jump_back_out_of_reach_becomes_a_long_one(between: int, opcode: int) -> None:
    program = assemble([Label("far"), *[Exit()] * between, Jump("far")])
    assert program[-1].opcode == opcode
    assert program[-1].offset + program[-1].imm == -between - 1


def test_a_conditional_jump_out_of_reach_is_refused() -> None:
    with pytest.raises(AssemblerError, match="slot 0: the conditional jump to 'far' goes 32768 slots"):
        assemble([JEq.imm(R0, 0, "far"), *[Exit()] * 0x8000, Label("far"), Exit()])


def test_label_slots_counts_wide_loads_as_two() -> None:
    assert label_slots([Label("a"), LoadImm64(R1, 1), Label("b"), Exit(), Label("c")]) == {"a": 0, "b": 2, "c": 3}


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: assemble([Jump("nowhere"), Label("here"), Exit()]), "slot 0: there is no label 'nowhere'; labels are here"),
    (lambda: assemble([Exit(), Call.local("f")]), r"slot 1: there is no label 'f'; labels are \(none\)"),
    (lambda: assemble([Label("a"), Exit(), Label("a")]), "the label 'a' is at slot 0 and again at slot 1; rename one"),
    (lambda: assemble([Exit(), "exit"]), "'exit' is neither an Instruction nor a Label"),  # type: ignore[list-item]
    (lambda: assemble([Exit(), Instruction(0xFF)]), "slot 1: 0xff is not the opcode"),
    (lambda: assemble([Instruction(0x05, offset=3, symbol="x"), Label("x")]), "has both a label"),
    (lambda: Mov.imm(11, 0), "names register 11; registers are r0 to r10"),
    (lambda: Mov.reg(R0, -1), "names register"),
    (
        lambda: Mov.imm(R0, 0xFFFF_FFFF),
        "does not fit in 32 bits, signed; a 64-bit operation extends its sign: load it with LoadImm64",
    ),
    (lambda: Mov.imm(R0, -0x8000_0001), "does not fit in 32 bits"),
    (lambda: Mov32.imm(R0, 0x1_0000_0000), "does not fit in 32 bits"),
    (lambda: JEq.imm(R0, 0x8000_0000, 1), "does not fit in 32 bits"),
    (lambda: StoreImm(R1, 0, 0x8000_0000, DW), "does not fit in 32 bits"),
    (lambda: StoreImm(R1, 0, 256, B), "the constant 256 does not fit in 8 bits; only those would be stored"),
    (lambda: StoreImm(R1, 0, -32769, H), "the constant -32769 does not fit in 16 bits"),
    (lambda: LoadMem(R1, R2, 0x8000, W), "the offset 32768 .* does not fit in 16 bits"),
    (lambda: LoadMem(R1, R2, W, 4), "4 is no size; it is B"),  # type: ignore[arg-type]
    (lambda: LoadMemSx(R1, R2, 0, DW), "0x99 is not the opcode"),
    (lambda: LoadAbs(0, DW), "0x38 is not the opcode"),
    (lambda: Atomic.add(R1, 0, R2, B), "has no variant with imm 0x0; there are 0x100, 0x110"),
    (lambda: Bswap(R1, 8), "has no variant with imm 0x8; there are 0x10, 0x20, 0x40"),
    (lambda: MovSx(R1, R2, 1), "a sign extension of 1 bits does not exist; there are 8, 16, 32"),
    (lambda: MovSx32(R1, R2, 32), "a sign extension of 32 bits does not exist; there are 8, 16"),
    (lambda: AddrSpaceCast(R1, R2, 65536, 0), "65536 is no address space"),
    (lambda: LoadImm64(R1, 2**64), "does not fit in 64 bits"),
    (lambda: LoadMapValue(R1, "data", -1), "-1 does not fit in 32 bits, unsigned"),
    (lambda: Label("r1"), "'r1' is no label"),
    (lambda: Label("pc"), "'pc' is no label"),
    (lambda: Label("two words"), "'two words' is no label"),
    (lambda: Label(""), "'' is no label"),
    (lambda: Jump("1st"), "'1st' is no label"),
    (lambda: Call.local("a-b"), "'a-b' is no label"),
    (lambda: Jump(0x8000), "does not fit in 16 bits"),
]


@pytest.mark.parametrize(("attempt", "message"), REFUSED)
def test_refused(attempt: Callable[[], object], message: str) -> None:
    with pytest.raises(AssemblerError, match=message):
        attempt()


def test_narrow_constants_may_be_written_unsigned() -> None:
    assert Mov32.imm(R0, 0xFFFF_FFFF) == Mov32.imm(R0, -1)
    assert JEq32.imm(R0, 0x8000_0000, 1).imm == -0x8000_0000
    assert StoreImm(R1, 0, 0xFFFF_FFFE, W).imm == -2
    assert StoreImm(R1, 0, 0xFFFF, H).imm == 0xFFFF


def test_a_wide_constant_is_kept_unsigned() -> None:
    assert LoadImm64(R1, -1).imm == LoadImm64(R1, 2**64 - 1).imm == 2**64 - 1


def test_sizes_know_their_bytes() -> None:
    assert [size.bytes for size in (B, H, W, DW)] == [1, 2, 4, 8]


def test_the_package_gives_everything_that_asm_gives() -> None:
    from purebpf.isa import asm

    assert [name for name in asm.__all__ if getattr(isa, name) is not getattr(asm, name)] == []
    assert set(asm.__all__) <= set(dir(isa))


@pytest.mark.parametrize("name", ["nonsense", "Nonsense", "_private", "imm"])
def test_the_package_has_nothing_else(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'purebpf.isa' has no attribute '{name}'"):
        getattr(isa, name)


def test_every_public_constructor_is_listed() -> None:
    from purebpf.isa import asm

    capitals = {
        name
        for name, value in vars(asm).items()
        if name[0].isupper() and (getattr(value, "__module__", "").startswith("purebpf.isa") or isinstance(value, int))
    }
    hidden = {
        "Arithmetic",
        "AtomicOperations",
        "Calls",
        "Condition",
        "Instruction",
        "AssemblerError",
        "WIDE_LOAD",
        "UNRESOLVED",
    }
    assert capitals - hidden == {name for name in asm.__all__ if name[0].isupper()}
