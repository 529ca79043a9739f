"""CO-RE: the part of a kernel's BTF that is cut out for a program answers as the whole."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from purebpf.btf.core import Answer, resolve
from purebpf.btf.minimal import minimal_for
from purebpf.btf.reader import Btf
from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.btf.types import Array
from purebpf.data import replace
from purebpf.errors import Error
from purebpf.relocate import local_types
from tests.btf.random_types import pair


def answer(local: Btf, question: CoreRelocation, target: Btf, numbers: dict[int, int]) -> Answer | str:
    """With types' numbers as `numbers` has them."""
    try:
        found = resolve(local, question, [target])
    except Error:
        return "error"
    if found.missing:
        return "missing"
    if question.kind is CoreKind.TYPE_ID_TARGET:
        return replace(found, value=numbers.get(found.value, 0))
    return found


@given(st.integers(0, (1 << 32) - 1))
def test_a_part_answers_as_the_whole(seed: int) -> None:
    spec, whole = pair(seed)
    # an array without length may turn out to be the last member of what is left
    assume(all(not isinstance(type, Array) or type.length for _, type in whole))
    local = local_types(spec)
    raw, numbers = minimal_for(whole, local)
    part = Btf(raw)
    for question in spec.relocations:
        unchanged = {number: number for number in range(len(part))}
        assert answer(local, question, whole, numbers) == answer(local, question, part, unchanged)
