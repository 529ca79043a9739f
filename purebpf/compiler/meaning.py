"""What a program's types say that its text alone does not: for whoever runs the same text as plain Python.

Python's integers have no end, a register has 64 bits. Whether a result wraps as an unsigned or as a signed number follows from
the ranges that the frontend found; it notes each result here, by the place in the source.
"""

from __future__ import annotations

import ast
from types import CodeType, FunctionType
from typing import Any

from purebpf.data import data, made
from purebpf.lang.types import Type

Spot = tuple[str, str, int, int, int, int]
"""Kind of node, file, first line and column, last line and column."""
Way = tuple[Spot, ...]
"""The calls through which inlined code was reached, outermost first, and the turns of loops that stand once for each item."""
Ways = dict[Way, set[bool]]
"""Whether a result is signed; both, where the body of a loop over a tuple stands for several types."""
Annotation = Type | type[Any]


TURN = "turn "


def turn(loop: ast.AST, file: str, index: int) -> Spot:
    """The copy of a loop's body for its item of this index."""
    return f"{TURN}{index}", *spot(loop, file)[1:]


def loop_of(turn: Spot) -> Spot:
    """The loop that a turn belongs to."""
    return "For", *turn[1:]


def spot(node: ast.AST, file: str) -> Spot:
    where = [getattr(node, name, 0) or 0 for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")]
    return type(node).__name__, file, where[0], where[1], where[2], where[3]


@data
class Result:
    """One result of arithmetic: where, reached how, whether it can leave 64 bits, whether it can be negative."""

    spot: Spot
    way: Way
    wraps: bool
    negative: bool


@data(frozen=False)
class Meaning:
    """`results` in the order of lowering, those of functions of their own in `settled`; `annotations` are, by code object,
    those of variables and of the result; `inner` those of variables in functions that are defined inside a program, by the
    definition's place; `names` what the names from around each function stood for."""

    results: list[Result] = made(list)
    settled: list[Result] = made(list)
    annotations: dict[CodeType, tuple[dict[str, Annotation], Annotation | None]] = made(dict)
    inner: dict[Spot, dict[str, Annotation]] = made(dict)
    names: dict[FunctionType, dict[str, Any]] = made(dict)

    def settle(self, first: int, valid: bool = True) -> None:
        """The results from `first` on are those of a function that is not lowered again, or of one that is not used."""
        self.settled += self.results[first:] if valid else []
        del self.results[first:]

    def wrapping(self) -> dict[Spot, Ways]:
        """Where results may leave 64 bits: whether the number is signed, for each way that leads there."""
        results = [*self.settled, *self.results]
        spots = {result.spot for result in results if result.wraps}
        found: dict[Spot, Ways] = {each: {} for each in spots}
        for result in results:
            if result.spot in spots:
                found[result.spot].setdefault(result.way, set()).add(result.negative)
        return found
