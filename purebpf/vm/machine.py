"""The state that programs run on: memory, maps, the running program's packet and context, and what the instruction budget
leaves.

One machine belongs to one engine and runs one program at a time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count
from threading import RLock
from typing import TYPE_CHECKING, Protocol

from purebpf.data import data
from purebpf.tables.enums import ProgramType
from purebpf.vm.memory import CONTEXT, FRAME_BYTES, FRAMES, SHIFT, Fault, Memory
from purebpf.vm.runtime import signed
from purebpf.vm.trace import Task, Trace

if TYPE_CHECKING:
    from purebpf.isa.codec import ByteOrder
    from purebpf.tables.contexts import ContextField
    from purebpf.vm.lock_helpers import Timer
    from purebpf.vm.maps import VmMap
    from purebpf.vm.packet import Packet

    Fields = tuple[ContextField, ...]

DEFAULT_BUDGET = 100_000_000
MOST_TAIL_CALLS = 33  # MAX_TAIL_CALL_CNT, include/linux/bpf.h
NO_FRAME = bytes(FRAME_BYTES)


@data
class Entry:
    """A function that can be called by its address; `parameters` are the numbers of the registers it gets."""

    call: Callable[..., int]
    parameters: tuple[int, ...]


@data
class Redirect:
    """Where a program sent its packet: to an interface, or to entry `key` of a map."""

    ifindex: int = 0
    map: str = ""
    key: int = 0
    flags: int = 0


class Loaded(Protocol):
    """A loaded program, as program arrays see it: they hold it, so that it outlives its closing."""

    @property
    def type(self) -> ProgramType: ...
    def main(self) -> Callable[..., int]:
        """It as a function of frame pointer and context; compiled if need be."""

    def hold(self) -> None: ...
    def drop(self) -> None: ...


class Machine:
    """`left` is the rest of the instruction budget, `frame` the frame pointer of a function that calls into the machine."""

    def __init__(self, *, byteorder: ByteOrder, cpus: int, budget: int, task: Task | None, seed: int | None) -> None:
        self.byteorder: ByteOrder = byteorder
        self.cpus = cpus
        self.budget = budget
        self.memory = Memory()
        self.maps: dict[int, VmMap] = {}
        self.functions: dict[int, Entry] = {}
        self.handles = count(1)
        self.programs: dict[int, Loaded] = {}
        self.by_handle: dict[int, VmMap] = {}  # maps
        self.lock = RLock()
        self.random = random.Random(seed)
        self.task = task or Task.current()
        self.trace = Trace()
        self.cpu = 0
        self.left = 0
        self.frame = 0
        self.tail_calls = 0
        self.packet: Packet | None = None
        self.fields: Fields = ()
        self.redirect: Redirect | None = None
        self.cookie = 0
        self.running = False
        self.held_lock = 0  # the address of the spin lock that the program holds
        self.timers: dict[int, Timer] = {}  # by address, those that were prepared
        self.timer_clock = 0  # simulated nanoseconds
        self.objects: dict[int, int] = {}  # that programs made: their regions, by address
        self.object_sizes: dict[int, int] = {}  # by the numbers of their types in the running program
        self._ended: list[Callable[[], None]] = []
        self._next_frame: dict[int, tuple[int, bytearray]] = {}
        self._first = self._make_frames()
        self.memory.name(CONTEXT, "the context")

    def _make_frames(self) -> tuple[int, bytearray]:
        previous = 0
        first: tuple[int, bytearray] | None = None
        for depth, region in enumerate(FRAMES):
            frame = bytearray(FRAME_BYTES)
            pointer = self.memory.map(region, frame) + FRAME_BYTES
            self.memory.name(region, f"the stack of the function at call depth {depth}" if depth else "the program's stack")
            if previous:
                self._next_frame[previous] = pointer, frame
            first = first or (pointer, frame)
            previous = pointer
        assert first is not None
        return first

    def start(self) -> int:
        """Begin a run: a full budget, an empty stack. The frame pointer of the program."""
        self.left = self.budget
        self.tail_calls = 0
        self.redirect = None
        self.held_lock = 0
        self.running = True
        pointer, frame = self._first
        frame[:] = NO_FRAME
        return pointer

    def finish(self) -> None:
        """End a run: what was deleted during it goes away now, as after a grace period of RCU."""
        self.running = False
        while self._ended:
            self._ended.pop()()

    def at_end(self, action: Callable[[], None]) -> None:
        """Do something when the run ends, or now if none is going on."""
        if self.running:
            self._ended.append(action)
        else:
            action()

    def enter(self, pointer: int) -> int:
        """The frame pointer of a function called from the one with frame pointer `pointer`."""
        found = self._next_frame.get(pointer)
        if found is None:
            raise Fault(f"calls more than {len(FRAMES)} functions deep, the most the kernel allows")
        pointer, frame = found
        frame[:] = NO_FRAME
        return pointer

    def exhausted(self) -> None:
        raise Fault(
            f"is beyond the budget of {self.budget:,} instructions for one run; raise `budget` if the program ends at all"
        )

    def call(self, address: int, *arguments: int) -> int:
        """Call back into the program: the result of the function at an address, given as many registers as it reads."""
        found = self.functions.get(address)
        if found is None:
            raise Fault(f"takes {address:#x} for a function, but there is none at that address")
        frame = self.frame
        values = [arguments[number - 1] for number in found.parameters if number <= len(arguments)]
        if len(values) < len(found.parameters):
            raise Fault(f"calls a function that reads r{found.parameters[-1]}, but gives it only {len(arguments)} arguments")
        result = found.call(self.enter(frame), *values)
        self.frame = frame
        return result

    def store_context(self, address: int, size: int, value: int) -> None:
        """Write a field of the context, if the program's type may."""
        if address >> SHIFT != CONTEXT:
            raise Fault(self.memory.explain(address, size, write=True))
        offset = address & (1 << SHIFT) - 1
        for field in self.fields:
            if field.offset <= offset and offset + size <= field.offset + field.declared:
                if size in field.write_sizes:
                    context = self.memory.readable[CONTEXT]
                    context[offset : offset + size] = value.to_bytes(size, self.byteorder)
                    return
                may = ", ".join(str(each) for each in sorted(field.write_sizes))
                allowed = f"only as {may} bytes" if may else "not at all"
                raise Fault(f"writes {size} bytes to the field `{field.name}` of its context, which it may write {allowed}")
        raise Fault(f"writes {size} bytes at offset {offset} of its context, where it may write nothing")

    def packet_load(self, context: int, offset: int, size: int) -> int | None:
        """A classic packet load: the big-endian value, or None outside of the packet."""
        if self.packet is None or context != CONTEXT << SHIFT:
            raise Fault("loads from the packet without one: r6 must hold the context of a program on packets")
        data = self.packet.classic(signed(offset, 32), size)
        return None if data is None else int.from_bytes(data, "big")

    def tail_call(self, map_address: int, index: int) -> Callable[..., int] | None:
        """The program to go on with, or None when there is none or it would be one too many."""
        table = self.map_at(map_address)
        program = table.program(index & 0xFFFF_FFFF)
        if program is None or self.tail_calls >= MOST_TAIL_CALLS:
            return None
        self.tail_calls += 1
        return program

    def map_at(self, address: int) -> VmMap:
        """The map that a wide load gave the address of."""
        found = self.maps.get(address)
        if found is None:
            raise Fault(f"takes {address:#x} for a map, but there is none at that address")
        return found

    def integer(self, data: bytes) -> int:
        return int.from_bytes(data, self.byteorder)

    def bytes(self, value: int, size: int) -> bytes:
        return (value & (1 << 8 * size) - 1).to_bytes(size, self.byteorder)
