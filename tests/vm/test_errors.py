"""What a program can do wrong, and the exact sentence it gets."""

from __future__ import annotations

import pytest

from purebpf.data import replace
from purebpf.errors import Error, Unsupported, VmError
from purebpf.isa.asm import (
    DW,
    FP,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R10,
    Add,
    AddrSpaceCast,
    Atomic,
    B,
    Call,
    Exit,
    H,
    JEq,
    Jump,
    JumpReg,
    Label,
    LoadAbs,
    LoadImm64,
    LoadKsym,
    LoadMapIdx,
    LoadMapPtr,
    LoadMapValue,
    LoadMem,
    Mov,
    StoreImm,
    StoreMem,
    W,
    assemble,
)
from purebpf.isa.instruction import Instruction, SourceLine
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType
from purebpf.vm.engine import VmEngine
from tests.vm.support import Code, helper, lookup, run

DATA, DATA_END = 0, 4  # offsets in xdp_md, which cannot change
COUNTS = MapSpec("counts", MapType.ARRAY, 4, 8, 4)
END = (Mov.imm(R0, 0), Exit())

RUN_ERRORS: dict[str, tuple[Code, int, str]] = {
    "load past the packet": (
        (LoadMem(R2, R1, DATA, W), LoadMem(R0, R2, 12, DW), Exit()),
        1,
        "`r0 = *(u64 *)(r2 +12)` reads 8 bytes at 0x1000000c, at offset 12 of the packet, and so reaches 6 past "
        "its end (14 bytes)",
    ),
    "load before the packet": (
        (LoadMem(R2, R1, DATA, W), LoadMem(R0, R2, -2, B), Exit()),
        1,
        "`r0 = *(u8 *)(r2 -2)` reads 1 byte at 0xffffffe, 2 bytes before the start of the packet (14 bytes)",
    ),
    "null pointer": (
        (Mov.imm(R1, 0), StoreImm(R1, 8, 1, W), *END),
        1,
        "`*(u32 *)(r1 +8) = 1` writes 4 bytes at 0x8, a null pointer +8: test the pointer before it is used",
    ),
    "stack overflow": (
        (StoreImm(FP, -520, 1, DW), *END),
        0,
        "`*(u64 *)(r10 -520) = 1` writes 8 bytes at 0x1ffffff8, 8 bytes before the start of the program's stack (512 bytes)",
    ),
    "above the stack": (
        (LoadMem(R0, FP, 0, DW), Exit()),
        0,
        "`r0 = *(u64 *)(r10 +0)` reads 8 bytes at 0x20000200, right at the end of the program's stack (512 bytes)",
    ),
    "context of xdp is read-only": (
        (StoreImm(R1, 12, 1, W), *END),
        0,
        "`*(u32 *)(r1 +12) = 1` writes 4 bytes at 0x3000000c, in the context, which is read-only",
    ),
    "beyond the context": (
        (LoadMem(R0, R1, 24, W), Exit()),
        0,
        "`r0 = *(u32 *)(r1 +24)` reads 4 bytes at 0x30000018, right at the end of the context (24 bytes)",
    ),
    "map value": (
        (*lookup("counts", R6, 2), StoreMem(R6, 4, R6, DW), *END),
        10,
        "`*(u64 *)(r6 +4) = r6` writes 8 bytes at 0x{value}4, at offset 4 of value 2 of the map 'counts', and so "
        "reaches 4 past its end (8 bytes)",
    ),
    "map itself": (
        (LoadMapPtr(R1, "counts"), LoadMem(R0, R1, 0, W), Exit()),
        2,
        "`r0 = *(u32 *)(r1 +0)` reads 4 bytes at 0x{map}0, in the map 'counts' itself, which is not its values: look one up",
    ),
    "register without value": (
        (Mov.reg(R0, R4), Exit()),
        0,
        "`r0 = r4` reads r4, which has no value here: it was not set on this way, or a call before destroyed it",
    ),
    "register without value on one way": (
        (JEq.imm(R1, 0, "skip"), Jump("out"), Label("skip"), Mov.imm(R0, 0), Label("out"), Exit()),
        3,
        "`exit` reads r0, which has no value here: it was not set on this way, or a call before destroyed it",
    ),
    "register that a call destroyed": (
        (Mov.imm(R3, 5), helper("ktime_get_ns"), Mov.reg(R0, R3), Exit()),
        2,
        "`r0 = r3` reads r3, which has no value here: it was not set on this way, or a call before destroyed it",
    ),
    "argument without value": (
        (Call.local("f"), Exit(), Label("f"), Mov.reg(R0, R3), Exit()),
        0,
        "`call subprog[f +1]` reads r3, which has no value here: it was not set on this way, or a call before destroyed it",
    ),
    "endless loop": (
        (Label("again"), Jump("again")),
        0,
        "`goto pc-1` is beyond the budget of 1,000 instructions for one run; raise `budget` if the program ends at all",
    ),
    "endless recursion": (
        (Call.local("f"), Exit(), Label("f"), Mov.imm(R0, 0), Call.local("f"), Exit()),
        3,
        "`call subprog[f -2]` calls more than 8 functions deep, the most the kernel allows",
    ),
    "helper that is not here": (
        (helper("get_current_task"), *END),
        0,
        "`call bpf_get_current_task#35` calls bpf_get_current_task, which the virtual machine does not have; run "
        "it in the kernel",
    ),
    "helper that is nowhere": (
        (Call.helper(9999), *END),
        0,
        "`call unknown#9999` calls helper 9999; there is no helper of that number",
    ),
    "key outside of memory": (
        (LoadMapPtr(R1, "counts"), Mov.reg(R2, FP), Add.imm(R2, -2), helper("map_lookup_elem"), *END),
        4,
        "`call bpf_map_lookup_elem#1` reads 4 bytes at 0x200001fe, at offset 510 of the program's stack, and so "
        "reaches 2 past its end (512 bytes)",
    ),
    "no map": (
        (Mov.imm(R1, 77), Mov.reg(R2, FP), helper("map_lookup_elem"), *END),
        2,
        "`call bpf_map_lookup_elem#1` takes 0x4d for a map, but there is none at that address",
    ),
    "atomic at an odd address": (
        (StoreImm(FP, -8, 0, DW), StoreImm(FP, -16, 0, DW), Atomic.add(FP, -12, R1, DW), *END),
        2,
        "`lock *(u64 *)(r10 -12) += r1` accesses 8 bytes at 0x200001f4 atomically, but the address is no multiple of 8",
    ),
    "address space cast": (
        (AddrSpaceCast(R2, R1, 0, 1), *END),
        0,
        "`r2 = addr_space_cast(r1, 0, 1)` casts a pointer between address spaces, which needs an arena map; the "
        "virtual machine has none",
    ),
    "classic load without socket buffer": (
        (Mov.reg(R6, R1), LoadAbs(0, H), Exit()),
        1,
        "`r0 = *(u16 *)skb[0]` loads from the packet the classic way, which only programs on socket buffers may",
    ),
    "function that is none": (
        (Mov.imm(R1, 4), Mov.imm(R2, 123), Mov.imm(R3, 0), Mov.imm(R4, 0), helper("loop"), *END),
        4,
        "`call bpf_loop#181` takes 0x7b for a function, but there is none at that address",
    ),
    "callx to nothing": (
        (Mov.imm(R2, 4000), Call.reg(R2), *END),
        1,
        "`callx r2` calls 0xfa0, which is neither the address of a function nor the number of a helper that is here",
    ),
}


@pytest.mark.parametrize("name", RUN_ERRORS)
def test_message_of(name: str) -> None:
    code, slot, message = RUN_ERRORS[name]
    engine = VmEngine(budget=1000)
    counts = engine.create_map(COUNTS)
    program = engine.load_program(ProgramSpec("test", ProgramType.XDP, assemble(code)), {"counts": counts})
    with pytest.raises(VmError) as caught:
        program.run()
    value = (counts.first + 2) << 28  # type: ignore[attr-defined]
    expected = message.format(map=f"{counts.address:x}"[:-1], value=f"{value:x}"[:-1])
    assert str(caught.value) == f"Instruction {slot} of program 'test', {expected}."
    program.close()
    counts.close()


def test_a_kernel_function_that_is_not_here_is_unsupported() -> None:
    engine = VmEngine()
    code = assemble((Call.kfunc("bpf_task_from_pid"), *END))
    with pytest.raises(Unsupported) as caught:
        engine.load_program(ProgramSpec("test", ProgramType.XDP, code), {})
    assert "Instruction 0 of program 'test', `call kfunc[bpf_task_from_pid]` calls the kernel function" in str(caught.value)
    assert "does not have; run it in the kernel" in str(caught.value)


LOAD_ERRORS: dict[str, tuple[tuple[Instruction, ...], int | None, str]] = {
    "nothing": ((), None, "Program 'test' has no instructions; the least is `r0 = 0; exit`."),
    "no end": ((Mov.imm(R0, 0),), None, "Program 'test' can run past its end: the last instruction must be an exit or a jump."),
    "jump out": (
        (Jump(5), Exit()),
        0,
        "`goto pc+5` goes to 6, outside of the program's 2 slots",
    ),
    "jump before": (
        (Jump(-3), Exit()),
        0,
        "`goto pc-3` goes to -2, outside of the program's 2 slots",
    ),
    "jump into a wide load": (
        (Jump(1), LoadImm64(R0, 1), Exit()),
        0,
        "`goto pc+1` goes to 2, the second half of a wide load",
    ),
    "call out": (
        (Call.local(7), Exit()),
        0,
        "`call pc+7` goes to 8, outside of the program's 2 slots",
    ),
    "frame pointer": (
        (Instruction(0xB7, R10), Exit()),
        0,
        "`r10 = 0` writes r10; the frame pointer is read-only",
    ),
    "opcode": (
        (Instruction(0xFF), Exit()),
        0,
        "`opcode 0xff` is not valid: 0xff is not the opcode of any eBPF instruction",
    ),
    "label": (
        (Jump("nowhere"), Exit()),
        0,
        "`goto nowhere` goes to 'nowhere', and where that is nobody has said: instructions made by hand go through "
        "purebpf.isa.assemble() first, which finds labels",
    ),
    "function": (
        (Call.local("nowhere"), Exit()),
        None,
        "The program 'test' calls the function 'nowhere', which is not defined here: link the object that defines it (purebpf "
        "link a.o b.o -o c.o), or declare it as one of the kernel (`__ksym`).",
    ),
    "kernel variable": (
        (LoadKsym(R1, "jiffies"), Exit()),
        0,
        "`r1 = ksym[jiffies]` refers to the kernel's jiffies, which the virtual machine does not have: run it in the kernel "
        '(engine="kernel")',
    ),
    "map by number": (
        (LoadMapPtr(R1, 4), Exit()),
        0,
        "`r1 = map[fd:4]` refers to a map by a number; in the virtual machine maps are referred to by name",
    ),
    "map by index": (
        (LoadMapIdx(R1, 0), Exit()),
        0,
        "`r1 = map[idx:0]` refers to a map by a number; in the virtual machine maps are referred to by name",
    ),
    "value of a map with more than one": (
        (LoadMapValue(R1, "counts"), Exit()),
        0,
        "`r1 = map[counts][0]+0` takes the address of a value of the map 'counts', which is only possible for an "
        "array with one element",
    ),
    "beyond the only value": (
        (LoadMapValue(R1, "one", 16), Exit()),
        0,
        "`r1 = map[one][0]+16` takes the address of byte 16 of the map 'one', whose value has only 16 bytes",
    ),
    "jump by register": (
        (JumpReg(R1),),
        0,
        "`gotox r1` jumps by an instruction array map, which the virtual machine does not have",
    ),
}


@pytest.mark.parametrize("name", LOAD_ERRORS)
def test_refusal_to_load(name: str) -> None:
    code, slot, message = LOAD_ERRORS[name]
    engine = VmEngine()
    maps = {"counts": engine.create_map(COUNTS), "one": engine.create_map(MapSpec("one", MapType.ARRAY, 4, 16, 1))}
    with pytest.raises(Error) as caught:
        engine.load_program(ProgramSpec("test", ProgramType.XDP, code), maps)
    assert str(caught.value) == (message if slot is None else f"Instruction {slot} of program 'test', {message}.")


def test_message_names_the_python_line() -> None:
    line = SourceLine("/home/me/filter.py", 12, 4, "    x = ctx.packet.at(0, u64)")
    code = [Mov.imm(R1, 0), replace(LoadMem(R0, R1, 0, DW), source=line), Exit()]
    with pytest.raises(VmError) as caught:
        run(VmEngine(), code)
    assert str(caught.value) == (
        "Instruction 1 of program 'test', `r0 = *(u64 *)(r1 +0)` (/home/me/filter.py:12: x = ctx.packet.at(0, u64)) "
        "reads 8 bytes at 0x0, a null pointer: test the pointer before it is used."
    )


def test_error_in_a_function_names_its_own_instruction() -> None:
    code = (Mov.imm(R1, 3), Call.local("f"), Exit(), Label("f"), Mov.reg(R2, R1), LoadMem(R0, R2, 0, B), Exit())
    with pytest.raises(VmError, match=r"^Instruction 4 of program 'test', `r0 = \*\(u8 \*\)\(r2 \+0\)` reads 1 byte at 0x3"):
        run(VmEngine(), code)


def test_error_in_a_callback_names_its_own_instruction() -> None:
    from purebpf.isa.asm import LoadFunc

    code = (
        Mov.imm(R1, 4),
        LoadFunc(R2, "f"),
        Mov.imm(R3, 0),
        Mov.imm(R4, 0),
        helper("loop"),
        *END,
        Label("f"),
        StoreMem(R1, 0, R1, B),
        Mov.imm(R0, 0),
        Exit(),
    )
    with pytest.raises(VmError, match=r"^Instruction 8 of program 'test', `\*\(u8 \*\)\(r1 \+0\) = r1` writes 1 byte at 0x0"):
        run(VmEngine(), code)


def test_callback_that_reads_more_than_it_is_given() -> None:
    from purebpf.isa.asm import LoadFunc

    code = (Mov.imm(R1, 4), LoadFunc(R2, "f"), Mov.imm(R3, 0), Mov.imm(R4, 0), helper("loop"), *END,
            Label("f"), Mov.reg(R0, R5), Exit())  # fmt: skip
    with pytest.raises(VmError, match="calls a function that reads r5, but gives it only 2 arguments"):
        run(VmEngine(), code)


def test_machine_works_on_after_an_error() -> None:
    engine = VmEngine()
    for _ in range(2):
        with pytest.raises(VmError):
            run(engine, (Mov.imm(R1, 0), LoadMem(R0, R1, 0, DW), Exit()))
        assert run(engine, (Mov.imm(R0, 7), Exit())).value == 7
