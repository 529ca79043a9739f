"""Kernel functions that programs call by name, kfuncs (Linux 5.13): looked up in the kernel's BTF when a program is loaded.

A function of a module (Linux 5.16) is a number in the module's BTF, which the instruction's offset names by its place in an
array of descriptors; its first place is not for modules. The descriptors stay open until the program is loaded.
"""

from __future__ import annotations

import re

from purebpf.btf.running import kernel_btf, module_btf, modules
from purebpf.btf.types import Kind
from purebpf.data import replace
from purebpf.errors import Error, Unsupported
from purebpf.isa.instruction import Instruction, asks
from purebpf.isa.opcodes import CALL_OPCODE
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import came_with
from purebpf.relocate import POISON
from purebpf.spec import ExternSpec, ProgramSpec
from purebpf.tables.since import kfunc_since, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.kernel.verifier import Fields


WEAK_POISON = 2_002_000_000  # and the place among the object's externs: libbpf's number, which tools know
WEAK_CALL = re.compile(r"\b2002\d{6}\b")


class Kfuncs:
    """The kernel functions of one program that is being loaded."""

    def __init__(self, spec: ProgramSpec) -> None:
        self.spec = spec
        self.externs = {each.name: each for each in spec.externs}
        wanted = {asks(instruction) for instruction in spec.instructions} - {""}
        self.asks_in_vain = any(_find(name) is None for name in wanted)
        self.lacking: dict[str, None] = {}  # functions that are not there, whose calls the verifier must never reach
        self.modules: dict[str, Descriptor] = {}
        self._array: object = None  # memory that the kernel reads

    def resolved(self, instruction: Instruction) -> Instruction:
        """The call with the function's number, or the answer whether it is there.

        In a program that asks for a function which is not there, calls of such become those of a helper that no kernel has:
        the verifier drops them where they are never reached. Raises Unsupported in any other.
        """
        if name := asks(instruction):
            return replace(instruction, src=0, imm=int(_find(name) is not None), symbol=None)
        name = str(instruction.symbol)
        extern = self.externs.get(name)
        found = _find(name) if extern is None else self._declared(extern)
        if found is None:
            self.lacking[name] = None
            if extern is not None and extern.weak:
                return Instruction(CALL_OPCODE, imm=WEAK_POISON + extern.index, source=instruction.source)
            if not self.asks_in_vain:
                raise self.missing()
            return Instruction(CALL_OPCODE, imm=POISON, source=instruction.source)
        number, module = found
        return replace(instruction, offset=self._place(module) if module else 0, imm=number, symbol=None)

    def _declared(self, extern: ExternSpec) -> tuple[int, str] | None:
        """The function that an object file declares. Raises Unsupported for one that must be there and is another."""
        from purebpf.kernel.ksyms import find

        found = find(extern, self.spec)
        if not isinstance(found, str):
            return found
        if not extern.weak and _find(extern.name) is not None:
            raise Unsupported(f"The program {self.spec.name!r} calls the kernel's {extern.name}: {found}.")
        return None

    def reached(self, log: str) -> bool:
        """Whether the verifier came to a call of what is not there."""
        return bool(self.lacking) and (str(POISON) in log or WEAK_CALL.search(log) is not None)

    def missing(self) -> Unsupported:
        """The error of a program that calls what is not there: of its hook, where that is not there either."""
        from purebpf.kernel.missing import hook

        if (without := hook(self.spec)) is not None:
            return without
        name = next(iter(self.lacking))
        since = kfunc_since(name)
        why = came_with(parse(since)) if since else "which this kernel does not have"
        return Unsupported(f"The program {self.spec.name!r} calls the kernel function {name} {why}.")

    def _place(self, module: str) -> int:
        from purebpf.kernel.btf import module_btf as open_module

        if module not in self.modules:
            self.modules[module] = open_module(module)
        return 1 + list(self.modules).index(module)

    def tell(self, fields: Fields) -> None:
        """Have the fields name the modules."""
        if self.modules:
            from purebpf.kernel.syscall import address, pin

            opened = [0, *(descriptor.number for descriptor in self.modules.values())]
            self._array = pin(b"".join(number.to_bytes(4, "little") for number in opened))
            fields["fd_array"] = address(self._array)

    def close(self) -> None:
        for descriptor in self.modules.values():
            descriptor.close()


def _find(name: str) -> tuple[int, str] | None:
    """(its number, the module that has it, "" for the kernel itself)."""
    if numbers := kernel_btf().types_named(name, Kind.FUNC):
        return numbers[0], ""
    for module in sorted(modules()):
        try:
            if numbers := module_btf(module).types_named(name, Kind.FUNC):
                return numbers[0], module
        except Error:
            continue
    return None
