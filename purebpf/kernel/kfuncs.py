"""Kernel functions that programs call by name, kfuncs (Linux 5.13): looked up in the kernel's BTF when a program is loaded.

Functions of kernel modules are not looked for.
"""

from __future__ import annotations

from purebpf.btf.running import kernel_btf
from purebpf.btf.types import Kind
from purebpf.data import replace
from purebpf.errors import Unsupported
from purebpf.isa.instruction import Instruction
from purebpf.kernel.errors import came_with
from purebpf.spec import ProgramSpec
from purebpf.tables.since import kfunc_since, parse


def numbered(instruction: Instruction, spec: ProgramSpec) -> Instruction:
    """The call with the function's number in the kernel's BTF. Raises Unsupported for a function that is not there."""
    name = str(instruction.symbol)
    found = kernel_btf().types_named(name, Kind.FUNC)
    if not found:
        since = kfunc_since(name)
        why = came_with(parse(since)) if since else "which this kernel does not have (or only in a module)"
        raise Unsupported(f"The program {spec.name!r} calls the kernel function {name} {why}.")
    return replace(instruction, imm=found[0], symbol=None)
