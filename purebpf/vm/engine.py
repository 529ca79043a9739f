"""The virtual machine as an engine: the interface of `purebpf/engine.py`, with no privilege and on any operating system."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

from purebpf.data import replace
from purebpf.engine import EngineMap, EngineProgram, RunResult
from purebpf.errors import Error, NotLoaded, Unsupported
from purebpf.isa.instruction import Instruction
from purebpf.isa.opcodes import PSEUDO_MAP_IDX_VALUE, PSEUDO_MAP_VALUE
from purebpf.spec import MAP_SOURCES, MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType
from purebpf.vm.arrival import Arrival
from purebpf.vm.contexts import has_checked_stores
from purebpf.vm.events import DEFAULT_BYTES, EventQueue, VmEventReader
from purebpf.vm.externs import with_externs
from purebpf.vm.interpreter import Code
from purebpf.vm.machine import DEFAULT_BUDGET, Machine, Redirect
from purebpf.vm.maps import VmMap, create
from purebpf.vm.memory import Buffer, Memory
from purebpf.vm.rings import RingBuf
from purebpf.vm.run import Runnable, run
from purebpf.vm.tables import PerfEventArray
from purebpf.vm.trace import Task, Trace

TYPE_CHECKING = False  # the checker takes it as true; importing it from typing would cost milliseconds
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from purebpf.isa.codec import ByteOrder
    from purebpf.spec import CollectionSpec

DEFAULT_CPUS = 2
VALUE_SOURCES = frozenset({PSEUDO_MAP_VALUE, PSEUDO_MAP_IDX_VALUE})


class VmEngine:
    """An engine of its own: maps and programs of one do not mix with those of another.

    `possible_cpus`: how many CPUs there seem to be, so that per-CPU maps have as many values; 2 unless told. A program runs on
    `cpu`, 0 unless told. `budget`: after how many instructions a run is ended with an error. `byteorder`: that of the
    machine played, this one's unless told. `task`: the process programs see as the current one, this one unless told.
    `seed`: makes bpf_get_prandom_u32 repeatable. May be used from several threads, which take turns.
    """

    name = "vm"

    def __init__(
        self,
        *,
        possible_cpus: int = DEFAULT_CPUS,
        budget: int = DEFAULT_BUDGET,
        byteorder: ByteOrder | None = None,
        task: Task | None = None,
        seed: int | None = None,
    ) -> None:
        if possible_cpus < 1 or budget < 1:
            raise Error(f"An engine with {possible_cpus} CPUs and a budget of {budget} instructions: both are at least 1.")
        order: ByteOrder = byteorder or sys.byteorder
        self.machine = Machine(byteorder=order, cpus=possible_cpus, budget=budget, task=task, seed=seed)
        self.cpu = 0

    @property
    def identity(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def possible_cpus(self) -> int:
        """How many values a per-CPU map has."""
        return self.machine.cpus

    def has(self, feature: str) -> bool:
        """Whether it takes programs with a feature: all of them, but there are no objects of a kernel to point to."""
        return feature not in ("kernel_pointers", "kernel_casts")

    @property
    def trace(self) -> Trace:
        """What programs printed."""
        return self.machine.trace

    @property
    def memory(self) -> Memory:
        """The address space of all programs; `memory.share()` places memory of yours in it."""
        return self.machine.memory

    def share(self, description: str, data: Buffer, *, writable: bool = True) -> int:
        """Make memory visible to programs, such as a text that one reads by bpf_probe_read_user_str; its address."""
        with self.machine.lock:
            return self.machine.memory.share(description, data, writable=writable)

    def together(self, spec: CollectionSpec) -> AbstractContextManager[None]:
        """Programs and maps have nothing in common that would have to be told."""
        from contextlib import nullcontext

        return nullcontext()

    def create_map(self, spec: MapSpec) -> VmMap:
        """Create it, write its contents, freeze it if it is to be frozen. Raises KernelError and Unsupported.

        A perf event array or CPU map with 0 entries gets one for every CPU.
        """
        if spec.type in (MapType.PERF_EVENT_ARRAY, MapType.CPUMAP) and not spec.max_entries:
            spec = replace(spec, max_entries=self.possible_cpus)
        with self.machine.lock:
            return create(self.machine, spec)

    def open_map(self, spec: MapSpec, existing: str | int) -> NoReturn:
        """There are no maps but those of this process: raises Unsupported."""
        raise Unsupported(
            f"The map {spec.name!r} is to be one that exists ({existing}); the virtual machine has none, the kernel has."
        )

    def load_program(
        self, spec: ProgramSpec, maps: Mapping[str, EngineMap], *, part_of: EngineProgram | None = None
    ) -> VmProgram:
        """Check it and make it ready. Raises VmError for what is no program, Error for a map that is not given."""
        with self.machine.lock:
            return VmProgram(self, spec, maps)

    def attach(self, program: EngineProgram, options: Mapping[str, object]) -> NoReturn:
        """There are no hooks here: raises Unsupported."""
        raise Unsupported(
            f"The program {program.spec.name!r} cannot be attached: nothing happens inside the virtual machine that "
            "would call it. Run it on a packet or context with run(), or use the kernel, where bpf(2) is permitted."
        )

    def open_writer(self, ring: EngineMap) -> NoReturn:
        """There are no user ring buffers: raises Unsupported."""
        raise Unsupported(f"The virtual machine has no user ring buffers, which {ring.spec.name!r} is; the kernel has.")

    def open_events(
        self, events: EngineMap, size: int | None = None, *, watermark: int = 0, overwrite: bool = False
    ) -> VmEventReader:
        """Start reading a ring buffer or a perf event array; `size` is bytes of the latter's events kept for each CPU, beyond
        which they are lost, or with `overwrite` the oldest are. The reader is woken when `watermark` bytes are there."""
        if isinstance(events, RingBuf) and events.machine is self.machine:
            if size is not None or watermark or overwrite:
                what = f"The map {events.spec.name!r}"
                raise Error(f"{what} is a ring buffer: size, watermark and overwrite are of perf event arrays.")
            return VmEventReader([events], events.waiting, lambda: None)
        if not isinstance(events, PerfEventArray) or events.machine is not self.machine:
            raise Error(
                f"The map {events.spec.name!r} is no ring buffer or perf event array of this virtual machine; it has no events "
                "to read."
            )
        if events.spec.max_entries < self.possible_cpus:
            raise Error(
                f"The map {events.spec.name!r} has {events.spec.max_entries} entries, but there are {self.possible_cpus} CPUs; "
                "events of the others would be lost."
            )
        arrived = Arrival()
        bytes = DEFAULT_BYTES if size is None else size
        queues = [EventQueue(cpu, bytes, arrived, watermark, overwrite) for cpu in range(self.possible_cpus)]
        with self.machine.lock:
            events.queues.update(enumerate(queues))

        def close() -> None:
            with self.machine.lock:
                for cpu, queue in enumerate(queues):
                    if events.queues.get(cpu) is queue:
                        del events.queues[cpu]

        return VmEventReader(queues, arrived, close)


class VmProgram:
    """A loaded program. After a run, `redirect` says where it sent its packet and `executed` how many instructions it took."""

    def __init__(self, engine: VmEngine, spec: ProgramSpec, maps: Mapping[str, EngineMap]) -> None:
        self.spec = spec
        self.redirect: Redirect | None = None
        self.executed = 0
        self._engine = engine
        self._machine = engine.machine
        self._closed = False
        self._holders = 1
        self._maps = {name: self._own_map(name, maps) for name in spec.maps}
        self.code = Code(
            self._machine, spec.name, with_externs(spec), self._map_address, checked_stores=has_checked_stores(spec.type)
        )
        self._object_sizes = self._sizes()
        for map in self._maps.values():
            map.claim(spec.type)
        for map in self._maps.values():
            map.users += 1
        self.handle = next(self._machine.handles)
        self._machine.programs[self.handle] = self

    def _own_map(self, name: str, maps: Mapping[str, EngineMap]) -> VmMap:
        if name not in maps:
            there = ", ".join(maps) or "none"
            raise Error(
                f"The program {self.spec.name!r} uses the map {name!r}, which was not given to load it with. Given: {there}."
            )
        map = maps[name]
        if not isinstance(map, VmMap) or map.machine is not self._machine:
            raise Error(f"The map {name!r} of the program {self.spec.name!r} does not belong to this virtual machine.")
        return map

    def _sizes(self) -> dict[int, int]:
        """Of the objects that it makes, by the numbers of their types."""
        if not self.spec.types_of:
            return {}
        from purebpf.vm.objects import object_sizes

        types = self._maps[self.spec.types_of].spec.types
        return object_sizes(types) if types is not None else {}

    def _map_address(self, instruction: Instruction) -> int:
        if instruction.src not in MAP_SOURCES or instruction.symbol is None:
            raise Error("refers to a map by a number; in the virtual machine maps are referred to by name")
        map = self._maps[instruction.symbol]
        return map.direct(instruction.imm >> 32) if instruction.src in VALUE_SOURCES else map.address

    @property
    def type(self) -> ProgramType:
        return self.spec.type

    @property
    def machine(self) -> Machine:
        """What it runs on."""
        return self._machine

    def main(self) -> Callable[..., int]:
        """It as a Python function, for tail calls."""
        return self.code.main

    def run(
        self,
        *,
        data: bytes | None = None,
        context: bytes | None = None,
        repeat: int = 1,
        cpu: int | None = None,
        cookie: int = 0,
        code: Runnable | None = None,
    ) -> RunResult:
        """Run it on a packet and/or a context, as the kernel's test run would; `cpu` is the CPU it finds itself on, `code` what
        runs instead of its instructions.

        A frame has at least 14 bytes; without `data` a program on packets gets 14 zeros. Programs on events get `context`
        as it is. Raises VmError for what the program does wrong, KernelError where the kernel would refuse the context.
        """
        machine = self._machine
        on = self._engine.cpu if cpu is None else cpu
        if not 0 <= on < machine.cpus:
            raise Error(f"A run of the program {self.spec.name!r} on CPU {on}: there are CPUs 0 to {machine.cpus - 1}.")
        with machine.lock:
            if self._closed:
                raise NotLoaded(f"The program {self.spec.name!r} is closed.")
            if machine.running:
                raise Error(f"The program {self.spec.name!r} cannot be run while another run is going on in the same thread.")
            machine.cpu, machine.cookie = on, cookie
            machine.object_sizes = self._object_sizes
            try:
                return run(code or self.code, self.spec, data, context, repeat)
            finally:
                self.redirect = machine.redirect
                self.executed = machine.budget - machine.left

    def hold(self) -> None:
        self._holders += 1

    def drop(self) -> None:
        """Give up one reference; the last one frees it."""
        self._holders -= 1
        if not self._holders:
            self.code.release()
            for map in self._maps.values():
                map.users -= 1
                map.release()

    def close(self) -> None:
        """Give it up; program arrays that hold it keep it alive."""
        with self._machine.lock:
            if not self._closed:
                self._closed = True
                self._machine.programs.pop(self.handle, None)
                self.drop()

    def __enter__(self) -> VmProgram:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
