"""Maps that hold things other than bytes: programs, event readers, interfaces, CPUs.

Sources: kernel/bpf/arraymap.c (program and event arrays), devmap.c, cpumap.c. The virtual machine has no interfaces, so any
index other than 0 counts as one; a packet that is redirected ends there and the machine remembers to where.
"""

from __future__ import annotations

from collections.abc import Callable

from purebpf.errors import Error
from purebpf.spec import MapSpec
from purebpf.tables.enums import ProgramType
from purebpf.vm.arrays import Indexed
from purebpf.vm.events import EventQueue
from purebpf.vm.facts import (
    BPF_EXIST,
    BPF_NOEXIST,
    E2BIG,
    EBADF,
    EEXIST,
    EINVAL,
    ENODEV,
    ENOTSUPP,
    EOVERFLOW,
    Refused,
)
from purebpf.vm.machine import Loaded, Machine
from purebpf.vm.maps import VmMap
from purebpf.vm.memory import SHIFT

LONGEST_CPU_QUEUE = 16384  # kernel/bpf/cpumap.c


class ProgArray(Indexed):
    """Programs to tail-call. The first one that is stored, or that refers to it, decides which type the others must have."""

    def __init__(self, machine: Machine, spec: MapSpec) -> None:
        super().__init__(machine, spec)
        self.programs: dict[int, tuple[int, Loaded]] = {}  # handle and program by index
        self.owner: ProgramType | None = None

    def user_get(self, key: bytes) -> bytes | None:
        found = self.programs.get(self.machine.integer(key))
        return None if found is None else self.machine.bytes(found[0], 4)

    def user_put(self, key: bytes, value: bytes, flags: int) -> None:
        if flags:
            raise Refused(EINVAL)
        index = self.index(key, E2BIG)
        handle = self.machine.integer(value)
        program = self.machine.programs.get(handle)
        if program is None:
            raise Refused(EBADF)
        if self.owner not in (None, program.type):
            raise Refused(EINVAL)
        self.owner = program.type
        program.hold()
        self.clear(index)
        self.programs[index] = handle, program

    def clear(self, index: int) -> bool:
        found = self.programs.pop(index, None)
        if found is not None:
            found[1].drop()
        return found is not None

    def remove(self, key: bytes) -> bool:
        return self.clear(self.index(key, E2BIG))

    def program(self, index: int) -> Callable[..., int] | None:
        found = self.programs.get(index)
        return None if found is None else found[1].main()

    def free(self) -> None:
        for index in list(self.programs):
            self.clear(index)
        super().free()

    def claim(self, type: ProgramType) -> None:
        if self.owner not in (None, type):
            assert self.owner is not None
            raise Error(
                f"uses {self.what}, a program array of {self.owner.name.lower()} programs, in a {type.name.lower()} program"
            )
        self.owner = type


class PerfEventArray(Indexed):
    """One queue of events per CPU, set when a reader is opened."""

    def __init__(self, machine: Machine, spec: MapSpec) -> None:
        super().__init__(machine, spec)
        self.queues: dict[int, EventQueue] = {}

    def user_get(self, key: bytes) -> bytes | None:
        raise Refused(ENOTSUPP)

    def user_put(self, key: bytes, value: bytes, flags: int) -> None:
        if flags:
            raise Refused(EINVAL)
        self.index(key, E2BIG)
        raise Refused(EBADF)

    def remove(self, key: bytes) -> bool:
        return self.queues.pop(self.index(key, E2BIG), None) is not None


class Targets(VmMap):
    """Places a packet can be redirected to: a value per key, which programs can read but not write."""

    def __init__(self, machine: Machine, spec: MapSpec) -> None:
        super().__init__(machine, spec)
        self.values: dict[int, bytearray] = {}
        self._places: dict[int, int] = {}

    def user_get(self, key: bytes) -> bytes | None:
        value = self.values.get(self.machine.integer(key))
        return None if value is None else bytes(value)

    def has_target(self, key: int) -> bool:
        return key in self.values

    def set(self, index: int, value: bytes) -> None:
        self.clear(index)
        self.values[index] = bytearray(value)

    def clear(self, index: int) -> bool:
        place = self._places.pop(index, None)
        if place is not None:
            self.machine.at_end(lambda: self.machine.memory.unmap(place))
        return self.values.pop(index, None) is not None

    def find(self, key: bytes, cpu: int) -> int:
        index = self.machine.integer(key)
        value = self.values.get(index)
        if value is None:
            return 0
        if index not in self._places:
            region = self.reserve(1, lambda _: f"entry {index} of {self.what}")
            self.machine.memory.map(region, value, writable=False)
            self._places[index] = region
        return self._places[index] << SHIFT

    def first_word(self, value: bytes) -> int:
        return self.machine.integer(value[:4])

    def second_word(self, value: bytes) -> int:
        """The descriptor of a program to run on arrival; values of 4 bytes have none."""
        return self.machine.integer(value[4:8])

    def without_program(self, value: bytes) -> bytes:
        """The value as it is kept: second programs do not exist here. Raises Refused for one that is given."""
        if self.second_word(value) not in (0, 0xFFFF_FFFF):
            raise Refused(EINVAL)
        return value[:4] + bytes(len(value) - 4)


class IndexedTargets(Targets, Indexed):
    """Targets by a number below max_entries."""

    def permitted(self, key: bytes, flags: int) -> int:
        if flags > BPF_EXIST:
            raise Refused(EINVAL)
        index = self.index(key, E2BIG)
        if flags == BPF_NOEXIST:
            raise Refused(EEXIST)
        return index

    def remove(self, key: bytes) -> bool:
        self.clear(self.index(key, EINVAL))
        return True


class DevMap(IndexedTargets):
    """Interfaces by number; writing interface 0 empties an entry."""

    def user_put(self, key: bytes, value: bytes, flags: int) -> None:
        index = self.permitted(key, flags)
        if self.first_word(value):
            self.set(index, self.without_program(value))
        elif self.second_word(value):
            raise Refused(EINVAL)
        else:
            self.clear(index)


class CpuMap(IndexedTargets):
    """CPUs by number; the value is the length of a CPU's queue, and 0 empties the entry."""

    def user_put(self, key: bytes, value: bytes, flags: int) -> None:
        if flags > BPF_EXIST:
            raise Refused(EINVAL)
        index = self.permitted(key, flags)
        if self.first_word(value) > LONGEST_CPU_QUEUE:
            raise Refused(EOVERFLOW)
        if index >= self.machine.cpus:
            raise Refused(ENODEV)
        if self.first_word(value):
            self.set(index, self.without_program(value))
        else:
            self.clear(index)


class DevMapHash(Targets):
    """Interfaces by any 32-bit key."""

    def user_put(self, key: bytes, value: bytes, flags: int) -> None:
        if flags > BPF_EXIST or not self.first_word(value):
            raise Refused(EINVAL)
        index = self.machine.integer(key)
        if index in self.values and flags == BPF_NOEXIST:
            raise Refused(EEXIST)
        if index not in self.values and len(self.values) >= self.spec.max_entries:
            raise Refused(E2BIG)
        self.set(index, self.without_program(value))

    def remove(self, key: bytes) -> bool:
        return self.clear(self.machine.integer(key))

    def following(self, key: bytes | None) -> bytes | None:
        keys = list(self.values)
        index = self.machine.integer(key) if key is not None else None
        position = keys.index(index) + 1 if index in self.values else 0
        return self.machine.bytes(keys[position], 4) if position < len(keys) else None
