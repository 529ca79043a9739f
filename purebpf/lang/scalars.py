"""The integer types `u8` to `s64` and `be16` to `be64`.

For a type checker each is `int`; at run time each is a class whose call narrows: `u8(300)` is 44, as storing 300 in a byte.
What is no integer (a float, a text) is a TypeError.
"""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias

from purebpf.lang.types import IntType

if TYPE_CHECKING:
    u8: TypeAlias = int
    u16: TypeAlias = int
    u32: TypeAlias = int
    u64: TypeAlias = int
    s8: TypeAlias = int
    s16: TypeAlias = int
    s32: TypeAlias = int
    s64: TypeAlias = int
    be16: TypeAlias = int
    be32: TypeAlias = int
    be64: TypeAlias = int
else:

    def _scalar(name: str, layout: IntType) -> type:
        def __new__(cls: type, value: Any = 0) -> int:
            low = index(value) & ((1 << layout.bits) - 1)
            return low - (1 << layout.bits) if layout.signed and low >> (layout.bits - 1) else low

        body = {"__new__": __new__, "__bpf_type__": layout, "__slots__": (), "__module__": "purebpf"}
        return type(name, (), body)

    u8, u16, u32, u64 = (_scalar(f"u{n}", IntType(n)) for n in (8, 16, 32, 64))
    s8, s16, s32, s64 = (_scalar(f"s{n}", IntType(n, signed=True)) for n in (8, 16, 32, 64))
    be16, be32, be64 = (_scalar(f"be{n}", IntType(n, big=True)) for n in (16, 32, 64))
