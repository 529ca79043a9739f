"""Many values out of bytes at once: a function is made for a type of record, which `struct` then leads through all of them.

For two 32-bit numbers and a text it is

    def values(content):
        found = []
        append = found.append
        for v0, v1, v2 in unpack(content):
            value = new(record)
            value.pid = v0
            value.size = v1
            value.comm = decode2(v2)
            append(value)
        return found
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from struct import Struct
from typing import Any

from purebpf.engine import Run
from purebpf.lang.packing import decoder, letter
from purebpf.lang.types import BytesType, StructType, Type

Values = Callable[[bytes], list[Any]]


def values_of(layout: Type, run: Run, first: int, last: int) -> list[Any]:
    """The values of some records of a run, which are at least as long as the type; of no type they are their bytes."""
    if isinstance(layout, BytesType) and not layout.size:
        content = run.part(first, last)
        return [content[at : at + run.size] for at in range(run.start, len(content), run.stride)]
    return _values(layout, run.start, run.stride)(run.part(first, last))


@cache
def _values(layout: Type, start: int, stride: int) -> Values:
    rest = stride - start - layout.size
    if not isinstance(layout, StructType):
        code, decode = _code(layout)
        whole = Struct(f"<{start}x{code}{rest}x").iter_unpack
        make = decode or (lambda value: value)
        return lambda content: [make(value) for (value,) in whole(content)]
    fields = layout.values
    if layout.union or not fields or any(field.bits for field in fields):
        one, size = decoder(layout), layout.size
        return lambda content: [one(content[at : at + size]) for at in range(start, len(content), stride)]
    known: dict[str, Any] = {"new": object.__new__, "record": layout.record}
    format, at, lines = f"<{start}x", 0, []
    for n, field in enumerate(fields):
        code, decode = _code(field.type)
        format += f"{field.offset - at}x{code}"
        at = field.offset + field.type.size
        known[f"decode{n}"] = decode
        lines.append(f"        value.{field.name} = " + (f"decode{n}(v{n})" if decode else f"v{n}"))
    known["unpack"] = Struct(f"{format}{layout.size - at + rest}x").iter_unpack
    names = "".join(f"v{n}, " for n in range(len(fields)))
    body = "\n".join(lines)
    begin = "def values(content):\n    found = []\n    append = found.append\n"
    loop = f"    for {names}in unpack(content):\n        value = new(record)\n{body}\n        append(value)\n"
    exec(f"{begin}{loop}    return found\n", known)
    made: Values = known["values"]
    return made


def _code(layout: Type) -> tuple[str, Callable[[bytes], Any] | None]:
    """How `struct` reads a value, and what makes it of that; None where nothing is to be made."""
    if (plain := letter(layout)) is not None:
        return plain, None
    return f"{layout.size}s", decoder(layout)
