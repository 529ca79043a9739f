"""Makes equal types one, whole graphs of them too, circles included.

Two types are equal if nobody who follows the same references from both can tell them apart. The classes of equal types are
found as those of equal states of an automaton are (Hopcroft 1971): types that look alike are one class until some of them are
seen to refer to a class that others do not. That takes n log n steps, however the types hang together.
"""

from __future__ import annotations

from collections.abc import Sequence

from purebpf.btf.graph import references, renumbered
from purebpf.btf.types import Type


def deduplicate(types: Sequence[Type], first: int = 1) -> tuple[list[Type], dict[int, int]]:
    """(the types that are left, old number -> new number).

    The types are numbered from `first` on; what has a lower number (void, the types of a base) stays what it is. Of equal types
    the first one is left, and the order is kept."""
    classes = _classes(types, first)
    numbers: dict[int, int] = {}
    renamed: dict[int, int] = {}
    kept: list[Type] = []
    for old, number in enumerate(classes, first):
        if number not in renamed:
            renamed[number] = first + len(kept)
            kept.append(types[old - first])
        numbers[old] = renamed[number]
    return [renumbered(type, lambda number: numbers.get(number, number)) for type in kept], numbers


def _classes(types: Sequence[Type], first: int) -> list[int]:
    """The class of each type."""
    labels: dict[Type, int] = {}
    found = [
        labels.setdefault(renumbered(type, lambda number: number if number < first else -1), len(labels)) for type in types
    ]
    members: list[set[int]] = [set() for _ in labels]
    for node, number in enumerate(found):
        members[number].add(node)
    users = _users(types, first)
    waiting = set(range(len(members)))
    while waiting:
        for users_here in _into(members[waiting.pop()], users):
            touched: dict[int, set[int]] = {}
            for node in users_here:
                touched.setdefault(found[node], set()).add(node)
            for number, inside in touched.items():
                whole = members[number]
                if len(inside) == len(whole):
                    continue
                smaller = inside if 2 * len(inside) <= len(whole) else whole - inside
                whole -= smaller
                for node in smaller:
                    found[node] = len(members)
                waiting.add(len(members))
                members.append(smaller)
    return found


def _users(types: Sequence[Type], first: int) -> list[list[tuple[int, int]]]:
    """Who refers to each type: (which of its references it is, user)."""
    users: list[list[tuple[int, int]]] = [[] for _ in types]
    for node, type in enumerate(types):
        for position, number in enumerate(references(type)):
            if number >= first:
                users[number - first].append((position, node))
    return users


def _into(nodes: set[int], users: list[list[tuple[int, int]]]) -> list[list[int]]:
    """The users of some types, by which of their references it is."""
    found: dict[int, list[int]] = {}
    for node in nodes:
        for position, user in users[node]:
            found.setdefault(position, []).append(user)
    return list(found.values())
