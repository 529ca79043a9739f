"""Maps in the kernel: create, look up, update, delete and walk, one entry at a time (bpf(2), kernel/bpf/syscall.c)."""

from __future__ import annotations

import ctypes
import errno
import mmap
import sys
from collections.abc import Iterator

from purebpf.data import replace
from purebpf.errors import Error
from purebpf.kernel import cpus, privileges
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure, minimum
from purebpf.kernel.info import MapInfo, map_info
from purebpf.kernel.memlock import with_memlock
from purebpf.kernel.names import with_name
from purebpf.kernel.syscall import bpf, bpf_call
from purebpf.spec import MapSpec
from purebpf.tables.attr import INTEGERS, SIZES
from purebpf.tables.enums import Command, MapType

BY_CPU = frozenset({MapType.PERF_EVENT_ARRAY, MapType.CPUMAP})
BPF_F_RDONLY_PROG, BPF_F_MMAPABLE = 1 << 7, 1 << 10
SPARES = 8  # working memory kept for the next operations; more threads than that at once get their own for a while

CREATE_REASONS = {
    errno.EINVAL: "Key size, value size, number of entries or flags do not fit this type of map, or there is no such type.",
    errno.E2BIG: "Its entries would take more memory than a map may have.",
    errno.ENOMEM: "The kernel has not enough memory for that many entries.",
}
UPDATE_REASONS = {
    errno.E2BIG: "The map is full, or the index is beyond its last entry: max_entries is {entries}.",
    errno.EEXIST: "The key is there already, and the flags ask for a new one (BPF_NOEXIST).",
    errno.ENOENT: "The key is not there, and the flags ask for one that is (BPF_EXIST).",
    errno.EPERM: "The map is frozen or read-only from user space.",
    errno.EINVAL: "The kernel takes flags or value for invalid; a program array takes the handle of a program of its own kind.",
    errno.EBADF: "The value is a descriptor that is closed, or not of what this map holds.",
    errno.ENODEV: "The value names a network interface that does not exist.",
    errno.EBUSY: "The entry is being changed by a program at this moment.",
}
DELETE_REASONS = {
    errno.EINVAL: "Entries of an array cannot be deleted, only overwritten.",
    errno.EPERM: "The map is frozen or read-only from user space.",
}


class Slot:
    """An attribute with its key and value memory. Not shared while in use."""

    __slots__ = ("address", "attribute", "flags", "key", "next_key", "value", "value_pointer")

    def __init__(self, descriptor: int, key_size: int, value_size: int) -> None:
        layout = INTEGERS["ELEM"]
        self.attribute = ctypes.create_string_buffer(SIZES["ELEM"])
        self.address = ctypes.addressof(self.attribute)
        self.key = ctypes.create_string_buffer(max(key_size, 1))
        self.next_key = ctypes.create_string_buffer(max(key_size, 1))
        self.value = ctypes.create_string_buffer(max(value_size, 1))
        ctypes.c_uint32.from_buffer(self.attribute, layout["map_fd"][0]).value = descriptor
        ctypes.c_uint64.from_buffer(self.attribute, layout["key"][0]).value = ctypes.addressof(self.key)
        self.value_pointer = ctypes.c_uint64.from_buffer(self.attribute, layout["value"][0])
        self.value_pointer.value = ctypes.addressof(self.value)
        self.flags = ctypes.c_uint64.from_buffer(self.attribute, layout["flags"][0])


class KernelMap:
    """A map in the kernel. May be used from several threads at once.

    A value is `value_size` bytes; in a per-CPU map one value per possible CPU, each padded to a multiple of 8 bytes, joined.
    """

    def __init__(self, spec: MapSpec, descriptor: Descriptor) -> None:
        self.spec = spec
        self.descriptor = descriptor
        self.value_bytes = (spec.value_size + 7) // 8 * 8 * cpus.possible() if spec.per_cpu else spec.value_size
        self._spare: list[Slot] = []
        self._mapped: mmap.mmap | None = None
        self._call = bpf_call()

    def _take(self) -> Slot:
        # pop and append are atomic: neither a second thread nor a signal handler can get a slot that is in use.
        number = self.descriptor.number
        try:
            return self._spare.pop()
        except IndexError:
            return Slot(number, self.spec.key_size, self.value_bytes)

    def _give_back(self, slot: Slot) -> None:
        if len(self._spare) < SPARES:
            self._spare.append(slot)

    def _check(self, what: str, data: bytes, size: int) -> None:
        if len(data) != size:
            per_cpu = f" ({self.spec.value_size} rounded up to 8, for each of {cpus.possible()} CPUs)"
            detail = per_cpu if what == "value" and self.spec.per_cpu else ""
            raise Error(f"A {what} of the map {self.spec.name!r} has {size} bytes{detail}; these are {len(data)}.")

    def lookup(self, key: bytes) -> bytes | None:
        """The value, or None when there is no such key. Raises KernelError, with EOPNOTSUPP for a map that cannot be read."""
        self._check("key", key, self.spec.key_size)
        slot = self._take()
        ctypes.memmove(slot.key, key, len(key))
        slot.flags.value = 0
        answer = self._call(int(Command.MAP_LOOKUP_ELEM), slot.address, len(slot.attribute))
        value = slot.value.raw[: self.value_bytes] if answer == 0 else None
        self._give_back(slot)
        if answer == 0 or answer == -errno.ENOENT:
            return value
        raise failure(-answer, f"Looking up a key in {self.descriptor.what}")

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        """Write an entry. `flags`: 0 either way, BPF_NOEXIST (1) only a new one, BPF_EXIST (2) only one that is there.

        Raises KernelError, with EEXIST or ENOENT by those flags and E2BIG when the map is full.
        """
        self._check("key", key, self.spec.key_size)
        self._check("value", value, self.value_bytes)
        slot = self._take()
        ctypes.memmove(slot.key, key, len(key))
        ctypes.memmove(slot.value, value, len(value))
        slot.flags.value = flags
        answer = self._call(int(Command.MAP_UPDATE_ELEM), slot.address, len(slot.attribute))
        self._give_back(slot)
        if answer < 0:
            reasons = {number: text.format(entries=self.spec.max_entries) for number, text in UPDATE_REASONS.items()}
            raise failure(-answer, f"Updating {self.descriptor.what}", reasons=reasons)

    def delete(self, key: bytes) -> bool:
        """True if there was such a key. Raises KernelError, with EINVAL for an array."""
        self._check("key", key, self.spec.key_size)
        slot = self._take()
        ctypes.memmove(slot.key, key, len(key))
        slot.flags.value = 0
        answer = self._call(int(Command.MAP_DELETE_ELEM), slot.address, INTEGERS["ELEM"]["value"][0])
        self._give_back(slot)
        if answer == 0 or answer == -errno.ENOENT:
            return answer == 0
        raise failure(-answer, f"Deleting a key from {self.descriptor.what}", reasons=DELETE_REASONS)

    def next_key(self, key: bytes | None) -> bytes | None:
        """The key after `key` (the first for None), None at the end. If `key` is gone, a hash starts again from the first."""
        if key is not None:
            self._check("key", key, self.spec.key_size)
        slot = self._take()
        pointer = ctypes.c_uint64.from_buffer(slot.attribute, INTEGERS["ELEM"]["key"][0])
        if key is None:
            pointer.value = 0
        else:
            ctypes.memmove(slot.key, key, len(key))
        slot.flags.value = 0
        slot.value_pointer.value = ctypes.addressof(slot.next_key)
        answer = self._call(int(Command.MAP_GET_NEXT_KEY), slot.address, INTEGERS["ELEM"]["flags"][0])
        found = slot.next_key.raw[: self.spec.key_size] if answer == 0 else None
        slot.value_pointer.value = ctypes.addressof(slot.value)
        pointer.value = ctypes.addressof(slot.key)
        self._give_back(slot)
        if answer == 0 or answer == -errno.ENOENT:
            return found
        raise failure(-answer, f"Walking the keys of {self.descriptor.what}")

    def keys(self) -> Iterator[bytes]:
        """All keys; ends after max_entries even if programs keep adding."""
        key = None
        for _ in range(self.spec.max_entries):
            key = self.next_key(key)
            if key is None:
                return
            yield key

    @property
    def info(self) -> MapInfo:
        return map_info(self.descriptor)

    def memory(self) -> memoryview:
        """The only value of an array as writable memory, which programs see too (Linux 5.5). Release it before closing the map.

        The map must have been created with BPF_F_MMAPABLE. Raises KernelError.
        """
        if self._mapped is None:
            size = -(-self.spec.value_size // mmap.PAGESIZE) * mmap.PAGESIZE
            try:
                self._mapped = mmap.mmap(self.descriptor.number, size)
            except OSError as error:
                raise failure(error.errno or 0, f"Mapping {self.descriptor.what} into memory", first=(5, 5)) from None
        return memoryview(self._mapped)[: self.spec.value_size]

    def close(self) -> None:
        """Give up this process's reference; the map lives on while a program uses it."""
        if self._mapped is not None:
            self._mapped.close()
            self._mapped = None
        self.descriptor.close()

    def __enter__(self) -> KernelMap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def create_map(spec: MapSpec) -> KernelMap:
    """Create the map, write its contents, freeze it if it is to be frozen. Raises KernelError and Unsupported.

    A perf event array or CPU map with 0 entries gets one for every CPU.
    """
    if spec.type in BY_CPU and not spec.max_entries:
        spec = replace(spec, max_entries=cpus.identifiers())
    what = f"the map {spec.name!r} ({spec.type.name.lower()})"
    fields: dict[str, int | bytes] = {
        "map_type": int(spec.type),
        "key_size": spec.key_size,
        "value_size": spec.value_size,
        "max_entries": spec.max_entries,
        "map_flags": spec.flags,
    }

    def attempt(name: bytes) -> int:
        return with_memlock(lambda: bpf(Command.MAP_CREATE, {**fields, "map_name": name}))

    types = _types(spec, what, fields)
    try:
        answer = with_name(spec.name, attempt)
    finally:
        types.close()
    if answer < 0:
        first, feature = _newest(spec)
        raise failure(
            -answer,
            f"Creating {what} with keys of {spec.key_size} and values of {spec.value_size} bytes, {spec.max_entries} entries",
            needs=privileges.for_map(spec.type),
            first=first,
            feature=feature,
            reasons=CREATE_REASONS,
        )
    made = KernelMap(spec, Descriptor(answer, what))
    try:
        for key, value in spec.contents:
            made.update(key, value)
        if spec.frozen:
            freeze(made)
    except BaseException:
        made.close()
        raise
    return made


def _types(spec: MapSpec, what: str, fields: dict[str, int | bytes]) -> Descriptor:
    """Have the fields tell what is inside (Linux 4.18), where the kernel must know, as long as the result is open."""
    if spec.types is None:
        return Descriptor.none()
    from purebpf.kernel.btf import load_btf, types_of

    btf = load_btf(types_of(spec.types), what)
    fields |= {"btf_fd": btf.number, "btf_key_type_id": spec.types.key, "btf_value_type_id": spec.types.value}
    return btf


def _newest(spec: MapSpec) -> tuple[tuple[int, int] | None, str]:
    """What the map has that came last: its first kernel and its name."""
    if spec.flags & BPF_F_MMAPABLE:
        return (5, 5), "an array that is mapped into memory (BPF_F_MMAPABLE), as globals are"
    if spec.flags & BPF_F_RDONLY_PROG:
        return (5, 2), "maps that programs only read (BPF_F_RDONLY_PROG), as constants and settings are"
    return minimum(spec.type), f"maps of type {spec.type.name.lower()}"


def freeze(map: KernelMap) -> None:
    """From now on the map cannot be written from user space. Linux 5.2."""
    answer = bpf(Command.MAP_FREEZE, {"map_fd": map.descriptor.number})
    if answer < 0:
        raise failure(-answer, f"Freezing {map.descriptor.what}", first=(5, 2), feature="BPF_MAP_FREEZE")


def handle_bytes(descriptor: int) -> bytes:
    """A descriptor as the value of a program array or a perf event array."""
    return descriptor.to_bytes(4, sys.byteorder)
