"""Graphs of types for the tests, built in one order or another."""

from __future__ import annotations

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.reader import Btf
from purebpf.btf.types import (
    Array,
    Const,
    DeclTag,
    Enum,
    Func,
    FuncProto,
    Int,
    Linkage,
    Member,
    Parameter,
    Ptr,
    Struct,
    Typedef,
    Union,
)

CHAR, INT, U8, U32, U64, BOOL, LONG = (
    Int("char", 1, 8, signed=True),
    Int("int", 4, 32, signed=True),
    Int("unsigned char", 1, 8),
    Int("unsigned int", 4, 32),
    Int("long long unsigned int", 8, 64),
    Int("_Bool", 1, 8, bool=True),
    Int("long unsigned int", 8, 64),
)


def task(builder: BtfBuilder, *, pid: str = "pid", comm: int = 16) -> int:
    """A struct with a circle through its pointers, an anonymous union, bit fields, an enum, text and a function pointer.

    The numbers are in an order that depends on nothing but the calls here."""
    add, task_number = builder.add, builder.reserve()
    integer, word = add(INT), add(U32)
    text = add(Array(add(CHAR), integer, comm))
    state = add(Enum("state", 4, False, (("RUNNING", 0), ("SLEEPING", 1), ("DEAD", 16))))
    pointer = add(Ptr(task_number))
    either = add(Union("", 8, (Member("number", add(U64), 0), Member("parts", add(Array(word, integer, 2)), 0))))
    function = add(Ptr(add(FuncProto(integer, (Parameter("self", pointer), Parameter("how", add(Const(word))))))))
    members = (
        Member(pid, add(Typedef("pid_t", integer)), 0),
        Member("state", state, 32),
        Member("low", word, 64, 3),
        Member("high", word, 67, 29),
        Member("flag", add(BOOL), 96),
        Member("", either, 128),
        Member("comm", text, 192),
        Member("next", pointer, 192 + 8 * comm),
        Member("run", function, 256 + 8 * comm),
    )
    builder.define(task_number, Struct("task", 40 + comm, members))
    return task_number


def task_btf(**changes: object) -> tuple[Btf, int]:
    """BTF with that struct (number 1), a function that takes it and is tagged."""
    builder = BtfBuilder("little")
    number = task(builder, **changes)  # type: ignore[arg-type]
    builder.add(LONG)
    prototype = builder.add(FuncProto(0, (Parameter("of", builder.add(Ptr(number))),)))
    function = builder.add(Func("kick", prototype, Linkage.GLOBAL))
    builder.add(DeclTag("bpf_kfunc", function, -1))
    builder.add(DeclTag("rcu", number, 7))
    return Btf(builder.encode()), number
