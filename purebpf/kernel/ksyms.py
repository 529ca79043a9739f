"""Symbols of the kernel that programs refer to by name: its variables and functions, found when a program is loaded.

One with a type is a variable or function in the kernel's BTF or a module's (Linux 5.10, modules 5.12): the instruction holds
its number there, and the descriptor of the module's BTF. One without is any symbol in /proc/kallsyms: the instruction holds its
address, a number that programs may compare but not read through. What is weak and not there is 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from purebpf.btf.core_compare import types_compatible
from purebpf.btf.names import essential_name
from purebpf.btf.reader import Btf
from purebpf.btf.running import kernel_btf, module_btf, modules
from purebpf.btf.types import Func, Kind, Var
from purebpf.data import replace
from purebpf.errors import Error, Unsupported
from purebpf.isa.instruction import BTF_ID, WIDE_LOAD, Instruction
from purebpf.kernel.descriptor import Descriptor
from purebpf.spec import ExternKind, ExternSpec, ProgramSpec
from purebpf.undefined import HOW, WORDS

SYMBOLS = "/proc/kallsyms"
LINE = rb"^([0-9a-f]+) \S (%s)(?:\t\[([^\]]+)\])?$"


def names_ksym(instruction: Instruction) -> bool:
    """Whether a wide load is of a symbol of the kernel."""
    named = instruction.symbol is not None and not instruction.symbol.startswith("?")
    return instruction.opcode == WIDE_LOAD and instruction.src == BTF_ID and named


class Ksyms:
    """The symbols of one program that is being loaded."""

    def __init__(self, spec: ProgramSpec) -> None:
        self.spec = spec
        self.externs = {each.name: each for each in spec.externs}
        self.modules: dict[str, Descriptor] = {}
        self._addresses: Mapping[str, int] | None = None

    def resolved(self, instruction: Instruction) -> Instruction:
        """The wide load with what the kernel wants. Raises Unsupported for what is not there."""
        name = str(instruction.symbol)
        extern = self.externs.get(name, ExternSpec(name, ExternKind.VARIABLE))
        if extern.kind in WORDS:  # and it is weak
            return replace(instruction, src=0, imm=0, symbol=None)
        if extern.kind is ExternKind.ADDRESS:
            return replace(instruction, src=0, imm=self._address(extern), symbol=None)
        found = find(extern, self.spec)
        if isinstance(found, str):
            if extern.weak:
                return replace(instruction, src=0, imm=0, symbol=None)
            raise Unsupported(f"The program {self.spec.name!r} refers to the kernel's {name}: {found}.")
        number, module = found
        return replace(instruction, imm=(self._open(module) << 32 if module else 0) | number, symbol=None)

    def _open(self, module: str) -> int:
        """The descriptor of a module's BTF, open until the program is loaded."""
        from purebpf.kernel.btf import module_btf as open_module

        if module not in self.modules:
            self.modules[module] = open_module(module)
        return self.modules[module].number

    def _address(self, extern: ExternSpec) -> int:
        if self._addresses is None:
            wanted = [each.name for each in self.spec.externs if each.kind is ExternKind.ADDRESS] or [extern.name]
            self._addresses = addresses(wanted)
        found = self._addresses.get(extern.name)
        if found is None and not extern.weak:
            raise Unsupported(
                f"The program {self.spec.name!r} refers to {extern.name}, declared without a type: {SYMBOLS} has no such "
                f"symbol. If it is a map or variable of another object, {HOW}."
            )
        return found or 0

    def close(self) -> None:
        for descriptor in self.modules.values():
            descriptor.close()


def find(extern: ExternSpec, spec: ProgramSpec) -> tuple[int, str] | str:
    """(number, module, "" for the kernel itself) of what has the name and, where the program knows it, the type; else words why
    there is none. A name's flavour (`name___old`) does not count."""
    kind = Kind.FUNC if extern.kind is ExternKind.FUNCTION else Kind.VAR
    name, why = essential_name(extern.name), "it has nothing of this name"
    for module, btf in _kernels():
        for number in btf.types_named(name, kind):
            if module and number < btf.first:
                continue
            if not extern.type or _compatible(spec, extern.type, btf, number):
                return number, module
            why = "its type there is another than the program's"
    return why


def _kernels() -> Iterator[tuple[str, Btf]]:
    """The kernel's BTF, then that of its modules, opened as one goes on."""
    yield "", kernel_btf()
    for module in sorted(modules()):
        try:
            yield module, module_btf(module)
        except Error:
            continue


def _compatible(spec: ProgramSpec, local: int, btf: Btf, number: int) -> bool:
    from purebpf.kernel.together import local_btf

    own, mine, its = local_btf(spec), spec.types[local - 1], btf.type(number)
    if not isinstance(mine, Func | Var) or not isinstance(its, Func | Var):
        return False
    return types_compatible(own, mine.type, btf, its.type)


def addresses(names: list[str]) -> dict[str, int]:
    """The addresses of symbols of any kind. Raises Error where they are hidden, and for a name at several addresses."""
    try:
        with open(SYMBOLS, "rb") as file:
            table = file.read()
    except OSError as error:
        raise Unsupported(f"Addresses of the kernel's symbols are not known: {SYMBOLS}: {error.strerror}.") from error
    pattern = LINE % b"|".join(re.escape(name.encode()) for name in names)
    found: dict[str, int] = {}
    for match in re.finditer(pattern, table, re.MULTILINE):
        name, value = match[2].decode(), int(match[1], 16)
        if not value and name not in found:
            raise Unsupported(
                f"The address of the kernel's {name} is hidden: {SYMBOLS} shows it to those with CAP_SYSLOG only, and to "
                "nobody where kernel.kptr_restrict is 2."
            )
        if found.setdefault(name, value) != value:
            raise Error(
                f"The kernel has several symbols {name}, at {found[name]:#x} and {value:#x}; which is meant is not known."
            )
    return found
