"""Contexts of runs: the bytes that r1 points to, by program type, and what the kernel's test run makes of those a caller
gives.

Sources: `purebpf.tables.contexts` for the fields, net/bpf/test_run.c for what a caller may set and what comes back. A
context is plain memory here, since its pointers fit in their 32-bit fields (see memory.py).
"""

from __future__ import annotations

from functools import cache

from purebpf.tables.context_rows import STRUCTS
from purebpf.tables.contexts import SETTABLE, ContextKind, FieldKind, context
from purebpf.tables.enums import ProgramType
from purebpf.vm.facts import E2BIG, EINVAL, kernel_error
from purebpf.vm.packet import Place

SKB_RETURNED = ("mark", "priority", "ingress_ifindex", "ifindex", "tstamp", "cb", "wire_len", "gso_segs", "hwtstamp")
SKB, XDP = "__sk_buff", "xdp_md"
SKB_SETTABLE, XDP_SETTABLE = SETTABLE[SKB], ("data", "data_end", *SETTABLE[XDP])


@cache
def places(struct: str) -> dict[str, Place]:
    """Every field of a context structure, whether or not some program may use it."""
    row = next(row for row in STRUCTS if row[0] == struct)
    return {name: Place(offset, size) for name, offset, size, *_ in row[3]}


@cache
def size(struct: str) -> int:
    return next(row[1] for row in STRUCTS if row[0] == struct)


def has_checked_stores(type: ProgramType) -> bool:
    """Whether programs of a type may write some fields of their context and not others."""
    found = context(type)
    return found is not None and found.kind is ContextKind.STRUCT and any(field.writable for field in found.fields.values())


def pointers(type: ProgramType) -> tuple[str, ...]:
    """The fields of a type's context that point to things of the kernel."""
    found = context(type)
    return () if found is None else tuple(f.name for f in found.fields.values() if f.kind is not FieldKind.SCALAR)


def padded(given: bytes, length: int, what: str) -> bytearray:
    """A context as long as its structure. Raises KernelError (E2BIG) when what is too much of it is not zero."""
    if any(given[length:]):
        raise kernel_error(E2BIG, what, reason=f"The context has {len(given)} bytes, this kind of program's only {length}.")
    return bytearray(given[:length].ljust(length, b"\0"))


def settable(given: bytearray, struct: str, names: tuple[str, ...], what: str) -> None:
    """Raise KernelError (EINVAL) when a caller set a field that a test run does not take from it."""
    rest = bytearray(given)
    for name in names:
        place = places(struct)[name]
        rest[place.offset : place.offset + place.size] = bytes(place.size)
    if any(rest):
        wrong = [name for name, place in places(struct).items() if any(rest[place.offset : place.offset + place.size])]
        reason = f"The context sets {', '.join(wrong)}; a test run takes only {', '.join(names)} of it."
        raise kernel_error(EINVAL, what, reason=reason)
