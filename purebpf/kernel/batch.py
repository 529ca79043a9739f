"""Many map entries per system call (BPF_MAP_*_BATCH, Linux 5.6; kernel/bpf/syscall.c, hashtab.c), or one by one.

Keys and values lie joined in memory of the caller, which the kernel fills or reads directly. Kernels and types of map without
these commands are served one entry at a time; what was used, the functions tell. A walk of a table that changes meanwhile may
miss or repeat entries, in both ways.
"""

from __future__ import annotations

import ctypes
import errno

from purebpf.errors import Error, KernelError
from purebpf.kernel.attr import pack
from purebpf.kernel.attr import read as read_member
from purebpf.kernel.errors import ENOTSUPP, failure
from purebpf.kernel.syscall import bpf_buffer
from purebpf.tables.enums import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.kernel.map import KernelMap

BATCH, SINGLE = "batch", "one entry at a time"
UNKNOWN = frozenset({-errno.EINVAL, -errno.EOPNOTSUPP, -ENOTSUPP, -errno.ENOSYS, -errno.EPERM})
"""Answers of kernels and maps that do not know a batch command; the way by single entries tells what else it may have been."""
Buffer = bytearray | memoryview


def _address(memory: Buffer) -> tuple[int, object]:
    """Where writable memory begins, and what keeps it there."""
    view = memoryview(memory).cast("B")
    if not len(view):
        return 0, view
    pinned = (ctypes.c_char * len(view)).from_buffer(view)
    return ctypes.addressof(pinned), pinned


def read(map: KernelMap, keys: Buffer, values: Buffer, room: int, take: bool = False) -> tuple[int, str]:
    """Read entries into memory for `room` of them, with `take` removing them; how many there were, and the way. Raises
    KernelError."""
    command = Command.MAP_LOOKUP_AND_DELETE_BATCH if take else Command.MAP_LOOKUP_BATCH
    (key_at, _keys), (value_at, _values) = _address(keys), _address(values)
    cursor = ctypes.create_string_buffer(max(4, map.spec.key_size))  # a hash keeps a 32-bit bucket in it
    done, before = 0, 0
    while done < room:
        fields = {
            "in_batch": before,
            "out_batch": ctypes.addressof(cursor),
            "keys": key_at + done * map.spec.key_size,
            "values": value_at + done * map.value_bytes,
            "count": room - done,
        }
        answer, count = _call(map, command, fields)
        if answer in UNKNOWN and not before:
            return _read_singly(map, keys, values, room, take), SINGLE
        if answer == -errno.ENOSPC and done:  # the table grew meanwhile
            break
        if answer < 0 and answer != -errno.ENOENT:
            raise failure(-answer, f"Reading many entries of {map.descriptor.what}")
        done += count
        before = ctypes.addressof(cursor)
        if answer == -errno.ENOENT:  # the end; what came with it counts
            break
    return done, BATCH


def _read_singly(map: KernelMap, keys: Buffer, values: Buffer, room: int, take: bool) -> int:
    done, key_size, value_size = 0, map.spec.key_size, map.value_bytes
    key_view, value_view = memoryview(keys).cast("B"), memoryview(values).cast("B")
    key = map.next_key(None)
    while key is not None and done < room:
        following = map.next_key(key)  # before this one goes, for then a walk would begin again
        value = map.take(key) if take else map.lookup(key)
        if value is not None:
            key_view[done * key_size : (done + 1) * key_size] = key
            value_view[done * value_size : (done + 1) * value_size] = value
            done += 1
        key = following
    return done


def update(map: KernelMap, keys: bytes | Buffer, values: bytes | Buffer, count: int, flags: int = 0) -> str:
    """Write entries; the way. Raises KernelError, whose text tells how many were written before."""
    hold = ctypes.create_string_buffer(bytes(keys), max(len(keys), 1)), ctypes.create_string_buffer(bytes(values), len(values))
    fields = {"keys": ctypes.addressof(hold[0]), "values": ctypes.addressof(hold[1]), "count": count, "elem_flags": flags}
    if not count:
        return BATCH
    answer, done = _call(map, Command.MAP_UPDATE_BATCH, fields)
    if answer >= 0:
        return BATCH
    way = SINGLE if answer in UNKNOWN and not done else BATCH
    key_size, value_size = map.spec.key_size, map.value_bytes
    for index in range(done, count):  # the entry that was refused says why by itself
        key = bytes(keys[index * key_size : (index + 1) * key_size])
        try:
            map.update(key, bytes(values[index * value_size : (index + 1) * value_size]), flags)
        except KernelError as error:
            raise KernelError(error.errno or 0, f"{error.message} {index} of {count} entries were written.") from None
    return way


def delete(map: KernelMap, keys: bytes | Buffer, count: int) -> tuple[int, str]:
    """Delete the entries of these keys; how many there were, and the way. Raises KernelError."""
    hold = ctypes.create_string_buffer(bytes(keys), max(len(keys), 1))
    key_size, done, found, way = map.spec.key_size, 0, 0, BATCH
    while done < count:
        fields = {"keys": ctypes.addressof(hold) + done * key_size, "count": count - done}
        answer, deleted = _call(map, Command.MAP_DELETE_BATCH, fields)
        if answer in UNKNOWN and not deleted:
            rest = [bytes(keys[index * key_size : (index + 1) * key_size]) for index in range(done, count)]
            return found + sum(map.delete(key) for key in rest), SINGLE
        if answer < 0 and answer != -errno.ENOENT:
            raise failure(-answer, f"Deleting many keys from {map.descriptor.what}")
        found += deleted
        done += deleted + (answer == -errno.ENOENT)  # it stops at a key that is not there
        if answer >= 0 and not deleted:
            raise Error(f"Deleting many keys from {map.descriptor.what} made no progress.")
    return found, way


def _call(map: KernelMap, command: Command, fields: dict[str, int]) -> tuple[int, int]:
    """The answer, and how many entries were done."""
    attribute, _ = pack(command.name, {**fields, "map_fd": map.descriptor.number})
    answer = bpf_buffer(command, attribute, len(attribute))
    done = read_member("BATCH", attribute, "count")
    return answer, 0 if answer in UNKNOWN and done == fields["count"] else done
