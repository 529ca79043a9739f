"""All that the kernel tells of a link, by the keys of `bpftool link show -j`; one function a kind where more than names is to
do."""

from __future__ import annotations

import socket
from collections.abc import Callable
from struct import iter_unpack

from purebpf.errors import KernelError
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.info import link_info, program_info
from purebpf.kernel.link.details import LAYOUT, details
from purebpf.kernel.objects.ids import open_id
from purebpf.kernel.objects.programs import type_name
from purebpf.kernel.objects.reading import ask
from purebpf.kernel.syscall import address, room
from purebpf.tables.enums import LinkType

RETURNS = 1  # BPF_F_KPROBE_MULTI_RETURN and its like for user space
WITH_MAP = ("bpf_map_elem", "bpf_sk_storage_map")
EVENT_TYPES = ("hardware", "software", "tracepoint", "hw-cache", "raw", "breakpoint")
NAMES = {"hooknum": "hook", "priority": "prio"}  # bpftool's for the kernel's
Details = dict[str, object]


def describe(descriptor: Descriptor) -> Details:
    """The link by the keys of bpftool, in its order: what it is and what it is attached to."""
    info = link_info(descriptor)
    found: Details = {"id": info.id, "type": link_type(info.type), "prog_id": info.program_id}
    told = {NAMES.get(name, name): value for name, value in details(descriptor).items()}
    special = KINDS.get(info.type)
    return found | (special(descriptor, told) if special else told)


def link_type(number: int) -> object:
    """The type's name as tools write it; its number where it is newer than our tables."""
    try:
        return LinkType(number).name.lower()
    except ValueError:
        return number


def _tracing(descriptor: Descriptor, told: Details) -> Details:
    program = open_id("program", link_info(descriptor).program_id)
    if program is None:
        return told
    with program:
        return {"prog_type": type_name(program_info(program).type)} | told


def _iter(_descriptor: Descriptor, told: Details) -> Details:
    """The members of what it goes through; a map or a thread, where it was bound to one."""
    found: Details = {"target_name": told.get("target_name", "")}
    if found["target_name"] in WITH_MAP:
        found["map_id"] = told["map_map_id"]
    elif str(found["target_name"]).startswith("task"):
        found |= {key: told[f"task_{key}"] for key in ("tid", "pid") if told[f"task_{key}"]}
    return found


def _interface(_descriptor: Descriptor, told: Details) -> Details:
    """An interface of this network namespace has its name; one that is gone, or of another namespace, has none."""
    number = int(str(told["ifindex"]))
    try:
        name = socket.if_indextoname(number) if number else "(detached)"
    except OSError:
        name = "(unknown)"
    return {"devname": name} | told


def _kprobe_multi(descriptor: Descriptor, told: Details) -> Details:
    from purebpf.symbols import KernelSymbols

    symbols = KernelSymbols()
    functions = []
    for where, cookie in _rows(descriptor, "kprobe_multi", ("addrs", "cookies"), int(str(told["count"]))):
        frame = symbols.frame(where)
        module = frame.module.strip("[]") if frame.module not in ("", "[kernel]") else None
        functions.append({"addr": where, "func": frame.name, "module": module, "cookie": cookie})
    return {"retprobe": _returns(told), "func_cnt": told["count"], "missed": told["missed"], "funcs": functions}


def _uprobe_multi(descriptor: Descriptor, told: Details) -> Details:
    rows = _rows(descriptor, "uprobe_multi", ("offsets", "ref_ctr_offsets", "cookies"), int(str(told["count"])))
    functions = [dict(zip(("offset", "ref_ctr_offset", "cookie"), row, strict=True)) for row in rows]
    found = {"retprobe": _returns(told), "path": told.get("path", ""), "func_cnt": told["count"]}
    return {**found, "pid": told["pid"], "funcs": functions}


def _returns(told: Details) -> bool:
    return bool(int(str(told["flags"])) & RETURNS)


def _rows(descriptor: Descriptor, kind: str, members: tuple[str, ...], count: int) -> list[tuple[int, ...]]:
    """The arrays of a link to many places, side by side; cookies are zero before Linux 6.7."""
    if not count:
        return []
    columns = {member: room(8 * count) for member in members}
    fields = {f"{kind}_{member}": address(buffer) for member, buffer in columns.items()} | {f"{kind}_count": count}
    try:
        ask(descriptor, LAYOUT, fields)
    except KernelError:
        fields.pop(f"{kind}_cookies")
        try:
            ask(descriptor, LAYOUT, fields)
        except KernelError:  # before Linux 6.6 there is nothing to see
            return []
    numbers = [[number for (number,) in iter_unpack("=Q", buffer.raw[: 8 * count])] for buffer in columns.values()]
    return list(zip(*numbers, strict=True))


def _perf_event(_descriptor: Descriptor, told: Details) -> Details:
    """Before Linux 6.6 the kernel tells nothing of it."""
    cookie = {"cookie": told.get("cookie", 0)}
    match told.get("kind"):
        case "uprobe" | "uretprobe" as kind:
            return {"retprobe": kind == "uretprobe", "file": told["file_name"], "offset": told["offset"]} | cookie
        case "kprobe" | "kretprobe" as kind:
            where = {"addr": told["addr"], "func": told["func_name"], "offset": told["offset"], "missed": told["missed"]}
            return {"retprobe": kind == "kretprobe"} | where | cookie
        case "tracepoint":
            return {"tracepoint": told["tp_name"]} | cookie
        case "event":
            return _event(int(str(told["type"])), int(str(told["config"]))) | cookie
    return {}


def _event(kind: int, config: int) -> Details:
    """The kernel gives its clocks types of their own, for which there are no names."""
    from purebpf.kernel.link.perf_event import HARDWARE, SOFTWARE
    from purebpf.tables.attr import PERF_TYPE_HARDWARE, PERF_TYPE_SOFTWARE

    known = {PERF_TYPE_SOFTWARE: SOFTWARE, PERF_TYPE_HARDWARE: HARDWARE}.get(kind, {})
    names = {number: name for name, number in known.items()}
    return {"event_type": EVENT_TYPES[kind] if kind < len(EVENT_TYPES) else kind, "event_config": names.get(config, config)}


KINDS: dict[int, Callable[[Descriptor, Details], Details]] = {
    LinkType.TRACING: _tracing,
    LinkType.ITER: _iter,
    LinkType.XDP: _interface,
    LinkType.TCX: _interface,
    LinkType.NETKIT: _interface,
    LinkType.PERF_EVENT: _perf_event,
    LinkType.KPROBE_MULTI: _kprobe_multi,
    LinkType.UPROBE_MULTI: _uprobe_multi,
}
