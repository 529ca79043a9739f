"""What kernel functions do in an `Environment`; see `helper_models.py`."""

from __future__ import annotations

from purebpf.compiler.ir.environment import Environment
from purebpf.compiler.ir.memory import IrRuntimeError, Value


def bpf_rcu_read_lock(env: Environment) -> Value:
    env.rcu += 1
    return 0


def bpf_rcu_read_unlock(env: Environment) -> Value:
    if not env.rcu:
        raise IrRuntimeError("`bpf_rcu_read_unlock` is called without the lock")
    env.rcu -= 1
    return 0


KFUNCS = (bpf_rcu_read_lock, bpf_rcu_read_unlock)
