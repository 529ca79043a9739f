"""`for task in bpf.iter.tasks():`: what a program goes over in the kernel, for the compiler and for type checkers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from purebpf.lang.idioms import _only_in_a_program


class WalkName:
    """One of the kernel's open-coded iterators, bpf_iter_NAME_new and its siblings."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.__name__ = f"bpf.iter.{name}"

    def __call__(self, *args: Any, **keywords: Any) -> Iterator[Any]:
        _only_in_a_program(f"iter.{self.name}()")


class Walks:
    """What `bpf.iter` has beside being a decorator: `tasks`, and each of the kernel's iterators by its name, such as
    `bpf.iter.css(...)`, `bpf.iter.task_vma(task, address)` (Linux 6.7)."""

    def tasks(self, *, threads: bool = False, of: Any = None) -> Iterator[Any]:
        """All processes by their main threads; all threads with `threads`; the threads of one process with `of`, a task of it.
        RCU must be held."""
        _only_in_a_program("iter.tasks()")

    def cgroups(self, start: Any, order: str = "pre") -> Iterator[Any]:
        """A control group and those below it, each before ("pre") or after ("post") what is below it; or it and those above it
        ("up"). RCU must be held."""
        _only_in_a_program("iter.cgroups()")

    def __getattr__(self, name: str) -> WalkName:
        if name.startswith("__"):
            raise AttributeError(name)
        return WalkName(name)
