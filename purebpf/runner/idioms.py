"""The short names of a program, answered by the virtual machine: printing, time, the current task, local memory."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from purebpf.lang import idioms, records
from purebpf.lang.types import CharsType, type_of
from purebpf.runner import places
from purebpf.runner.kernel_types import refuse
from purebpf.runner.names import seen, stands_for, stands_for_kind
from purebpf.vm.text_helpers import print_line

if TYPE_CHECKING:
    from purebpf.runner.session import Runner

COMM_BYTES = 16  # TASK_COMM_LEN
LOW = 0xFFFF_FFFF


def _answer(helper: str) -> Callable[[Runner, Any], Callable[[], int]]:
    return lambda runner, _: lambda: runner.helper(helper)


for _function, _helper in (
    (idioms.ktime, "ktime_get_ns"),
    (idioms.cpu, "get_smp_processor_id"),
    (idioms.random, "get_prandom_u32"),
):
    stands_for(_function)(_answer(_helper))


@stands_for(idioms.cookie)
def cookie(runner: Runner, _: Any) -> Any:
    return lambda: runner.machine.cookie


@stands_for(idioms.redirect)
def redirect(runner: Runner, _: Any) -> Any:
    return lambda ifindex, flags=0: runner.helper("redirect", ifindex, flags)


@stands_for(idioms.printk)
def printk(runner: Runner, _: Any) -> Any:
    def show(text: Any) -> int:
        """A line in the machine's trace; its length."""
        form = str(text).encode("utf-8", "surrogateescape").replace(b"%", b"%%")
        return runner.signed(print_line(runner.machine, form, []))

    return show


@stands_for(builtins.print)
def print_(runner: Runner, _: Any) -> Any:
    line = printk(runner, None)

    def show(*values: Any, **options: Any) -> int:
        """As Python's; what goes to the terminal is a line of the machine's trace, too."""
        builtins.print(*values, **options)
        return line(" ".join(map(str, values))) if "file" not in options else 0

    return show


@stands_for(records.array, records.bytes_, records.chars)
def local(runner: Runner, specifier: Any) -> Any:
    """`bpf.array(u32, 6)`: zeroed memory."""

    def make(*arguments: Any) -> Any:
        layout = type_of(specifier(*arguments))
        assert layout is not None
        return runner.zeroed(layout)

    return make


for _taker, _action in places.TAKERS.items():
    stands_for(_taker)(lambda runner, _, action=_action: action)


@stands_for(builtins.divmod)
def divmod_(runner: Runner, _: Any) -> Any:
    return lambda a, b: (places.floor_divide(a, b), places.modulo(a, b))


@stands_for_kind(functools.partial)
def partial(runner: Runner, given: functools.partial[Any]) -> Any:
    return functools.partial(seen(runner, given.func), *seen(runner, given.args), **seen(runner, given.keywords))


class Current:
    """`bpf.current`: the task of the machine, which is this process unless it was given another."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @property
    def pid(self) -> int:
        return self._runner.helper("get_current_pid_tgid") & LOW  # type: ignore[no-any-return]

    @property
    def tgid(self) -> int:
        return self._runner.helper("get_current_pid_tgid") >> 32  # type: ignore[no-any-return]

    @property
    def uid(self) -> int:
        return self._runner.helper("get_current_uid_gid") & LOW  # type: ignore[no-any-return]

    @property
    def gid(self) -> int:
        return self._runner.helper("get_current_uid_gid") >> 32  # type: ignore[no-any-return]

    @property
    def task(self) -> NoReturn:
        refuse("bpf.current.task")

    @property
    def cgroup_id(self) -> int:
        return self._runner.helper("get_current_cgroup_id")  # type: ignore[no-any-return]

    @property
    def comm(self) -> Any:
        place = self._runner.zeroed(CharsType(COMM_BYTES))
        self._runner.helper("get_current_comm", place)
        return place


@stands_for_kind(idioms.Current)
def current(runner: Runner, _: Any) -> Current:
    return Current(runner)


class Helpers:
    """`bpf.helpers`."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **keywords: self._runner.helper(name, *arguments, **keywords)


@stands_for_kind(idioms.Helpers)
def helpers(runner: Runner, _: Any) -> Helpers:
    return Helpers(runner)


@stands_for_kind(idioms.HelperName)
def helper(runner: Runner, named: idioms.HelperName) -> Any:
    return getattr(Helpers(runner), named.name)
