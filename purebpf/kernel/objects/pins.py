"""Objects that are pinned: files in the file systems of type bpf that are mounted here (kernel/bpf/inode.c)."""

from __future__ import annotations

import os
from collections.abc import Iterator

from purebpf.kernel.attr import read
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.info import read_info
from purebpf.kernel.pins import open_pinned
from purebpf.symbols.mappings import ESCAPE

MOUNTS = "/proc/self/mounts"
LAYOUTS = {"anon_inode:bpf-prog": ("program", "bpf_prog_info"), "anon_inode:bpf-map": ("map", "bpf_map_info")}
LINK = ("link", "bpf_link_info")


def kind_of(descriptor: Descriptor) -> tuple[str, str]:
    """(kind, info structure) of a descriptor."""
    target = os.readlink(f"/proc/self/fd/{descriptor.number}").replace("[", "").replace("]", "")
    return LAYOUTS.get(target, LINK)


def pins() -> dict[tuple[str, int], list[str]]:
    """The paths of all pinned objects that this process may open, by kind and id."""
    found: dict[tuple[str, int], list[str]] = {}
    for path in sorted(_files()):
        try:
            with open_pinned(path, "what is") as descriptor:
                kind, layout = kind_of(descriptor)
                found.setdefault((kind, read(layout, read_info(descriptor, layout), "id")), []).append(path)
        except OSError:  # gone, or not for us
            continue
    return found


def _files() -> Iterator[str]:
    with open(MOUNTS) as file:
        folders = [line.split()[1] for line in file if line.split()[2] == "bpf"]
    for folder in dict.fromkeys(folders):
        for place, _, names in os.walk(ESCAPE.sub(lambda code: chr(int(code[1], 8)), folder)):
            yield from (os.path.join(place, name) for name in names)
