"""Kernel functions (kfuncs) that the virtual machine has, by their names; see `helpers.py` for how they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module

from purebpf.isa.instruction import Instruction, asks
from purebpf.isa.opcodes import CALL_KFUNC, CALL_OPCODE

REENTRANT = frozenset({"bpf_rbtree_add_impl"})  # those that call back into the program
MODULES = ("lock_helpers", "dynptr_helpers", "iterators", "objects")


@cache
def functions() -> dict[str, Callable[..., int]]:
    """All of them, by name."""
    return {each.__name__: each for module in MODULES for each in import_module(f"purebpf.vm.{module}").KFUNCS}


def called(instruction: Instruction) -> str | None:
    """The kernel function that an instruction calls, or None."""
    if (instruction.opcode, instruction.src) != (CALL_OPCODE, CALL_KFUNC):
        return None
    return instruction.symbol or f"number {instruction.imm}"


def asks_in_vain(code: Iterable[Instruction | None]) -> bool:
    """Whether a program asks for a kernel function that is not here, and so can do without some."""
    return any(instruction is not None and (name := asks(instruction)) and name not in functions() for instruction in code)


@cache
def registers(name: str) -> int:
    """How many registers it takes."""
    known = functions().get(name)
    return known.__code__.co_argcount - 1 if known is not None else 0
