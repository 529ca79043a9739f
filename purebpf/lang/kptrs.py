"""`task: bpf.Kptr[task_struct]`: a reference to an object of the kernel, kept in a map's record (Linux 6.4)."""

from __future__ import annotations

from functools import cache
from typing import Any, Generic, TypeVar

from purebpf.errors import Error
from purebpf.lang.idioms import _only_in_a_program
from purebpf.lang.kernel_types import KernelName
from purebpf.lang.types import KernelType

T = TypeVar("T")
KEPT = ("task_struct", "cgroup", "bpf_cpumask", "bpf_crypto_ctx")
"""The structs of which the kernel knows how to give a reference back when the record goes."""


class Kptr(Generic[T]):
    """A place for a reference, empty at first. The kernel gives back what is in it when the record is deleted."""

    def __class_getitem__(cls, struct: Any) -> Any:
        if not isinstance(struct, KernelName):
            return super().__class_getitem__(struct)  # type: ignore[misc]
        return _place(struct.__bpf_kernel_type__)

    def xchg(self, new: T | None, /) -> T | None:
        """Put a reference that the program holds, or None, in its place; gives what was there, to be given back."""
        _only_in_a_program("Kptr.xchg()")

    def get(self) -> T | None:
        """What is there, without taking it: protected by RCU only, which must be held."""
        _only_in_a_program("Kptr.get()")


@cache
def _place(struct: str) -> type:
    if struct not in KEPT:
        raise Error(f"bpf.Kptr[{struct}]: the kernel keeps no references to it in maps, but to {', '.join(KEPT)}")
    return type("Kptr", (Kptr,), {"__bpf_type__": KernelType("kptr", 8, 8, struct), "__module__": __name__})
