"""Queues, stacks (kernel/bpf/queue_stack_maps.c) and Bloom filters (bloom_filter.c): values without keys. For user space an
update adds, a lookup peeks."""

from __future__ import annotations

from collections import deque

from purebpf.spec import MapSpec
from purebpf.vm.facts import BPF_EXIST, BPF_F_RDONLY, BPF_NOEXIST, E2BIG, EINVAL, Refused
from purebpf.vm.machine import Machine
from purebpf.vm.maps import VmMap


class Queue(VmMap):
    """First in, first out."""

    end = 0  # the index of the value that comes out next

    def __init__(self, machine: Machine, spec: MapSpec) -> None:
        super().__init__(machine, spec)
        self.values: deque[bytes] = deque()

    def push(self, value: bytes, flags: int) -> None:
        """Add a value; with BPF_EXIST a full one loses its oldest value. Raises Refused."""
        if flags == BPF_NOEXIST or flags > BPF_EXIST:
            raise Refused(EINVAL)
        if len(self.values) >= self.spec.max_entries:
            if flags != BPF_EXIST:
                raise Refused(E2BIG)
            self.values.popleft()
        self.values.append(value)

    def peek(self) -> bytes | None:
        """The next value, or None."""
        return self.values[self.end] if self.values else None

    def pop(self) -> bytes | None:
        """Take the next value out, or None."""
        found = self.peek()
        if found is not None:
            del self.values[self.end]
        return found

    def user_get(self, key: bytes) -> bytes | None:
        return self.peek()

    def user_put(self, key: bytes, value: bytes, flags: int) -> None:
        self.push(value, flags)

    def take(self, key: bytes) -> bytes | None:
        with self.machine.lock:
            self._check("key", key, 0)
            self._permit(BPF_F_RDONLY, f"Taking an entry out of {self.what}", write=True)
            return self.pop()

    def following(self, key: bytes | None) -> bytes | None:
        raise Refused(EINVAL)


class Stack(Queue):
    """Last in, first out."""

    end = -1


class BloomFilter(VmMap):
    """A set; makes no mistakes here."""

    def __init__(self, machine: Machine, spec: MapSpec) -> None:
        super().__init__(machine, spec)
        self.members: set[bytes] = set()

    def push(self, value: bytes, flags: int) -> None:
        """Add a value. Raises Refused."""
        if flags:
            raise Refused(EINVAL)
        self.members.add(value)

    def user_put(self, key: bytes, value: bytes, flags: int) -> None:
        self.push(value, flags)

    def ask(self, value: bytes) -> bool:
        """Whether a value was added."""
        with self.machine.lock:
            self._check("value", value, self.spec.value_size)
            return value in self.members
