"""Stub files (.pyi) of the kernel's types, for editors and type checkers: what `purebpf.vmlinux` looks like from a program.

Each struct is a class with its fields, those of members without a name among them; what a program reads is an `int`, a `bool`,
a `str` or another class. What pointers lead to is described up to some depth, beyond it is `Any`: all that can be reached from
a task is most of the kernel. Types are named through their module, since fields have the names of types.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from purebpf.btf.names import similar
from purebpf.btf.reader import Btf
from purebpf.btf.types import (
    Array,
    Const,
    Enum,
    Enum64,
    Float,
    Int,
    Kind,
    Ptr,
    Restrict,
    Struct,
    Typedef,
    TypeTag,
    Union,
    Volatile,
)
from purebpf.errors import Error

HEAD = '''"""The kernel's types: fields as programs see them. Written by `purebpf stubs`; {origin}."""

import builtins as _b
from typing import Any

import purebpf.vmlinux as _k

'''
TAIL = "def __getattr__(name: str) -> Any: ...\n"
ADDRESSES = frozenset({"user", "percpu"})  # tags of pointers that lead to no memory of the kernel
MODIFIERS = (Typedef, Volatile, Const, Restrict, TypeTag)
KINDS = (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.TYPEDEF)


def stub(btf: Btf, names: Iterable[str], depth: int = 2) -> str:
    """The text of a stub with these types, and with those that their pointers lead to over up to `depth` hops. Raises Error for
    a name that the BTF does not have."""
    made = Stub(btf, depth)
    for name in names:
        made.want(name)
    return made.text()


class Stub:
    """Classes being written: first those that were asked for, then what they need."""

    def __init__(self, btf: Btf, depth: int) -> None:
        self.btf = btf
        self.depth = depth
        self.names: dict[int, str] = {}  # by the number of the type
        self.taken: set[str] = set()
        self.work: list[tuple[int, int, int]] = []  # a heap: hops from what was asked for, order, number
        self.hops: dict[int, int] = {}

    def want(self, name: str) -> None:
        plain = name.rpartition(" ")[2]
        for kind in KINDS:
            for number in self.btf.types_named(plain, kind):
                resolved = self.btf.resolve(number)
                if isinstance(self.btf.type(resolved), Struct | Union | Enum | Enum64):
                    self.name(resolved, plain, 0)
                    return
        near = similar(self.btf, plain, KINDS[:4])
        raise Error(f"{self.btf.origin} has no struct, union or enum {plain!r}{f'; similar: {near}' if near else ''}")

    def name(self, number: int, name: str, hops: int) -> str:
        """The class of a type; it is written later."""
        if number not in self.names:
            free, at = name, 1
            while free in self.taken:
                at += 1
                free = f"{name}___{at}"
            self.names[number] = free
            self.taken.add(free)
        if hops < self.hops.get(number, self.depth + 1):
            self.hops[number] = hops
            heappush(self.work, (hops, len(self.hops), number))
        return self.names[number]

    def text(self) -> str:
        written: dict[int, list[str]] = {}
        while self.work:
            hops, _, number = heappop(self.work)
            if hops == self.hops[number]:
                written[number] = list(self.body(number, hops))
        classes = [f"class {self.names[number]}:\n" + "\n".join(lines) + "\n" for number, lines in written.items()]
        return HEAD.format(origin=f"from {self.btf.origin}") + "\n".join([*classes, TAIL])

    def body(self, number: int, hops: int) -> Iterator[str]:
        found = self.btf.type(number)
        if isinstance(found, Enum | Enum64):
            yield f'    """{", ".join(f"{name} = {value}" for name, value in found.values)}"""'
            return
        yield "    def __init__(self, address: object, /) -> None: ..."
        assert isinstance(found, Struct | Union)
        yield from self.fields(found, self.names[number], hops, set())

    def fields(self, found: Struct | Union, owner: str, hops: int, seen: set[str]) -> Iterator[str]:
        for member in found.members:
            inner = self.btf.type(self.btf.resolve(member.type))
            if not member.name and isinstance(inner, Struct | Union):
                yield from self.fields(inner, owner, hops, seen)
            elif member.name.isidentifier() and not keyword.iskeyword(member.name) and member.name not in seen:
                seen.add(member.name)
                yield f"    {member.name}: {self.shown(member.type, f'{owner}__{member.name}', hops)}"

    def shown(self, number: int, name: str, hops: int) -> str:
        """The annotation of a field; `name` is for a struct that has none."""
        resolved = self.btf.resolve(number)
        match self.btf.type(resolved):
            case Struct() | Union():
                return f"_k.{self.name(resolved, self.called(number) or name, hops)}"
            case Array(type=element):
                behind = self.btf.resolve(element)
                if self.btf.name(behind) == "char" and self.btf.kind(behind) is Kind.INT:
                    return "_b.str"
                return f"_b.list[{self.shown(element, name, hops)}]"
            case Ptr(type=target):
                return self.pointed(target, name, hops)
            case Int(bool=True):
                return "bool"
            case Int() | Enum() | Enum64():
                return "int"
            case Float():
                return "Any"
        return "Any"

    def pointed(self, number: int, name: str, hops: int) -> str:
        here = number
        while isinstance(found := self.btf.type(here), MODIFIERS):
            if isinstance(found, TypeTag) and found.name in ADDRESSES:
                return "int"
            here = found.type
        if not isinstance(found, Struct | Union):
            return "int"  # an address
        if hops >= self.depth and here not in self.names:
            return "Any"
        return f"_k.{self.name(here, self.called(number) or name, hops + 1) if hops < self.depth else self.names[here]}"

    def called(self, number: int) -> str:
        """The name of a struct, or of the typedef that it is known by."""
        while isinstance(found := self.btf.type(number), MODIFIERS):
            if isinstance(found, Typedef) and not self.btf.name(self.btf.resolve(number)):
                return found.name
            number = found.type
        return self.btf.name(number)
