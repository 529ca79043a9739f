"""Runs programs: checks, translates and compiles one, runs it, and turns whatever goes wrong into a `VmError`.

The generated code has no checks of its own. A load outside of memory ends in a KeyError, IndexError or struct.error, a
register without value in a NameError; the traceback's line tells the instruction, and its variables the address.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import error as struct_error
from types import CodeType, FrameType

from purebpf.errors import Error, Unsupported, VmError
from purebpf.isa import opcodes as op
from purebpf.isa.codec import signed32
from purebpf.isa.instruction import WIDE_LOAD, Instruction, asks
from purebpf.vm import flow as control
from purebpf.vm import kfuncs
from purebpf.vm.check import check, place
from purebpf.vm.helpers import calls, functions
from purebpf.vm.machine import Entry, Machine
from purebpf.vm.memory import SHIFT, Fault
from purebpf.vm.runtime import names
from purebpf.vm.translate import Settings, parameters, registers, translate

MARK = "code_of_program"  # the global of generated code that holds its Code
RUN_ERRORS = (Fault, KeyError, IndexError, NameError, struct_error)

MapAddress = Callable[[Instruction], int]
"""Gives the value of a wide load that refers to a map. Raises Error."""


class Code:
    """A program ready to run on a machine. It is translated when it first runs."""

    def __init__(
        self,
        machine: Machine,
        name: str,
        instructions: tuple[Instruction, ...],
        map_address: MapAddress,
        *,
        arguments: int = 1,
        checked_stores: bool = False,
    ) -> None:
        self.machine = machine
        self.name = name
        self.code = control.by_slot(instructions)
        check(name, self.code)
        self.kfuncs = self._kfuncs()
        self.flow = control.analyse(self.code)
        self.arguments = arguments
        self.checked_stores = checked_stores
        self.region = machine.memory.reserve(1, lambda _: f"the code of program {name!r}")
        self.constants = self._constants(map_address)
        self.slots: list[int] = []
        self._main: Callable[..., int] | None = None

    def _kfuncs(self) -> set[str]:
        """The names of the kernel functions that the program calls. Raises Unsupported for one that is not here."""
        found: set[str] = set()
        for slot, instruction in enumerate(self.code):
            name = kfuncs.called(instruction) if instruction is not None else None
            if name is None or instruction is None:
                continue
            if name not in kfuncs.functions():
                if kfuncs.asks_in_vain(self.code):
                    continue  # never reached, or told then
                raise Unsupported(
                    f"I{place(self.name, slot, instruction)[1:]} calls the kernel function {name}, which the virtual machine "
                    f"does not have; run it in the kernel. It has {', '.join(sorted(kfuncs.functions()))}."
                )
            found.add(name)
        return found

    def _constants(self, map_address: MapAddress) -> dict[int, int]:
        """The value of every wide load, by slot."""
        found: dict[int, int] = {}
        for slot, instruction in enumerate(self.code):
            if instruction is None or instruction.opcode != WIDE_LOAD:
                continue
            if instruction.src == 0:
                found[slot] = instruction.imm
            elif instruction.src == op.PSEUDO_FUNC:
                found[slot] = self.address(slot + 1 + signed32(instruction.imm))
            elif name := asks(instruction):
                found[slot] = int(name in kfuncs.functions())
            else:
                try:
                    found[slot] = map_address(instruction)
                except Error as error:
                    raise VmError(f"I{place(self.name, slot, instruction)[1:]} {error}.") from None
        return found

    def address(self, slot: int) -> int:
        """What a pointer to the function at a slot holds."""
        return (self.region << SHIFT) + slot * 8

    @property
    def main(self) -> Callable[..., int]:
        """The program as a Python function of frame pointer and arguments."""
        if self._main is None:
            self._main = self._compile()
        return self._main

    def _compile(self) -> Callable[..., int]:
        machine = self.machine
        settings = Settings(
            byteorder=machine.byteorder,
            wide=lambda instruction, slot: self.constants[slot],
            calls=calls(),
            checked_stores=self.checked_stores,
            arguments=self.arguments,
        )
        source = translate(self.flow, settings)
        self.slots = source.slots
        compiled: CodeType = compile("\n".join(source.lines), f"<bpf program {self.name}>", "exec", dont_inherit=True)
        scope: dict[str, object] = {
            **names(machine.byteorder),
            "vm": machine,
            "readable": machine.memory.readable,
            "writable": machine.memory.writable,
            "enter": machine.enter,
            "exhausted": machine.exhausted,
            "store_context": machine.store_context,
            "packet_load": machine.packet_load,
            "tail_call": lambda context, map, index: machine.tail_call(map, index),
            "callx": self.call_register,
            "no_helper": no_helper,
            "no_kfunc": no_kfunc,
            MARK: self,
        }
        known = functions()
        scope |= {f"k_{name}": kfuncs.functions()[name] for name in self.kfuncs}
        scope |= {f"h{number}": known[number] for number in self._helpers() if number in known}
        exec(compiled, scope)
        for entry, function in self.flow.functions.items():
            wanted = parameters(function, self.arguments)
            call: Callable[..., int] = scope[f"f{entry}"]  # type: ignore[assignment]
            machine.functions[self.address(entry)] = Entry(call, tuple(int(name[1:]) for name in registers(wanted)))
        main: Callable[..., int] = scope["f0"]  # type: ignore[assignment]
        return main

    def _helpers(self) -> set[int]:
        """The numbers of the helpers that the program calls."""
        is_call = (op.CALL_OPCODE, op.CALL_HELPER)
        return {each.imm for each in self.code if each is not None and (each.opcode, each.src) == is_call}

    def call_register(self, target: int, values: dict[str, int]) -> int:
        """`callx`: a function of a program by its address, or a helper by its number."""
        machine = self.machine
        if target in machine.functions:
            entry = machine.functions[target]
            given = [given_register(values, number) for number in entry.parameters]
            return entry.call(machine.enter(machine.frame), *given)
        helper = functions().get(target)
        if helper is None:
            raise Fault(
                f"calls {target:#x}, which is neither the address of a function nor the number of a helper that is here"
            )
        table = calls()
        given = [given_register(values, number) for number in range(1, table.registers[target] + 1)]
        return helper(machine, *given, *([values] if target in table.variadic else []))

    def run(self, main: Callable[..., int], *arguments: int) -> int:
        """r0 at the end, all 64 bits, of a run from `main`. Raises VmError."""
        machine = self.machine
        pointer = machine.start()
        try:
            return main(pointer, *arguments)
        except RUN_ERRORS as error:
            explained = explain(error, machine)
            if explained is None:
                raise
        finally:
            machine.finish()
        raise VmError(explained)

    def release(self) -> None:
        """Forget the program's functions."""
        for entry in self.flow.functions:
            self.machine.functions.pop(self.address(entry), None)
        self.machine.memory.release(self.region)


def given_register(values: dict[str, int], number: int) -> int:
    try:
        return values[f"r{number}"]
    except KeyError:
        raise Fault(f"gives r{number} to a function, but the register has no value here") from None


def no_kfunc(name: str) -> None:
    raise VmError(f"The kernel function {name} is called, which the virtual machine does not have.")


def no_helper(number: int) -> None:
    """Raise Fault for a helper that is not here."""
    from purebpf.tables.helpers import helper_by_id

    found = helper_by_id(number)
    if found is None:
        raise Fault(f"calls helper {number}; there is no helper of that number")
    raise Fault(f"calls bpf_{found.name}, which the virtual machine does not have; run it in the kernel")


def explain(error: BaseException, machine: Machine) -> str | None:
    """The message for an error of a program, or None when it is not one: then the machine itself is at fault."""
    trace = error.__traceback__
    frame: FrameType | None = None
    line = 0
    innermost = None
    while trace is not None:
        innermost = trace.tb_frame
        if MARK in innermost.f_globals and isinstance(innermost.f_globals[MARK], Code):
            frame, line = innermost, trace.tb_lineno
        trace = trace.tb_next
    if frame is None or (innermost is not frame and not isinstance(error, Fault)):
        return None
    code: Code = frame.f_globals[MARK]
    slot = code.slots[line - 1]
    instruction = code.code[slot]
    assert instruction is not None
    problem = str(error) if isinstance(error, Fault) else describe(error, instruction, slot, code, frame.f_locals)
    return f"I{place(code.name, slot, instruction)[1:]} {problem}."


def describe(error: BaseException, instruction: Instruction, slot: int, code: Code, values: dict[str, int]) -> str:
    """What is wrong when the generated code itself failed."""
    if isinstance(error, NameError):
        callee = control.called(instruction, slot)
        wanted = parameters(code.flow.functions[callee], code.arguments) if callee is not None else 0
        unset = [name for name in registers(control.reads(instruction, wanted)) if name not in values]
        return f"reads {unset[0]}, which has no value here: it was not set on this way, or a call before destroyed it"
    memory, address, size = code.machine.memory, values["a"], op.SIZE_BYTES[instruction.opcode & 0x18]
    write = instruction.opcode & op.CLASS_MASK in (op.ST, op.STX)
    if write and instruction.opcode & 0xE0 == op.MODE_ATOMIC:
        try:
            memory.read(address, size)
        except Fault as fault:
            return str(fault)
    return memory.explain(address, size, write)
