"""A refused CO-RE relocation in words: what the program wanted of the kernel, and why it is not there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from purebpf.btf.core import described
from purebpf.errors import Error
from purebpf.relocate import local_types
from purebpf.spec import ProgramSpec

if TYPE_CHECKING:
    from purebpf.explain.explanation import Explanation

OTHER_SIZE = re.compile(r"the field has ([1248]) bytes there, not ")  # purebpf/relocate.py says so of signed integers


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
    why = unresolved.get(relocation.slot, explanation.label)
    size = OTHER_SIZE.match(why)
    hint = f"declare it with the kernel's size and sign: `s{8 * int(size[1])}`" if size else explanation.hint
    return replace(explanation, message=message, label=why, hint=hint)
