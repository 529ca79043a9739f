"""Which processes hold an object, by their descriptors (/proc/PID/fdinfo). A process's fork holds what it inherited."""

from __future__ import annotations

import os

from purebpf.data import data

LINES = {  # of fdinfo, by the target of the descriptor's link
    "anon_inode:bpf-prog": ("program", "prog_id:"),
    "anon_inode:bpf-map": ("map", "map_id:"),
    "anon_inode:bpf_link": ("link", "link_id:"),
    "anon_inode:btf": ("BTF", "btf_id:"),
}


@data
class Holder:
    pid: int
    comm: str


def holders() -> dict[tuple[str, int], list[Holder]]:
    """Those of all objects, by kind and id. Processes that may not be looked at are left out."""
    found: dict[tuple[str, int], list[Holder]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            held = _held(int(name))
            if held:
                holder = Holder(int(name), _comm(int(name)))
                for each in sorted(held):
                    found.setdefault(each, []).append(holder)
    return {key: sorted(value, key=lambda holder: holder.pid) for key, value in found.items()}


def _held(pid: int) -> set[tuple[str, int]]:
    """What one process holds."""
    found = set()
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return set()
    for number in numbers:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{number}")
            what = _line_of(target)
            if what is None:
                continue
            with open(f"/proc/{pid}/fdinfo/{number}") as file:
                for line in file:
                    if line.startswith(what[1]):
                        found.add((what[0], int(line.split()[1])))
        except (OSError, ValueError, IndexError):  # closed meanwhile
            continue
    return found


def _line_of(target: str) -> tuple[str, str] | None:
    """Links are called by several names over the versions: anon_inode:bpf_link, [bpf_link]."""
    plain = target.replace("[", "").replace("]", "").replace("bpf-link", "bpf_link")
    return LINES.get(plain)


def _comm(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""
