"""What this kernel can do, found out by trying: may we use bpf(2), which instructions does it know.

An answer is kept only when it is conclusive: EPERM, or lack of memory, says nothing about a feature.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

from purebpf import isa as asm  # its constructors are loaded when the first probe is made
from purebpf.data import data
from purebpf.errors import Error, KernelError, Unsupported
from purebpf.isa.codec import encode
from purebpf.isa.instruction import Instruction
from purebpf.kernel import privileges, verifier
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.map import create_map
from purebpf.kernel.syscall import address, pin
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType, ProgramType

SNPRINTF = 165


def return_zero() -> tuple[Instruction, ...]:
    return asm.Mov.imm(asm.R0, 0), asm.Exit()


def stack_zero() -> tuple[Instruction, ...]:
    return asm.StoreImm(10, -8, 0, asm.DW), asm.Mov.imm(0, 0)


def call_with_zeros(helper: int) -> tuple[Instruction, ...]:
    """A call of a helper with zeros only."""
    return (*(asm.Mov.imm(register, 0) for register in range(1, 6)), asm.Call.helper(helper), *return_zero())


def load_acquire() -> tuple[Instruction, ...]:
    return (*stack_zero(), asm.Atomic.load_acquire(0, 10, -8, asm.DW), asm.Exit())


@data
class Feature:
    """`minimum` is the first mainline kernel with it (on x86-64; other machines' JIT compilers may have come later).

    The kernel has it when it takes `program`, or refuses it with the errno `refusal` that only one that knows it gives.
    """

    name: str
    minimum: tuple[int, int]
    program: Callable[[], tuple[Instruction, ...]]
    refusal: int = 0


FEATURES = {
    feature.name: feature
    for feature in (
        Feature("jump_less", (4, 14), lambda: (asm.Mov.imm(0, 0), asm.JLt.imm(0, 1, 0), asm.Exit())),
        Feature("local_call", (4, 16), lambda: (asm.Call.local(1), asm.Exit(), *return_zero())),
        Feature("jump32", (5, 1), lambda: (asm.Mov32.imm(0, 0), asm.JEq32.imm(0, 1, 0), asm.Exit())),
        Feature("bounded_loop", (5, 3), lambda: (asm.Mov.imm(0, 2), asm.Sub.imm(0, 1), asm.JNe.imm(0, 0, -2), asm.Exit())),
        Feature("atomic_fetch", (5, 12), lambda: (*stack_zero(), asm.Atomic.add(10, -8, 0, asm.DW, fetch=True), asm.Exit())),
        # Widths, %X, %%, and several texts in a format of trace_printk. No program is refused for these, so the probe is the
        # helper that came with them. Who knows it dislikes what it is given; who does not, the call.
        Feature("printk_formats", (5, 13), lambda: call_with_zeros(SNPRINTF), errno.EACCES),
        Feature("byte_swap", (6, 6), lambda: (asm.Mov.imm(0, 0), asm.Bswap(0, 16), asm.Exit())),
        Feature("sign_extend", (6, 6), lambda: (asm.Mov.imm(0, 0), asm.MovSx(0, 0, 8), asm.Exit())),
        Feature("signed_load", (6, 6), lambda: (*stack_zero(), asm.LoadMemSx(0, 10, -8, asm.B), asm.Exit())),
        Feature("signed_division", (6, 6), lambda: (asm.Mov.imm(0, 4), asm.SDiv.imm(0, -2), asm.Exit())),
        Feature("jump_long", (6, 6), lambda: (asm.Mov.imm(0, 0), asm.JumpLong(0), asm.Exit())),
        Feature("may_goto", (6, 9), lambda: (asm.Mov.imm(0, 0), asm.MayGoto(1), asm.Mov.imm(0, 1), asm.Exit())),
        # That the verifier forgets what is in registers that nobody reads any more cannot be seen from outside; what came with
        # the same version can.
        Feature("dead_registers", (6, 15), load_acquire),
        Feature("load_acquire", (6, 15), load_acquire),
    )
}
# What a kernel must have to take programs for each cpu level (clang's -mcpu).
LEVELS = {
    2: ("jump_less",),
    3: ("jump32", "atomic_fetch"),
    4: ("byte_swap", "sign_extend", "signed_load", "signed_division", "jump_long"),
}
_known: dict[str, bool] = {}


def _attempt(type: ProgramType, instructions: tuple[Instruction, ...]) -> int:
    """0 when the kernel takes the program, else the errno."""
    code, license = pin(encode(instructions, sys.byteorder)), pin(b"GPL")
    fields: verifier.Fields = {
        "prog_type": int(type),
        "insn_cnt": sum(instruction.slots for instruction in instructions),
        "insns": address(code),
        "license": address(license),
    }
    answer, _log = verifier.load(fields)
    if answer < 0:
        return -answer
    Descriptor(answer, "a probe").close()
    return 0


def permitted(type: ProgramType | None = None) -> str | None:
    """Why bpf(2) cannot be used here (for programs of this type), as a sentence; None when it can."""
    if os.name != "posix" or os.uname().sysname != "Linux":
        return f"The kernel engine needs Linux; this is {os.uname().sysname if os.name == 'posix' else os.name}."
    try:
        create_map(MapSpec("purebpf_probe", MapType.ARRAY, 4, 4, 1)).close()
    except (KernelError, Unsupported) as error:
        return str(error)
    if type is None:
        return None
    number = _attempt(type, return_zero())
    if number != errno.EPERM:  # some types are not loadable bare; that is no question of permission
        return None
    return str(failure(number, f"Loading a program of type {type.name.lower()}", needs=privileges.for_program(type)))


def has_feature(name: str) -> bool:
    """Whether the kernel takes a program with this feature: see `FEATURES`. Raises KernelError when it cannot be found out."""
    if name not in FEATURES:
        raise Error(f"There is no probe for {name!r}; there are probes for {', '.join(FEATURES)}.")
    if name not in _known:
        number = _attempt(ProgramType.SOCKET_FILTER, FEATURES[name].program())
        if number not in (0, errno.EINVAL, errno.EACCES, errno.EOPNOTSUPP):
            raise failure(number, f"Probing for {name}", needs=privileges.for_program(ProgramType.SOCKET_FILTER))
        _known[name] = number in (0, FEATURES[name].refusal)
    return _known[name]


def cpu_level() -> int:
    """The highest level of the instruction set that this kernel takes whole: 1 to 4, as in clang's -mcpu."""
    level = 1
    for higher, features in LEVELS.items():
        if not all(map(has_feature, features)):
            break
        level = higher
    return level
