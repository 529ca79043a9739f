"""Types of programs: the smallest program of each is loaded and closed. What the verifier refuses, it knows."""

from __future__ import annotations

import errno
import sys

from purebpf.data import data
from purebpf.isa import asm
from purebpf.isa.codec import encode
from purebpf.isa.instruction import Instruction
from purebpf.kernel import verifier
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import ENOTSUPP
from purebpf.kernel.features.answers import NO, YES, Answer, inconclusive, kept
from purebpf.kernel.syscall import address, pin
from purebpf.tables.enums import AttachType, ProgramType

SLEEPABLE = 1 << 4


@data
class Shape:
    """What a program of a type is loaded with. `hook`: the name of a type in the kernel's BTF that it belongs to; without one
    it is loaded with a wrong number, which the verifier refuses in words."""

    attach: AttachType | None = None
    value: int = 0
    flags: int = 0
    by_type: bool = False
    hook: str = ""


SHAPES = {
    ProgramType.CGROUP_SOCK_ADDR: Shape(AttachType.CGROUP_INET4_CONNECT, 1),
    ProgramType.CGROUP_SOCKOPT: Shape(AttachType.CGROUP_GETSOCKOPT, 1),
    ProgramType.SK_LOOKUP: Shape(AttachType.SK_LOOKUP, 1),
    ProgramType.NETFILTER: Shape(AttachType.NETFILTER, 1),
    ProgramType.SYSCALL: Shape(flags=SLEEPABLE),
    ProgramType.TRACING: Shape(AttachType.TRACE_RAW_TP, by_type=True, hook="btf_trace_sched_switch"),
    ProgramType.LSM: Shape(AttachType.LSM_MAC, by_type=True, hook="bpf_lsm_file_open"),
    ProgramType.EXT: Shape(by_type=True),
    ProgramType.STRUCT_OPS: Shape(by_type=True),
}
PLAIN = Shape()


def program_type(type: ProgramType) -> Answer:
    """Whether programs of this type can be loaded."""
    return kept(type, lambda: _find(type))


def _find(type: ProgramType) -> Answer:
    number, log = attempt(type)
    if not number or log or (type is ProgramType.STRUCT_OPS and number == ENOTSUPP):
        return YES
    return NO if number in (errno.EINVAL, errno.E2BIG, errno.EOPNOTSUPP, ENOTSUPP) else inconclusive(number)


def attempt(type: ProgramType, instructions: tuple[Instruction, ...] | None = None, hook: int = 1) -> tuple[int, str]:
    """Load a program of this type, by default one that only returns: (0 or the errno, the verifier's log). `hook` is the
    number in BTF of what it belongs to."""
    shape = SHAPES.get(type, PLAIN)
    code = instructions or (asm.Mov.imm(asm.R0, shape.value), asm.Exit())
    pinned, license = pin(encode(code, sys.byteorder)), pin(b"GPL")
    fields: verifier.Fields = {
        "prog_type": int(type),
        "insn_cnt": sum(instruction.slots for instruction in code),
        "insns": address(pinned),
        "license": address(license),
        "prog_flags": shape.flags,
        "expected_attach_type": int(shape.attach or 0),
    }
    if shape.by_type:
        fields["attach_btf_id"] = hook
    answer, log = verifier.load(fields)
    if answer < 0:
        return -answer, log.strip()
    Descriptor(answer, "a probe").close()
    return 0, ""
