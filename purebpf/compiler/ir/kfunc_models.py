"""What kernel functions do in an `Environment`; see `helper_models.py`."""

from __future__ import annotations

from purebpf.compiler.ir.environment import Environment
from purebpf.compiler.ir.helper_models import MOST_LOOPS
from purebpf.compiler.ir.memory import IrRuntimeError, Memory, Pointer, Value, integer, pointer


def bpf_rcu_read_lock(env: Environment) -> Value:
    env.rcu += 1
    return 0


def bpf_rcu_read_unlock(env: Environment) -> Value:
    if not env.rcu:
        raise IrRuntimeError("`bpf_rcu_read_unlock` is called without the lock")
    env.rcu -= 1
    return 0


def bpf_iter_num_new(env: Environment, it: Value, start: Value, end: Value) -> Value:
    first, last = integer(start, "the first number"), integer(end, "the end")
    if not 0 <= last - first <= MOST_LOOPS:
        raise IrRuntimeError(f"an iterator goes over 0 to {MOST_LOOPS} numbers, not over {last - first}")
    at = pointer(it, "the iterator")
    at.place.write(at.offset, bytes(8))
    env.iterators[at.place, at.offset] = iter(range(first, last))
    return 0


def bpf_iter_num_next(env: Environment, it: Value) -> Value:
    at = pointer(it, "the iterator")
    if (at.place, at.offset) not in env.iterators:
        raise IrRuntimeError(f"there is no iterator at {at}")
    number = next(env.iterators[at.place, at.offset], None)
    return 0 if number is None else Pointer(Memory("mem", "number", number.to_bytes(4, env.order), writable=False))


def bpf_iter_num_destroy(env: Environment, it: Value) -> Value:
    at = pointer(it, "the iterator")
    if env.iterators.pop((at.place, at.offset), None) is None:
        raise IrRuntimeError(f"there is no iterator at {at}")
    return 0


KFUNCS = (bpf_rcu_read_lock, bpf_rcu_read_unlock, bpf_iter_num_new, bpf_iter_num_next, bpf_iter_num_destroy)
