"""CO-RE: damaged types are an error, or answered; nothing else, and soon."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purebpf.btf.core import Resolver, resolve
from purebpf.btf.reader import Btf
from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.btf.types import Member, Struct
from purebpf.errors import Error
from purebpf.relocate import local_types
from tests.btf.kit import Kit
from tests.btf.random_types import pair


def damaged(random: Random, btf: Btf) -> Btf:
    """A few bytes, or numbers of types, are others."""
    raw = bytearray(bytes(btf.raw))
    for _ in range(random.randrange(1, 6)):
        at = random.randrange(24, len(raw) - 3)
        if random.random() < 0.5:
            raw[at] = random.randrange(256)
        else:
            at -= at % 4
            raw[at : at + 4] = random.choice((0, 8, 9, 10, (1 << 32) - 1, random.randrange(20))).to_bytes(4, "little")
    return Btf(bytes(raw))


@given(st.integers(0, (1 << 32) - 1))
def test_damaged_types_are_an_error_or_answered(seed: int) -> None:
    random = Random(seed)
    spec, target = pair(seed)
    local = local_types(spec)
    try:
        resolver = Resolver(damaged(random, local) if random.random() < 0.5 else local, [damaged(random, target)])
        for relocation in spec.relocations:
            assert resolver.answer(relocation).value in range(-(1 << 63), 1 << 64)
    except Error as error:
        assert str(error)


def local() -> tuple[Btf, CoreRelocation]:
    k = Kit()
    question = CoreRelocation(0, CoreKind.FIELD_EXISTS, k.struct("s", ("first", k.u32)), "0:0")
    return k.btf(), question


def test_anonymous_structs_inside_of_themselves_end() -> None:
    target = Kit()
    number = target.builder.reserve()
    target.builder.define(number, Struct("s", 8, tuple(Member("", number, 0) for _ in range(20))))
    mine, question = local()
    assert resolve(mine, question, [target.btf()]).value == 0


def test_anonymous_structs_too_deep_are_an_error() -> None:
    target, mine = Kit(), local()
    inner = target.u32
    for _ in range(5000):
        inner = target.struct("", ("", inner))
    target.struct("s", ("", inner))
    with pytest.raises(Error, match="inside of more than 64 anonymous structs"):
        resolve(*mine, [target.btf()])
