"""The running kernel's verifier prints every instruction it knows as we do.

Each golden row is loaded in the middle of a small socket filter with the log on. Whether the verifier accepts the program does
not matter, only how it prints the instruction. Nothing is attached; what loads is closed at once.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import struct
import sys

import pytest

from purebpf.isa import encode, format_instruction, minimum_kernel
from purebpf.isa.asm import R0, R2, R3, Exit, Mov
from purebpf.isa.instruction import Instruction
from tests.isa.golden import ROWS

BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}
PROG_LOAD, SOCKET_FILTER, LOG_LEVEL, LOG_SIZE = 5, 1, 2, 1 << 18

BRACKETS = re.compile(r"\[(?!\d+\]$|r\d)")  # our notation for what is referred to, but not skb[12] and skb[r1 + 3]
UNPRINTED = ("callx", "gotox", "gotol", "call pc", "exit", "goto")  # refused, or leave code unreachable, before any printing


def verifier_log(program: list[Instruction]) -> str:
    """Load `program` and return the verifier's log; skips the test where bpf(2) is not permitted."""
    code = ctypes.create_string_buffer(encode(program, sys.byteorder))
    log, license_ = ctypes.create_string_buffer(LOG_SIZE), ctypes.create_string_buffer(b"GPL")
    slots = sum(instruction.slots for instruction in program)
    # The head of union bpf_attr for BPF_PROG_LOAD (include/uapi/linux/bpf.h): type, insn_cnt, insns, license, log_*.
    head = struct.pack(
        "=IIQQIIQ", SOCKET_FILTER, slots, *map(ctypes.addressof, (code, license_)), LOG_LEVEL, LOG_SIZE, ctypes.addressof(log)
    )
    attr = ctypes.create_string_buffer(head, len(head))
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(BPF_SYSCALL[platform.machine()], PROG_LOAD, attr, len(head))
    if descriptor >= 0:
        os.close(descriptor)
    elif ctypes.get_errno() == errno.EPERM and not log.value:
        pytest.skip("bpf(2) is not permitted for this user: the kernel's own text cannot be compared")
    return log.value.decode()


def running_kernel() -> tuple[int, int]:
    major, minor = platform.release().split(".")[:2]
    return int(major), int(re.sub(r"\D.*", "", minor))


PRINTED = [(instruction, text) for instruction, text, _ in ROWS if not BRACKETS.search(text) and not text.startswith(UNPRINTED)]


@pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() not in BPF_SYSCALL, reason="needs Linux on x86-64 or arm64"
)
@pytest.mark.parametrize(("instruction", "text"), PRINTED, ids=[text for _, text in PRINTED])
def test_the_kernel_prints_it_so(instruction: Instruction, text: str) -> None:
    since = minimum_kernel(instruction)
    assert since is not None
    if running_kernel() < since:
        pytest.skip(f"this kernel is older than {since[0]}.{since[1]}, which brought the instruction")
    around = [Mov.imm(R0, 0), Mov.imm(R2, 0), Mov.imm(R3, 0)]
    log = verifier_log([*around, instruction, *around, Mov.imm(R0, 0), Exit()])
    printed = re.search(rf"^[ \d]*\b3: (?:[.\d]+ )?\({instruction.opcode:02x}\) (.*?)\s*(?:;.*)?$", log, re.MULTILINE)
    assert printed is not None, log
    expected = format_instruction(instruction).removesuffix(" ll")  # the kernel does not mark wide constants
    assert printed[1] == expected == text.removesuffix(" ll")


def test_most_forms_are_compared() -> None:
    assert len(PRINTED) > 160
