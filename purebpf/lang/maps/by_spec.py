"""Maps of user space for maps that a spec describes: the class by the map's type, made without an author's declaration."""

from __future__ import annotations

from importlib import import_module

from purebpf.errors import Unsupported
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from purebpf.lang.maps import MapDeclaration

# by type: the module, the class, and which of key and value stand in its brackets
CLASSES = {
    MapType.HASH: ("purebpf.lang.maps.kinds", "Hash", "KV"),
    MapType.ARRAY: ("purebpf.lang.maps.kinds", "Array", "V"),
    MapType.PERCPU_HASH: ("purebpf.lang.maps.kinds", "PerCpuHash", "KV"),
    MapType.PERCPU_ARRAY: ("purebpf.lang.maps.kinds", "PerCpuArray", "V"),
    MapType.LRU_HASH: ("purebpf.lang.maps.kinds", "LruHash", "KV"),
    MapType.LRU_PERCPU_HASH: ("purebpf.lang.maps.kinds", "LruPerCpuHash", "KV"),
    MapType.LPM_TRIE: ("purebpf.lang.maps.lpm", "LpmTrie", "KV"),
    MapType.PROG_ARRAY: ("purebpf.lang.maps.programs", "ProgArray", ""),
    MapType.PERF_EVENT_ARRAY: ("purebpf.lang.maps.events", "PerfEventArray", "V"),
    MapType.RINGBUF: ("purebpf.lang.rings", "RingBuf", "V"),
    MapType.USER_RINGBUF: ("purebpf.lang.maps.inbox", "UserRingBuf", "V"),
    MapType.STACK_TRACE: ("purebpf.lang.stacks", "StackTrace", ""),
    MapType.ARRAY_OF_MAPS: ("purebpf.lang.maps.nested", "ArrayOfMaps", ""),
    MapType.HASH_OF_MAPS: ("purebpf.lang.maps.nested", "HashOfMaps", "K"),
    MapType.QUEUE: ("purebpf.lang.maps.queues", "Queue", "V"),
    MapType.STACK: ("purebpf.lang.maps.queues", "Stack", "V"),
    MapType.BLOOM_FILTER: ("purebpf.lang.maps.queues", "BloomFilter", "V"),
    MapType.SK_STORAGE: ("purebpf.lang.maps.storage", "SkStorage", "V"),
    MapType.TASK_STORAGE: ("purebpf.lang.maps.storage", "TaskStorage", "V"),
    MapType.INODE_STORAGE: ("purebpf.lang.maps.storage", "InodeStorage", "V"),
    MapType.CGRP_STORAGE: ("purebpf.lang.maps.storage", "CgroupStorage", "V"),
    MapType.CGROUP_STORAGE: ("purebpf.lang.maps.storage", "AttachedCgroupStorage", "V"),
    MapType.PERCPU_CGROUP_STORAGE: ("purebpf.lang.maps.storage", "PerCpuAttachedCgroupStorage", "V"),
    MapType.DEVMAP: ("purebpf.lang.maps.devices", "DevMap", ""),
    MapType.DEVMAP_HASH: ("purebpf.lang.maps.devices", "DevMapHash", ""),
    MapType.CPUMAP: ("purebpf.lang.maps.devices", "CpuMap", ""),
    MapType.XSKMAP: ("purebpf.lang.maps.devices", "XskMap", ""),
    MapType.SOCKMAP: ("purebpf.lang.maps.sockets", "SockMap", ""),
    MapType.SOCKHASH: ("purebpf.lang.maps.sockets", "SockHash", "K"),
    MapType.REUSEPORT_SOCKARRAY: ("purebpf.lang.maps.sockets", "ReusePortSockArray", ""),
    MapType.CGROUP_ARRAY: ("purebpf.lang.maps.sockets", "CgroupArray", ""),
    MapType.ARENA: ("purebpf.lang.maps.arena", "Arena", "V"),
}
OF_RECORDS = {  # the same for records of unknown type
    MapType.PERF_EVENT_ARRAY: ("purebpf.lang.maps.raw", "RawPerfEventArray", ""),
    MapType.RINGBUF: ("purebpf.lang.maps.raw", "RawRingBuf", ""),
    MapType.USER_RINGBUF: ("purebpf.lang.maps.raw", "RawUserRingBuf", ""),
}
BUILD_ID = 1 << 5  # BPF_F_STACK_BUILD_ID
ADDRESS_BYTES, BUILD_ID_BYTES = 8, 32  # of an entry of a stack
PAGE = 4096


class _Brackets:
    """What the types in a declaration's brackets are found by."""

    def __init__(self, types: tuple[Any, ...]) -> None:
        self.__args__ = types


def class_of(spec: MapSpec, typed: bool = True) -> tuple[str, str, str]:
    """The row of `CLASSES` for a map, with `typed` where the type of its records is known. Raises Unsupported for a type that
    has no class."""
    if not typed and spec.type in OF_RECORDS:
        return OF_RECORDS[spec.type]
    if spec.type not in CLASSES:
        raise Unsupported(f"map `{spec.name}`: maps of type {spec.type.name.lower()} have no class in purebpf yet")
    if spec.type is MapType.STACK_TRACE and spec.flags & BUILD_ID:
        return "purebpf.lang.stacks", "BuildIdStackTrace", ""
    return CLASSES[spec.type]


def declared(spec: MapSpec, types: tuple[Any, ...], inner: tuple[Any, ...] = ()) -> MapDeclaration:
    """A map as an author would have declared it, not loaded. `types` are for its brackets, `inner` for those of the map that it
    holds."""
    module, name, _ = class_of(spec, bool(types))
    kind: Any = getattr(import_module(module), name)
    made: Any = object.__new__(kind)
    if types:
        made.__orig_class__ = _Brackets(types)
    kind.__init__(made, **_arguments(spec, types, inner), name=spec.name)
    if spec.type not in OF_OTHER_SIZES:
        made.max_entries = spec.max_entries  # which may be 0, to be told before it is loaded
    if spec.type is MapType.STACK_TRACE:
        made.depth = spec.value_size // (BUILD_ID_BYTES if spec.flags & BUILD_ID else ADDRESS_BYTES)
    declaration: MapDeclaration = made
    return declaration


NO_SIZE = (MapType.PERF_EVENT_ARRAY, MapType.CGROUP_STORAGE, MapType.PERCPU_CGROUP_STORAGE)
STORAGE = (MapType.SK_STORAGE, MapType.TASK_STORAGE, MapType.INODE_STORAGE, MapType.CGRP_STORAGE)
RINGS = (MapType.RINGBUF, MapType.USER_RINGBUF)
WITH_PROGRAMS = (MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.CPUMAP)
OF_MAPS = (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS)
OF_OTHER_SIZES = (*NO_SIZE, *STORAGE, *RINGS, MapType.ARENA)


def _arguments(spec: MapSpec, types: tuple[Any, ...], inner: tuple[Any, ...]) -> dict[str, Any]:
    """What its constructor takes beside the name."""
    sized, flags, pin = {"max_entries": spec.max_entries or 1}, {"flags": spec.flags}, {"pin": spec.pin}
    if spec.type in NO_SIZE:
        return {}
    if spec.type in STORAGE:
        return flags | pin
    if spec.type in RINGS:
        return {"size": max(PAGE, 1 << (spec.max_entries - 1).bit_length())}
    if spec.type in WITH_PROGRAMS:
        return sized | flags | {"programs": spec.value_size == 8}
    if spec.type is MapType.STACK_TRACE:
        return sized
    if spec.type is MapType.ARENA:
        return {"max_entries": max(1, spec.max_entries * PAGE // types[0].__bpf_type__.size)}
    if spec.type is MapType.BLOOM_FILTER:
        return sized | flags | pin | {"hashes": spec.extra & 15 or 5}  # the kernel's number where none is asked for
    if spec.type is MapType.PROG_ARRAY:
        return sized | flags
    if spec.type not in OF_MAPS:
        return sized | flags | pin
    if spec.inner is None:
        raise Unsupported(f"map `{spec.name}` holds maps, but nothing says of what kind they are")
    held = declared(spec.inner, inner)
    held.name = None
    return sized | flags | pin | {"inner": held}
