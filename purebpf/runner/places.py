"""`place op= value` and `bpf.atomic`: in two halves, so that the value is computed between finding the place and changing it.

What lies in shared memory is read by the second half only, as one atomic instruction does; anything else as Python has it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

from purebpf.data import replace
from purebpf.lang import idioms
from purebpf.lang.atomic import atomic
from purebpf.lang.types import IntType
from purebpf.runner.maps import Keyed
from purebpf.runner.views import Block, Indexed, Record, load, narrow, place_of, store

Where = tuple[Block, int, Any]


def floor_divide(a: Any, b: Any) -> Any:
    """`a // b`; by a run-time 0 it is 0."""
    return a // b if b else 0


def modulo(a: Any, b: Any) -> Any:
    """`a % b`; by a run-time 0 it is a."""
    return a % b if b else a


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add, "Sub": operator.sub, "Mult": operator.mul, "BitAnd": operator.and_, "BitOr": operator.or_,
    "BitXor": operator.xor, "Pow": operator.pow, "FloorDiv": floor_divide, "Mod": modulo,
    "LShift": lambda a, b: a << (b & 63), "RShift": lambda a, b: a >> (b & 63),
}  # fmt: skip
ATOMIC = frozenset({"Add", "Sub", "BitAnd", "BitOr", "BitXor"})
FETCHES = {"fetch_add": "Add", "fetch_sub": "Sub", "fetch_or": "BitOr", "fetch_and": "BitAnd", "fetch_xor": "BitXor"}


class Change:
    """A place that is about to change: `set` writes it, `old` is its value if it has been read."""

    def __init__(self, find: Callable[[], Where | None]) -> None:
        self.find = find
        self.old: Any = None
        self.set: Callable[[Any], None] | None = None


def item(target: Any, key: Any, op: str) -> Change:
    """`target[key] op= ...`, first half; `op` is "" for an atomic operation."""
    if isinstance(target, Keyed):
        return Change(lambda: target.change(key) if op else target.place(target.key(key)))
    if isinstance(target, Indexed):
        return _in_memory(target._bpf_place(key), op)
    made = Change(lambda: None)
    made.old, made.set = target[key], lambda value: target.__setitem__(key, value)
    return made


def member(target: Any, name: str, op: str) -> Change:
    """`target.name op= ...`, first half."""
    if isinstance(target, Record):
        block, at, type = place_of(target)
        field = type.field(name)
        if field is not None and not field.bits:
            return _in_memory((block, at + field.offset, field.type), op)
    made = Change(lambda: None)
    made.old, made.set = getattr(target, name), lambda value: setattr(target, name, value)
    return made


def _in_memory(where: Where, op: str) -> Change:
    made = Change(lambda: where)
    block, at, type = where
    at_once = block.shared and op in ATOMIC and isinstance(type, IntType) and type.size in (4, 8) and not at % type.size
    if op and (not at_once or (type.big and op in ("Add", "Sub"))):
        made.old, made.set = load(*where), lambda value: store(*where, value)
    return made


def finish(change: Change, op: str, amount: Any) -> None:
    """The second half of `place op= amount`; what has no place is lost."""
    if change.set is not None:
        return change.set(OPERATORS[op](change.old, amount))
    where = change.find()
    if where is not None:
        store(*where, OPERATORS[op](load(*where), amount))


def _atomically(name: str, change: Change, *operands: int) -> int | None:
    """The old value; None without a place."""
    where = change.find()
    if where is None:
        return None
    old: int = load(*where)
    if name == "compare_exchange":
        if old == narrow(where[2], operands[0]):
            store(*where, operands[1])
    elif name == "exchange":
        store(*where, operands[0])
    else:
        store(*where, OPERATORS[FETCHES[name]](old, operands[0]))
    return old


def raw(change: Change) -> int:
    """A field in network order, its bits as they lie."""
    where = change.find()
    assert where is not None
    block, at, type = where
    return load(block, at, replace(type, big=False))  # type: ignore[no-any-return]


TAKERS: dict[object, Callable[..., Any]] = {
    idioms.raw: raw,
    **{getattr(atomic, name): partial(_atomically, name) for name in (*FETCHES, "exchange", "compare_exchange")},
}
"""Functions whose first argument is a place, and what they do with it."""
