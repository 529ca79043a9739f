"""Equal graphs become one; minimal BTF; differences in words."""

from __future__ import annotations

import random

import pytest

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.compare import compare, differences, same
from purebpf.btf.dedup import deduplicate
from purebpf.btf.graph import reachable, references, renumbered
from purebpf.btf.minimal import minimal, minimal_for
from purebpf.btf.reader import Btf, BtfError
from purebpf.btf.types import Array, Enum, Func, Fwd, Kind, Member, Ptr, Struct, Type, Typedef
from tests.btf.graphs import INT, U32, task, task_btf
from tests.btf.make import everything


def shifted(types: list[Type], by: int) -> list[Type]:
    return [renumbered(type, lambda number: number + by if number else 0) for type in types]


def types_of(btf: Btf) -> list[Type]:
    return [type for _, type in btf]


def test_two_copies_of_a_graph_with_circles_become_one() -> None:
    types = types_of(task_btf()[0])
    left, numbers = deduplicate(types + shifted(types, len(types)))
    assert left == types
    assert [numbers[i] for i in range(1, len(types) + 1)] == [numbers[i + len(types)] for i in range(1, len(types) + 1)]


def test_copies_in_another_order_become_one() -> None:
    types = types_of(task_btf()[0])
    order = list(range(1, len(types) + 1))
    random.Random(7).shuffle(order)
    place = {old: new for new, old in enumerate(order, len(types) + 1)}
    mixed = [renumbered(types[old - 1], lambda number: place.get(number, 0)) for old in order]
    assert deduplicate(types + mixed)[0] == types


def test_circles_of_other_lengths_that_look_alike_become_one() -> None:
    ring = [Struct("node", 8, (Member("next", 2, 0),)), Ptr(3), Struct("node", 8, (Member("next", 4, 0),)), Ptr(1)]
    assert deduplicate(ring)[0] == [Struct("node", 8, (Member("next", 2, 0),)), Ptr(1)]


def test_a_difference_far_away_keeps_graphs_apart() -> None:
    chain: list[Type] = [INT, *(Ptr(i) for i in range(1, 200))]
    other: list[Type] = [U32, *(Ptr(i) for i in range(201, 400))]
    left, _ = deduplicate(chain + other)
    assert len(left) == 400


def test_long_chains_are_quick() -> None:
    chain: list[Type] = [INT, *(Ptr(i) for i in range(1, 20_000))]
    assert len(deduplicate(chain)[0]) == 20_000


def test_types_of_a_base_stay() -> None:
    left, numbers = deduplicate([Ptr(3), Ptr(3), Ptr(5)], first=10)
    assert left == [Ptr(3), Ptr(5)] and numbers == {10: 10, 11: 10, 12: 11}


def test_every_kind_is_renumbered() -> None:
    types = types_of(Btf(everything("little").bytes()))
    assert shifted(shifted(types, 5), -5) == types
    assert all(len(references(type)) == len(references(moved)) for type, moved in zip(types, shifted(types, 5), strict=True))


def test_minimal_has_what_is_needed_and_no_more() -> None:
    btf, number = task_btf()
    raw, numbers = minimal(btf, [number], members={number: ("state", "number")})
    small = Btf(raw)
    found = small.type(numbers[number])
    assert isinstance(found, Struct)
    assert [(member.name, member.bit_offset) for member in found.members] == [("state", 32), ("", 128)]
    assert sorted(small.name(i) for i in range(1, len(small))) == ["", "", "int", "long long unsigned int", "state", "task",
                                                                  "unsigned int"]  # fmt: skip
    assert small.size_of(numbers[number]) == btf.size_of(number)


def test_members_are_not_given_by_a_name() -> None:
    btf, number = task_btf()
    with pytest.raises(BtfError, match="by the number of their struct"):
        minimal(btf, [number], members={"task": ["pid"]})  # type: ignore[dict-item]


def test_minimal_declares_what_is_behind_pointers() -> None:
    btf, number = task_btf()
    raw, numbers = minimal(btf, [btf.find("kick", Kind.FUNC)])
    assert Btf(raw).type(numbers[number]) == Fwd("task", union=False)
    whole, numbers = minimal(btf, [btf.find("kick", Kind.FUNC)], pointers=True)
    assert same(btf, number, Btf(whole), numbers[number])
    assert Btf(whole).decl_tags(numbers[btf.find("kick", Kind.FUNC)]) == ("bpf_kfunc",)
    assert Btf(whole).decl_tags(numbers[number], 7) == ("rcu",)


def test_minimal_for_a_program_has_the_members_it_knows() -> None:
    kernel, number = task_btf()
    builder = BtfBuilder("little")
    word = builder.add(U32)
    builder.add(Struct("task___old", 8, (Member("pid", word, 0), Member("gone", word, 32))))
    builder.add(Struct("unknown", 4, (Member("x", word, 0),)))
    raw, numbers = minimal_for(kernel, Btf(builder.encode()))
    found = Btf(raw).type(numbers[number])
    assert isinstance(found, Struct) and [member.name for member in found.members] == ["pid"]


def test_equal_types_in_two_btfs_are_the_same() -> None:
    left, number = task_btf()
    builder = BtfBuilder("big")
    for i in range(5):
        builder.add(Typedef(f"before{i}", 0))
    other = task(builder)
    assert same(left, number, Btf(builder.encode()), other)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pid": "tgid"}, "task: member 'pid' here, member 'tgid' there"),
        ({"comm": 24}, "task: size is 56 here, 64 there"),
    ],
)
def test_difference_is_told(changes: dict[str, object], said: str) -> None:
    left, number = task_btf()
    right, other = task_btf(**changes)
    assert said in [str(each) for each in differences(left, number, right, other)]
    assert not same(left, number, right, other)


def pair(first: Type, second: Type) -> list[str]:
    both = []
    for type in (first, second):
        builder = BtfBuilder("little")
        builder.add(U32)
        builder.add(type)
        both.append(Btf(builder.encode()))
    return [str(each) for each in differences(both[0], 2, both[1], 2)]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (Enum("e", 4, False, (("A", 1), ("B", 2))), Enum("e", 4, False, (("A", 1), ("B", 3), ("C", 4))),
         ["e: B is 2 here, B is 3 there", "e: no C here, C is 4 there"]),
        (Struct("s", 4, (Member("a", 1, 0, 3),)), Struct("s", 4, (Member("a", 1, 0, 4),)),
         ["s: member 'a' is at bit 0, 3 bits wide here, at bit 0, 4 bits wide there"]),
        (Array(1, 1, 3), Array(1, 1, 4), ["type 2: length is 3 here, 4 there"]),
        (Typedef("t", 1), Struct("t", 0, ()), ["t: typedef t here, struct t there"]),
        (Typedef("t", 1), Typedef("t", 0), ["t: int unsigned int here, void there"]),
        (Fwd("f", union=False), Struct("f", 4, ()), []),
        (Fwd("f", union=True), Struct("f", 4, ()), ["f: fwd f here, struct f there"]),
    ],
)  # fmt: skip
def test_each_difference_in_words(first: Type, second: Type, said: list[str]) -> None:
    assert pair(first, second) == said


def test_whole_btfs_are_compared_by_name() -> None:
    left, _ = task_btf()
    assert list(compare(left, left)) == []
    right, _ = task_btf(pid="tgid")
    assert [str(each) for each in compare(left, right)] == ["struct task: member 'pid' here, member 'tgid' there"]
    builder = BtfBuilder("little")
    builder.add(INT)
    said = [str(each) for each in compare(left, Btf(builder.encode(), origin="other"))]
    assert "struct task: only in BTF" in said and "func kick: only in BTF" in said


def test_what_can_be_reached() -> None:
    btf, _ = task_btf()
    kick = btf.find("kick", Kind.FUNC)
    assert isinstance(btf.type(kick), Func)
    assert set(reachable(btf.type, [kick])) == set(range(1, len(btf))) - {btf.find("long unsigned int")} - set(
        btf.numbers(Kind.DECL_TAG)
    )


def test_reserved_number_that_is_never_defined_is_told() -> None:
    builder = BtfBuilder("little")
    builder.reserve()
    with pytest.raises(BtfError, match="was not defined"):
        builder.types()


def naive(types: list[Type]) -> list[int]:
    """The classes of equal types, by splitting until nothing changes."""
    classes = [0] * len(types)
    while True:
        labels: dict[object, int] = {}
        looks = [
            (renumbered(type, lambda number: 0), *(classes[n - 1] if n else -1 for n in references(type))) for type in types
        ]
        found = [labels.setdefault(look, len(labels)) for look in looks]
        if found == classes:
            return found
        classes = found


@pytest.mark.parametrize("seed", range(60))
def test_classes_of_random_graphs_are_those_of_the_plain_way(seed: int) -> None:
    chance = random.Random(seed)
    size = chance.randrange(1, 40)

    def some() -> int:
        return chance.randrange(size + 1)

    makers = (
        lambda: Ptr(some()),
        lambda: Typedef("t", some()),
        lambda: Struct("s", 8, (Member("a", some(), 0), Member("b", some(), 32))),
        lambda: Array(some(), some(), 2),
        lambda: INT,
    )
    types: list[Type] = [chance.choice(makers)() for _ in range(size)]
    left, numbers = deduplicate(types)
    classes = naive(types)
    assert len(left) == len(set(classes))
    assert all((numbers[i + 1] == numbers[j + 1]) == (classes[i] == classes[j]) for i in range(size) for j in range(size))
