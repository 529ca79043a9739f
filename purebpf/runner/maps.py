"""Maps as a program sees them, on the maps of the virtual machine: lookups give references, writes answer with numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from purebpf.lang.maps import KeyedMap, MapDeclaration, PerfEventArray, ProgArray, Targets, lpm, nested, queues
from purebpf.lang.stacks import StackTrace
from purebpf.lang.types import StructType
from purebpf.runner.names import seen, stands_for_kind
from purebpf.runner.views import Block, copied, encoded, load
from purebpf.vm.facts import ENOENT, Refused, fact
from purebpf.vm.map_helpers import redirect_map, writable
from purebpf.vm.maps import VmMap
from purebpf.vm.memory import OFFSET_MASK, SHIFT
from purebpf.vm.queues import BloomFilter, Queue

if TYPE_CHECKING:
    from purebpf.runner.session import Runner

NOEXIST = fact("BPF_NOEXIST")
CURRENT_CPU = fact("BPF_F_CURRENT_CPU")


class TailCall(BaseException):
    """Leaves the program for another one, as a tail call that found its program does."""

    def __init__(self, handle: int) -> None:
        self.handle = handle


class ProgramMap:
    """A declaration seen from a program. What it does not have itself, such as `items()`, is user space's: for the debugger's
    prompt."""

    def __init__(self, runner: Runner, declaration: MapDeclaration) -> None:
        self._runner, self._declaration = runner, declaration

    @property
    def live(self) -> VmMap:
        """The map of the virtual machine."""
        live = self._declaration.live
        assert isinstance(live, VmMap)
        return live

    def __getattr__(self, name: str) -> Any:
        return getattr(self._declaration, name)

    def __repr__(self) -> str:
        return repr(self._declaration)


class Keyed(ProgramMap):
    """Hashes and arrays."""

    def key(self, key: Any) -> bytes:
        return encoded(self._declaration.key_type, key)

    def place(self, key: bytes) -> tuple[Block, int, Any] | None:
        """Where the value of a key is, on the CPU that runs; None when there is none."""
        machine, live = self._runner.machine, self.live
        address = live.find(key, machine.cpu)
        if not address:
            return None
        return self._value_place(address)

    def _value_place(self, address: int) -> tuple[Block, int, Any]:
        data = self._runner.machine.memory.readable[address >> SHIFT]
        shared = self._runner.shared(self._declaration)
        block = Block(data, self._runner.function, address & ~OFFSET_MASK, self.live.writable, shared, self)
        return block, address & OFFSET_MASK, self._declaration.value_type

    def value_at(self, address: int) -> Any:
        """The value at an address of the machine."""
        return load(*self._value_place(address))

    def key_at(self, key: bytes) -> Any:
        """A key as a callback gets it: its own copy."""
        return load(Block(bytearray(key), self._runner.function, writable=False), 0, self._declaration.key_type)

    def get(self, key: Any, default: Any = None) -> Any:
        found = self.place(self.key(key))
        return default if found is None else load(*found)

    def __getitem__(self, key: Any) -> Any:
        found = self.place(self.key(key))
        if found is None:
            raise KeyError(key)
        return load(*found)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Keys and values as a callback gets them."""
        for key, address in self.live.walk():
            yield self.key_at(key), self.value_at(address)

    def keys(self) -> Iterator[Any]:
        return (key for key, _ in self.items())

    def values(self) -> Iterator[Any]:
        return (value for _, value in self.items())

    def __iter__(self) -> Iterator[Any]:
        return self.keys()

    def for_each(self, f: Callable[[Any, Any], Any]) -> int:
        """`f(key, value)` for each entry until one gives True; how many were visited."""
        visited = 0
        for key, value in self.items():
            visited += 1
            if f(key, value):
                break
        return visited

    def __contains__(self, key: Any) -> bool:
        return self.place(self.key(key)) is not None

    def __setitem__(self, key: Any, value: Any) -> None:
        self.set(key, value)

    def set(self, key: Any, value: Any, flags: int = 0) -> int:
        """0 or -errno."""
        try:
            writable(self.live).put(self.key(key), encoded(self._declaration.value_type, value), flags)
        except Refused as refused:
            return -refused.number
        return 0

    def __delitem__(self, key: Any) -> None:
        self.delete(key)

    def delete(self, key: Any) -> int:
        """0 or -errno."""
        try:
            return 0 if writable(self.live).remove(self.key(key)) else -ENOENT
        except Refused as refused:
            return -refused.number

    def pop(self, key: Any) -> Any:
        """A copy of the value, whose entry is deleted; None when there is none."""
        value = copied(self.get(key))
        self.delete(key)
        return value

    def change(self, key: Any) -> tuple[Block, int, Any] | None:
        """The place that `m[k] += n` changes: a missing entry is created at 0 first, if there is room."""
        data = self.key(key)
        found = self.place(data)
        if found is None and self._declaration.creates:
            self.set(key, self._declaration.value_type.zero(), NOEXIST)
            found = self.place(data)
        return found


class Devices(ProgramMap):
    """What packets are redirected to."""

    def redirect(self, index: int, flags: int = 0) -> int:
        return self._runner.signed(redirect_map(self._runner.machine, self.live.address, index, flags))


class Programs(ProgramMap):
    def tail_call(self, ctx: Any, index: int) -> None:
        """Go on in the program at an index; come back when there is none."""
        machine = self._runner.machine
        if machine.tail_call(self.live.address, index) is not None:
            raise TailCall(machine.integer(self.live.lookup(machine.bytes(index, 4)) or bytes(4)))


class Events(ProgramMap):
    def output(self, record: Any, flags: int = CURRENT_CPU) -> int:
        """Send a copy; 0 or -errno."""
        data = encoded(self._declaration.value_type, record)
        call = self._runner.helper
        return int(call("perf_event_output", self._runner.context, self, flags, data))


class Queued(ProgramMap):
    """Queues and stacks."""

    def push(self, value: Any, flags: int = 0) -> int:
        """0 or -errno."""
        live = writable(self.live)
        assert isinstance(live, Queue | BloomFilter)
        try:
            live.push(encoded(self._declaration.value_type, value), flags)
        except Refused as refused:
            return -refused.number
        return 0

    def pop(self) -> Any:
        """The next value, taken out; None when there is none."""
        live = self.live
        assert isinstance(live, Queue)
        return self._own(live.pop())

    def peek(self) -> Any:
        """A copy of the next value; None when there is none."""
        live = self.live
        assert isinstance(live, Queue)
        return self._own(live.peek())

    def _own(self, data: bytes | None) -> Any:
        return None if data is None else load(Block(bytearray(data), self._runner.function), 0, self._declaration.value_type)


class Filter(Queued):
    """Bloom filters."""

    def add(self, value: Any) -> int:
        """0 or -errno."""
        return self.push(value)

    def __contains__(self, value: Any) -> bool:
        live = self.live
        assert isinstance(live, BloomFilter)
        return live.ask(encoded(self._declaration.value_type, value))


class Tries(Keyed):
    """Tries of networks: an address stands for a network of one."""

    def key(self, key: Any) -> bytes:
        declaration = self._declaration
        assert isinstance(declaration, lpm.LpmTrie)
        record = declaration.network
        if record is None or isinstance(getattr(key, "__bpf_type__", None), StructType):
            return super().key(key)
        layout = declaration.key_type
        assert isinstance(layout, StructType)
        field = layout.fields[1]
        return (8 * field.type.size).to_bytes(4, "little") + encoded(field.type, key)


class Outers(ProgramMap):
    """Maps of maps."""

    def __init__(self, runner: Runner, declaration: MapDeclaration) -> None:
        super().__init__(runner, declaration)
        self._inner: dict[int, Any] = {}  # by address

    def get(self, key: Any) -> Any:
        """The inner map, as the program has it; None when there is none."""
        address = self.live.find(encoded(self._declaration.key_type, key), self._runner.machine.cpu)
        return self._reached(address) if address else None

    def __contains__(self, key: Any) -> bool:
        return self.get(key) is not None

    def _reached(self, address: int) -> Any:
        declaration = self._declaration
        assert isinstance(declaration, nested.Outer)
        if address not in self._inner:
            made = nested.clone(declaration.inner)
            made._live = self._runner.machine.map_at(address)
            self._inner[address] = seen(self._runner, made)
        return self._inner[address]


@stands_for_kind(nested.Outer)
def outers(runner: Runner, declaration: nested.Outer[Any, Any]) -> Outers:
    return Outers(runner, declaration)


@stands_for_kind(queues.BloomFilter)
def filters(runner: Runner, declaration: queues.BloomFilter[Any]) -> Filter:
    return Filter(runner, declaration)


@stands_for_kind(queues.Queue)
def queued(runner: Runner, declaration: queues.Queue[Any]) -> Queued:
    return Queued(runner, declaration)


@stands_for_kind(lpm.LpmTrie)
def tries(runner: Runner, declaration: lpm.LpmTrie[Any, Any]) -> Tries:
    return Tries(runner, declaration)


@stands_for_kind(Targets)
def devices(runner: Runner, declaration: Targets) -> Devices:
    return Devices(runner, declaration)


@stands_for_kind(ProgArray)
def programs(runner: Runner, declaration: ProgArray) -> Programs:
    return Programs(runner, declaration)


@stands_for_kind(PerfEventArray)
def events(runner: Runner, declaration: PerfEventArray[Any]) -> Events:
    return Events(runner, declaration)


@stands_for_kind(KeyedMap)
def keyed(runner: Runner, declaration: KeyedMap[Any, Any]) -> Keyed:
    return Keyed(runner, declaration)


@stands_for_kind(StackTrace)
def stacks(runner: Runner, declaration: StackTrace) -> ProgramMap:
    return ProgramMap(runner, declaration)
