"""What kernels older than those that tests run on want: made up here, and looked at."""

from __future__ import annotations

import platform
import struct
import sys

import pytest

from purebpf.isa.asm import R0, Call, Exit, Mov
from purebpf.kernel import linked, program, vdso, verifier
from purebpf.kernel.engine import KernelEngine
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import ProgramType
from purebpf.tables.helpers import helper

USER, KERNEL, USER_STR, KERNEL_STR = 112, 113, 114, 115
READS = tuple(Call.helper(number) for number in (USER, KERNEL, USER_STR, KERNEL_STR, 14))
SPEC = ProgramSpec("reads", ProgramType.KPROBE, (*READS, Mov.imm(R0, 0), Exit()))


def called() -> list[int]:
    return [instruction.imm for instruction in linked.without_descriptors(SPEC)[:5]]


def test_memory_is_read_by_the_helpers_that_the_kernel_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert called() == [USER, KERNEL, USER_STR, KERNEL_STR, 14]
    monkeypatch.setattr(linked, "kernel_version", lambda: (5, 4))
    assert called() == [4, 4, 45, 45, 14]
    names = {number: helper(name) for name, number in (("probe_read", 4), ("probe_read_str", 45), ("probe_read_kernel", 113))}
    assert all(found is not None and found.id == number for number, found in names.items())


def note(owner: bytes, kind: int, says: bytes) -> bytes:
    order = "<" if sys.byteorder == "little" else ">"
    padded = owner + bytes(-len(owner) % 4)
    return struct.pack(f"{order}III", len(owner), len(says), kind) + padded + says + bytes(-len(says) % 4)


def test_the_version_is_that_of_the_kernels_own_note() -> None:
    version = (0x04_13_07).to_bytes(4, sys.byteorder)
    others = note(b"GNU\0", 3, b"build id ") + note(b"Linux\0", 0x100, b"else")
    assert vdso.of_notes(others + note(b"Linux\0", 0, version)) == 0x041307
    assert vdso.of_notes(others) == 0
    assert vdso.of_notes(note(b"Linux\0", 0, version)[:18]) == 0
    assert vdso.of_notes(b"") == 0


def test_the_running_kernel_has_it() -> None:
    code = vdso.version_code()
    major, minor = map(int, platform.release().split("-")[0].split("+")[0].split(".")[:2])
    assert (code >> 16, code >> 8 & 0xFF) == (major, minor)


@pytest.mark.kernel
@pytest.mark.parametrize("version, told", [((4, 19), True), ((5, 0), False)])
def test_only_old_kernels_are_told_the_version_with_a_probe(
    kernel: KernelEngine, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], told: bool
) -> None:
    seen: list[verifier.Fields] = []
    load = verifier.load

    def looked_at(fields: verifier.Fields, log_level: int = 0) -> tuple[int, str]:
        seen.append(fields)
        return load(fields, log_level)

    monkeypatch.setattr(verifier, "load", looked_at)
    monkeypatch.setattr(program, "kernel_version", lambda: version)
    with kernel.load_program(ProgramSpec("p", ProgramType.KPROBE, (Mov.imm(R0, 0), Exit())), {}):
        assert seen[0].get("kern_version", 0) == (vdso.version_code() if told else 0)
