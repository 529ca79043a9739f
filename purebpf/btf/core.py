"""CO-RE: answers what an instruction wants to know of the kernel that its program will run on.

A question names a type of the program's own BTF, and a field or constant in it. Targets are asked for types of the same name
(`task_struct___old` is a flavour of `task_struct`: the part after three underscores does not count); all of them that have what
is sought must agree. What no target has is no error here: whether it exists is answered with 0, and other answers are missing,
which makes an instruction invalid that is perhaps never reached. The meaning of all of it is libbpf's (relo_core.c).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from purebpf.btf.core_compare import same_kind, types_compatible, types_match
from purebpf.btf.core_path import Enumerator, Path, enumerator_in, enumerator_of, indices, path_in, path_of
from purebpf.btf.core_values import Value, field_value
from purebpf.btf.errors import BtfError
from purebpf.btf.names import essential_name
from purebpf.btf.reader import Btf
from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.btf.types import Int, Kind, Ptr
from purebpf.data import data
from purebpf.errors import Error

TYPES = frozenset(
    {CoreKind.TYPE_ID_LOCAL, CoreKind.TYPE_ID_TARGET, CoreKind.TYPE_EXISTS, CoreKind.TYPE_SIZE, CoreKind.TYPE_MATCHES}
)
ENUMERATORS = frozenset({CoreKind.ENUMVAL_EXISTS, CoreKind.ENUMVAL_VALUE})
EXISTENCE = frozenset({CoreKind.FIELD_EXISTS, CoreKind.TYPE_EXISTS, CoreKind.ENUMVAL_EXISTS, CoreKind.TYPE_MATCHES})


@data
class Answer:
    """`value` is the target's answer and `local` that of the program's own types, which the instruction must hold until then
    if the question is `exact`.

    For the offset of a field, `size` and `local_size` are the bytes that a load of it takes (0: a bit field). Where they
    differ, `resizable` tells whether a load of the other size has the same meaning, as it has of pointers and unsigned
    integers. With `missing` there is no answer; it says why.
    """

    value: int
    local: int
    exact: bool = True
    size: int = 0
    local_size: int = 0
    resizable: bool = True
    missing: str = ""


Candidate = tuple[Btf, int]
Found = Path | Enumerator | int  # a field, a constant, a type


def resolve(local: Btf, relocation: CoreRelocation, targets: Iterable[Btf]) -> Answer:
    """The answer to one question. `targets` are the kernel's BTF, then its modules', which are opened if the kernel's own has
    no type of the name. Raises Error for a question that makes no sense, and where several types of the name disagree."""
    return Resolver(local, targets).answer(relocation)


class Resolver:
    """For the questions of one program, in their order: a type that had not what an earlier one asked for is no candidate any
    more, if another had it."""

    def __init__(self, local: Btf, targets: Iterable[Btf]) -> None:
        self.local = local
        self._targets = iter(targets)
        self._candidates: dict[int, list[Candidate]] = {}
        self._answers: dict[tuple[CoreKind, int, str], Answer] = {}

    @cached_property
    def kernel(self) -> Btf | None:
        return next(self._targets, None)

    @cached_property
    def modules(self) -> tuple[Btf, ...]:
        assert self.kernel is not None
        return tuple(self._targets)

    def answer(self, relocation: CoreRelocation) -> Answer:
        """Raises Error."""
        question = (relocation.kind, relocation.type, relocation.access)
        found = self._answers.get(question)
        if found is None:
            found = self._answered(relocation)
            if len(self._candidates.get(relocation.type, ())) <= 1:  # of several, another question may leave fewer
                self._answers[question] = found
        return found

    def _answered(self, relocation: CoreRelocation) -> Answer:
        if not 0 < relocation.type < len(self.local):
            raise BtfError(f"a CO-RE relocation is about type {relocation.type}, which the program does not have")
        if relocation.kind is CoreKind.TYPE_ID_LOCAL:
            return Answer(relocation.type, relocation.type, exact=False)
        sought = self._sought(relocation)
        mine = _value(self.local, sought, relocation.kind)
        matching, reasons = self._matching(relocation, sought)
        if not matching:
            if relocation.kind in EXISTENCE or relocation.kind in TYPES:
                return Answer(0, mine.value, mine.exact)
            return Answer(0, mine.value, mine.exact, missing="; ".join(dict.fromkeys(reasons)))
        answers = [self._answer(mine, btf, _value(btf, found, relocation.kind)) for (btf, _), found in matching]
        self._agree(relocation, [found for _, found in matching], answers)
        return answers[0]

    def _sought(self, relocation: CoreRelocation) -> Found:
        """What a relocation is about, in the program's own types."""
        if relocation.kind in ENUMERATORS:
            return enumerator_of(self.local, relocation)
        if relocation.kind not in TYPES:
            return path_of(self.local, relocation)
        if indices(relocation) != (0,):
            raise BtfError(f"a CO-RE relocation about a type as a whole has the access {relocation.access!r} instead of '0'")
        return relocation.type

    def _matching(self, relocation: CoreRelocation, sought: Found) -> tuple[list[tuple[Candidate, Found]], list[str]]:
        """The candidates that have it, with what they have; else words why each has it not."""
        candidates = self._candidates.get(relocation.type)
        if candidates is None:
            candidates = self._candidates[relocation.type] = self._named(relocation.type)
        reasons = [] if candidates else [f"there is no {self.local.kind(relocation.type).name.lower()} of that name"]
        matching: list[tuple[Candidate, Found]] = []
        for candidate in candidates:
            found = self._in(candidate, relocation, sought)
            if isinstance(found, str):
                reasons.append(found)
            else:
                matching.append((candidate, found))
        if matching:
            self._candidates[relocation.type] = [candidate for candidate, _ in matching]
        return matching, reasons

    def _named(self, number: int) -> list[Candidate]:
        """The types of targets that have the name of a local one, in any flavour, and its kind."""
        name, kind = self.local.name(number), self.local.kind(number)
        if not name:
            raise BtfError(f"a CO-RE relocation is about type {number}, a {kind.name.lower()} without a name to look for")
        if self.kernel is None:
            return []
        own = [(self.kernel, found) for found in types_like(self.kernel, name, kind)]
        return own or [
            (module, found) for module in self.modules for found in types_like(module, name, kind) if found >= module.first
        ]

    def _in(self, candidate: Candidate, relocation: CoreRelocation, sought: Found) -> Found | str:
        btf, number = candidate
        if isinstance(sought, Path):
            return path_in(self.local, sought, btf, number)
        if isinstance(sought, Enumerator):
            return enumerator_in(sought, btf, number)
        related = types_match if relocation.kind is CoreKind.TYPE_MATCHES else types_compatible
        return number if related(self.local, sought, btf, number) else f"`{btf.name(number)}` is another kind of type there"

    def _answer(self, mine: Value, btf: Btf, its: Value) -> Answer:
        resizable = mine.size == its.size or self._resizable(mine.type, btf, its.type)
        return Answer(its.value, mine.value, mine.exact, its.size, mine.size, resizable)

    def _resizable(self, one: int, target: Btf, other: int) -> bool:
        here, there = self.local.type(self.local.resolve(one)), target.type(target.resolve(other))
        if isinstance(here, Int) and isinstance(there, Int):
            return not here.signed and not there.signed
        return isinstance(here, Ptr) and isinstance(there, Ptr)

    def _agree(self, relocation: CoreRelocation, found: list[Found], answers: list[Answer]) -> None:
        values = sorted({answer.value for answer in answers})
        places = sorted({each.bit_offset for each in found if isinstance(each, Path)})
        if len(values) > 1 or len(places) > 1:
            told = ", ".join(map(str, values)) if len(values) > 1 else ", ".join(f"bit {place}" for place in places)
            raise Error(
                f"The target has several types for {described(self.local, relocation)}, and they do not agree: {told}. "
                "A flavour of the type with a field that only the right one has tells them apart."
            )


def _value(btf: Btf, found: Found, kind: CoreKind) -> Value:
    """A BTF's answer, once it is clear what is asked about."""
    if kind in EXISTENCE:
        return Value(1)
    if isinstance(found, Path):
        return field_value(btf, found, kind)
    if isinstance(found, Enumerator):
        return Value(found.value)
    if kind is CoreKind.TYPE_SIZE:
        return Value(btf.size_of(found))
    return Value(found, exact=False)


def types_like(btf: Btf, name: str, kind: Kind) -> list[int]:
    """The types of a kind whose name is `name`, but for their flavours; lowest number first, as they are asked."""
    essential = essential_name(name)
    named = {number for each in (essential, *btf.flavours(essential)) for number in btf.types_named(each)}
    return sorted(number for number in named if same_kind(btf.kind(number), kind))


def described(local: Btf, relocation: CoreRelocation) -> str:
    """What a relocation is about, as one writes it: `task_struct.se.vruntime`, `sock_type.SOCK_RAW`, `task_struct`."""
    name = local.name(relocation.type)
    if relocation.kind in ENUMERATORS:
        return f"{name}.{enumerator_of(local, relocation).name}"
    return name if relocation.kind in TYPES else name + path_of(local, relocation).words
