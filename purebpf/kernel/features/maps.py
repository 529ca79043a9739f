"""Types of maps: the smallest map of each is created and closed."""

from __future__ import annotations

import errno
import mmap
import sys
from contextlib import ExitStack

from purebpf.data import data
from purebpf.errors import KernelError, Unsupported
from purebpf.kernel.btf import load_btf
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import ENOTSUPP
from purebpf.kernel.features.answers import NO, UNRELATED, YES, Answer, inconclusive, kept
from purebpf.kernel.memlock import with_memlock
from purebpf.kernel.syscall import bpf
from purebpf.tables.enums import Command, MapType

NO_PREALLOC, MMAPABLE = 1 << 0, 1 << 10


@data
class Shape:
    """What the smallest map of a type looks like. `inner`: it holds maps; `types`: the kernel wants BTF of key and value."""

    key: int = 4
    value: int = 4
    entries: int = 1
    flags: int = 0
    inner: bool = False
    types: bool = False


_STORAGE = Shape(entries=0, flags=NO_PREALLOC, types=True)
_RING = Shape(0, 0, mmap.PAGESIZE)
_CGROUP = Shape(16, 8, 0)  # struct bpf_cgroup_storage_key
SHAPES = {
    MapType.STACK_TRACE: Shape(value=8),
    MapType.LPM_TRIE: Shape(8, 8, flags=NO_PREALLOC),
    MapType.ARRAY_OF_MAPS: Shape(inner=True),
    MapType.HASH_OF_MAPS: Shape(inner=True),
    MapType.CGROUP_STORAGE: _CGROUP,
    MapType.PERCPU_CGROUP_STORAGE: _CGROUP,
    MapType.QUEUE: Shape(key=0),
    MapType.STACK: Shape(key=0),
    MapType.BLOOM_FILTER: Shape(key=0),
    MapType.SK_STORAGE: _STORAGE,
    MapType.INODE_STORAGE: _STORAGE,
    MapType.TASK_STORAGE: _STORAGE,
    MapType.CGRP_STORAGE: _STORAGE,
    MapType.RINGBUF: _RING,
    MapType.USER_RINGBUF: _RING,
    MapType.ARENA: Shape(0, 0, flags=MMAPABLE),
    MapType.STRUCT_OPS: Shape(value=0),
}


def map_type(type: MapType) -> Answer:
    """Whether maps of this type can be made."""
    return kept(type, lambda: _find(type))


def _find(type: MapType) -> Answer:
    shape = SHAPES.get(type, Shape())
    fields: dict[str, int | bytes] = {
        "map_type": int(type),
        "key_size": shape.key,
        "value_size": shape.value,
        "max_entries": shape.entries,
        "map_flags": shape.flags,
    }
    with ExitStack() as held:
        try:
            if shape.types:
                btf = held.enter_context(load_btf(_integer(), "a probe"))
                fields |= {"btf_fd": btf.number, "btf_key_type_id": 1, "btf_value_type_id": 1}
        except (KernelError, Unsupported) as error:
            return NO if isinstance(error, Unsupported) else inconclusive(error.errno or 0)
        if shape.inner:
            inner = _create({"map_type": int(MapType.HASH), "key_size": 4, "value_size": 4, "max_entries": 1})
            if inner < 0:
                return inconclusive(-inner)
            fields["inner_map_fd"] = held.enter_context(Descriptor(inner, "a probe")).number
        if type is MapType.STRUCT_OPS:
            fields["btf_vmlinux_value_type_id"] = 1  # which is no struct of operations: ENOTSUPP, if such maps are known
        return _meaning(type, _create(fields))


def _integer() -> bytes:
    """BTF of an int, which is type 1."""
    from purebpf.btf.builder import BtfBuilder
    from purebpf.btf.types import Int

    builder = BtfBuilder(sys.byteorder)
    builder.add(Int("int", 4, 32, signed=True))
    return builder.encode()


def _create(fields: dict[str, int | bytes]) -> int:
    return with_memlock(lambda: bpf(Command.MAP_CREATE, fields))


def _meaning(type: MapType, answer: int) -> Answer:
    if answer >= 0:
        Descriptor(answer, "a probe").close()
        return YES
    if type is MapType.STRUCT_OPS and -answer == ENOTSUPP:
        return YES
    if -answer in (errno.EINVAL, errno.E2BIG, errno.EOPNOTSUPP, ENOTSUPP):
        return NO
    return inconclusive(-answer) if -answer in UNRELATED else Answer(None, f"errno {-answer}")
