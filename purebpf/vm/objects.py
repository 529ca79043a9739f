"""Objects of a program's own, and the lists and trees in map values that hold them (kernel/bpf/helpers.c).

A list is a ring of nodes through its head, as in the kernel. A tree is kept as a chain in its order: what it gives is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from purebpf.vm.machine import Machine
from purebpf.vm.memory import Fault

if TYPE_CHECKING:
    from purebpf.spec import MapTypes

WORD = 8
NEXT, PREVIOUS = 0, WORD  # in a node or head; a tree's first node is at NEXT of its root


def object_sizes(types: MapTypes) -> dict[int, int]:
    """The bytes of each struct among a map's types, by its number."""
    from purebpf.btf.reader import Btf
    from purebpf.btf.types import Kind

    btf = Btf(types.btf, origin="the types of a map")
    return {number: btf.size_of(number) for number in btf.numbers(Kind.STRUCT)}


def bpf_obj_new_impl(vm: Machine, local_type_id: int, meta: int) -> int:
    size = vm.object_sizes.get(local_type_id)
    if size is None:
        raise Fault(f"makes an object of the type {local_type_id}, which its maps do not hold")
    region = vm.memory.reserve(1, lambda _: "an object")
    address = vm.memory.map(region, bytearray(size))
    vm.objects[address] = region
    return address


def bpf_obj_drop_impl(vm: Machine, p: int, meta: int) -> int:
    region = vm.objects.pop(p, None)
    if region is None:
        raise Fault("gives back an object that it does not have")
    vm.memory.release(region)
    return 0


def _read(vm: Machine, address: int) -> int:
    return vm.integer(vm.memory.read(address, WORD))


def _write(vm: Machine, address: int, value: int) -> None:
    vm.memory.write(address, vm.bytes(value, WORD))


def _locked(vm: Machine) -> None:
    if not vm.held_lock:
        raise Fault("uses a list or tree without its lock")


def _empty_is_a_ring(vm: Machine, head: int) -> None:
    """A head of zeros, as in a new map, is an empty list."""
    if not _read(vm, head + NEXT):
        _write(vm, head + NEXT, head)
        _write(vm, head + PREVIOUS, head)


def _insert(vm: Machine, head: int, node: int, side: int) -> int:
    """Put a node next to the head, on one side."""
    _locked(vm)
    _empty_is_a_ring(vm, head)
    other = PREVIOUS if side == NEXT else NEXT
    neighbour = _read(vm, head + side)
    _write(vm, node + side, neighbour)
    _write(vm, node + other, head)
    _write(vm, neighbour + other, node)
    _write(vm, head + side, node)
    return 0


def _take(vm: Machine, head: int, side: int) -> int:
    _locked(vm)
    _empty_is_a_ring(vm, head)
    other = PREVIOUS if side == NEXT else NEXT
    node = _read(vm, head + side)
    if node == head:
        return 0
    behind = _read(vm, node + side)
    _write(vm, head + side, behind)
    _write(vm, behind + other, head)
    return node


def bpf_list_push_front_impl(vm: Machine, head: int, node: int, meta: int, off: int) -> int:
    return _insert(vm, head, node, NEXT)


def bpf_list_push_back_impl(vm: Machine, head: int, node: int, meta: int, off: int) -> int:
    return _insert(vm, head, node, PREVIOUS)


def bpf_list_pop_front(vm: Machine, head: int) -> int:
    return _take(vm, head, NEXT)


def bpf_list_pop_back(vm: Machine, head: int) -> int:
    return _take(vm, head, PREVIOUS)


def bpf_list_front(vm: Machine, head: int) -> int:
    return _end(vm, head, NEXT)


def bpf_list_back(vm: Machine, head: int) -> int:
    return _end(vm, head, PREVIOUS)


def _end(vm: Machine, head: int, side: int) -> int:
    _locked(vm)
    _empty_is_a_ring(vm, head)
    node = _read(vm, head + side)
    return 0 if node == head else node


def _chain(vm: Machine, root: int) -> Iterator[tuple[int, int]]:
    """(what points to it, a node), in order, and at last what points to nothing."""
    at = root + NEXT
    while node := _read(vm, at):
        yield at, node
        at = node + NEXT
    yield at, 0


def bpf_rbtree_add_impl(vm: Machine, root: int, node: int, less: int, meta: int, off: int) -> int:
    _locked(vm)
    for at, other in _chain(vm, root):
        if not other or vm.call(less, node, other) & 1:
            _write(vm, node + NEXT, other)
            _write(vm, at, node)
            break
    return 0


def bpf_rbtree_first(vm: Machine, root: int) -> int:
    _locked(vm)
    return _read(vm, root + NEXT)


def bpf_rbtree_remove(vm: Machine, root: int, node: int) -> int:
    _locked(vm)
    for at, other in _chain(vm, root):
        if other == node and node:
            _write(vm, at, _read(vm, node + NEXT))
            return node
    return 0


KFUNCS = (
    bpf_obj_new_impl,
    bpf_obj_drop_impl,
    bpf_list_push_front_impl,
    bpf_list_push_back_impl,
    bpf_list_pop_front,
    bpf_list_pop_back,
    bpf_list_front,
    bpf_list_back,
    bpf_rbtree_add_impl,
    bpf_rbtree_first,
    bpf_rbtree_remove,
)
