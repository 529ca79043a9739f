"""Helpers on maps, and loops that call back into the program (kernel/bpf/helpers.c, bpf_iter.c, net/core/filter.c)."""

from __future__ import annotations

from collections.abc import Callable

from purebpf.tables.enums import MapType
from purebpf.vm.facts import E2BIG, EINVAL, ENOENT, EOPNOTSUPP, Refused, fact
from purebpf.vm.machine import Machine, Redirect
from purebpf.vm.maps import VmMap
from purebpf.vm.memory import Fault
from purebpf.vm.queues import BloomFilter, Queue
from purebpf.vm.tables import PerfEventArray

MOST_LOOPS = 1 << 23  # BPF_MAX_LOOPS, include/linux/bpf.h
BROADCAST, EXCLUDE_INGRESS = fact("BPF_F_BROADCAST"), fact("BPF_F_EXCLUDE_INGRESS")
ACTIONS = 3  # XDP_ABORTED, XDP_DROP, XDP_PASS and XDP_TX as bits: the result of a redirect that finds nothing
XDP_ABORTED, XDP_REDIRECT = fact("XDP_ABORTED"), fact("XDP_REDIRECT")
INDEX_MASK, CURRENT_CPU = fact("BPF_F_INDEX_MASK"), fact("BPF_F_CURRENT_CPU")
CONTEXT_LENGTH_MASK = fact("BPF_F_CTXLEN_MASK")


def key_at(vm: Machine, map: VmMap, address: int) -> bytes:
    return vm.memory.read(address, map.spec.key_size)


def value_at(vm: Machine, map: VmMap, address: int) -> bytes:
    return vm.memory.read(address, map.spec.value_size)


def writable(map: VmMap) -> VmMap:
    if not map.writable:
        raise Fault(f"writes to {map.what}, which its flags make read-only for programs")
    return map


def map_lookup_elem(vm: Machine, map: int, key: int) -> int:
    found = vm.map_at(map)
    return found.find(key_at(vm, found, key), vm.cpu)


def map_lookup_percpu_elem(vm: Machine, map: int, key: int, cpu: int) -> int:
    found = vm.map_at(map)
    cpu &= 0xFFFF_FFFF
    if not found.spec.per_cpu:
        raise Fault(f"looks up another CPU's value in {found.what}, a {found.kind}, which has no values per CPU")
    return found.find(key_at(vm, found, key), cpu) if cpu < vm.cpus else 0


def map_update_elem(vm: Machine, map: int, key: int, value: int, flags: int) -> int:
    found = writable(vm.map_at(map))
    try:
        found.put(key_at(vm, found, key), value_at(vm, found, value), flags)
    except Refused as refused:
        return -refused.number
    return 0


def map_delete_elem(vm: Machine, map: int, key: int) -> int:
    found = writable(vm.map_at(map))
    try:
        return 0 if found.remove(key_at(vm, found, key)) else -ENOENT
    except Refused as refused:
        return -refused.number


def queue_at(vm: Machine, map: int) -> Queue:
    found = vm.map_at(map)
    if not isinstance(found, Queue):
        raise Fault(f"uses {found.what} as a queue, but it is a {found.kind}")
    return found


def map_push_elem(vm: Machine, map: int, value: int, flags: int) -> int:
    found = vm.map_at(map)
    queue = found if isinstance(found, BloomFilter) else queue_at(vm, map)
    try:
        queue.push(value_at(vm, queue, value), flags)
    except Refused as refused:
        return -refused.number
    return 0


def take(vm: Machine, map: int, value: int, how: Callable[[Queue], bytes | None]) -> int:
    queue = queue_at(vm, map)
    vm.memory.check_writable(value, queue.spec.value_size)
    found = how(queue)
    vm.memory.write(value, bytes(queue.spec.value_size) if found is None else found)
    return -ENOENT if found is None else 0


def map_pop_elem(vm: Machine, map: int, value: int) -> int:
    return take(vm, map, value, Queue.pop)


def map_peek_elem(vm: Machine, map: int, value: int) -> int:
    found = vm.map_at(map)
    if isinstance(found, BloomFilter):
        return 0 if value_at(vm, found, value) in found.members else -ENOENT
    return take(vm, map, value, Queue.peek)


def for_each_map_elem(vm: Machine, map: int, callback_fn: int, callback_ctx: int, flags: int) -> int:
    """The number of elements that were visited; the callback ends it by returning 1."""
    if flags:
        return -EINVAL
    found = vm.map_at(map)
    key = bytearray(found.spec.key_size)
    region = vm.memory.reserve(1, lambda _: f"a key of {found.what}, which is gone when the callback returns")
    address = vm.memory.map(region, key, writable=False)
    visited = 0
    try:
        for each, value in found.walk():
            key[:] = each
            visited += 1
            if vm.call(callback_fn, map, address, value, callback_ctx):
                break
    finally:
        vm.memory.release(region)
    return visited


def loop(vm: Machine, nr_loops: int, callback_fn: int, callback_ctx: int, flags: int) -> int:
    """The number of calls that were made; the callback ends it by returning 1."""
    nr_loops &= 0xFFFF_FFFF
    if flags:
        return -EINVAL
    if nr_loops > MOST_LOOPS:
        return -E2BIG
    for index in range(nr_loops):
        if vm.call(callback_fn, index, callback_ctx):
            return index + 1
    return nr_loops


def redirect_map(vm: Machine, map: int, key: int, flags: int) -> int:
    """XDP_REDIRECT when the entry exists, else the action in the flags' low bits."""
    found = vm.map_at(map)
    known = ACTIONS | (BROADCAST | EXCLUDE_INGRESS if found.spec.type in (MapType.DEVMAP, MapType.DEVMAP_HASH) else 0)
    if flags & ~known:
        return XDP_ABORTED
    if not found.has_target(key & 0xFFFF_FFFF) and not flags & BROADCAST:
        return flags & ACTIONS
    vm.redirect = Redirect(map=found.spec.name, key=key & 0xFFFF_FFFF, flags=flags)
    return XDP_REDIRECT


def perf_event_output(vm: Machine, ctx: int, map: int, flags: int, data: int, size: int) -> int:
    """Send a record; of a packet's program also the first bytes of the packet, as many as the flags' upper half says."""
    found = vm.map_at(map)
    if not isinstance(found, PerfEventArray):
        raise Fault(f"sends an event to {found.what}, which is no perf event array but a {found.kind}")
    record = vm.memory.read(data, size & 0xFFFF_FFFF)
    length = (flags & CONTEXT_LENGTH_MASK) >> 32
    if flags & ~INDEX_MASK and (vm.packet is None or flags & ~(INDEX_MASK | CONTEXT_LENGTH_MASK)):
        return -EINVAL
    if length and vm.packet is not None:
        start = vm.packet.first(length)
        if start is None:
            return -fact("EFAULT")
        record += start
    index = flags & INDEX_MASK
    cpu = vm.cpu if index == CURRENT_CPU else index
    if cpu >= found.spec.max_entries:
        return -E2BIG
    queue = found.queues.get(cpu)
    if queue is None:
        return -ENOENT
    if queue.cpu != vm.cpu:
        return -EOPNOTSUPP
    return 0 if queue.push(record) else -fact("ENOSPC")


HELPERS = (
    map_lookup_elem, map_lookup_percpu_elem, map_update_elem, map_delete_elem, map_push_elem, map_pop_elem, map_peek_elem,
    for_each_map_elem, loop, redirect_map, perf_event_output,
)  # fmt: skip
