"""The decorator of iterators: programs that the kernel calls for each of its tasks, maps, sockets ..."""

from __future__ import annotations

from collections.abc import Callable

from purebpf.data import replace
from purebpf.lang import declaring
from purebpf.lang.program_types import KINDS
from purebpf.lang.walks import Walks
from purebpf.program import Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

USAGE = '@bpf.iter("task"), or @bpf.iter("task", Process) for a program that emits records of the type Process'


class Iter(Walks):
    """`@bpf.iter("task")`, and `bpf.iter.tasks()` inside of programs."""

    __name__ = "iter"

    def __call__(self, target: str, row: object = None, *, sleepable: bool = False) -> Callable[[Callable[..., Any]], Program]:
        """Make a function a program that is called for each object of a kind, such as "task", "bpf_map" or "tcp" (Linux 5.8).

        What it writes is read from its attachment, anew each time: records of the type `row` by `ctx.emit(record)`, or lines
        by `print(...)`. `sleepable`: it may call what sleeps.
        """
        return _decorator(target, row, sleepable=sleepable)


@declaring.explained("@bpf.iter", USAGE)
def _decorator(target: str, row: object = None, *, sleepable: bool = False) -> Callable[[Callable[..., Any]], Program]:
    plain = KINDS["iter"]
    if not isinstance(target, str):
        raise declaring.error(f"@bpf.iter takes {plain.hook}", USAGE)
    if row is not None:
        from purebpf.lang.types import type_of

        if type_of(row) is None:
            raise declaring.error(f"an iterator emits records of a @bpf.struct or scalars, not {row!r}", USAGE)
    kind = replace(plain.sleeping() if sleepable else plain, row=row)
    return lambda function: Program(function, kind, target)  # type: ignore[arg-type]


iter = Iter()
