"""Which helper functions the virtual machine has. What they do is in the modules named here, by the helpers' own names.

A helper is a function of the machine and as many registers as `purebpf.tables.helpers` says it takes; its result, cut to 64
bits, is r0. One that takes a variable number of registers also gets all registers that have a value, by name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from purebpf.vm.translate import TAIL_CALL, Calls

MODULES = (
    *("map_helpers", "system_helpers", "memory_helpers", "text_helpers", "packet_helpers", "xdp_helpers"),
    *("rings", "lock_helpers", "stacks", "dynptr_helpers", "sockets"),
)


@cache
def functions() -> dict[int, Callable[..., int]]:
    """All helpers but bpf_tail_call, which does not return like a function, by number."""
    from purebpf.tables.helpers import HELPER_NAMES

    numbers = {name: number for number, name in enumerate(HELPER_NAMES, 1)}
    found: dict[int, Callable[..., int]] = {}
    for module in MODULES:
        for function in import_module(f"purebpf.vm.{module}").HELPERS:
            found[numbers[function.__name__]] = function
    return found


@cache
def calls() -> Calls:
    """How the generated code calls them."""
    from purebpf.tables.helpers import ArgKind, helper_by_id

    known = [found for number in (*functions(), TAIL_CALL) if (found := helper_by_id(number)) is not None]
    return Calls(
        registers={helper.id: len(helper.args) for helper in known},
        variadic=frozenset(helper.id for helper in known if helper.variadic),
        reentrant=frozenset(helper.id for helper in known if any(arg.kind is ArgKind.CALLBACK for arg in helper.args)),
    )


def names() -> tuple[str, ...]:
    """The helpers that there are, without `bpf_`, in order of number."""
    from purebpf.tables.helpers import HELPER_NAMES

    return tuple(HELPER_NAMES[number - 1] for number in sorted((*functions(), TAIL_CALL)))
