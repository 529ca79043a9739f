"""Open-coded iterators (kernel/bpf/bpf_iter.c): numbers, in 8 bytes on the stack."""

from __future__ import annotations

from purebpf.vm.facts import E2BIG, EINVAL
from purebpf.vm.machine import Machine
from purebpf.vm.runtime import signed

MOST = 1 << 23  # BPF_MAX_LOOPS


def bpf_iter_num_new(vm: Machine, it: int, start: int, end: int) -> int:
    start, end = signed(start, 32), signed(end, 32)
    answer = -EINVAL if start > end else -E2BIG if end - start > MOST else 0
    _keep(vm, it, 0 if answer else start - 1, 0 if answer else end)
    return answer


def _keep(vm: Machine, it: int, last: int, end: int) -> None:
    vm.memory.write(it, vm.bytes(last, 4) + vm.bytes(end, 4))


def bpf_iter_num_next(vm: Machine, it: int) -> int:
    """Where the next number is: at the iterator itself; 0 at the end."""
    whole = vm.memory.read(it, 8)
    last, end = (signed(vm.integer(part), 32) for part in (whole[:4], whole[4:]))
    if last + 1 >= end:
        _keep(vm, it, 0, 0)
        return 0
    _keep(vm, it, last + 1, end)
    return it


def bpf_iter_num_destroy(vm: Machine, it: int) -> int:
    _keep(vm, it, 0, 0)
    return 0


KFUNCS = (bpf_iter_num_new, bpf_iter_num_next, bpf_iter_num_destroy)
