"""Runs bare bytecode on a piece of memory: the plugin protocol of the public conformance suite
(github.com/Alan-Jowett/bpf_conformance).

The program comes as bytes in hexadecimal, the memory likewise; r1 is the memory's address and r2 its length, both 0 without
memory. Helpers can be called; maps, packets and contexts are not there. `python -m purebpf.vm.exec [MEMORY_HEX]` reads the
program from standard input and prints r0 in hexadecimal.
"""

from __future__ import annotations

import sys

from purebpf.errors import AssemblerError, Error
from purebpf.isa.codec import decode
from purebpf.isa.instruction import Instruction
from purebpf.vm.interpreter import Code
from purebpf.vm.machine import DEFAULT_BUDGET, Machine

TYPE_CHECKING = False  # the checker takes it as true; importing it from typing would cost milliseconds
if TYPE_CHECKING:
    from purebpf.isa.codec import ByteOrder


def run_instructions(
    instructions: tuple[Instruction, ...],
    memory: bytes = b"",
    *,
    byteorder: ByteOrder = "little",
    budget: int = DEFAULT_BUDGET,
) -> int:
    """r0, 64 bits unsigned, of a program run on a copy of `memory`. Raises VmError."""
    machine = Machine(byteorder=byteorder, cpus=1, budget=budget, task=None, seed=None)
    code = Code(machine, "program", instructions, no_map, arguments=2)
    address = machine.memory.share("the memory given", bytearray(memory)) if memory else 0
    return code.run(code.main, address, len(memory))


def no_map(instruction: Instruction) -> int:
    raise Error("refers to a map; bare bytecode has none")


def run_hex(program_hex: str, memory: bytes = b"", *, byteorder: ByteOrder = "little", budget: int = DEFAULT_BUDGET) -> int:
    """r0 of the program that is written in hexadecimal. Raises AssemblerError for what is no program, and VmError."""
    return run_instructions(decode(from_hex(program_hex, "program"), byteorder), memory, byteorder=byteorder, budget=budget)


def from_hex(text: str, what: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise AssemblerError(f"The {what} is not hexadecimal: it takes digits and a to f, two for each byte.") from None


def main(arguments: list[str]) -> int:
    """The command; its exit status."""
    memory_hex = next((each for each in arguments if not each.startswith("-")), "")
    try:
        result = run_hex(sys.stdin.read(), from_hex(memory_hex, "memory"))
    except Error as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{result:x}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
