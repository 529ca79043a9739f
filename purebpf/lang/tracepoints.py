"""The fields of tracepoints: from the event's format in tracefs, else from the kernel's BTF.

The format (Documentation/trace/events.rst) names each field's C type, offset and slot; the C type decides width and sign, since
slots are padded to 8 bytes (`int dfd` in an 8-byte slot is a signed 32-bit integer). Without access to tracefs, BTF's
`struct trace_event_raw_<event>` has the same layout.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache

from purebpf.errors import Error
from purebpf.lang.types import ArrayType, CharsType, IntType, Type

PLACES = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
COMMON = 8  # bytes at the start that the kernel keeps from programs
HOOK = re.compile(r"[A-Za-z0-9_]+/[A-Za-z0-9_]+")
FIELD = re.compile(
    r"\s*field:(?P<decl>[^;]+);\s*offset:(?P<offset>\d+);\s*size:(?P<size>\d+);(?:\s*signed:(?P<signed>[01]);)?\s*"
)
DECLARATION = re.compile(r"(?P<type>.*?)\s*\b(?P<name>\w+)\s*(?:\[(?P<count>\w*)\])?")

C_INTEGERS = {
    "char": (8, True), "signed char": (8, True), "unsigned char": (8, False),
    "short": (16, True), "unsigned short": (16, False),
    "int": (32, True), "unsigned": (32, False), "unsigned int": (32, False), "long": (64, True), "unsigned long": (64, False),
    "long long": (64, True), "unsigned long long": (64, False), "bool": (8, False), "pid_t": (32, True), "umode_t": (16, False),
    "size_t": (64, False), "gfp_t": (32, False), "dev_t": (32, False), "sector_t": (64, False), "loff_t": (64, True),
}  # fmt: skip
FIXED = re.compile(r"_*(?P<sign>[us])(?:int)?(?P<bits>8|16|32|64)(?:_t)?")


@dataclass(frozen=True, slots=True)
class EventField:
    """A field of an event; `type` is None for what a program cannot read (the first 8 bytes, and dynamic arrays so far)."""

    name: str
    c_type: str
    offset: int
    type: Type | None


@cache
def event_fields(hook: str) -> dict[str, EventField]:
    """The fields of "category/name". Raises Error for an unknown event, or when neither tracefs nor BTF can be read."""
    reason = unknown(hook)
    if reason is not None:
        raise Error(reason)
    for place in PLACES:
        try:
            with open(f"{place}/events/{hook}/format", encoding="ascii", errors="replace") as file:
                return parse_format(file.read())
        except OSError:
            continue
    return _from_btf(hook)


def unknown(hook: str) -> str | None:
    """Why there is no such event, with similar names; None when there is one, or when nobody can tell (no tracefs)."""
    if not HOOK.fullmatch(hook):
        return f"{hook!r} is no tracepoint: write category/name, such as syscalls/sys_enter_openat"
    for place in PLACES:
        try:
            os.stat(f"{place}/events/{hook}")
            return None
        except FileNotFoundError:
            if os.path.isdir(f"{place}/events/sched"):
                return _unknown(hook, place)
        except OSError:
            continue
    return None


def _unknown(hook: str, place: str) -> str:
    import difflib

    category, name = hook.split("/")
    try:
        names = os.listdir(f"{place}/events/{category}")
    except OSError:
        names = []
        known = difflib.get_close_matches(category, os.listdir(f"{place}/events"), 3)
        return f"the kernel has no tracepoint category `{category}`" + (
            f"; did you mean {' or '.join(known)}?" if known else ""
        )
    near = difflib.get_close_matches(name, names, 3)
    return f"the kernel has no tracepoint `{hook}`" + (
        f"; did you mean {' or '.join(f'{category}/{n}' for n in near)}?" if near else ""
    )


def parse_format(text: str) -> dict[str, EventField]:
    """The fields in an event's format file. Raises Error for a text that is none."""
    fields: dict[str, EventField] = {}
    for line in text.splitlines():
        if not line.lstrip().startswith("field:"):
            continue
        match = FIELD.fullmatch(line)
        declaration = DECLARATION.fullmatch(match["decl"].strip()) if match else None
        if match is None or declaration is None:
            raise Error(f"this line of a tracepoint's format is not understood: {line.strip()!r}")
        offset, size = int(match["offset"]), int(match["size"])
        c_type = declaration["type"].strip()
        array = declaration["count"] is not None
        readable = offset >= COMMON and not c_type.startswith(("__data_loc", "__rel_loc"))
        type = field_type(c_type, size, match["signed"] == "1", array) if readable else None
        fields[declaration["name"]] = EventField(declaration["name"], c_type + "[]" * array, offset, type)
    if not fields:
        raise Error("this is no tracepoint's format: it has no fields")
    return fields


def field_type(c_type: str, size: int, signed: bool, array: bool) -> Type | None:
    """The layout that a C declaration in a slot of `size` bytes has."""
    plain = " ".join(word for word in c_type.split() if word not in ("const", "volatile", "struct"))
    if "*" in plain:
        return IntType(64) if not array and size == 8 else None
    element = _integer(plain)
    if array:
        if plain == "char":
            return CharsType(size)
        if element is None or size % element.size:
            return None
        return ArrayType(element, size // element.size)
    if element is not None and element.size <= size:
        return element
    return IntType(8 * size, signed) if size in (1, 2, 4, 8) else None


def _integer(name: str) -> IntType | None:
    if name in C_INTEGERS:
        return IntType(*C_INTEGERS[name])
    fixed = FIXED.fullmatch(name)
    return IntType(int(fixed["bits"]), fixed["sign"] == "s") if fixed else None


def _from_btf(hook: str) -> dict[str, EventField]:
    """The fields by `struct trace_event_raw_<name>`, or that of the system calls' events."""
    from purebpf.btf.reader import kernel_btf
    from purebpf.btf.types import Kind, Struct

    btf = kernel_btf()
    category, name = hook.split("/")
    structs = [f"trace_event_raw_{name}", f"trace_event_raw_{name}_template"]
    if category == "syscalls":
        structs = ["trace_event_raw_sys_enter" if name.startswith("sys_enter_") else "trace_event_raw_sys_exit"]
    for candidate in structs:
        for number in btf.find_all(candidate, Kind.STRUCT):
            layout = btf.type(number)
            assert isinstance(layout, Struct)
            return _members(btf, layout)
    raise Error(
        f"the fields of tracepoint `{hook}` cannot be found out: tracefs is not readable here, and the kernel's types have no "
        f"`struct {structs[0]}`. Mount tracefs (mount -t tracefs tracefs {PLACES[0]}) or run as root"
    )


def _members(btf: object, layout: object) -> dict[str, EventField]:
    from purebpf.btf import types
    from purebpf.btf.reader import Btf

    assert isinstance(btf, Btf) and isinstance(layout, types.Struct)
    fields: dict[str, EventField] = {}
    for member in layout.members:
        if not member.name or member.name.startswith("__data"):
            continue
        resolved = btf.type(btf.resolve(member.type))
        offset = member.bit_offset // 8
        type: Type | None = None
        c_type = resolved.__class__.__name__.lower()
        match resolved:
            case types.Int():
                type, c_type = IntType(resolved.size * 8, resolved.signed), resolved.name
            case types.Ptr():
                type = IntType(64)
            case types.Enum():
                type = IntType(resolved.size * 8, resolved.signed)
            case types.Array():
                element = btf.type(btf.resolve(resolved.type))
                if isinstance(element, types.Int) and resolved.length:
                    one = IntType(element.size * 8, element.signed)
                    text = element.size == 1 and element.name == "char"
                    type = CharsType(resolved.length) if text else ArrayType(one, resolved.length)
        if member.name.startswith("__data_loc") or offset < COMMON:
            type = None
        fields[member.name] = EventField(member.name, c_type, offset, type)
    return fields
