"""What the kernel tells about its objects: bpf_prog_info, bpf_map_info, bpf_link_info (OBJ_GET_INFO_BY_FD, Linux 4.13)."""

from __future__ import annotations

import ctypes
import os

from purebpf.data import data
from purebpf.kernel.attr import read, read_bytes, read_name
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.syscall import address, bpf, room
from purebpf.tables.attr import SIZES
from purebpf.tables.enums import Command


@data
class ProgramInfo:
    """`tag` is the hash of the instructions in hex; sizes are bytes. `run_count` and `run_time_ns` stay 0 unless statistics are
    on (sysctl kernel.bpf_stats_enabled). `verified_instructions`, how many the verifier went through, is 0 before Linux 5.16.
    """

    id: int
    type: int
    name: str
    tag: str
    xlated_size: int
    jited_size: int
    load_time_ns: int
    map_count: int
    gpl_compatible: bool
    run_time_ns: int
    run_count: int
    recursion_misses: int
    verified_instructions: int
    btf_id: int


@data
class MapInfo:
    """Sizes are bytes, those of one CPU's value for a per-CPU map; `memory` is what the kernel charges for it, about. `btf_id`
    is the BTF of its types (0: it has none), `btf_key` and `btf_value` their numbers in it (Linux 4.18)."""

    id: int
    type: int
    name: str
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    frozen: bool = False
    extra: int = 0
    btf_id: int = 0
    memory: int = 0
    btf_key: int = 0
    btf_value: int = 0


@data
class LinkInfo:
    id: int
    type: int
    program_id: int


def read_info(descriptor: Descriptor, structure: str) -> bytes:
    """The info structure of any of the kernel's objects; what an older kernel does not fill in is zero."""
    size = SIZES[structure]
    buffer = room(size)
    answer = bpf(Command.OBJ_GET_INFO_BY_FD, {"bpf_fd": descriptor.number, "info_len": size, "info": address(buffer)})
    if answer < 0:
        raise failure(-answer, f"Reading the info of {descriptor.what}", first=(4, 13), feature="BPF_OBJ_GET_INFO_BY_FD")
    return ctypes.string_at(buffer, size)


def fdinfo(descriptor: Descriptor) -> dict[str, str]:
    """What /proc tells about a descriptor of ours, by name."""
    with open(f"/proc/self/fdinfo/{descriptor.number}") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def object_type(descriptor: Descriptor) -> str:
    """ "map", "program" or "link"."""
    told = os.readlink(f"/proc/self/fd/{descriptor.number}").rpartition("bpf")[2].strip("-_ []")
    return {"prog": "program"}.get(told, told)


def program_info(descriptor: Descriptor) -> ProgramInfo:
    layout = "bpf_prog_info"
    data = read_info(descriptor, layout)
    return ProgramInfo(
        id=read(layout, data, "id"),
        type=read(layout, data, "type"),
        name=read_name(layout, data, "name"),
        tag=read_bytes(layout, data, "tag").hex(),
        xlated_size=read(layout, data, "xlated_prog_len"),
        jited_size=read(layout, data, "jited_prog_len"),
        load_time_ns=read(layout, data, "load_time"),
        map_count=read(layout, data, "nr_map_ids"),
        gpl_compatible=bool(read(layout, data, "gpl_compatible")),
        run_time_ns=read(layout, data, "run_time_ns"),
        run_count=read(layout, data, "run_cnt"),
        recursion_misses=read(layout, data, "recursion_misses"),
        verified_instructions=read(layout, data, "verified_insns"),
        btf_id=read(layout, data, "btf_id"),
    )


def map_info(descriptor: Descriptor) -> MapInfo:
    layout = "bpf_map_info"
    data = read_info(descriptor, layout)
    told = fdinfo(descriptor)
    return MapInfo(
        id=read(layout, data, "id"),
        type=read(layout, data, "type"),
        name=read_name(layout, data, "name"),
        key_size=read(layout, data, "key_size"),
        value_size=read(layout, data, "value_size"),
        max_entries=read(layout, data, "max_entries"),
        flags=read(layout, data, "map_flags"),
        frozen=told.get("frozen") == "1",
        extra=read(layout, data, "map_extra"),
        btf_id=read(layout, data, "btf_id"),
        memory=int(told.get("memlock", "0")),
        btf_key=read(layout, data, "btf_key_type_id"),
        btf_value=read(layout, data, "btf_value_type_id"),
    )


def link_info(descriptor: Descriptor) -> LinkInfo:
    layout = "bpf_link_info"
    data = read_info(descriptor, layout)
    return LinkInfo(read(layout, data, "id"), read(layout, data, "type"), read(layout, data, "prog_id"))
