"""What helpers and kernel functions on dynptrs do in an `Environment`; see `helper_models.py`."""

from __future__ import annotations

from purebpf.compiler.ir.environment import E2BIG, EINVAL, Environment
from purebpf.compiler.ir.helper_models import (
    U32,
    bytes_of,
    fill,
    map_of,
    number,
    ringbuf_discard,
    ringbuf_reserve,
    ringbuf_submit,
    size_of,
)
from purebpf.compiler.ir.memory import IrRuntimeError, Lent, Memory, PacketMemory, Place, Pointer, Value, pointer
from purebpf.tables.enums import MapType

SIZE = 16  # struct bpf_dynptr


class Bytes(Place):
    """What a dynptr stands for: `size` bytes of other memory; of a packet its bytes, checked or not."""

    def __init__(self, kind: str, at: Pointer, size: int) -> None:
        super().__init__("mem", kind)
        self.at, self.size = at, size

    @property
    def packet(self) -> bool:
        return isinstance(self.at.place, PacketMemory)

    def has(self, offset: int, length: int) -> bool:
        return offset + length <= self.size

    def read(self, offset: int, size: int) -> bytes:
        if isinstance(self.at.place, PacketMemory):
            self.at.place.usable()
            start = self.at.offset + offset
            return bytes(self.at.place.data[start : start + size])
        return self.at.place.read(self.at.offset + offset, size)

    def write(self, offset: int, data: bytes) -> None:
        if isinstance(self.at.place, PacketMemory):
            start = self.at.offset + offset
            self.at.place.data[start : start + len(data)] = data
        else:
            self.at.place.write(self.at.offset + offset, data)

    def load(self, offset: int, size: int, kind: str = "") -> Value:
        place = self.at.place
        return int.from_bytes(self.read(offset, size), place.order if isinstance(place, Memory) else "little")

    def store(self, offset: int, size: int, value: Value, kind: str = "") -> None:
        raise IrRuntimeError("a slice of a packet can only be read")


def _keep(env: Environment, ptr: Value, found: Place | None) -> None:
    at = pointer(ptr, "the dynptr")
    at.place.write(at.offset, bytes(SIZE))
    env.dynptrs[at.place, at.offset] = found


def _found(env: Environment, ptr: Value) -> Bytes | None:
    at = pointer(ptr, "the dynptr")
    if (at.place, at.offset) not in env.dynptrs:
        raise IrRuntimeError(f"there is no dynptr at {at}")
    there = env.dynptrs[at.place, at.offset]
    return Bytes("a record", Pointer(there), len(there.data)) if isinstance(there, Memory) else there  # type: ignore[return-value]


def ringbuf_reserve_dynptr(env: Environment, where: Value, size: Value, flags: Value, ptr: Value) -> Value:
    room = number(size, "the size") & U32
    fits = room + 8 < map_of(where, frozenset({MapType.RINGBUF})).spec.max_entries
    record = pointer(ringbuf_reserve(env, where, room, flags), "the record").place if fits else None
    assert record is None or isinstance(record, Memory)
    if record is not None:
        record.known = None  # the verifier does not ask which of these bytes were written
    _keep(env, ptr, record)
    return 0 if fits else -EINVAL


def dynptr_from_mem(env: Environment, data: Value, size: Value, flags: Value, ptr: Value) -> Value:
    _keep(env, ptr, Bytes("memory", pointer(data, "the memory"), size_of(size, "the size")))
    return 0


def bpf_dynptr_from_xdp(env: Environment, ctx: Value, flags: Value, ptr: Value) -> Value:
    _keep(env, ptr, Bytes("the packet", Pointer(env.packet, env.packet.start), len(env.packet_bytes())))
    return 0


def bpf_dynptr_from_skb(env: Environment, ctx: Value, flags: Value, ptr: Value) -> Value:
    return bpf_dynptr_from_xdp(env, ctx, flags, ptr)


def _record(env: Environment, ptr: Value) -> Value:
    there = _found(env, ptr)
    return there.at if there is not None else 0


def ringbuf_submit_dynptr(env: Environment, ptr: Value, flags: Value) -> Value:
    record = _record(env, ptr)
    return ringbuf_submit(env, record, flags) if record else 0


def ringbuf_discard_dynptr(env: Environment, ptr: Value, flags: Value) -> Value:
    record = _record(env, ptr)
    return ringbuf_discard(env, record, flags) if record else 0


def dynptr_data(env: Environment, ptr: Value, offset: Value, length: Value) -> Value:
    there, start = _found(env, ptr), number(offset, "the offset") & U32
    if there is None or there.packet or not there.has(start, size_of(length, "the length")):
        return 0
    return Pointer(Lent(there.at), start) if there.at.place.kind != "mem" else there.at.moved(start)


def dynptr_read(env: Environment, to: Value, size: Value, ptr: Value, offset: Value, flags: Value) -> Value:
    there, start, room = _found(env, ptr), number(offset, "the offset") & U32, size_of(size, "the size")
    if there is None:
        return -EINVAL
    if not there.has(start, room):
        return -E2BIG
    fill(to, there.read(start, room), "the buffer")
    return 0


def dynptr_write(env: Environment, ptr: Value, offset: Value, source: Value, size: Value, flags: Value) -> Value:
    there, start = _found(env, ptr), number(offset, "the offset") & U32
    if there is None:
        return -EINVAL
    data = bytes_of(source, size_of(size, "the size"), "the bytes")
    if not there.has(start, len(data)):
        return -E2BIG
    there.write(start, data)
    return 0


def bpf_dynptr_slice(env: Environment, ptr: Value, offset: Value, buffer: Value, size: Value) -> Value:
    there, start = _found(env, ptr), number(offset, "the offset") & U32
    if there is None or not there.has(start, size_of(size, "the size")):
        return 0
    return Pointer(there, start)


def bpf_dynptr_size(env: Environment, ptr: Value) -> Value:
    there = _found(env, ptr)
    return there.size if there is not None else -EINVAL & U32


HELPERS = (
    *(ringbuf_reserve_dynptr, ringbuf_submit_dynptr, ringbuf_discard_dynptr),
    *(dynptr_from_mem, dynptr_data, dynptr_read, dynptr_write),
)
KFUNCS = (bpf_dynptr_from_xdp, bpf_dynptr_from_skb, bpf_dynptr_slice, bpf_dynptr_size)
