"""A relocation's way through its type: read from the program's own types, and found again in a target's.

The way of a field is told by names: a field that another kernel has inside of an anonymous struct, or at another place, is the
same field. What libbpf does (tools/lib/bpf/relo_core.c) is the measure.
"""

from __future__ import annotations

import re

from purebpf.btf.core_compare import fields_compatible, same_name
from purebpf.btf.errors import BtfError
from purebpf.btf.reader import Btf
from purebpf.btf.relocation import CoreRelocation
from purebpf.btf.types import Array, Enum, Enum64, Member, Struct, Union
from purebpf.data import data

ACCESS = re.compile(r"\d{1,9}(:\d{1,9})*", re.ASCII)
LONGEST = 64  # steps of a way


@data
class Step:
    """Into the member `index` of the composite `type`, which has the `name`; or, without a name, to the element `index` of
    elements of `type`."""

    type: int
    index: int
    name: str = ""


@data
class Path:
    """The steps that mean something (those through anonymous members do not), and where they end: bits from the start."""

    steps: tuple[Step, ...]
    bit_offset: int

    @property
    def words(self) -> str:
        """The way as one writes it: `.se.load[2]`; an index of 0 at the start says nothing."""
        return "".join(
            f".{step.name}" if step.name else f"[{step.index}]" for at, step in enumerate(self.steps) if at or step.index
        )


@data
class Enumerator:
    """The constant `index` of the enum `type`."""

    type: int
    index: int
    name: str
    value: int


def indices(relocation: CoreRelocation) -> tuple[int, ...]:
    """The numbers of an access. Raises BtfError."""
    if not ACCESS.fullmatch(relocation.access):
        raise BtfError(f"{relocation.access!r} is no access of a CO-RE relocation, which is numbers with colons between")
    found = tuple(map(int, relocation.access.split(":")))
    if len(found) > LONGEST:
        raise BtfError(f"a CO-RE relocation's way has {len(found)} steps; the most is {LONGEST}")
    return found


def path_of(local: Btf, relocation: CoreRelocation) -> Path:
    """The way to a field in the program's own types. Raises BtfError where there is no such way."""
    first, *rest = indices(relocation)
    number = local.resolve(relocation.type)
    steps = [Step(number, first)]
    bits = first * local.size_of(number) * 8
    for index in rest:
        number = local.resolve(number)
        found = local.type(number)
        if isinstance(found, Struct | Union) and index < len(found.members):
            member = found.members[index]
            bits += member.bit_offset
            if member.name:
                steps.append(Step(number, index, member.name))
            number = member.type
        elif isinstance(found, Array) and holds(local, steps[-1], found, index):
            number = local.resolve(found.type)
            steps.append(Step(number, index))
            bits += index * local.size_of(number) * 8
        else:
            what = f"a {found.kind.name.lower()} without a part {index}"
            raise BtfError(f"the access {relocation.access!r} of type {relocation.type} leads into {what}")
    return Path(tuple(steps), bits)


def holds(btf: Btf, before: Step, array: Array, index: int) -> bool:
    """Whether an array has an element; one without length at the end of a struct, which the step before leads to, has any."""
    if array.length or not before.name:
        return index < array.length
    outer = btf.type(before.type)
    return isinstance(outer, Struct | Union) and before.index == len(outer.members) - 1


def enumerator_of(local: Btf, relocation: CoreRelocation) -> Enumerator:
    """The constant that the relocation is about. Raises BtfError."""
    number = local.resolve(relocation.type)
    found, (index, *rest) = local.type(number), indices(relocation)
    if not isinstance(found, Enum | Enum64) or rest or index >= len(found.values):
        raise BtfError(f"type {relocation.type} is no enum with a constant {relocation.access}")
    return Enumerator(number, index, *found.values[index])


def enumerator_in(wanted: Enumerator, target: Btf, number: int) -> Enumerator | str:
    """The constant of the same name in a target's enum; words why there is none."""
    behind = target.resolve(number)
    found = target.type(behind)
    if not isinstance(found, Enum | Enum64):
        return f"`{target.name(number)}` is no enum there"
    for index, (name, value) in enumerate(found.values):
        if same_name(name, wanted.name):
            return Enumerator(behind, index, name, value)
    return f"the enum `{target.name(number)}` has no constant `{wanted.name}` there"


def path_in(local: Btf, path: Path, target: Btf, number: int) -> Path | str:
    """The same way through the type `number` of a target; words why there is none. Raises BtfError for a broken target."""
    steps: list[Step] = []
    bits, walked = 0, target.name(number)
    for at, wanted in enumerate(path.steps):
        number = target.resolve(number)
        if wanted.name:
            found = _Search(local, wanted, target).member(number)
            if isinstance(found, str):
                return f"`{walked}` {found}"
            offset, step, member = found
            number, walked = member.type, f"{walked}.{wanted.name}"
            bits += offset
        else:
            if at:
                array = target.type(number)
                if not isinstance(array, Array) or not holds(target, steps[-1], array, wanted.index):
                    return f"`{walked}` has no element {wanted.index} there"
                number, walked = target.resolve(array.type), f"{walked}[{wanted.index}]"
            step = Step(number, wanted.index)
            bits += wanted.index * target.size_of(number) * 8
        steps.append(step)
    return Path(tuple(steps), bits)


class _Search:
    """For the member that a step of the local way is about, in a target's struct or union and the anonymous ones inside."""

    def __init__(self, local: Btf, wanted: Step, target: Btf) -> None:
        outer = local.type(wanted.type)
        assert isinstance(outer, Struct | Union)
        self.local, self.target, self.name = local, target, wanted.name
        self.type = outer.members[wanted.index].type
        self.seen: set[int] = set()

    def member(self, number: int, depth: int = 0) -> tuple[int, Step, Member] | str:
        """(its first bit, the step to it, the member), or words why there is none."""
        if depth > LONGEST:
            raise BtfError(f"{self.target.origin}: type {number} is inside of more than {LONGEST} anonymous structs")
        number = self.target.resolve(number)
        outer, why = self.target.type(number), f"has no field `{self.name}` there"
        if not isinstance(outer, Struct | Union) or number in self.seen:
            return why
        self.seen.add(number)
        for index, member in enumerate(outer.members):
            if not member.name:
                inside = self.member(member.type, depth + 1)
                if not isinstance(inside, str):
                    return member.bit_offset + inside[0], inside[1], inside[2]
                why = inside
            elif member.name == self.name:
                if fields_compatible(self.local, self.type, self.target, member.type):
                    return member.bit_offset, Step(number, index, member.name), member
                return f"has a field `{self.name}` of another kind there: {_kinds(self, member)}"
        return why


def _kinds(search: _Search, member: Member) -> str:
    here = search.local.kind(search.local.resolve(search.type)).name.lower()
    there = search.target.kind(search.target.resolve(member.type)).name.lower()
    return f"{there}, not {here}" if here != there else f"not the same {here}"
