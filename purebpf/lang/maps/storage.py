"""Values that lie at objects of the kernel, and go when the object goes: sockets, tasks, inodes, cgroups.

There is nothing to size and nothing to clean up. In a program the owner is an object of the kernel; in user space something
that stands for it: a socket, a process, a file, a cgroup.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, cast, overload

from purebpf.errors import Error
from purebpf.lang import declaring
from purebpf.lang.map_types import map_types
from purebpf.lang.maps.declaration import MapDeclaration
from purebpf.lang.maps.keyed import V
from purebpf.lang.maps.percpu import PerCpuMap
from purebpf.lang.types import IntType, Type
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

BPF_F_NO_PREALLOC = 1
DESCRIPTOR = IntType(32, signed=True)


class Storage(MapDeclaration, Generic[V]):
    """What all of them have in common. `flags` may be `bpf.BPF_F_CLONE` for sockets: accepted ones inherit their listener's."""

    parameters = 1
    owner = ""  # what the owner is in user space

    def __init__(self, *, name: str | None = None, flags: int = 0, pin: str = "") -> None:
        super().__init__(1, name=name, flags=flags | BPF_F_NO_PREALLOC, pin=pin)
        self.max_entries = 0

    def describe(self, name: str) -> MapSpec:
        value = self.value_type
        types = map_types(self.kind, DESCRIPTOR, value, required=True)
        return MapSpec(name, self.kind, 4, value.size, 0, self.flags, types=types, pin=self.pin_path)

    @contextmanager
    def _key(self, owner: Any) -> Iterator[bytes]:
        """A descriptor that stands for the owner, as bytes, while it is used."""
        number, opened = self._descriptor(owner)
        try:
            yield DESCRIPTOR.encode(number)
        finally:
            if opened:
                os.close(number)

    def _descriptor(self, owner: Any) -> tuple[int, bool]:
        """The descriptor, and whether it was opened for this."""
        if isinstance(owner, int) and not isinstance(owner, bool):
            return owner, False
        if hasattr(owner, "fileno"):
            return int(owner.fileno()), False
        raise TypeError(f"the owner of a value of `{self.name}` is {self.owner}, not {owner!r}")

    def get(self, owner: Any, create: bool = False) -> V | None:
        """The value at an owner. In a program, with `create`, a new one of zeros where there is none; None where there is none,
        or no memory for one."""
        with self._key(owner) as key:
            data = self.live.lookup(key)
            if data is None and create:
                self.live.update(key, bytes(self.value_type.size))
                data = self.live.lookup(key)
        return None if data is None else cast(V, self.value_type.decode(data))

    def __getitem__(self, owner: Any) -> V:
        found = self.get(owner)
        if found is None:
            raise KeyError(owner)
        return found

    def __setitem__(self, owner: Any, value: V) -> None:
        self.set(owner, value)

    def set(self, owner: Any, value: V, flags: int = 0) -> int:
        """Write the value at an owner with update flags. User space only."""
        try:
            data = self.value_type.encode(value)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"the value of `{self.name}` is a `{self.value_type}`: {error}") from None
        with self._key(owner) as key:
            self.live.update(key, data, flags)
        return 0

    def delete(self, owner: Any) -> int:
        """In a program: take the value away, 0 or -errno. In user space: raises KeyError where there is none."""
        with self._key(owner) as key:
            if not self.live.delete(key):
                raise KeyError(owner)
        return 0

    def __delitem__(self, owner: Any) -> None:
        self.delete(owner)

    def __contains__(self, owner: object) -> bool:
        return self.get(owner) is not None

    def __iter__(self) -> Iterator[Any]:
        raise Error(f"the kernel does not tell the owners of the values of `{self.name}`: look them up one by one")


class SkStorage(Storage[V], Generic[V]):
    """A value at a socket (BPF_MAP_TYPE_SK_STORAGE, Linux 5.2). In user space the owner is a socket or its descriptor."""

    kind = MapType.SK_STORAGE
    owner = "a socket"


class TaskStorage(Storage[V], Generic[V]):
    """A value at a task (BPF_MAP_TYPE_TASK_STORAGE, Linux 5.11). In user space the owner is a process's id, or something with a
    `fileno()` that gives a pidfd."""

    kind = MapType.TASK_STORAGE
    owner = "a process's id"

    def _descriptor(self, owner: Any) -> tuple[int, bool]:
        if isinstance(owner, int) and not isinstance(owner, bool):
            return os.pidfd_open(owner), True
        return super()._descriptor(owner)


class InodeStorage(Storage[V], Generic[V]):
    """A value at an inode (BPF_MAP_TYPE_INODE_STORAGE, Linux 5.10; programs of type lsm). In user space the owner is a path, an
    open file or a descriptor."""

    kind = MapType.INODE_STORAGE
    owner = "a path or an open file"

    def _descriptor(self, owner: Any) -> tuple[int, bool]:
        if isinstance(owner, str | os.PathLike):
            return os.open(owner, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), True
        return super()._descriptor(owner)


class CgroupStorage(Storage[V], Generic[V]):
    """A value at a cgroup (BPF_MAP_TYPE_CGRP_STORAGE, Linux 6.2). In user space the owner is its folder, or a descriptor
    of it."""

    kind = MapType.CGRP_STORAGE
    owner = "a cgroup's folder"

    def _descriptor(self, owner: Any) -> tuple[int, bool]:
        if isinstance(owner, str | os.PathLike):
            return os.open(owner, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), True
        return super()._descriptor(owner)


class AttachedCgroupStorage(MapDeclaration, Generic[V]):
    """A value at each cgroup that the program is attached to (BPF_MAP_TYPE_CGROUP_STORAGE, Linux 4.19), there as long as
    the program is attached. `get()` in a program gives that of the cgroup it runs for; in user space the key is the cgroup's
    folder or id. `CgroupStorage` is what came after it."""

    kind = MapType.CGROUP_STORAGE
    parameters = 1

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(1, name=name)
        self.max_entries = 0

    @property
    def key_type(self) -> Type:
        return IntType(64)

    def describe(self, name: str) -> MapSpec:
        size = self.value_type.size
        if not size <= 4096:
            raise declaring.error(f"`{name}`: a value has at most 4096 bytes, not {size}", place=self.place)
        return MapSpec(name, self.kind, 8, size, 0, 0)

    def _key(self, cgroup: Any) -> bytes:
        return IntType(64).encode(os.stat(cgroup).st_ino if isinstance(cgroup, str | os.PathLike) else cgroup)

    def _decode(self, data: bytes) -> Any:
        return self.value_type.decode(data)

    @overload
    def get(self) -> V: ...

    @overload
    def get(self, cgroup: Any) -> V | None: ...

    def get(self, cgroup: Any = None) -> V | None:
        """In a program: the value of the cgroup that it runs for. In user space: that of a cgroup, None where there is none."""
        data = self.live.lookup(self._key(cgroup))
        return None if data is None else cast(V, self._decode(data))

    def __getitem__(self, cgroup: Any) -> V:
        found = self.get(cgroup)
        if found is None:
            raise KeyError(cgroup)
        return found

    def __setitem__(self, cgroup: Any, value: V) -> None:
        self.live.update(self._key(cgroup), self.value_type.encode(value))

    def __contains__(self, cgroup: object) -> bool:
        return self.live.lookup(self._key(cgroup)) is not None


class PerCpuAttachedCgroupStorage(AttachedCgroupStorage[V], Generic[V]):
    """The same with one value per CPU (BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, Linux 4.20)."""

    kind = MapType.PERCPU_CGROUP_STORAGE

    def _decode(self, data: bytes) -> Any:
        return PerCpuMap._unpacker(cast(Any, self), self.value_type.decode)(data)

    def __setitem__(self, cgroup: Any, value: Any) -> None:
        self.live.update(self._key(cgroup), PerCpuMap._encode(cast(Any, self), value))

    _fitted = PerCpuMap._fitted
    _misfit = PerCpuMap._misfit
