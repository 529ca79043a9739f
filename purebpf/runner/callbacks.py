"""What calls functions back, for runs as Python: `bpf.loop`, `m.for_each`, and going over maps.

A function inside the program is Python's own closure; `runner/maps.py` has the walks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from purebpf.lang import idioms
from purebpf.runner.names import stands_for
from purebpf.vm.facts import E2BIG
from purebpf.vm.map_helpers import MOST_LOOPS

if TYPE_CHECKING:
    from purebpf.runner.session import Runner


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
