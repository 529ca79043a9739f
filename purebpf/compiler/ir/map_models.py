"""What helpers on queues, stacks and Bloom filters do in an `Environment`. A Bloom filter makes no mistakes here."""

from __future__ import annotations

from purebpf.compiler.ir.environment import BPF_EXIST, E2BIG, EINVAL, ENOENT, Environment, MapPlace
from purebpf.compiler.ir.helper_models import bytes_of, fill, map_of, number
from purebpf.compiler.ir.memory import Value
from purebpf.tables.enums import MapType

QUEUES = frozenset({MapType.QUEUE, MapType.STACK})
KEYLESS = QUEUES | {MapType.BLOOM_FILTER}


def push(place: MapPlace, value: bytes, flags: int) -> int:
    if place.spec.type is MapType.BLOOM_FILTER:
        if flags:
            return -EINVAL
        if value not in place.values:
            place.values.append(value)
        return 0
    if flags not in (0, BPF_EXIST):
        return -EINVAL
    if len(place.values) >= place.spec.max_entries:
        if flags != BPF_EXIST:
            return -E2BIG
        del place.values[0]
    place.values.append(value)
    return 0


def map_push_elem(env: Environment, where: Value, value: Value, flags: Value) -> Value:
    place = map_of(where, KEYLESS)
    return push(place, bytes_of(value, place.spec.value_size, "the value"), number(flags, "the flags"))


def _next(place: MapPlace) -> bytes | None:
    return place.values[0 if place.spec.type is MapType.QUEUE else -1] if place.values else None


def map_pop_elem(env: Environment, where: Value, value: Value) -> Value:
    place = map_of(where, QUEUES)
    found = _next(place)
    fill(value, bytes(place.spec.value_size) if found is None else found, "the value")
    if found is None:
        return -ENOENT
    del place.values[0 if place.spec.type is MapType.QUEUE else -1]
    return 0


def map_peek_elem(env: Environment, where: Value, value: Value) -> Value:
    place = map_of(where, KEYLESS)
    if place.spec.type is MapType.BLOOM_FILTER:
        return 0 if bytes_of(value, place.spec.value_size, "the value") in place.values else -ENOENT
    found = _next(place)
    fill(value, bytes(place.spec.value_size) if found is None else found, "the value")
    return 0 if found is not None else -ENOENT


MODELS = (map_push_elem, map_pop_elem, map_peek_elem)
