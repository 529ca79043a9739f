"""The fields of tracepoints: from the event's format in tracefs, else from the kernel's BTF (`tracepoints_btf.py`).

The format (Documentation/trace/events.rst) names each field's C type, offset and slot. The C type decides width and sign: an
argument of a system call lies in a register's slot (`int dfd` in 8 bytes is a signed 32-bit integer). Mounts nothing.
"""

from __future__ import annotations

import os
import re
from functools import cache
from keyword import iskeyword

from purebpf.data import data
from purebpf.errors import Error
from purebpf.lang.types import ArrayType, BoolType, CharsType, IntType, Type

PLACES = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
COMMON = 8  # bytes at the start that the verifier keeps from programs (tp_prog_is_valid_access, kernel/trace/bpf_trace.c)
HOOK = re.compile(r"(?P<category>[A-Za-z0-9_-]+)/(?P<name>[A-Za-z0-9_-]+)")
FIELD = re.compile(
    r"field:(?P<declaration>[^;]+);\s*offset:(?P<offset>\d+);\s*size:(?P<size>\d+);(?:\s*signed:(?P<signed>[01]);)?"
)
DECLARATION = re.compile(r"(?P<type>\S.*?)\s*\b(?P<name>[A-Za-z_]\w*)\s*(?:\[(?P<count>[^\]]*)\])?")
FIXED = re.compile(r"_*(?P<sign>[us])(?:int)?(?P<bits>8|16|32|64)(?:_t)?")  # u32, __u32, uint32_t; s32, __s32

# C types by their own width and sign, on machines with a 64-bit long. Not `char`: its sign is the compiler's choice.
# Types that are not here have the width and sign of their slot, which is right everywhere but for arguments of system calls.
C_INTEGERS = {
    (8, True): ("signed char",),
    (8, False): ("unsigned char",),
    (16, True): ("short", "short int"),
    (16, False): ("unsigned short", "short unsigned int", "umode_t", "old_uid_t", "old_gid_t"),
    (32, True): ("int", "int32_t", "pid_t", "key_t", "clockid_t", "mqd_t", "timer_t", "key_serial_t", "rwf_t"),
    (32, False): ("unsigned", "unsigned int", "uint", "uid_t", "gid_t", "qid_t", "gfp_t", "dev_t"),
    (64, True): ("long", "long int", "long long", "long long int", "loff_t", "off_t", "ssize_t", "int64_t", "time_t"),
    (64, False): (
        "unsigned long", "long unsigned int", "unsigned long long", "long long unsigned int", "ulong", "size_t", "sector_t",
        "aio_context_t", "cap_user_header_t", "cap_user_data_t",
    ),
}  # fmt: skip


@data
class EventField:
    """A field of an event, `offset` in bytes. `type` is None for what does not lie there as such: the common fields in the
    first 8 bytes, which no program may read, and arrays of dynamic length, of which `text_base` tells the texts."""

    name: str
    c_type: str
    offset: int
    type: Type | None


def text_base(field: EventField) -> int | None:
    """For a text of dynamic length: what its place counts from, which is the low half of the u32 at the field's offset. None
    for other fields. (BTF does not tell what the elements are: they are taken for characters.)"""
    kind, _, elements = field.c_type.partition(" ")
    if elements not in ("", "char[]"):
        return None
    return {"__data_loc": 0, "__rel_loc": field.offset + 4}.get(kind)


@cache
def event_fields(hook: str) -> dict[str, EventField]:
    """The fields of the event "category/name", by the name that a program writes: the field's own, with an underscore behind
    it where Python has a keyword of that name (`ctx.from_`).

    Raises Error for an unknown event (with similar ones), and when neither tracefs nor BTF tells the fields.
    """
    reason = unknown(hook)
    if reason is not None:
        raise Error(reason)
    why = "is not mounted"
    for place in PLACES:
        path = f"{place}/events/{hook}/format"
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except FileNotFoundError:
            continue
        except OSError as error:
            why = f"cannot be read ({error.strerror})"
            continue
        try:
            return parse_format(text)
        except Error as error:
            raise Error(f"{path}: {error}") from None
    from purebpf.lang.tracepoints_btf import fields_of

    try:
        return fields_of(hook)
    except Error as error:
        raise Error(
            f"the fields of tracepoint `{hook}` cannot be found out: tracefs {why}, and {error}. Mount tracefs "
            f"(mount -t tracefs tracefs {PLACES[0]}), or run with the right to read it"
        ) from None


def _of_that_name(name: str) -> str:
    """The event of a name without category; "" when there is none, or when tracefs cannot be read."""
    from glob import escape, glob

    for place in PLACES:
        for path in glob(f"{place}/events/*/{escape(name)}/format"):
            return "/".join(path.split("/")[-3:-1])
    return f"syscalls/{name}" if name.startswith(("sys_enter_", "sys_exit_")) else ""


def unknown(hook: str) -> str | None:
    """Why there is no such event, with similar names; None when there is one, or when tracefs cannot be read."""
    parts = HOOK.fullmatch(hook)
    if parts is None:
        with_slash = hook.replace(":", "/", 1)  # as perf and bpftrace write it
        found = with_slash if HOOK.fullmatch(with_slash) else _of_that_name(hook)
        wanted = f"did you mean {found}?" if found else "write category/name, such as syscalls/sys_enter_openat"
        return f"{hook!r} is no tracepoint; {wanted}" if found else f"{hook!r} is no tracepoint: {wanted}"
    for place in PLACES:
        try:
            os.stat(f"{place}/events/{hook}/format")
            return None
        except (FileNotFoundError, NotADirectoryError):
            if os.path.isdir(f"{place}/events"):
                return _without(f"{place}/events", parts["category"], parts["name"])
        except OSError:
            continue
    return None


def _without(events: str, category: str, name: str) -> str:
    """The sentence about an event that `events` does not have."""
    import glob

    known = [path.split("/")[-3:-1] for path in glob.glob(f"{events}/*/*/format")]
    there = [n for c, n in known if c == category]
    if there:
        near = [f"{category}/{n}" for n in similar(name, there)]
        what = f"tracepoint `{category}/{name}`"
    else:
        near = similar(category, sorted({c for c, _ in known}))
        what = f"tracepoint category `{category}`"
    elsewhere = [f"{c}/{n}" for c, n in known if n == name]
    return did_you_mean(f"the kernel has no {what}", elsewhere or near)


def similar(name: str, names: list[str]) -> list[str]:
    """At most three of `names` that look like `name`."""
    import difflib

    return difflib.get_close_matches(name, names, 3)


def did_you_mean(sentence: str, names: list[str]) -> str:
    return f"{sentence}; did you mean {' or '.join(names)}?" if names else sentence


def parse_format(text: str) -> dict[str, EventField]:
    """The fields in the text of an event's format file. Raises Error for a text that is none, or that is cut off."""
    lines = [line.strip() for line in text.splitlines()]
    if "format:" not in lines or not any(line.startswith("print fmt:") for line in lines):
        raise Error("this is no whole format of a tracepoint: it goes from a line `format:` to one that begins `print fmt:`")
    registers = any(line.startswith("name: sys_enter_") for line in lines)
    fields: dict[str, EventField] = {}
    for line in lines:
        if line.startswith("print fmt:"):
            break
        if line.startswith("field"):
            field = _parse_field(line, registers)
            if spelling(field.name) in fields:
                raise Error(f"this format of a tracepoint has two fields `{field.name}`")
            fields[spelling(field.name)] = field
    if not fields:
        raise Error("this format of a tracepoint has no fields, not even the common ones")
    return fields


def spelling(name: str) -> str:
    """A field's name as a program can write it after `ctx.`."""
    return name + "_" if iskeyword(name) else name


def _parse_field(line: str, registers: bool) -> EventField:
    match = FIELD.fullmatch(line)
    declaration = DECLARATION.fullmatch(match["declaration"].strip()) if match else None
    if match is None or declaration is None:
        raise Error(f"this line of a tracepoint's format is not understood: {line!r}")
    offset, size, sign = int(match["offset"]), int(match["size"]), match["signed"]
    c_type, count = declaration["type"], declaration["count"]
    readable = offset >= COMMON and not c_type.startswith(("__data_loc", "__rel_loc"))
    if registers and c_type.removeprefix("const ").startswith("enum "):
        size = 4  # an enum's width is its slot's, but here the slot is that of the register
    type = field_type(c_type, size, sign == "1", count) if readable else None
    return EventField(declaration["name"], c_type if count is None else f"{c_type}[{count}]", offset, type)


def field_type(c_type: str, size: int, signed: bool, count: str | None = None) -> Type | None:
    """The layout of a field of this C type in a slot of `size` bytes; `count` is what stands in an array's brackets.
    None where the language has no such type (structures, arrays without length)."""
    if count is None:
        return _single(c_type, size, signed)
    if size and c_type.removeprefix("const ") == "char":
        return CharsType(size)
    declared = declared_type(c_type)
    number = int(count) if count.isdecimal() else size // declared.size if declared else 0
    if not number or size % number:
        return None
    element = _single(c_type, size // number, signed)
    return ArrayType(element, number) if element is not None and element.size * number == size else None


def _single(c_type: str, size: int, signed: bool) -> IntType | BoolType | None:
    if "*" in c_type:
        return IntType(64) if size == 8 else None
    declared = declared_type(c_type)
    if declared is not None and declared.size <= size:
        return declared
    if size not in (1, 2, 4, 8) or {"struct", "union"} & set(c_type.split()):
        return None
    return IntType(8 * size, signed)


@cache
def declared_type(c_type: str) -> IntType | BoolType | None:
    """The layout that a C type has by itself; None where its name does not tell."""
    words = [word for word in c_type.split() if word not in ("const", "volatile")]
    name = " ".join(words)
    if name == "bool":
        return BoolType()
    fixed = FIXED.fullmatch(name)
    if fixed:
        return IntType(int(fixed["bits"]), fixed["sign"] == "s")
    return next((IntType(*layout) for layout, names in C_INTEGERS.items() if name in names), None)
