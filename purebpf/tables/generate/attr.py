"""Writes `attr.py`: the layout of what goes through bpf(2), perf_event_open(2) and netlink, and the constants beside it.

Layouts and enumerators come from the kernel's BTF; the few `#define`s from the UAPI headers. A command's part of
`union bpf_attr` has a name or is known by its first member; nothing else is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from purebpf.btf.reader import Btf
from purebpf.btf.types import AnyEnum, Array, Composite, Kind, Member
from purebpf.tables.generate.text import header

INCLUDE = Path("/usr/include")
AGGREGATES = (Kind.STRUCT, Kind.UNION)

# The parts of union bpf_attr: what each is called here, its name or its first member's, the commands that read it.
PARTS = (
    ("MAP_CREATE", "map_type", "MAP_CREATE"),
    ("ELEM", "map_fd", "MAP_LOOKUP_ELEM MAP_UPDATE_ELEM MAP_DELETE_ELEM MAP_GET_NEXT_KEY MAP_LOOKUP_AND_DELETE_ELEM "
     "MAP_FREEZE"),
    ("BATCH", "batch", "MAP_LOOKUP_BATCH MAP_LOOKUP_AND_DELETE_BATCH MAP_UPDATE_BATCH MAP_DELETE_BATCH"),
    ("PROG_LOAD", "prog_type", "PROG_LOAD"),
    ("OBJ", "pathname", "OBJ_PIN OBJ_GET"),
    ("PROG_ATTACH", "target_fd", "PROG_ATTACH PROG_DETACH"),
    ("TEST", "test", "PROG_TEST_RUN"),
    ("ID", "start_id", "PROG_GET_NEXT_ID MAP_GET_NEXT_ID BTF_GET_NEXT_ID LINK_GET_NEXT_ID PROG_GET_FD_BY_ID MAP_GET_FD_BY_ID "
     "BTF_GET_FD_BY_ID LINK_GET_FD_BY_ID"),
    ("INFO", "info", "OBJ_GET_INFO_BY_FD"),
    ("QUERY", "query", "PROG_QUERY"),
    ("RAW_TRACEPOINT", "raw_tracepoint", "RAW_TRACEPOINT_OPEN"),
    ("BTF_LOAD", "btf", "BTF_LOAD"),
    ("TASK_FD_QUERY", "task_fd_query", "TASK_FD_QUERY"),
    ("LINK_CREATE", "link_create", "LINK_CREATE"),
    ("LINK_UPDATE", "link_update", "LINK_UPDATE"),
    ("LINK_DETACH", "link_detach", "LINK_DETACH"),
    ("ENABLE_STATS", "enable_stats", "ENABLE_STATS"),
    ("ITER_CREATE", "iter_create", "ITER_CREATE"),
    ("PROG_BIND_MAP", "prog_bind_map", "PROG_BIND_MAP"),
    ("TOKEN_CREATE", "token_create", "TOKEN_CREATE"),
    ("PROG_STREAM", "prog_stream_read", "PROG_STREAM_READ_BY_FD"),
)  # fmt: skip
STRUCTS = (
    "bpf_prog_info",
    "bpf_map_info",
    "bpf_link_info",
    "bpf_btf_info",
    "perf_event_attr",
    "perf_event_mmap_page",
    "perf_event_header",
    "nlmsghdr",
    "ifinfomsg",
    "nlattr",
)
# Constants: the enumerators of an enum that begin so; "": these enumerators, whichever anonymous enum has them.
ENUMS = (
    ("perf_type_id", "PERF_TYPE_"),
    ("perf_hw_id", "PERF_COUNT_HW_"),
    ("perf_sw_ids", "PERF_COUNT_SW_"),
    ("perf_event_sample_format", "PERF_SAMPLE_RAW"),
    ("perf_event_type", "PERF_RECORD_"),
    (
        "",
        "BPF_ANY BPF_NOEXIST BPF_EXIST BPF_F_LOCK BPF_F_NO_PREALLOC BPF_F_INDEX_MASK BPF_F_CURRENT_CPU "
        "RTM_GETLINK IFLA_XDP IFLA_XDP_ATTACHED XDP_ATTACHED_DRV XDP_ATTACHED_SKB XDP_ATTACHED_HW",
    ),
)
DEFINES = (
    ("linux/bpf.h", "BPF_OBJ_NAME_LEN"),
    ("linux/if_link.h", "XDP_FLAGS_SKB_MODE"),
    ("linux/if_link.h", "XDP_FLAGS_DRV_MODE"),
    ("linux/if_link.h", "XDP_FLAGS_HW_MODE"),
    ("linux/netlink.h", "NLM_F_REQUEST"),
    ("linux/netlink.h", "NLMSG_ERROR"),
    ("linux/perf_event.h", "PERF_ATTR_SIZE_VER0"),
    ("linux/perf_event.h", "PERF_FLAG_FD_CLOEXEC"),
    ("linux/perf_event.h", "PERF_EVENT_IOC_ENABLE"),
    ("linux/perf_event.h", "PERF_EVENT_IOC_DISABLE"),
    ("linux/perf_event.h", "PERF_EVENT_IOC_SET_BPF"),
)

Integers = dict[str, tuple[int, int]]
Bits = dict[str, tuple[int, int, int, int]]


class Layout:
    """A structure's members by name: those of anonymous members in their place, those of named ones as `outer_inner`."""

    def __init__(self, btf: Btf, number: int) -> None:
        self.integers: Integers = {}
        self.arrays: Integers = {}
        self.bits: Bits = {}
        self.size = btf.size_of(number)
        self._read(btf, number, "", 0)

    def _read(self, btf: Btf, number: int, prefix: str, base: int) -> None:
        for member in structure(btf, number).members:
            real, bit = btf.resolve(member.type), base + member.bit_offset
            name = prefix + member.name
            if btf.kind(real) in AGGREGATES:
                self._read(btf, real, f"{name}_" if member.name else prefix, bit)
            elif not member.name.startswith("__reserved") and member.name:
                self._place(btf, name, member, real, bit)

    def _place(self, btf: Btf, name: str, member: Member, real: int, bit: int) -> None:
        size = btf.size_of(real)
        if name in self.integers or name in self.arrays or name in self.bits:
            raise ValueError(f"two members would both be called {name}")
        if member.bit_size:
            unit = bit // (size * 8) * size  # bit fields count from the integer they are declared in
            self.bits[name] = (unit, size, bit - unit * 8, member.bit_size)
        elif isinstance(btf.type(real), Array):
            self.arrays[name] = (bit // 8, size)
        else:
            self.integers[name] = (bit // 8, size)


def structure(btf: Btf, number: int) -> Composite:
    found = btf.type(btf.resolve(number))
    if not isinstance(found, Composite):
        raise ValueError(f"type {number} is no struct")
    return found


def part(btf: Btf, marker: str) -> int:
    """The part of union bpf_attr with this name, or the anonymous one whose first member has it."""
    for member in structure(btf, btf.find("bpf_attr", Kind.UNION)).members:
        if member.name == marker or (not member.name and first_name(btf, member.type) == marker):
            return member.type
    raise ValueError(f"union bpf_attr has no part {marker}")


def first_name(btf: Btf, number: int) -> str:
    first = structure(btf, number).members[0]
    return first.name or first_name(btf, first.type)


def enumerators(btf: Btf) -> Iterator[tuple[str, int]]:
    for enum, wanted in ENUMS:
        prefixes = wanted.split()
        numbers = btf.types_named(enum, (Kind.ENUM, Kind.ENUM64)) if enum else anonymous_enums(btf, set(prefixes))
        for number in numbers:
            found = btf.type(number)
            assert isinstance(found, AnyEnum)
            for name, value in found.values:
                if not name.endswith(("_MAX", "_NON_ABI")) and (name in prefixes if not enum else name.startswith(wanted)):
                    yield name, value


def anonymous_enums(btf: Btf, names: set[str]) -> Iterator[int]:
    for number, found in btf:
        if isinstance(found, AnyEnum) and not found.name and names & {name for name, _ in found.values}:
            yield number


SHIFTED = re.compile(r"\(1U?L? << (\d+)\)")
IOCTL = re.compile(r"_IO(W?) ?\('(.)', (\d+)(?:, (\w+))?\)")


def define(path: str, name: str) -> int:
    """The value of a `#define`; raises ValueError on an expression that is none of the three shapes known here."""
    for line in (INCLUDE / path).read_text().splitlines():
        if not (match := re.match(rf"#define\s+{name}\s+(.*?)\s*(?:/\*.*)?$", line)):
            continue
        text = match[1]
        if shift := SHIFTED.fullmatch(text):
            return 1 << int(shift[1])
        if ioctl := IOCTL.fullmatch(text):
            # asm-generic/ioctl.h: direction (write is 1) from bit 30, size from bit 16, type from bit 8, number.
            size = {None: 0, "__u32": 4, "__u64": 8}[ioctl[4]]
            return bool(ioctl[1]) << 30 | size << 16 | ord(ioctl[2]) << 8 | int(ioctl[3])
        return int(text.rstrip("U"), 0)
    raise ValueError(f"{path} does not define {name}")


def table(name: str, kind: str, about: str, rows: dict[str, object]) -> list[str]:
    """A dict constant; every row is a dict that fits a line, or one entry a line."""
    lines = ["", f"# {about}", f"{name}: {kind} = {{"]
    for key, value in rows.items():
        text = f'    "{key}": {literal(value)},'
        if len(text) > 128 and isinstance(value, dict):
            lines += [f'    "{key}": {{', *(f'        "{k}": {v},' for k, v in value.items()), "    },"]
        else:
            lines.append(text)
    return [*lines, "}"]


def literal(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": {inner}' for key, inner in value.items()) + "}"
    return f'"{value}"' if isinstance(value, str) else str(value)


def render(btf: Btf) -> str:
    """The whole text of `attr.py`."""
    layouts = {name: Layout(btf, part(btf, marker)) for name, marker, _ in PARTS}
    layouts |= {name: Layout(btf, btf.find(name, Kind.STRUCT)) for name in STRUCTS}
    commands = {command: name for name, _, used in PARTS for command in used.split()}
    constants = dict(enumerators(btf)) | {name: define(path, name) for path, name in DEFINES}
    lines = header(
        "attr",
        "Layouts of what bpf(2), perf_event_open(2) and netlink read and write, and the constants that go with them.",
        "the kernel's BTF and the UAPI headers",
    )
    lines += ["from __future__ import annotations"]
    lines += table("COMMANDS", "dict[str, str]", "bpf(2)'s command -> its part of union bpf_attr", dict(commands))
    lines += table("SIZES", "dict[str, int]", "bytes of each structure", {name: one.size for name, one in layouts.items()})
    lines += table(
        "INTEGERS",
        "dict[str, dict[str, tuple[int, int]]]",
        "structure -> integer member -> (offset, size) in bytes",
        {name: one.integers for name, one in layouts.items()},
    )
    lines += table(
        "ARRAYS",
        "dict[str, dict[str, tuple[int, int]]]",
        "structure -> member that is an array of bytes -> (offset, size) in bytes",
        {name: one.arrays for name, one in layouts.items() if one.arrays},
    )
    lines += table(
        "BITS",
        "dict[str, dict[str, tuple[int, int, int, int]]]",
        "structure -> bit field -> (offset, size) in bytes of the integer that holds it, first bit (little-endian), width",
        {name: one.bits for name, one in layouts.items() if one.bits},
    )
    lines += [""] + [f"{name} = 0x{value:X}" if value > 255 else f"{name} = {value}" for name, value in constants.items()]
    return "\n".join(lines) + "\n"
