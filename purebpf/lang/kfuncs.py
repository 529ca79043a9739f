"""`bpf.kfuncs`: functions of the kernel itself, by name, for the compiler and for type checkers."""

from __future__ import annotations

from typing import Any

from purebpf.lang.idioms import _only_in_a_program


class KfuncName:
    """A kernel function by name, to be called in a program."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.__name__ = f"bpf.kfuncs.{name}"

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        _only_in_a_program(f"kfuncs.{self.name}()")


class Kfuncs:
    """Every kernel function that programs may call, by its whole name: `bpf.kfuncs.bpf_task_from_pid(1)` (Linux 5.13)."""

    def __getattr__(self, name: str) -> KfuncName:
        return KfuncName(name)


kfuncs = Kfuncs()


def kfunc_exists(name: str, /) -> bool:
    """Whether the kernel that the program is loaded into has this function. Calls of it where this is true make no demand
    on other kernels."""
    _only_in_a_program("kfunc_exists()")
