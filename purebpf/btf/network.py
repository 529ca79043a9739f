"""The kernel's names for numbers in network byte order (`__be16` and the like, linux/types.h): typedefs of plain integers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from purebpf.btf.types import Const, Restrict, Typedef, TypeTag, Volatile

if TYPE_CHECKING:
    from purebpf.btf.reader import Btf

BITS = {"__be16": 16, "__be32": 32, "__be64": 64}
MODIFIERS = (Typedef, Volatile, Const, Restrict, TypeTag)


def network_bits(btf: Btf, number: int) -> int:
    """The bits of a type that is one of them by whatever other names; 0 for any other."""
    while isinstance(found := btf.type(number), MODIFIERS):
        if isinstance(found, Typedef) and found.name in BITS:
            return BITS[found.name]
        number = found.type
    return 0
