"""`bpf.dynptr(...)`: bytes that only the kernel reaches, wherever they lie, for the compiler and for type checkers."""

from __future__ import annotations

from typing import Any, TypeVar

from purebpf.lang.idioms import _only_in_a_program

T = TypeVar("T")


class Dynptr:
    """Bytes of a packet, or of a place in a map or a global; `len(data)` is how many (of a packet Linux 6.5)."""

    def at(self, offset: int, type: type[T], /) -> T | None:
        """What is at an offset; None where the bytes end before. Of a packet it can only be read, and may be a copy."""
        _only_in_a_program("Dynptr.at()")

    def read(self, offset: int, type: type[T], /) -> T | None:
        """A copy of what is at an offset; None where the bytes end before."""
        _only_in_a_program("Dynptr.read()")

    def write(self, offset: int, data: Any, /) -> int:
        """Copy a record, array, text or bytes to an offset; 0, or -7 (E2BIG) beyond the end."""
        _only_in_a_program("Dynptr.write()")

    def __len__(self) -> int:
        _only_in_a_program("len(Dynptr)")


def dynptr(of: Any, /) -> Dynptr:
    """The bytes of `ctx.packet` with its paged part (kernel functions bpf_dynptr_from_xdp, bpf_dynptr_from_skb, Linux 6.4), or
    of a record, array, text or bytes in a map or a global (helper dynptr_from_mem, Linux 5.19)."""
    _only_in_a_program("dynptr()")
