"""A refused CO-RE relocation in words: what the program wanted of the kernel, and why it is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from purebpf.btf.core import described
from purebpf.errors import Error
from purebpf.relocate import local_types
from purebpf.spec import ProgramSpec

if TYPE_CHECKING:
    from purebpf.explain.explanation import Explanation


def named(explanation: Explanation, spec: ProgramSpec, unresolved: Mapping[int, str]) -> Explanation:
    """The explanation of an instruction that was made invalid, with the name of what is missing. `unresolved` are words why, by
    slot."""
    slot = explanation.spot.slot
    relocation = next((each for each in spec.relocations if each.slot == slot), None)
    if relocation is None:
        return explanation
    try:
        what = described(local_types(spec), relocation)
    except Error:
        return explanation
    message = f"this kernel has no `{what}` as the program knows it"
    return replace(explanation, message=message, label=unresolved.get(relocation.slot, explanation.label))
