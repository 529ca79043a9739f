"""What a test run is given: a packet, a context, a number of runs; checked, and as the bytes that an engine takes."""

from __future__ import annotations

from collections.abc import Mapping

from purebpf.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from purebpf.spec import ProgramSpec


def check_given(packet: object, ctx: object, repeat: object = 1) -> None:
    """Raise Error for what is no packet, no context or no number of runs."""
    for name, given in (("packet", packet), ("ctx", ctx)):
        if given is None or isinstance(given, bytes | bytearray | memoryview):
            continue
        if name == "ctx" and (isinstance(given, Mapping) or hasattr(type(given), "__bpf_type__")):
            continue
        fields = ', or its fields: ctx={"name": value}' if name == "ctx" else ""
        raise Error(f"`{name}` is bytes, not {given!r}: {name}=bytes(64), or a record's `to_bytes()`{fields}")
    if isinstance(repeat, bool) or not isinstance(repeat, int) or not 0 < repeat < 1 << 32:
        raise Error(f"`repeat` says how often it runs, 1 or more times, not {repeat!r}")


def context_of(spec: ProgramSpec, ctx: Any, packet: bytes | None) -> bytes | None:
    """The bytes of a context that is given as bytes, as a record, or by its fields. Raises Error for fields that do not fit."""
    if ctx is None or isinstance(ctx, bytes | bytearray | memoryview):
        return None if ctx is None else bytes(ctx)
    if not isinstance(ctx, Mapping):
        record: bytes = ctx.to_bytes()
        return record
    from purebpf.lang.given import built
    from purebpf.lang.network_types import all_kinds

    fitting = (kind for kind in all_kinds().values() if kind.type is spec.type)
    kinds = sorted(fitting, key=lambda kind: kind.attach is not spec.attach_type)
    if not kinds:
        raise Error(f"the context of `{spec.name}` is given as bytes: a {spec.type.name.lower()} program has no fields by name")
    return built(kinds[0], spec.attach_to, ctx, packet)
