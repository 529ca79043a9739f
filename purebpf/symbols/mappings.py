"""What a process has mapped: /proc/PID/maps (proc_pid_maps(5)); and who the process is, since numbers are used again."""

from __future__ import annotations

import os
import re

from purebpf.data import data

LINE = re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) (\S+) (\d+) *(.*)$", re.MULTILINE)
ESCAPE = re.compile(r"\\([0-7]{3})")
DELETED = " (deleted)"


@data
class Mapping:
    """Memory with executable code. `offset` is that of `start` in the file."""

    start: int
    end: int
    offset: int
    inode: int
    path: str
    deleted: bool = False

    @property
    def file(self) -> bool:
        """Whether it is a file's; else the vdso, a heap, or memory of no name, as that of a JIT compiler."""
        return self.path.startswith("/") and self.inode != 0


def parse(text: bytes) -> list[Mapping]:
    """The executable mappings, in the order of their addresses."""
    found = []
    for start, end, rights, offset, _device, inode, name in LINE.findall(text):
        if b"x" not in rights:
            continue
        path = ESCAPE.sub(lambda code: chr(int(code[1], 8)), os.fsdecode(name))
        deleted = path.endswith(DELETED)
        path = path.removesuffix(DELETED)
        found.append(Mapping(int(start, 16), int(end, 16), int(offset, 16), int(inode), path, deleted))
    return sorted(found, key=lambda mapping: mapping.start)


def read_mappings(pid: int) -> list[Mapping]:
    """Raises OSError when the process is gone or may not be looked at."""
    with open(f"/proc/{pid}/maps", "rb") as file:
        return parse(file.read())


def identity(pid: int) -> tuple[int, str]:
    """(start time, name) of a process: when both stay, it is still the same one after the same exec. Raises OSError."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        text = file.read()
    name, rest = text[text.index(b"(") + 1 : text.rindex(b")")], text[text.rindex(b")") + 2 :].split()
    return int(rest[19]), name.decode("utf-8", "replace")


def own_number(pid: int) -> int:
    """The process's number as it sees itself, in its own PID namespace. Raises OSError."""
    with open(f"/proc/{pid}/status", "rb") as file:
        for line in file:
            if line.startswith(b"NSpid:"):
                return int(line.split()[-1])
    return pid
