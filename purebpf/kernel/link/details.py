"""What the kernel tells about a link beyond its numbers, by its type (struct bpf_link_info; most of it since Linux 6.6)."""

from __future__ import annotations

import ctypes

from purebpf.data import data
from purebpf.errors import Error
from purebpf.kernel.attr import pack, read
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.info import link_info
from purebpf.kernel.syscall import address, bpf, pin, room
from purebpf.tables.attr import INTEGERS
from purebpf.tables.enums import AttachType, Command, LinkType

LAYOUT = "bpf_link_info"
LONGEST = 4096
SIGNED = ("priority",)  # of 32 bits


@data
class Text:
    """A text that the kernel writes where it is told to: the members for its place and its size."""

    name: str
    place: str
    size: str


@data
class Told:
    """What there is to read of a type: numbers by the names they get, and one text."""

    numbers: tuple[str, ...]
    prefix: str
    text: Text | None = None


TYPES = {
    LinkType.RAW_TRACEPOINT: Told(("cookie",), "raw_tracepoint", Text("tp_name", "tp_name", "tp_name_len")),
    LinkType.TRACING: Told(("attach_type", "target_obj_id", "target_btf_id", "cookie"), "tracing"),
    LinkType.CGROUP: Told(("cgroup_id", "attach_type"), "cgroup"),
    LinkType.ITER: Told(("map_map_id", "task_tid", "task_pid"), "iter", Text("target_name", "target_name", "target_name_len")),
    LinkType.NETNS: Told(("netns_ino", "attach_type"), "netns"),
    LinkType.XDP: Told(("ifindex",), "xdp"),
    LinkType.KPROBE_MULTI: Told(("count", "flags", "missed"), "kprobe_multi"),
    LinkType.STRUCT_OPS: Told(("map_id",), "struct_ops"),
    LinkType.NETFILTER: Told(("pf", "hooknum", "priority", "flags"), "netfilter"),
    LinkType.TCX: Told(("ifindex", "attach_type"), "tcx"),
    LinkType.UPROBE_MULTI: Told(("count", "flags", "pid"), "uprobe_multi", Text("path", "path", "path_size")),
    LinkType.NETKIT: Told(("ifindex", "attach_type"), "netkit"),
    LinkType.SOCKMAP: Told(("map_id", "attach_type"), "sockmap"),
}
_UPROBE = Told(("uprobe_offset", "uprobe_cookie"), "perf_event", Text("file_name", "uprobe_file_name", "uprobe_name_len"))
_KPROBE = Told(
    ("kprobe_offset", "kprobe_cookie", "kprobe_addr", "kprobe_missed"),
    "perf_event",
    Text("func_name", "kprobe_func_name", "kprobe_name_len"),
)
PERF_EVENTS = {  # enum bpf_perf_event_type
    1: ("uprobe", _UPROBE),
    2: ("uretprobe", _UPROBE),
    3: ("kprobe", _KPROBE),
    4: ("kretprobe", _KPROBE),
    5: (
        "tracepoint",
        Told(("tracepoint_cookie",), "perf_event", Text("tp_name", "tracepoint_tp_name", "tracepoint_name_len")),
    ),
    6: ("event", Told(("event_type", "event_config", "event_cookie"), "perf_event")),
}


def details(descriptor: Descriptor) -> dict[str, object]:
    """What a link is attached to and how, by the kernel's names; {} for a type that is not known, less on older kernels."""
    type = link_info(descriptor).type
    if type != LinkType.PERF_EVENT:
        return _read(descriptor, TYPES[LinkType(type)]) if type in TYPES else {}
    number = _read(descriptor, Told(("type",), "perf_event")).get("type")
    if number not in PERF_EVENTS:
        return {}
    kind, told = PERF_EVENTS[number]
    return {"kind": kind} | {name.removeprefix(f"{kind.replace('ret', '')}_"): v for name, v in _read(descriptor, told).items()}


def _read(descriptor: Descriptor, told: Told) -> dict[str, object]:
    text, buffer = told.text, room(LONGEST)
    fields = {} if text is None else {f"{told.prefix}_{text.place}": address(buffer), f"{told.prefix}_{text.size}": LONGEST}
    raw = _info(descriptor, fields)
    if raw is None:
        raw = _info(descriptor, {})
    found: dict[str, object] = {}
    if raw is None:
        return found
    if text is not None:
        found[text.name] = buffer.value.decode("utf-8", "replace")
    for name in told.numbers:
        if f"{told.prefix}_{name}" in INTEGERS[LAYOUT]:
            number = read(LAYOUT, raw, f"{told.prefix}_{name}")
            number -= (name in SIGNED and number >= 1 << 31) << 32
            found[name] = _attach_type(number) if name == "attach_type" else number
    return found


def _attach_type(number: int) -> object:
    try:
        return AttachType(number).name.lower()
    except ValueError:
        return number


def _info(descriptor: Descriptor, fields: dict[str, int]) -> bytes | None:
    given, _ = pack(LAYOUT, fields)
    buffer = pin(bytes(given))
    asked = {"bpf_fd": descriptor.number, "info_len": len(given), "info": address(buffer)}
    if bpf(Command.OBJ_GET_INFO_BY_FD, asked) < 0:
        return None
    return ctypes.string_at(buffer, len(given))


def target(found: dict[str, object]) -> str:
    """What a link is attached to, in one text; "" where the kernel does not tell."""
    for name in ("tp_name", "target_name", "func_name"):
        if found.get(name):
            offset = found.get("offset")
            return f"{found[name]}+{offset:#x}" if offset else str(found[name])
    if found.get("file_name"):
        return f"{found['file_name']}+{found.get('offset', 0):#x}"
    if found.get("path"):
        return f"{found['path']} ({found['count']} places)"
    if found.get("target_btf_id"):
        return _function(int(str(found["target_obj_id"])), int(str(found["target_btf_id"])))
    for name in ("ifindex", "cgroup_id", "netns_ino", "map_id"):
        if found.get(name):
            return f"{name} {found[name]}"
    return ""


def _function(object_id: int, number: int) -> str:
    """The name of a function or tracepoint in the kernel's own BTF; its number where it is in other BTF."""
    from purebpf.btf.running import kernel_btf

    try:
        if object_id == 1:  # the kernel's own
            return kernel_btf().name(number)
    except Error:
        pass
    return f"type {number} of BTF {object_id}"
