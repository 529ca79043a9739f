"""The info structures with the arrays that belong to them: asked for twice, since the first answer says how much room they
take."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

from purebpf.kernel.attr import pack, read
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.info import read_info
from purebpf.kernel.syscall import Pinned, address, bpf, room
from purebpf.tables.attr import SIZES
from purebpf.tables.enums import Command

TRIES = 8  # counts grow between two questions while somebody is busy


def ask(descriptor: Descriptor, structure: str, fields: Mapping[str, int]) -> bytes:
    """The info structure, of which these members say where the kernel is to put arrays. Raises KernelError."""
    size = SIZES[structure]
    info = room(size)
    info.raw = bytes(pack(structure, fields)[0]).ljust(len(info), b"\0")
    answer = bpf(Command.OBJ_GET_INFO_BY_FD, {"bpf_fd": descriptor.number, "info_len": size, "info": address(info)})
    if answer < 0:
        raise failure(-answer, f"Reading the info of {descriptor.what}", first=(4, 13), feature="BPF_OBJ_GET_INFO_BY_FD")
    return ctypes.string_at(info, size)


def array(
    descriptor: Descriptor, structure: str, pointer: str, count: str, size: int = 1, more: Mapping[str, int] | None = None
) -> bytes:
    """What the member `pointer` points to: `count` elements of `size` bytes. Nothing where the kernel shows none of it."""
    number = read(structure, read_info(descriptor, structure), count)
    for _ in range(TRIES):
        if not number:
            return b""
        buffer: Pinned = room(number * size)
        info = ask(descriptor, structure, {pointer: address(buffer), count: number, **(more or {})})
        if not read(structure, info, pointer):
            return b""  # hidden from this process
        now = read(structure, info, count)
        if now <= number:
            return ctypes.string_at(buffer, now * size)
        number = now
    return b""


def text(descriptor: Descriptor, structure: str, pointer: str, size: str, most: int = 4096) -> str:
    """A name that the kernel copies out."""
    buffer = room(most)
    ask(descriptor, structure, {pointer: address(buffer), size: most})
    return buffer.value.decode("utf-8", "replace")


def fdinfo(descriptor: Descriptor) -> dict[str, str]:
    """What /proc says of the descriptor beside: memory, whether a map is frozen."""
    with open(f"/proc/self/fdinfo/{descriptor.number}") as file:
        rows = (line.partition(":") for line in file)
        return {key: value.strip() for key, _, value in rows}
