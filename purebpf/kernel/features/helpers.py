"""Helpers by type of program: a call of each with zeros is shown to the verifier, which says so when it has no such helper."""

from __future__ import annotations

import errno
from functools import cache

from purebpf.errors import Error, Unsupported
from purebpf.kernel.features.answers import NO, UNRELATED, YES, Answer, inconclusive, kept
from purebpf.kernel.features.programs import PLAIN, SHAPES, attempt, program_type
from purebpf.kernel.missing import UNKNOWN_HELPER
from purebpf.kernel.probe import call_with_zeros
from purebpf.tables.enums import ProgramType
from purebpf.tables.helpers import HELPER_NAMES

WITHOUT_HOOK = Answer(None, "a program of this type needs something to belong to, which a probe does not have")


def helper(type: ProgramType, name: str) -> Answer:
    """Whether programs of a type may call a helper, named without `bpf_`. Raises Error for a name that is none."""
    if name not in HELPER_NAMES:
        raise Error(f"There is no helper {name!r}.")
    number = HELPER_NAMES.index(name) + 1
    return kept(type, lambda: _find(type, number), number)


def helpers_of(type: ProgramType) -> list[str]:
    """The helpers that programs of a type may call, by their names without `bpf_`; those that cannot be found out are left
    out."""
    return [name for name in HELPER_NAMES if helper(type, name)]


def _find(type: ProgramType, number: int) -> Answer:
    known = program_type(type)
    if not known:
        return NO if known.there is False else known
    hook = _hook(type)
    if hook == 0:
        return WITHOUT_HOOK
    answer, log = attempt(type, call_with_zeros(number), hook)
    if not answer:
        return YES
    if any(int(found) == number for found in UNKNOWN_HELPER.findall(log)):
        return NO
    if log:
        return YES  # it minds the arguments, not the call
    return inconclusive(answer) if answer in UNRELATED or answer == errno.EACCES else NO


@cache
def _hook(type: ProgramType) -> int:
    """The number in the kernel's BTF of what a program of this type belongs to; 1 for a type that belongs to nothing, 0 if
    there is none to be had."""
    shape = SHAPES.get(type, PLAIN)
    if not shape.by_type:
        return 1
    if not shape.hook:
        return 0
    from purebpf.btf.running import kernel_btf

    try:
        return kernel_btf().find(shape.hook)
    except (Unsupported, Error):
        return 0
