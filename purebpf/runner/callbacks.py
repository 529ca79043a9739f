"""What calls functions back, for runs as Python: `bpf.loop`, `m.for_each`, and going over maps; and `bpf.stack`.

A function inside the program is Python's own closure; `runner/maps.py` has the walks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from purebpf.lang import idioms, stacks
from purebpf.runner.names import stands_for
from purebpf.vm.facts import E2BIG, fact
from purebpf.vm.map_helpers import MOST_LOOPS

if TYPE_CHECKING:
    from purebpf.runner.session import Runner

USER = fact("BPF_F_USER_STACK")


@stands_for(idioms.loop)
def loop(runner: Runner, _: Any) -> Any:
    def repeat(n: int, f: Callable[[int], Any]) -> int:
        """`f(0)` to `f(n - 1)` until one gives True; how many calls were made."""
        if n > MOST_LOOPS:
            return -E2BIG
        for index in range(n):
            if f(index):
                return index + 1
        return n

    return repeat


@stands_for(stacks.stack)
def stack(runner: Runner, _: Any) -> Any:
    return lambda where, user=False, skip=0: runner.helper("get_stackid", runner.context, where, skip | (USER if user else 0))


@stands_for(stacks.get_stack)
def get_stack(runner: Runner, _: Any) -> Any:
    def copy(addresses: Any, user: bool = False, skip: int = 0) -> int:
        """How many addresses: the machine has none, so this is its errno."""
        return int(runner.helper("get_stack", runner.context, addresses, skip | (USER if user else 0)))

    return copy
