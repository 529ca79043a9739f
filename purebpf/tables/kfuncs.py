"""What BTF does not tell of kernel functions (kfuncs): their flags (include/linux/btf.h), and who may call them.

The rows are in `kfunc_rows.py`, generated from a list of what is beside each function in the kernel's source and of what a
running kernel's verifier allows. A function that is not listed is known by its types alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from purebpf.tables.enums import ProgramType

FLAGS = {
    "acquire": "gives a reference that must be given back (KF_ACQUIRE)",
    "release": "gives back the reference that is its first argument (KF_RELEASE)",
    "null": "may give NULL (KF_RET_NULL)",
    "trusted": "takes pointers that the verifier trusts (KF_TRUSTED_ARGS)",
    "rcu": "takes those that RCU protects too (KF_RCU)",
    "protected": "wants RCU to be held (KF_RCU_PROTECTED)",
    "sleeps": "may sleep (KF_SLEEPABLE)",
}


@dataclass(frozen=True, slots=True)
class Kfunc:
    """A kernel function: flags out of `FLAGS`, and the types of programs that may call it."""

    name: str
    flags: frozenset[str]
    programs: frozenset[ProgramType]

    @property
    def acquires(self) -> bool:
        return "acquire" in self.flags

    @property
    def releases(self) -> bool:
        return "release" in self.flags

    @property
    def sleeps(self) -> bool:
        return "sleeps" in self.flags


def kfunc(name: str) -> Kfunc | None:
    """A function by its whole name, such as "bpf_task_from_pid"; None for one that is not listed."""
    return _all().get(name)


def kfunc_names() -> tuple[str, ...]:
    """The names of all that are listed."""
    return tuple(_all())


@cache
def _all() -> dict[str, Kfunc]:
    from purebpf.tables.kfunc_rows import ROWS, SETS

    sets = {name: frozenset(ProgramType(number) for number in numbers) for name, numbers in SETS.items()}
    return {name: Kfunc(name, frozenset(flags), sets[group]) for group, flags, names in ROWS for name in names}
