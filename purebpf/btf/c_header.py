"""BTF as a C header: everything defined before it is used, as `vmlinux.h` is.

A struct behind a pointer need only be declared; inside another one it must be defined. What only declares goes first as a line
`struct x;`, so circles through pointers are no trouble; any other circle is none that C has, and an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from purebpf.btf.c_declare import Declarations
from purebpf.btf.c_names import BUILT_IN, FLOATS, Names, identifier, is_arithmetic
from purebpf.btf.errors import BtfError
from purebpf.btf.graph import references
from purebpf.btf.layout import bits_of
from purebpf.btf.names import similar
from purebpf.btf.reader import Btf
from purebpf.btf.types import (
    Array,
    Composite,
    DataSec,
    DeclTag,
    Enum,
    Enum64,
    Float,
    Func,
    FuncProto,
    Fwd,
    Int,
    Kind,
    Ptr,
    Struct,
    Type,
    Typedef,
    Union,
    Var,
    Void,
)

HEAD = """\
#ifndef __{guard}__
#define __{guard}__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#ifdef __clang__
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif
#endif

#ifndef __ksym
#define __ksym __attribute__((section(".ksyms")))
#endif
#ifndef __weak
#define __weak __attribute__((weak))
#endif
"""
TAIL = """
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif

#endif
"""
Need = tuple[int, bool]  # a type, and whether it must be complete


def c_header(btf: Btf, types: Iterable[int] | None = None, *, guard: str = "VMLINUX_H", assertions: bool = False) -> str:
    """A header with these types and what they need; without `types`, with all of the BTF itself, and functions for programs.

    `assertions` adds a check of every size and offset, for the compiler to make. Raises BtfError for types that C has not.
    """
    header = _Header(btf)
    wanted = list(range(btf.first, len(btf)) if types is None else types)
    loose = _loose_enums(btf) if types is None else set()
    for number in wanted:
        type = btf.type(number)
        if number in loose and isinstance(type, Enum | Enum64):
            header.constants(type)
        elif types is None and isinstance(type, Func):
            header.kernel_function(number, type)
        elif types is not None or not isinstance(type, Var | DataSec):
            header.define(number)
    checks = list(header.assertions()) if assertions else []
    return HEAD.format(guard=identifier(guard)) + "\n" + "".join(header.lines + checks) + TAIL


def c_type(btf: Btf, number: int, name: str = "") -> str:
    """A type as C writes it in a declaration of `name`, or in a cast: `struct file *`, `int (*f)(void)`."""
    return Declarations(btf, Names(btf)).of(number, name)


class _Header:
    """The lines so far, and which types they make known."""

    def __init__(self, btf: Btf) -> None:
        self.btf, self.names = btf, Names(btf)
        self.declarations = Declarations(btf, self.names)
        self.lines: list[str] = []
        self._begun: set[Need] = set()
        self._done: set[Need] = set()
        self._declared: set[str] = set()
        self._defined: dict[int, Composite] = {}

    def define(self, number: int) -> None:
        """Write a type after all that it needs."""
        waiting = [((number, True), self._parts(number, True))]
        self._begun.add((number, True))
        while waiting:
            need, parts = waiting[-1]
            for part in parts:
                if part in self._done or not part[0]:
                    continue
                if part in self._begun:
                    raise BtfError(f"{self.btf.origin}: type {part[0]} needs itself to be complete, which no type in C does")
                self._begun.add(part)
                waiting.append((part, self._parts(*part)))
                break
            else:
                self._done.add(need)
                waiting.pop()

    def _parts(self, number: int, complete: bool) -> Iterator[Need]:
        """What must be known before a type; after that, the type is written."""
        if (number, True) in self._done:
            return
        type = self.btf.type(number)
        match type:
            case Struct() | Union():
                if not complete and type.name:
                    self._declare(number, type)
                    return
                yield from ((inner, True) for inner in references(type))
                if type.name:
                    self._write(number, type)
            case Enum() | Enum64() | Int() | Float():
                if not complete:
                    yield (number, True)
                elif type.name:
                    self._write(number, type)
            case Fwd():
                self._declare(number, type)
            case Typedef():
                if complete:
                    yield (number, False)
                    yield (type.type, True)
                else:
                    yield (type.type, False)
                    if type.name not in BUILT_IN:
                        self._write(number, type)
            case Ptr() | FuncProto():
                yield from ((inner, False) for inner in references(type))
            case Array():
                yield (type.type, True)
            case Var():
                yield (type.type, True)
                self._write(number, type)
            case Func():
                yield (type.type, False)
                self._write(number, type)
            case DataSec():
                yield from ((section.type, True) for section in type.variables)
            case DeclTag() | Void():
                return
            case _:
                yield (type.type, complete)

    def _declare(self, number: int, type: Struct | Union | Fwd) -> None:
        union = isinstance(type, Union) or (isinstance(type, Fwd) and type.union)
        line = f"{'union' if union else 'struct'} {self.names.of(number, type)};\n"
        if line not in self._declared:
            self._declared.add(line)
            self.lines.append(f"\n{line}")

    def _write(self, number: int, type: Type) -> None:
        if isinstance(type, Int | Float) and is_arithmetic(type.name):
            return
        if isinstance(type, Float):
            self.lines.append(f"\ntypedef {FLOATS[type.size]} {self.names.of(number, type)};\n")
            return
        self.lines.append(f"\n{self.declarations.defined(number, type)};\n")
        if isinstance(type, Composite):
            self._defined[number] = type
            self._declared.add(f"{type.kind.name.lower()} {self.names.of(number, type)};\n")

    def constants(self, type: Enum | Enum64) -> None:
        """An enum without a name that nothing refers to: there for its constants."""
        self.lines.append(f"\n{self.declarations.enum(type, '')};\n")

    def kernel_function(self, number: int, type: Func) -> None:
        """The prototype of a function that programs may call, under its own name; nothing for any other function."""
        if "bpf_kfunc" in self.btf.decl_tags(number) and self.names.of(number, type) == type.name:
            self.define(number)
            self.lines[-1] = self.lines[-1].removesuffix(";\n") + " __weak __ksym;\n"

    def assertions(self) -> Iterator[str]:
        """Checks of the sizes of all structs and unions, and of the offsets of their members but bit fields."""
        for number, type in self._defined.items():
            name = f"{type.kind.name.lower()} {self.names.of(number, type)}"
            yield f'_Static_assert(sizeof({name}) == {type.size}, "{name}");\n'
            for member in type.members:
                start, bits = bits_of(self.btf, member)
                if member.name and not bits:
                    place = f"__builtin_offsetof({name}, {identifier(member.name)})"
                    yield f'_Static_assert({place} == {start // 8}, "{name}.{identifier(member.name)}");\n'


def _loose_enums(btf: Btf) -> set[int]:
    """The enums of a BTF that have no name and that none of its types refers to."""
    nameless = {number for number in btf.numbers(Kind.ENUM, Kind.ENUM64) if number >= btf.first and not btf.name(number)}
    for _, type in btf if nameless else ():
        nameless.difference_update(references(type))
    return nameless


def named(btf: Btf, name: str) -> list[int]:
    """The types that a person means by a name: `task_struct`, or with its word, `struct task_struct`. Raises BtfError."""
    word, _, rest = name.partition(" ")
    words = {"struct": (Kind.STRUCT,), "union": (Kind.UNION,), "enum": (Kind.ENUM, Kind.ENUM64)}
    kinds, plain = (words[word], rest.strip()) if rest and word in words else ((), name)
    try:
        first = btf.find(plain, kinds)
    except BtfError as error:
        near = similar(btf, plain, kinds or (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.TYPEDEF))
        raise BtfError(f"{error}; similar: {near}" if near else str(error)) from None
    if kinds:
        return [first]
    found = btf.types_named(name)
    return [number for number in found if btf.kind(number) not in (Kind.FWD, Kind.DECL_TAG, Kind.TYPE_TAG)] or [first]
