"""Maps of the virtual machine: what all have in common, and how one is created.

Both sides as in the kernel (kernel/bpf/syscall.c and the map's own file): user space calls `lookup`, `update`, `delete` and
`next_key` and gets exceptions with the kernel's errno; programs get addresses and negative numbers. Values lie in the
machine's memory, so that a looked-up pointer reads and writes the map itself. Keys and values are in the machine's byte
order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Self, TypeVar

from purebpf.data import data
from purebpf.errors import Error, KernelError, NotLoaded, Unsupported
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType, ProgramType
from purebpf.vm.facts import (
    BPF_EXIST,
    BPF_F_LOCK,
    BPF_F_RDONLY,
    BPF_F_RDONLY_PROG,
    BPF_F_WRONLY,
    BPF_F_WRONLY_PROG,
    E2BIG,
    EINVAL,
    ENOMEM,
    ENOTSUPP,
    EPERM,
    Refused,
    fact,
    kernel_error,
)
from purebpf.vm.machine import Machine
from purebpf.vm.memory import SHIFT, SPAN, Fault

T = TypeVar("T")

LARGEST_KEY_AND_VALUE = 1 << 22  # KMALLOC_MAX_SIZE with 4 KiB pages
PAGE = 4096
LARGEST_PER_CPU_VALUE = 1 << 15  # PCPU_MIN_UNIT_SIZE


class VmMap:
    """A map. Subclasses say how entries are kept; the first group of methods is for user space, the last for programs."""

    def __init__(self, machine: Machine, spec: MapSpec) -> None:
        self.machine = machine
        self.spec = spec
        self.frozen = False
        self.closed = False
        self.mechanism = "virtual machine"
        self.users = 0  # loaded programs that refer to it
        self.stride = (spec.value_size + 7) // 8 * 8
        self.cpus = machine.cpus if spec.per_cpu else 1
        self.value_bytes = self.stride * self.cpus if spec.per_cpu else spec.value_size
        self.readable = not spec.flags & BPF_F_WRONLY_PROG
        self.writable = not spec.flags & BPF_F_RDONLY_PROG
        self.regions: list[int] = []
        self.address = self.reserve(1, lambda _: f"{self.what} itself, which is not its values: look one up") << SHIFT
        machine.maps[self.address] = self
        self.handle: int = next(machine.handles)
        machine.by_handle[self.handle] = self

    @property
    def identity(self) -> int:
        """What a map of maps gives for this one."""
        return self.handle

    @property
    def what(self) -> str:
        return f"the map {self.spec.name!r}"

    def reserve(self, count: int, describe: Callable[[int], str]) -> int:
        first = self.machine.memory.reserve(count, describe)
        self.regions.append(first)
        return first

    # For user space.

    def lookup(self, key: bytes) -> bytes | None:
        """The value, or None when there is no such key. Raises KernelError."""
        with self.machine.lock:
            self._check("key", key, self.spec.key_size)
            self._permit(BPF_F_WRONLY, f"Looking up a key in {self.what}")
            return self._answer(lambda: self.user_get(key), f"Looking up a key in {self.what}")

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        """Write an entry. Raises KernelError, with the numbers of bpf(2)."""
        with self.machine.lock:
            self._check("key", key, self.spec.key_size)
            self._check("value", value, self.value_bytes)
            self._permit(BPF_F_RDONLY, f"Updating {self.what}", write=True)
            self._answer(lambda: self.user_put(key, value, flags), f"Updating {self.what}")

    def delete(self, key: bytes) -> bool:
        """True if there was such a key. Raises KernelError, with EINVAL for an array."""
        with self.machine.lock:
            self._check("key", key, self.spec.key_size)
            self._permit(BPF_F_RDONLY, f"Deleting a key from {self.what}", write=True)
            return self._answer(lambda: self.remove(key), f"Deleting a key from {self.what}")

    def next_key(self, key: bytes | None) -> bytes | None:
        """The key after `key` (the first for None), None at the end. If `key` is gone, a hash starts again from the first."""
        with self.machine.lock:
            if key is not None:
                self._check("key", key, self.spec.key_size)
            self._permit(BPF_F_WRONLY, f"Walking the keys of {self.what}")
            return self._answer(lambda: self.following(key), f"Walking the keys of {self.what}")

    def take(self, key: bytes) -> bytes | None:
        """The value of an entry, which is removed, or None. Raises KernelError."""
        with self.machine.lock:
            value = self.lookup(key)
            if value is not None:
                self.delete(key)
            return value

    def ask(self, value: bytes) -> bool:
        """Whether a value is probably in a Bloom filter."""
        raise Error(f"{self.what} is no Bloom filter".capitalize())

    def read_into(self, keys: bytearray | memoryview, values: bytearray | memoryview, room: int, take: bool = False) -> int:
        """Read entries, joined, into memory for `room` of them, with `take` removing them; how many there were."""
        key_view, value_view = memoryview(keys).cast("B"), memoryview(values).cast("B")
        key_size, value_size, done = self.spec.key_size, self.value_bytes, 0
        with self.machine.lock:
            for key in list(self.keys())[:room]:
                value = self.take(key) if take else self.lookup(key)
                if value is not None:
                    key_view[done * key_size : (done + 1) * key_size] = key
                    value_view[done * value_size : (done + 1) * value_size] = value
                    done += 1
        return done

    def update_batch(
        self, keys: bytes | bytearray | memoryview, values: bytes | bytearray | memoryview, count: int, flags: int = 0
    ) -> None:
        """Write `count` entries, joined."""
        self._check("batch of keys", bytes(keys), count * self.spec.key_size)
        self._check("batch of values", bytes(values), count * self.value_bytes)
        for index in range(count):
            key = bytes(keys[index * self.spec.key_size : (index + 1) * self.spec.key_size])
            try:
                self.update(key, bytes(values[index * self.value_bytes : (index + 1) * self.value_bytes]), flags)
            except KernelError as error:
                raise KernelError(error.errno or 0, f"{error.message} {index} of {count} entries were written.") from None

    def delete_batch(self, keys: bytes | bytearray | memoryview, count: int) -> int:
        """Delete the entries of `count` keys, joined; how many there were."""
        size = self.spec.key_size
        self._check("batch of keys", bytes(keys), count * size)
        return sum(self.delete(bytes(keys[index * size : (index + 1) * size])) for index in range(count))

    def pin(self, path: str) -> None:
        raise Unsupported(f"{self.what} is in the virtual machine, which ends with this process: only the kernel keeps maps.")

    def unpin(self, path: str) -> None:
        self.pin(path)

    def move_pin(self, old: str, new: str) -> None:
        self.pin(new)

    @property
    def info(self) -> object:
        raise Unsupported(f"{self.what} is in the virtual machine; only the kernel tells about its maps.")

    def memory(self) -> memoryview:
        """An array's values as memory that programs see too, each at a multiple of 8 bytes. Raises Error for any other map."""
        raise Error(f"{self.what} has no memory to share; an array has".capitalize())

    def freeze(self) -> None:
        """From now on the map cannot be written from user space."""
        self.frozen = True

    def close(self) -> None:
        """Give it up; its memory goes when no loaded program uses it any more."""
        with self.machine.lock:
            self.closed = True
            self.release()

    def keys(self) -> Iterator[bytes]:
        """All keys; ends after max_entries even if programs keep adding."""
        key = None
        for _ in range(self.spec.max_entries):
            key = self.next_key(key)
            if key is None:
                return
            yield key

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def release(self) -> None:
        """Free it if nothing needs it any more."""
        if self.closed and not self.users and self.machine.maps.pop(self.address, None) is not None:
            self.machine.by_handle.pop(self.handle, None)
            self.free()

    def free(self) -> None:
        for first in self.regions:
            self.machine.memory.release(first)

    def _check(self, what: str, data: bytes, size: int) -> None:
        if self.closed:
            raise NotLoaded(f"The map {self.spec.name!r} is closed.")
        if len(data) != size:
            per_cpu = f" ({self.spec.value_size} rounded up to 8, for each of {self.cpus} CPUs)"
            detail = per_cpu if what == "value" and self.spec.per_cpu else ""
            raise Error(f"A {what} of the map {self.spec.name!r} has {size} bytes{detail}; these are {len(data)}.")

    def _permit(self, forbidden: int, what: str, write: bool = False) -> None:
        if self.spec.flags & forbidden or (write and self.frozen):
            raise kernel_error(EPERM, what)

    def _answer(self, operation: Callable[[], T], what: str) -> T:
        try:
            return operation()
        except Refused as refused:
            raise kernel_error(refused.number, what, self.spec.max_entries) from None

    # For subclasses to fill in; all raise Refused.

    def user_get(self, key: bytes) -> bytes | None:
        """The value as user space sees it, of all CPUs."""
        raise Refused(ENOTSUPP)

    def user_put(self, key: bytes, value: bytes, flags: int) -> None:
        """Write a value as user space gives it, for all CPUs."""
        raise Refused(ENOTSUPP)

    def remove(self, key: bytes) -> bool:
        """Delete an entry from either side; False when there is none."""
        raise Refused(EINVAL)

    def following(self, key: bytes | None) -> bytes | None:
        raise Refused(ENOTSUPP)

    # For programs.

    def find(self, key: bytes, cpu: int) -> int:
        """The address of a value, or 0."""
        raise Fault(f"looks up in {self.what}, but programs cannot look up in a {self.kind}")

    def put(self, key: bytes, value: bytes, flags: int) -> None:
        """Write a value, of the current CPU. Raises Refused."""
        raise Fault(f"updates {self.what}, but programs cannot write to a {self.kind}")

    def walk(self) -> Iterator[tuple[bytes, int]]:
        """Keys and the addresses of their values on the current CPU."""
        raise Fault(f"walks {self.what}, but there is no walking over a {self.kind}")

    def direct(self, offset: int) -> int:
        """The address that a wide load of the map's value gives."""
        raise Error(f"takes the address of a value of {self.what}, which is only possible for an array with one element")

    def program(self, index: int) -> Callable[..., int] | None:
        """The program at an index of a program array."""
        raise Fault(f"makes a tail call by {self.what}, which is no program array but a {self.kind}")

    def has_target(self, key: int) -> bool:
        """Whether a packet can be redirected to an entry."""
        raise Fault(f"redirects a packet to {self.what}, but a {self.kind} has no targets")

    def claim(self, type: ProgramType) -> None:
        """A program of that type refers to it. Raises Error when it must not."""

    @property
    def kind(self) -> str:
        return self.spec.type.name.lower()


@data
class Shape:
    """What a map of a type may look like: sizes (None: any but 0), the flags' names, and the class that implements it."""

    module: str
    name: str
    key: tuple[int, ...] | None
    value: tuple[int, ...] | None
    flags: tuple[str, ...] = ()


ACCESS = ("BPF_F_RDONLY", "BPF_F_WRONLY", "BPF_F_RDONLY_PROG", "BPF_F_WRONLY_PROG")
USER_ACCESS = ("BPF_F_NUMA_NODE", "BPF_F_RDONLY", "BPF_F_WRONLY")
HASH = ("BPF_F_NO_PREALLOC", "BPF_F_NUMA_NODE", "BPF_F_ZERO_SEED", *ACCESS)
LRU = ("BPF_F_NO_COMMON_LRU", "BPF_F_NUMA_NODE", "BPF_F_ZERO_SEED", *ACCESS)

SHAPES = {
    MapType.ARRAY: Shape("arrays", "Array", (4,), None, ("BPF_F_NUMA_NODE", "BPF_F_MMAPABLE", "BPF_F_INNER_MAP", *ACCESS)),
    MapType.PERCPU_ARRAY: Shape("arrays", "Array", (4,), None, ACCESS),
    MapType.HASH: Shape("hashes", "Hash", None, None, HASH),
    MapType.PERCPU_HASH: Shape("hashes", "PerCpuHash", None, None, HASH),
    MapType.LRU_HASH: Shape("hashes", "LruHash", None, None, LRU),
    MapType.LRU_PERCPU_HASH: Shape("hashes", "LruPerCpuHash", None, None, LRU),
    MapType.ARRAY_OF_MAPS: Shape("nested", "ArrayOfMaps", (4,), (4,), ("BPF_F_NUMA_NODE", *ACCESS)),
    MapType.HASH_OF_MAPS: Shape("nested", "HashOfMaps", None, (4,), HASH),
    MapType.PROG_ARRAY: Shape("tables", "ProgArray", (4,), (4,), ("BPF_F_NUMA_NODE", *ACCESS)),
    MapType.PERF_EVENT_ARRAY: Shape(
        "tables", "PerfEventArray", (4,), (4,), ("BPF_F_NUMA_NODE", "BPF_F_PRESERVE_ELEMS", *ACCESS)
    ),
    MapType.DEVMAP: Shape("tables", "DevMap", (4,), (4, 8), USER_ACCESS),
    MapType.DEVMAP_HASH: Shape("tables", "DevMapHash", (4,), (4, 8), USER_ACCESS),
    MapType.CPUMAP: Shape("tables", "CpuMap", (4,), (4, 8), ("BPF_F_NUMA_NODE",)),
    MapType.XSKMAP: Shape("empty", "Empty", (4,), (4,), USER_ACCESS),
    MapType.SOCKMAP: Shape("empty", "Empty", (4,), (4, 8), USER_ACCESS),
    MapType.SOCKHASH: Shape("empty", "Empty", None, (4, 8), USER_ACCESS),
    MapType.REUSEPORT_SOCKARRAY: Shape("empty", "Empty", (4,), (4, 8), ("BPF_F_NUMA_NODE", *ACCESS)),
    MapType.CGROUP_ARRAY: Shape("empty", "Empty", (4,), (4,), ("BPF_F_NUMA_NODE", *ACCESS)),
    MapType.QUEUE: Shape("queues", "Queue", (0,), None, ("BPF_F_NUMA_NODE", *ACCESS)),
    MapType.STACK_TRACE: Shape("stacks", "StackTrace", (4,), None, ("BPF_F_NUMA_NODE", *ACCESS)),
    MapType.RINGBUF: Shape("rings", "RingBuf", (0,), (0,), ("BPF_F_NUMA_NODE",)),
    MapType.BLOOM_FILTER: Shape("queues", "BloomFilter", (0,), None, ("BPF_F_NUMA_NODE", "BPF_F_ZERO_SEED", *ACCESS)),
    MapType.LPM_TRIE: Shape("tries", "LpmTrie", None, None, ("BPF_F_NO_PREALLOC", "BPF_F_NUMA_NODE", *ACCESS)),
    MapType.STACK: Shape("queues", "Stack", (0,), None, ("BPF_F_NUMA_NODE", *ACCESS)),
}


def problem(spec: MapSpec, shape: Shape) -> int:
    """The number with which the kernel refuses to create such a map, or 0."""
    allowed = sum(fact(name) for name in shape.flags)
    fits = (shape.key is None or spec.key_size in shape.key) and (shape.value is None or spec.value_size in shape.value)
    if (
        not fits
        or not spec.max_entries
        or (not spec.value_size and shape.value != (0,))
        or (shape.key is None and not spec.key_size)
    ):
        return EINVAL
    if (spec.inner is None) == (spec.type in (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS)):
        return EINVAL
    if spec.type is MapType.LPM_TRIE and not (spec.flags & fact("BPF_F_NO_PREALLOC") and 5 <= spec.key_size <= 4 + 256):
        return EINVAL
    if spec.type is MapType.RINGBUF and (spec.max_entries % PAGE or spec.max_entries & (spec.max_entries - 1)):
        return EINVAL
    if spec.flags & ~allowed:
        lru_without_prealloc = shape.flags is LRU and spec.flags & fact("BPF_F_NO_PREALLOC")
        return ENOTSUPP if lru_without_prealloc else EINVAL
    both_sides = ((BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG), (BPF_F_RDONLY, BPF_F_WRONLY))
    if any(spec.flags & one and spec.flags & other for one, other in both_sides):
        return EINVAL
    if spec.per_cpu and (spec.value_size + 7) // 8 * 8 > LARGEST_PER_CPU_VALUE:
        return E2BIG
    if shape.key is None and spec.key_size + spec.value_size > LARGEST_KEY_AND_VALUE:
        return E2BIG
    return E2BIG if spec.value_size > SPAN else 0


def create(machine: Machine, spec: MapSpec) -> VmMap:
    """A map with its contents. Raises KernelError as bpf(2) would, and Unsupported for a type that is not here."""
    shape = SHAPES.get(spec.type)
    if shape is None:
        known = ", ".join(type.name.lower() for type in SHAPES)
        raise Unsupported(
            f"The virtual machine has no maps of type {spec.type.name.lower()}, which {spec.name!r} is. It has {known}; "
            "the kernel has them all."
        )
    what = f"Creating the map {spec.name!r} ({spec.type.name.lower()})"
    if spec.pin:
        raise Unsupported(
            f"The map {spec.name!r} is to be pinned at {spec.pin}; the virtual machine keeps no maps, the kernel does."
        )
    number = problem(spec, shape)
    if number:
        sizes = (
            f"Keys of {spec.key_size} bytes, values of {spec.value_size}, {spec.max_entries} entries and flags {spec.flags:#x}"
        )
        raise kernel_error(number, what, reason=f"{sizes} are not possible for this type.")
    kind: type[VmMap] = getattr(import_module(f"purebpf.vm.{shape.module}"), shape.name)
    try:
        made = kind(machine, spec)
    except MemoryError:
        raise kernel_error(ENOMEM, what, reason="Its entries need more memory than there is.") from None
    try:
        for key, value in spec.contents:
            made.update(key, value)
    except (KernelError, Error):
        made.close()
        raise
    if spec.frozen:
        made.freeze()
    return made


def existing_flags(flags: int) -> int:
    """The part of update flags that says whether the key must exist. Raises Refused for flags that are no such."""
    if flags & ~BPF_F_LOCK > BPF_EXIST or flags & BPF_F_LOCK:
        raise Refused(EINVAL)
    return flags


def checked_index(key: bytes, spec: MapSpec, byteorder: str, number: int) -> int:
    """The index a key is. Raises Refused with `number` when it is beyond the last entry."""
    index = int.from_bytes(key, "little" if byteorder == "little" else "big")
    if index >= spec.max_entries:
        raise Refused(number)
    return index
