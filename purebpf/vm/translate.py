"""A program as Python source: one function for each of its functions, compiled once and run by CPython.

A function is cut at its labels (places that are jumped to) into chunks of straight code. Chunks hang in a binary tree of
comparisons with `at`, the number of the chunk to go on with, inside an endless loop; a chunk that jumps to its own
beginning has a loop of its own. `left` is what remains of the instruction budget: each way out of a chunk takes off what
was executed, and going back checks it. Every line knows the instruction it was made from, so the place of an error is exact
and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from purebpf.data import data, made
from purebpf.isa import opcodes as op
from purebpf.isa.instruction import Instruction
from purebpf.vm import kfuncs, templates
from purebpf.vm.flow import CALLER_SAVED, PACKET_LOADS, Flow, Function, called, destroys, target

TYPE_CHECKING = False  # the checker takes it as true; importing it from typing would cost milliseconds
if TYPE_CHECKING:
    from purebpf.isa.codec import ByteOrder

MAY_GOTO_LOOPS = 1 << 23  # BPF_MAX_LOOPS, include/linux/bpf.h
TAIL_CALL = 12


@data
class Calls:
    """How helpers are called: how many registers each one takes, which take more, and which call back into the program."""

    registers: dict[int, int]
    variadic: frozenset[int]
    reentrant: frozenset[int]


@data
class Settings:
    """`wide` gives the value of a wide load; `checked_stores`: the context may be written only in part (see `templates`)."""

    byteorder: ByteOrder
    wide: Callable[[Instruction, int], int]
    calls: Calls
    checked_stores: bool
    arguments: int = 1


@data(frozen=False)
class Source:
    """Lines of Python, and the slot that each was made from."""

    lines: list[str] = made(list)
    slots: list[int] = made(list)

    def add(self, depth: int, text: str, slot: int) -> None:
        self.lines.append(" " * depth + text)
        self.slots.append(slot)


def translate(flow: Flow, settings: Settings) -> Source:
    """All functions of a program; that at slot N is called `fN`."""
    source = Source()
    for function in flow.functions.values():
        Writer(flow, function, settings, source).write()
    return source


def registers(bits: int) -> Iterator[str]:
    return (f"r{number}" for number in range(11) if bits >> number & 1)


def parameters(function: Function, arguments: int) -> int:
    """The registers that a function gets: for the program itself the arguments of a run."""
    return (2 << arguments) - 2 if function.entry == 0 else function.parameters


class Writer:
    """Writes one function."""

    def __init__(self, flow: Flow, function: Function, settings: Settings, source: Source) -> None:
        self.flow = flow
        self.function = function
        self.settings = settings
        self.source = source
        self.chunks = {label: number for number, label in enumerate(function.labels)}
        self.bodies = self.cut()
        self.depth = 0
        self.slot = function.entry
        self.label = function.entry
        self.count = 0
        self.inner = False

    def add(self, text: str) -> None:
        self.source.add(self.depth, text, self.slot)

    def instruction(self, slot: int) -> Instruction:
        found = self.flow.code[slot]
        assert found is not None
        return found

    def cut(self) -> list[list[int]]:
        """The slots of each chunk."""
        bodies: list[list[int]] = [[] for _ in self.chunks]
        current = bodies[0]
        for slot in self.function.slots:
            if slot in self.chunks:
                current = bodies[self.chunks[slot]]
            current.append(slot)
        return bodies

    def write(self) -> None:
        names = ", ".join(("r10", *registers(parameters(self.function, self.settings.arguments))))
        self.depth = 0
        self.add(f"def f{self.function.entry}({names}):")
        self.depth = 1
        self.add("left = vm.left")
        self.add("if left < 0: exhausted()")
        if any(self.instruction(slot).opcode == op.MAY_GOTO_OPCODE for slot in self.function.slots):
            self.add(f"loops = {MAY_GOTO_LOOPS}")
        if len(self.bodies) == 1:
            self.chunk(0)
        else:
            self.add(f"at = {self.chunks[self.function.entry]}")
            self.add("while True:")
            self.depth = 2
            self.tree(0, len(self.bodies))

    def tree(self, first: int, last: int) -> None:
        """Find the chunk `at` among those from `first` up to `last`."""
        if last - first == 1:
            self.chunk(first)
            return
        middle = (first + last) // 2
        depth = self.depth
        self.slot = self.bodies[first][0]
        self.add(f"if at < {middle}:")
        self.depth = depth + 1
        self.tree(first, middle)
        self.depth = depth
        self.add("else:")
        self.depth = depth + 1
        self.tree(middle, last)
        self.depth = depth

    def chunk(self, number: int) -> None:
        body = self.bodies[number]
        depth = self.depth
        self.slot = self.label = body[0]
        self.inner = any(target(self.instruction(slot), slot) == self.label for slot in body)
        if self.inner:
            self.add("while True:")
            self.depth += 1
        for count, slot in enumerate(body, 1):
            self.slot, self.count = slot, count
            self.one(self.instruction(slot))
        last = self.instruction(body[-1])
        following = body[-1] + last.slots
        if last.opcode not in UNCONDITIONAL:
            self.go(following)
        self.depth = depth

    def go(self, destination: int) -> None:
        """Jump: the last statements of a block."""
        self.add(f"left -= {self.count}")
        if destination <= self.slot:
            self.add("if left < 0: exhausted()")
        if self.inner and destination == self.label:
            self.add("continue")
        else:
            self.add(f"at = {self.chunks[destination]}; {'break' if self.inner else 'continue'}")

    def branch(self, condition: str, destination: int) -> None:
        self.add(f"if {condition}:")
        self.depth += 1
        self.go(destination)
        self.depth -= 1

    def one(self, instruction: Instruction) -> None:
        """Write one instruction."""
        cls = instruction.opcode & op.CLASS_MASK
        mode = instruction.opcode & 0xE0
        if cls in (op.ALU, op.ALU64):
            self.add(templates.arithmetic(instruction, self.settings.byteorder))
        elif cls == op.LDX:
            self.add(templates.memory_load(instruction))
        elif cls == op.STX and mode == op.MODE_ATOMIC:
            self.add(templates.atomic(instruction))
        elif cls in (op.ST, op.STX):
            for line in templates.memory_store(instruction, self.settings.checked_stores):
                self.add(line)
        elif cls == op.LD and mode in PACKET_LOADS:
            self.packet_load(instruction)
        elif cls == op.LD:
            self.add(f"r{instruction.dst} = {self.settings.wide(instruction, self.slot)}")
        else:
            self.control(instruction)
        self.forget(instruction)

    def control(self, instruction: Instruction) -> None:
        destination = target(instruction, self.slot)
        if instruction.opcode == op.EXIT_OPCODE:
            self.add(f"vm.left = left - {self.count}; return r0")
        elif instruction.opcode == op.CALLX_OPCODE:
            self.add(
                f"vm.left = left; vm.frame = r10; r0 = callx(r{instruction.dst}, locals()) & {templates.M}; left = vm.left"
            )
        elif instruction.opcode == op.CALL_OPCODE:
            self.call(instruction)
        elif destination is not None and instruction.opcode == op.MAY_GOTO_OPCODE:
            self.add("loops -= 1")
            self.branch("loops < 0", destination)
        elif destination is not None and instruction.opcode in UNCONDITIONAL:
            self.go(destination)
        elif destination is not None:
            self.branch(templates.condition(instruction), destination)

    def call(self, instruction: Instruction) -> None:
        callee = called(instruction, self.slot)
        if callee is not None:
            wanted = parameters(self.flow.functions[callee], self.settings.arguments)
            given = ", ".join(("enter(r10)", *registers(wanted)))
            self.add(f"vm.left = left; r0 = f{callee}({given}); left = vm.left")
        elif (kfunc := kfuncs.called(instruction)) is not None:
            given = ", ".join(("vm", *(f"r{number}" for number in range(1, kfuncs.registers(kfunc) + 1))))
            line = f"r0 = k_{kfunc}({given}) & {templates.M}"
            if kfunc in kfuncs.REENTRANT:
                line = f"vm.left = left; vm.frame = r10; {line}; left = vm.left"
            there = kfunc in kfuncs.functions()  # else it is never called: the program asks for it first
            self.add(line if there else f"no_kfunc({kfunc!r})")
        else:
            self.helper(instruction.imm)

    def helper(self, number: int) -> None:
        calls = self.settings.calls
        if number not in calls.registers:
            self.add(f"no_helper({number})")
            return
        if number == TAIL_CALL:
            self.add("vm.left = left; next_program = tail_call(r1, r2, r3)")
            self.add("if next_program is not None: return next_program(r10, r1)")
            self.add("r0 = 0")
            return
        given = [f"r{register}" for register in range(1, calls.registers[number] + 1)]
        if number in calls.variadic:
            given.append("locals()")
        line = f"r0 = h{number}({', '.join(('vm', *given))}) & {templates.M}"
        if number in calls.reentrant:
            line = f"vm.left = left; vm.frame = r10; {line}; left = vm.left"
        self.add(line)

    def packet_load(self, instruction: Instruction) -> None:
        """A load that ends the program with 0 when the packet is too short."""
        indirect = instruction.opcode & 0xE0 == op.MODE_IND
        place = f"{f'r{instruction.src} + ' if indirect else ''}{instruction.imm}"
        self.add(f"r0 = packet_load(r6, {place}, {templates.width(instruction) // 8})")
        self.add(f"if r0 is None: vm.left = left - {self.count}; return 0")

    def forget(self, instruction: Instruction) -> None:
        """Make the registers unknown that a call destroyed but that are read later, so that reading one is an error."""
        if destroys(instruction):
            later = self.function.live[self.slot + 1] & CALLER_SAVED
            for name in registers(later):
                self.add(f"{name} = 0; del {name}")


UNCONDITIONAL = frozenset({op.EXIT_OPCODE, op.GOTO_OPCODE, op.GOTOL_OPCODE})
