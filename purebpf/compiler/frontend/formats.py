"""Format specs of printed values: Python's `{n:#06x}` as the kernel's `0x%04llx`.

The kernel's conversions are d, u, x, X and s with a width and the flags `-`, `0`, `+` and blank (bpf_bprintf_prepare,
kernel/bpf/helpers.c). What it cannot print as Python would is an error.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from purebpf.compiler.frontend.values import S64_HIGH, IntValue

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

SPEC = re.compile(
    r"(?:(?P<fill>.)??(?P<align>[<>=^]))?(?P<sign>[-+ ])?(?P<alternate>#)?(?P<zero>0)?(?P<width>\d{0,3})(?P<letter>[a-zA-Z]?)"
)
PREFIXES = {"x": "0x", "X": "0X"}
INTEGERS = "it knows `d`, `x`, `X`, `<`, `>`, `+`, `#`, a width and a leading 0, such as `{n:08x}` and `{n:<6}`"
TEXTS = "it knows a width, `<` and `>`, such as `{name:>16}`"


def integer(cx: Lowering, node: ast.expr, number: IntValue, spec: str) -> str:
    """The conversion of an integer, with what stands before it."""
    given = SPEC.fullmatch(spec)
    if given is None or given["letter"] not in ("", "d", "x", "X") or not _plain(given):
        cx.fail(node, f"the kernel cannot print an integer as `{spec}`", hint=INTEGERS)
    signed, hexadecimal = number.low < 0, given["letter"] in PREFIXES
    if signed and hexadecimal:
        cx.fail(node, "the kernel prints no negative number in hexadecimal", hint="cast it first: `u64(x)` or `u32(x)`")
    sign = (given["sign"] or "").strip("-")
    if sign and (hexadecimal or number.high > S64_HIGH):
        cx.fail(
            node, f"the kernel prints no sign before an unsigned number, as `{spec}` asks for", hint="write it yourself: `+{n}`"
        )
    width, left, prefix = int(given["width"] or 0), given["align"] == "<", ""
    if given["alternate"] and hexadecimal:
        prefix = PREFIXES[given["letter"]]
        if width > len(prefix) and not left and not given["zero"]:
            cx.fail(node, f"the kernel cannot print an integer as `{spec}`", hint="a prefix is followed by zeros: `{n:#010x}`")
        width = max(0, width - len(prefix))
    letter = given["letter"] if hexadecimal else "d" if signed or sign else "u"
    flags = sign + ("-" if left and width else "0" if given["zero"] and width else "")
    return f"{prefix}%{flags}{width or ''}ll{letter}"


def text(cx: Lowering, node: ast.expr, spec: str) -> str:
    """The conversion of a text, which stands on the left of its width unless told otherwise."""
    given = SPEC.fullmatch(spec)
    bad = given is None or given["letter"] not in ("", "s") or given["sign"] or given["alternate"] or given["zero"]
    if given is None or bad or not _plain(given):
        cx.fail(node, f"the kernel cannot print a text as `{spec}`", hint=TEXTS)
    if not given["width"]:
        return "%s"
    return f"%{'' if given['align'] == '>' else '-'}{given['width']}s"


def _plain(given: re.Match[str]) -> bool:
    """Whether it asks for blanks only, on the left or the right."""
    return given["fill"] in (None, " ") and given["align"] in (None, "<", ">") and not (given["align"] and given["zero"])
