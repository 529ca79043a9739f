"""Parameters of a probe that a program has itself (USDT): its arguments, in their order.

    @bpf.usdt("libstdc++.so.6", "libstdcxx", "throw")
    def thrown(object, type): ...          # names of one's own; `arg1` is the second wherever it stands

What is where differs from place to place of a probe, and is known when the program is compiled: the code for each way stands in
the program, and the link's cookie (its low 16 bits) tells which one it is.
"""

from __future__ import annotations

import ast
import os
import re
from typing import TYPE_CHECKING

from purebpf.binaries.files import find_binary
from purebpf.binaries.usdt import Argument, Site, arguments, probe_sites, specification, specifications
from purebpf.compiler.frontend import helpers, memory
from purebpf.compiler.frontend.values import U64, Context, IntValue, Unset, Value
from purebpf.compiler.ir.ops import BOOL, I64, Op
from purebpf.errors import Error
from purebpf.lang.types import IntType
from purebpf.lang.usdt import COOKIE_BITS

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.compiler.frontend.source import Source

NUMBERED = re.compile(r"arg(\d+)")
Ways = list[list["Argument | str"]]


def bind(cx: Lowering, source: Source, names: list[ast.arg], contexts: list[ast.arg]) -> None:
    """Give the program's parameters their values."""
    from purebpf.compiler.frontend import statements

    assert cx.context is not None
    binary, provider, name = cx.unit.hook.rsplit(":", 2)
    try:
        path = find_binary(binary)
        ways = _ways(path, probe_sites(path, provider, name))
    except Error as error:
        cx.fail(source.node.decorator_list[0] if source.node.decorator_list else source.node, str(error))
    which: Op | None = None
    at = 0
    for argument in names:
        with cx.at(argument):
            if argument in contexts:
                statements.bind(cx, argument, argument.arg, Context(cx.context))
                continue
            numbered = NUMBERED.fullmatch(argument.arg)
            number = int(numbered[1]) if numbered else at
            at += 1
            if argument.arg.startswith("_"):
                cx.flow.names[argument.arg] = Unset(argument.arg, "its name says that it is left out")
                continue
            _check(cx, argument, number, ways)
            if which is None and len(ways) > 1:
                which = _which(cx, argument)
            statements.bind(cx, argument, argument.arg, _value(cx, argument, number, ways, which))


def _ways(path: str, sites: tuple[Site, ...]) -> Ways:
    """The arguments in each of the ways that the places have them."""
    known = specifications(sites)
    by_number = {specification(site, known): site for site in sites}
    return [arguments(path, by_number[number], os.uname().machine) for number in range(len(known))]


def _check(cx: Lowering, node: ast.arg, number: int, ways: Ways) -> None:
    least = min(len(way) for way in ways)
    if number >= least:
        hook = cx.unit.hook.partition(":")[2]
        has = f"it has {least}" if least == max(len(way) for way in ways) else f"at one of its places it has {least}"
        cx.fail(
            node,
            f"the probe `{hook}` has no argument number {number}",
            has,
            "they count from 0, in the order of the parameters",
        )
    reasons = [way[number] for way in ways if isinstance(way[number], str)]
    if reasons:
        cx.fail(
            node,
            f"`{node.arg}` cannot be read",
            str(reasons[0]),
            f"leave it out: name it `_{node.arg}`",
        )


def _which(cx: Lowering, node: ast.AST) -> Op:
    cookie = helpers.scalar(cx, node, "get_attach_cookie", [_context(cx)], 0, U64)
    return cx.builder.emit("and", I64, [cookie.op, cx.const((1 << COOKIE_BITS) - 1)])


def _context(cx: Lowering) -> Op:
    assert cx.context is not None
    return cx.context


def _value(cx: Lowering, node: ast.AST, number: int, ways: Ways, which: Op | None) -> Value:
    """The argument, by the way that the cookie tells; ways that have it in the same place are one."""
    places: dict[Argument, list[int]] = {}
    for index, way in enumerate(ways):
        argument = way[number]
        assert isinstance(argument, Argument)
        places.setdefault(argument, []).append(index)
    *others, (last, _) = places.items()

    def choose(rest: list[tuple[Argument, list[int]]]) -> Value:
        if not rest or which is None:
            return _read(cx, node, last)
        (argument, numbers), *more = rest
        return among(argument, numbers, more)

    def among(argument: Argument, numbers: list[int], more: list[tuple[Argument, list[int]]]) -> Value:
        first, *further = numbers
        assert which is not None
        here = cx.builder.emit("eq", BOOL, [which, cx.const(first)])
        return cx.diamond(
            here,
            lambda: _read(cx, node, argument),
            lambda: among(argument, further, more) if further else choose(more),
        )

    return choose(others)


def _read(cx: Lowering, node: ast.AST, argument: Argument) -> IntValue:
    if argument.kind == "constant":
        bits = 8 * argument.size
        low = argument.value & (1 << bits) - 1
        return cx.int_const(low - (1 << bits) if argument.signed and low >> bits - 1 else low)
    if argument.kind == "register":
        from purebpf.compiler.frontend.parameters import narrowed

        whole = _load(cx, argument.base)
        if argument.value:
            whole = cx.builder.emit("lshr", I64, [whole, cx.const(argument.value)])
        return narrowed(cx, whole, 8 * argument.size, argument.signed)
    address = _load(cx, argument.base)
    if argument.index is not None:
        step = cx.builder.emit("mul", I64, [_load(cx, argument.index), cx.const(argument.scale)])
        address = cx.builder.emit("add", I64, [address, step])
    address = cx.builder.emit("add", I64, [address, cx.const(argument.value)])
    helpers.allowed(cx, node, "probe_read_user")
    place = memory.temporary(cx, IntType(8 * argument.size, argument.signed))
    cx.call("probe_read_user", [place.op, cx.const(argument.size), address])
    value = memory.load(cx, node, place)
    assert isinstance(value, IntValue)
    return value


def _load(cx: Lowering, offset: int) -> Op:
    return cx.builder.emit("load", I64, [_context(cx)], (8, 0, offset))
