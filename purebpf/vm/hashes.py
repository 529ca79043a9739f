"""Hash tables: plain, least recently used, and per CPU (kernel/bpf/hashtab.c).

Updating an entry of a plain table replaces it, as in the kernel: a program's older pointer keeps the older value. What is
replaced or deleted stays readable until the program's run ends. The kernel's LRU is an approximation that may evict more
and other entries; here exactly the entry goes that was used longest ago, where a lookup by a program or an update is a use.
"""

from __future__ import annotations

from collections.abc import Iterator

from purebpf.data import data
from purebpf.spec import MapSpec
from purebpf.vm.facts import BPF_EXIST, BPF_NOEXIST, E2BIG, EEXIST, ENOENT, Refused
from purebpf.vm.machine import Machine
from purebpf.vm.maps import VmMap, existing_flags
from purebpf.vm.memory import SHIFT

REGIONS = 1 << 20  # how many region numbers are taken at a time


@data(frozen=False)
class Entry:
    """The values of one key, one per CPU; the regions begin at `region`."""

    key: bytes
    region: int
    values: list[bytearray]


class Hash(VmMap):
    """`entries` are in order of use for the LRU kinds, else in order of creation; walking follows it."""

    lru = False

    def __init__(self, machine: Machine, spec: MapSpec) -> None:
        super().__init__(machine, spec)
        self.entries: dict[bytes, Entry] = {}
        self._by_region: dict[int, Entry] = {}
        self._free, self._last = 0, 0
        self._walk: tuple[bytes, Iterator[bytes]] | None = None  # where the last call of `following` got to

    def _describe(self, region: int) -> str:
        entry = self._by_region.get(region)
        if entry is None:
            return f"an entry of {self.what} that was deleted"
        cpu = f" on CPU {region - entry.region}" if self.spec.per_cpu else ""
        return f"the value of key {entry.key.hex()} of {self.what}{cpu}"

    def make(self, key: bytes) -> Entry:
        """A new entry, mapped and zeroed."""
        if self._free + self.cpus > self._last:
            self._free = self.reserve(REGIONS, self._describe)
            self._last = self._free + REGIONS
        entry = Entry(key, self._free, [bytearray(self.spec.value_size) for _ in range(self.cpus)])
        self._free += self.cpus
        for region, value in enumerate(entry.values, entry.region):
            self.machine.memory.map(region, value, writable=self.writable, readable=self.readable)
            self._by_region[region] = entry
        return entry

    def drop(self, entry: Entry) -> None:
        """Unmap an entry once no running program can hold a pointer to it."""

        def unmap() -> None:
            for region in range(entry.region, entry.region + self.cpus):
                self._by_region.pop(region, None)
                self.machine.memory.unmap(region)

        self.machine.at_end(unmap)

    def used(self, key: bytes) -> None:
        """Make the entry the most recently used one."""
        if self.lru:
            self.entries[key] = self.entries.pop(key)

    def permitted(self, key: bytes, flags: int) -> Entry | None:
        """The entry that is there. Raises Refused when the flags do not allow the update."""
        flags = existing_flags(flags)
        entry = self.entries.get(key)
        if entry is not None and flags == BPF_NOEXIST:
            raise Refused(EEXIST)
        if entry is None and flags == BPF_EXIST:
            raise Refused(ENOENT)
        return entry

    def make_room(self) -> None:
        """Before a new key: evict the least recently used entry of a full table, or raise Refused."""
        if len(self.entries) >= self.spec.max_entries:
            if not self.lru:
                raise Refused(E2BIG)
            self.drop(self.entries.pop(next(iter(self.entries))))

    def user_get(self, key: bytes) -> bytes | None:
        entry = self.entries.get(key)
        if entry is None:
            return None
        return b"".join(bytes(value).ljust(self.stride if self.spec.per_cpu else 0, b"\0") for value in entry.values)

    def user_put(self, key: bytes, value: bytes, flags: int) -> None:
        self.put(key, value, flags)

    def put(self, key: bytes, value: bytes, flags: int) -> None:
        old = self.permitted(key, flags)
        if old is None:
            self.make_room()
        entry = self.make(key)
        entry.values[0][:] = value
        if old is not None:
            self.drop(old)
        self.entries[key] = entry
        self.used(key)

    def remove(self, key: bytes) -> bool:
        entry = self.entries.pop(key, None)
        if entry is not None:
            self.drop(entry)
        return entry is not None

    def following(self, key: bytes | None) -> bytes | None:
        if key is not None and key in self.entries:
            return self._after(key)
        return next(iter(self.entries), None)

    def _after(self, key: bytes) -> bytes | None:
        """The key behind one that exists. Goes on where the last call ended, so that a walk over all keys takes linear time."""
        if self._walk is not None and self._walk[0] == key:
            keys = self._walk[1]
        else:
            keys = iter(self.entries)
            for each in keys:
                if each == key:
                    break
        try:
            found = next(keys, None)
        except RuntimeError:  # the table changed while it was walked
            self._walk = None
            return self._after(key)
        self._walk = (found, keys) if found is not None else None
        return found

    def find(self, key: bytes, cpu: int) -> int:
        entry = self.entries.get(key)
        if entry is None:
            return 0
        self.used(key)
        return entry.region + (cpu if self.spec.per_cpu else 0) << SHIFT

    def walk(self) -> Iterator[tuple[bytes, int]]:
        cpu = self.machine.cpu if self.spec.per_cpu else 0
        for key, entry in list(self.entries.items()):
            if self.entries.get(key) is entry:
                yield key, entry.region + cpu << SHIFT


class LruHash(Hash):
    lru = True


class PerCpuHash(Hash):
    """One value per CPU. An update writes in place: user space all values, a program that of its CPU (others begin as 0)."""

    def entry_for(self, key: bytes, flags: int) -> Entry:
        entry = self.permitted(key, flags)
        if entry is None:
            self.make_room()
            entry = self.entries[key] = self.make(key)
        self.used(key)
        return entry

    def user_put(self, key: bytes, value: bytes, flags: int) -> None:
        entry = self.entry_for(key, flags)
        for cpu in range(self.cpus):
            start = cpu * self.stride
            entry.values[cpu][:] = value[start : start + self.spec.value_size]

    def put(self, key: bytes, value: bytes, flags: int) -> None:
        self.entry_for(key, flags).values[self.machine.cpu][:] = value


class LruPerCpuHash(PerCpuHash):
    lru = True
