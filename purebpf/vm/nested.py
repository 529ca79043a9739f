"""Maps of maps (kernel/bpf/map_in_map.c): user space writes the handle of a map and reads it; a program gets the map."""

from __future__ import annotations

from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType
from purebpf.vm.arrays import Indexed
from purebpf.vm.facts import BPF_EXIST, BPF_NOEXIST, E2BIG, EBADF, EEXIST, EINVAL, ENOENT, Refused
from purebpf.vm.machine import Machine
from purebpf.vm.maps import VmMap


class MapOfMaps(VmMap):
    """Inner maps by key."""

    def __init__(self, machine: Machine, spec: MapSpec) -> None:
        super().__init__(machine, spec)
        self.inner: dict[bytes, VmMap] = {}

    def exact(self, key: bytes) -> bytes:
        """Raises Refused for a key that cannot be."""
        return key

    def user_get(self, key: bytes) -> bytes | None:
        found = self.inner.get(key)
        return None if found is None else self.machine.bytes(found.handle, 4)

    def user_put(self, key: bytes, value: bytes, flags: int) -> None:
        if flags > BPF_EXIST:
            raise Refused(EINVAL)
        found = self.machine.by_handle.get(self.machine.integer(value))
        if found is None:
            raise Refused(EBADF)
        if not self._alike(found.spec):
            raise Refused(EINVAL)
        key = self.exact(key)
        if key in self.inner and flags == BPF_NOEXIST:
            raise Refused(EEXIST)
        if key not in self.inner and flags == BPF_EXIST:
            raise Refused(ENOENT)
        if key not in self.inner and len(self.inner) >= self.spec.max_entries:
            raise Refused(E2BIG)
        found.users += 1
        self.clear(key)
        self.inner[key] = found

    def _alike(self, given: MapSpec) -> bool:
        wanted = self.spec.inner
        assert wanted is not None
        sizes = [(spec.type, spec.key_size, spec.value_size, spec.flags) for spec in (wanted, given)]
        array = wanted.type is MapType.ARRAY and not wanted.flags & 1 << 12  # BPF_F_INNER_MAP
        return sizes[0] == sizes[1] and (not array or wanted.max_entries == given.max_entries)

    def clear(self, key: bytes) -> bool:
        found = self.inner.pop(key, None)
        if found is not None:
            found.users -= 1
            self.machine.at_end(found.release)
        return found is not None

    def remove(self, key: bytes) -> bool:
        return self.clear(self.exact(key))

    def find(self, key: bytes, cpu: int) -> int:
        found = self.inner.get(key)
        return 0 if found is None else found.address

    def free(self) -> None:
        for key in list(self.inner):
            self.clear(key)
        super().free()


class ArrayOfMaps(MapOfMaps, Indexed):
    def exact(self, key: bytes) -> bytes:
        self.index(key, E2BIG)
        return key

    def following(self, key: bytes | None) -> bytes | None:
        return Indexed.following(self, key)


class HashOfMaps(MapOfMaps):
    def following(self, key: bytes | None) -> bytes | None:
        keys = list(self.inner)
        position = keys.index(key) + 1 if key in self.inner else 0
        return keys[position] if position < len(keys) else None
