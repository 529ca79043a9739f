"""Small programs for the tests, in assembly, and how a test gets a thread's and a structure's numbers. Helpers by number."""

from __future__ import annotations

import os
import socket
import sys
import threading
from functools import cache

import pytest

from purebpf.btf.running import kernel_btf
from purebpf.btf.types import Kind, Struct
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
    R7,
    R8,
    Add,
    Atomic,
    Call,
    Exit,
    H,
    JEq,
    JGt,
    JNe,
    Label,
    LoadImm64,
    LoadMapPtr,
    LoadMem,
    Mov,
    Rsh,
    StoreImm,
    StoreMem,
    W,
    assemble,
)  # fmt: skip
from purebpf.isa.instruction import Instruction
from purebpf.kernel.errors import kernel_version
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.enums import AttachType, MapType, ProgramType
from tests.kernel.netns import ETHERTYPE


def needs(first: tuple[int, int], feature: str) -> pytest.MarkDecorator:
    """Skip, with the reason, on a kernel that is too old for what a test is about."""
    major, minor = kernel_version()
    reason = f"{feature} came with Linux {first[0]}.{first[1]}; this is {major}.{minor}"
    return pytest.mark.skipif((major, minor) < first, reason=reason)


MAP_LOOKUP, GET_PID_TGID, TAIL_CALL, PERF_OUTPUT, TRACE_PRINTK = 1, 14, 12, 25, 6
CURRENT_CPU = 0xFFFF_FFFF
COUNTS = MapSpec("counts", MapType.ARRAY, 4, 8, 4)
Program = tuple[Instruction, ...]


def u32(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder)


def u64(value: int) -> bytes:
    return value.to_bytes(8, sys.byteorder)


def integer(data: bytes | None) -> int:
    assert data is not None
    return int.from_bytes(data, sys.byteorder)


@cache
def offset(struct: str, member: str) -> int:
    """Byte offset of a member, by the running kernel's own account."""
    btf = kernel_btf()
    found = btf.type(btf.find(struct, Kind.STRUCT))
    assert isinstance(found, Struct)
    for one in found.members:
        if one.name == member:
            return one.bit_offset // 8
    raise LookupError(f"{struct} has no {member}")


def count(key: int = 0, out: str = "out") -> tuple[Instruction | Label, ...]:
    """Add one to `counts[key]`; loses r0 to r5."""
    return (
        StoreImm(FP, -4, key, W),
        Mov.reg(R2, FP),
        Add.imm(R2, -4),
        LoadMapPtr(R1, "counts"),
        Call.helper(MAP_LOOKUP),
        JEq.imm(R0, 0, out),
        Mov.imm(R1, 1),
        Atomic.add(R0, 0, R1, DW),
    )


def only_this_thread(out: str = "out") -> tuple[Instruction | Label, ...]:
    """Go to `out` unless the thread that makes the program is the one that runs it."""
    return (Call.helper(GET_PID_TGID), LoadImm64(R1, os.getpid() << 32 | threading.get_native_id()), JNe.reg(R0, R1, out))


def frame_counter(type: ProgramType, context: str, result: int, attach_type: AttachType | None = None) -> ProgramSpec:
    """Counts frames of the tests' ethertype and lets all pass with `result`."""
    code = assemble(
        (
            LoadMem(R6, R1, offset(context, "data"), W),
            LoadMem(R7, R1, offset(context, "data_end"), W),
            Mov.reg(R8, R6),
            Add.imm(R8, 14),
            JGt.reg(R8, R7, "out"),
            LoadMem(R2, R6, 12, H),
            JNe.imm(R2, socket.htons(ETHERTYPE), "out"),
            *count(),
            Label("out"),
            Mov.imm(R0, result),
            Exit(),
        )
    )
    return ProgramSpec("frame_counter", type, code, attach_type=attach_type)


def xdp_counter() -> ProgramSpec:
    return frame_counter(ProgramType.XDP, "xdp_md", 2)  # XDP_PASS


def tc_counter(attach_type: AttachType | None = None) -> ProgramSpec:
    return frame_counter(ProgramType.SCHED_CLS, "__sk_buff", -1, attach_type)  # TCX_NEXT


def own_event_counter(type: ProgramType, attach_to: str = "") -> ProgramSpec:
    """Counts events that happen in the calling thread."""
    code = assemble((*only_this_thread(), *count(), Label("out"), Mov.imm(R0, 0), Exit()))
    return ProgramSpec("event_counter", type, code, attach_to=attach_to)


def any_event_counter(type: ProgramType) -> ProgramSpec:
    return ProgramSpec("any_counter", type, assemble((*count(), Label("out"), Mov.imm(R0, 0), Exit())))


def output(size: int = 8, times: int = 1) -> ProgramSpec:
    """A raw tracepoint program that sends `times` records: its first argument, then zeros up to `size` bytes."""
    send = (
        Mov.reg(R1, R6),
        LoadMapPtr(R2, "events"),
        LoadImm64(R3, CURRENT_CPU),
        Mov.reg(R4, FP),
        Add.imm(R4, -size),
        Mov.imm(R5, size),
        Call.helper(PERF_OUTPUT),
    )
    code = assemble(
        (
            Mov.reg(R6, R1),
            *(StoreImm(FP, -size + at, 0, DW) for at in range(0, size, 8)),
            LoadMem(R7, R6, 0, DW),
            StoreMem(FP, -size, R7, DW),
            *(send * times),
            Mov.imm(R0, 0),
            Exit(),
        )
    )
    return ProgramSpec("output", ProgramType.RAW_TRACEPOINT, code)


def returning(value: int, type: ProgramType = ProgramType.XDP) -> ProgramSpec:
    return ProgramSpec("returning", type, (Mov.imm(R0, value), Exit()))


def own_pid() -> ProgramSpec:
    """Returns the process id of whoever runs it."""
    return ProgramSpec("own_pid", ProgramType.RAW_TRACEPOINT, (Call.helper(GET_PID_TGID), Rsh.imm(R0, 32), Exit()))


def tail_caller(index: int, otherwise: int) -> ProgramSpec:
    """Goes on in `targets[index]`, or returns `otherwise` when nothing is there."""
    code = (LoadMapPtr(R2, "targets"), Mov.imm(R3, index), Call.helper(TAIL_CALL), Mov.imm(R0, otherwise), Exit())
    return ProgramSpec("tail_caller", ProgramType.XDP, code)
