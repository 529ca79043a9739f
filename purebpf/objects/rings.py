"""Rings of a loaded object, read as those of Python's programs are: records of a type, one by one, many at once, or awaited."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, cast

from purebpf.btf.reader import Btf
from purebpf.btf.types import Kind
from purebpf.errors import Error
from purebpf.lang.maps import EventMap
from purebpf.lang.maps.by_spec import declared
from purebpf.lang.types import type_of
from purebpf.objects.layouts import Layouts
from purebpf.objects.records import record_of
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

READ = (MapType.RINGBUF, MapType.PERF_EVENT_ARRAY)
KINDS = (Kind.STRUCT, Kind.UNION, Kind.TYPEDEF, Kind.ENUM, Kind.ENUM64)


def stream(spec: MapSpec, wanted: Any, btf: Btf | None) -> EventMap[Any]:
    """The ring with records of a type, not bound yet: of a class, of the name of a type in the object, or of what the object
    says of the ring (None), bytes where it says nothing. Raises Error for what is no ring, and for a type that is none."""
    if spec.type not in READ:
        kind = spec.type.name.lower()
        raise Error(f"The map {spec.name!r} ({kind}) has no records: ring buffers and perf event arrays have.")
    return cast("EventMap[Any]", declared(spec, _brackets(spec, wanted, btf)))


def _brackets(spec: MapSpec, wanted: Any, btf: Btf | None) -> tuple[Any, ...]:
    if wanted is None and btf is not None and spec.types is not None and spec.types.record:
        return (record_of(Layouts(btf).layout(spec.types.record, f"{spec.name}_record")),)
    if wanted is None or wanted is bytes:
        return ()
    if isinstance(wanted, str):
        return (_named(wanted, btf),)
    if type_of(wanted) is None:
        shown = getattr(wanted, "__name__", repr(wanted))
        raise Error(
            f"The records of {spec.name!r} cannot be read as `{shown}`: give a class with `@bpf.struct`, a scalar such as "
            "`bpf.u32`, `bytes`, or the name of a struct of the object."
        )
    return (wanted,)


def _named(name: str, btf: Btf | None) -> Any:
    """The class for a type of the object."""
    if btf is None:
        what = f"The object has no types, so none is called {name!r}"
        raise Error(f"{what}: compile it with -g, or give a class with `@bpf.struct`.")
    plain = name.removeprefix("struct ").removeprefix("union ").removeprefix("enum ")
    found = btf.types_named(plain, KINDS)
    if not found:
        known = [each for number, type in btf if type.kind in KINDS and (each := btf.name(number))]
        near = get_close_matches(plain, known, 3)
        told = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(dict.fromkeys(known)) or 'none'}"
        raise Error(f"The object has no type {name!r}; {told}")
    return record_of(Layouts(btf).layout(found[0], plain))
