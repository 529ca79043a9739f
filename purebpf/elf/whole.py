"""A program as a whole: its main function, and behind it each function that it calls or names, once, in the order in which they
are met when one goes into a function at its first mention. libbpf has the same order, so the same program comes out.
"""

from __future__ import annotations

from purebpf.btf.relocation import CoreRelocation
from purebpf.btf.types import Func
from purebpf.elf.container import ElfError
from purebpf.elf.functions import SLOT, Function, Place
from purebpf.elf.opened import Opened
from purebpf.isa.instruction import WIDE_LOAD, Instruction
from purebpf.spec import FunctionSpec

CALLBACK = "exception_callback:"  # the tag of a program that names the function to go on with after bpf_throw()
LARGEST = 1_000_000  # slots: the kernel takes no more (BPF_COMPLEXITY_LIMIT_INSNS)


class Whole:
    """A program being put together."""

    def __init__(self, file: Opened, main: Function, by_place: dict[Place, Function]) -> None:
        self.file, self.main, self.by_place = file, main, by_place
        self.bases: dict[Place, int] = {}
        self.order: list[Function] = []
        self.size = 0
        self._append(main)
        callback = self._callback()
        if callback is not None and callback.place not in self.bases:
            self._append(callback)

    def _append(self, first: Function) -> None:
        """Append a function, and those that it leads to."""
        self._place(first)
        going = [iter(sorted(first.targets.items()))]
        of = [first]
        while going:
            for slot, target in going[-1]:
                called = self.by_place.get(target) or self._nothing(of[-1], slot, target)
                if target not in self.bases:
                    self._place(called)
                    going.append(iter(sorted(called.targets.items())))
                    of.append(called)
                    break
            else:
                going.pop()
                of.pop()

    def _place(self, function: Function) -> None:
        self.bases[function.place] = self.size
        self.order.append(function)
        self.size += function.slots
        if self.size > LARGEST:
            raise ElfError(
                f"{self.file.origin}: the program {self.main.name} has more than {LARGEST} slots with the functions it calls"
            )

    def _nothing(self, function: Function, slot: int, target: Place) -> Function:
        section, at = target
        raise self.file.wrong(
            f"{function.name} refers to slot {at} of the section {self.file.sections[section].name}, where no function begins",
            function.section,
            (function.start + slot) * SLOT,
        )

    def _callback(self) -> Function | None:
        """The function that the program's tag names."""
        for tag in self.file.tags.get(self.main.type, ()) if self.main.type else ():
            if tag.startswith(CALLBACK):
                name = tag.removeprefix(CALLBACK)
                found = [each for each in self.by_place.values() if each.name == name]
                if len(found) != 1:
                    raise self.file.wrong(
                        f"{self.main.name} wants the function {name!r} for exceptions; there are {len(found)} of this name",
                        self.main.section,
                    )
                return found[0]
        return None

    def instructions(self) -> tuple[Instruction, ...]:
        if len(self.order) == 1 and not self.main.targets:
            return self.main.instructions
        return tuple(instruction for function in self.order for instruction in self._resolved(function))

    def _resolved(self, function: Function) -> tuple[Instruction, ...] | list[Instruction]:
        """A function's instructions with the distances to other functions."""
        if not function.targets:
            return function.instructions
        base, slot, found = self.bases[function.place], 0, []
        for instruction in function.instructions:
            target = function.targets.get(slot)
            if target is not None:
                distance = self.bases[target] - (base + slot) - 1
                wide = instruction.opcode == WIDE_LOAD
                name = self.by_place[target].name if distance != -1 else None  # -1 and a name would mean: not resolved
                i, imm = instruction, distance & 0xFFFF_FFFF if wide else distance
                instruction = Instruction(i.opcode, i.dst, i.src, i.offset, imm, name, i.source)
            found.append(instruction)
            slot += instruction.slots
        return found

    def functions(self) -> tuple[FunctionSpec, ...]:
        """Names, slots and types; without the main function's type the others' are of no use."""
        typed = bool(self._type(self.main))
        return tuple(FunctionSpec(each.name, self.bases[each.place], typed * self._type(each)) for each in self.order)

    def _type(self, function: Function) -> int:
        """The number of its FUNC; 0 where `.BTF.ext` tells of none, or of something else."""
        known = self.file.types[function.type - 1] if function.type else None
        return function.type if isinstance(known, Func) else 0

    def relocations(self) -> tuple[CoreRelocation, ...]:
        if len(self.order) == 1:
            return self.main.relocations
        return tuple(
            CoreRelocation(each.slot + self.bases[function.place], each.kind, each.type, each.access)
            for function in self.order
            for each in function.relocations
        )
