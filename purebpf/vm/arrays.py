"""Arrays, plain and per CPU (kernel/bpf/arraymap.c): all entries exist from the start, zeroed, and none can be deleted."""

from __future__ import annotations

from collections.abc import Iterator

from purebpf.errors import Error
from purebpf.spec import MapSpec
from purebpf.vm.facts import BPF_EXIST, BPF_F_LOCK, BPF_NOEXIST, E2BIG, EEXIST, EINVAL, Refused
from purebpf.vm.machine import Machine
from purebpf.vm.maps import VmMap, checked_index
from purebpf.vm.memory import SHIFT


class Indexed(VmMap):
    """A map whose keys are the numbers below max_entries; walking gives all of them, whether or not something is there."""

    def index(self, key: bytes, number: int) -> int:
        return checked_index(key, self.spec, self.machine.byteorder, number)

    def following(self, key: bytes | None) -> bytes | None:
        index = self.machine.integer(key) + 1 if key is not None else 0
        if index > self.spec.max_entries:
            index = 0
        return self.machine.bytes(index, 4) if index < self.spec.max_entries else None


class Array(Indexed):
    """The values of each CPU lie in one block; every value is a region of its own, mapped when it is first used."""

    def __init__(self, machine: Machine, spec: MapSpec) -> None:
        super().__init__(machine, spec)
        self.blocks = [memoryview(bytearray(self.stride * spec.max_entries)) for _ in range(self.cpus)]
        self.first = self.reserve(spec.max_entries * self.cpus, self._describe)
        self.mapped = machine.memory.readable if self.readable else machine.memory.writable

    def _describe(self, region: int) -> str:
        cpu, index = divmod(region - self.first, self.spec.max_entries)
        return f"value {index} of {self.what}{f' on CPU {cpu}' if self.spec.per_cpu else ''}"

    def value(self, index: int, cpu: int) -> memoryview:
        start = index * self.stride
        return self.blocks[cpu][start : start + self.spec.value_size]

    def value_address(self, index: int, cpu: int) -> int:
        region = self.first + cpu * self.spec.max_entries + index
        if region not in self.mapped:
            self.machine.memory.map(region, self.value(index, cpu), writable=self.writable, readable=self.readable)
        return region << SHIFT

    def user_get(self, key: bytes) -> bytes | None:
        index = self.machine.integer(key)
        if index >= self.spec.max_entries:
            return None
        if not self.spec.per_cpu:
            return bytes(self.value(index, 0))
        start = index * self.stride
        return b"".join(bytes(block[start : start + self.stride]) for block in self.blocks)

    def user_put(self, key: bytes, value: bytes, flags: int) -> None:
        if flags & BPF_F_LOCK:
            raise Refused(EINVAL)
        index = self.permitted(key, flags)
        size = self.spec.value_size
        for cpu in range(self.cpus):
            start = cpu * self.stride
            self.value(index, cpu)[:] = value[start : start + size]

    def permitted(self, key: bytes, flags: int) -> int:
        """The index to write to. Raises Refused, of several reasons with the one that the kernel looks for first."""
        if (flags & ~BPF_F_LOCK if not self.spec.per_cpu else flags) > BPF_EXIST:
            raise Refused(EINVAL)
        index = self.index(key, E2BIG)
        if flags & BPF_NOEXIST:
            raise Refused(EEXIST)
        if flags & BPF_F_LOCK:
            raise Refused(EINVAL)
        return index

    def find(self, key: bytes, cpu: int) -> int:
        index = self.machine.integer(key)
        if index >= self.spec.max_entries:
            return 0
        return self.value_address(index, cpu if self.spec.per_cpu else 0)

    def put(self, key: bytes, value: bytes, flags: int) -> None:
        index = self.permitted(key, flags)
        self.value(index, self.machine.cpu if self.spec.per_cpu else 0)[:] = value

    def remove(self, key: bytes) -> bool:
        raise Refused(EINVAL)

    def walk(self) -> Iterator[tuple[bytes, int]]:
        cpu = self.machine.cpu if self.spec.per_cpu else 0
        for index in range(self.spec.max_entries):
            yield self.machine.bytes(index, 4), self.value_address(index, cpu)

    def memory(self) -> memoryview:
        if self.spec.per_cpu:
            return super().memory()
        used = self.spec.value_size if self.spec.max_entries == 1 else len(self.blocks[0])
        return self.blocks[0][:used].toreadonly() if self.frozen else self.blocks[0][:used]

    def direct(self, offset: int) -> int:
        if self.spec.max_entries != 1 or self.spec.per_cpu:
            return super().direct(offset)
        if offset >= self.spec.value_size:
            raise Error(f"takes the address of byte {offset} of {self.what}, whose value has only {self.spec.value_size} bytes")
        return self.value_address(0, 0) + offset
