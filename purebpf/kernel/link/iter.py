"""Iterators: programs that the kernel calls for each of its objects, and whose output is read as a file (Linux 5.8).

Attaching only makes the link; each reading (BPF_ITER_CREATE) goes through all objects anew. kernel/bpf/bpf_iter.c.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from errno import EAGAIN, EBADF, EINVAL, ENOENT

from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.link.base import KernelLink, create_link
from purebpf.kernel.link.options import Options
from purebpf.kernel.map import KernelMap
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.syscall import address, bpf, pin
from purebpf.tables.enums import AttachType, Command

OPTIONS = {
    "map": "the map to go through, for bpf_map_elem and sockets in maps",
    "pid": "only the threads of this process, for task, task_file and task_vma (Linux 6.1)",
    "tid": "only this thread, for the same",
    "cgroup": "the cgroup to begin at, as a path, for cgroup (Linux 6.1)",
    "order": "of cgroups: 'self', 'descendants' (first the parent), 'post' (last the parent) or 'ancestors'",
}
ORDERS = {"self": 1, "descendants": 2, "post": 3, "ancestors": 4}  # enum bpf_cgroup_iter_order
CHUNK = 1 << 16
NEEDS = ("CAP_BPF", "CAP_PERFMON")
REASONS = {
    EINVAL: "The kernel does not take this iterator with these options; bpf_map_elem needs a map.",
    EBADF: "`bpf_map_elem`, and the iterators over sockets in maps, go through a map: attach(map=...).",
    ENOENT: "The kernel has no such iterator (any more), or there is no such thread.",
}


class IterLink(KernelLink):
    """An attached iterator. `read` and iteration go through all objects anew each time."""

    def chunks(self) -> Iterator[bytes]:
        """What the program wrote, piece by piece. Raises KernelError."""
        link = self._descriptors[0]
        answer = bpf(Command.ITER_CREATE, {"link_fd": link.number})
        if answer < 0:
            raise failure(-answer, f"Opening {link.what}", needs=NEEDS, first=(5, 8), feature="iterators")
        with Descriptor(answer, f"the reader of {link.what}") as reader:
            while True:
                try:
                    piece = os.read(reader.number, CHUNK)
                except OSError as error:
                    if error.errno == EAGAIN:  # a million objects without output; the kernel goes on where it was
                        continue
                    raise failure(error.errno or EINVAL, f"Reading {link.what}") from error
                if not piece:
                    return
                yield piece

    def read_bytes(self) -> bytes:
        """All that the program wrote."""
        return b"".join(self.chunks())

    def read(self) -> str:
        """The same as text."""
        return self.read_bytes().decode("utf-8", "replace")

    def pieces(self, size: int) -> Iterator[bytes]:
        """All that the program wrote, in pieces of so many bytes."""
        rest = b""
        for piece in self.chunks():
            rest += piece
            whole = len(rest) - len(rest) % size
            yield from (rest[at : at + size] for at in range(0, whole, size))
            rest = rest[whole:]

    def __iter__(self) -> Iterator[str]:
        """The lines, without their ends."""
        rest = b""
        for piece in self.chunks():
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in lines)
        if rest:
            yield rest.decode("utf-8", "replace")


def attach(program: KernelProgram, given: Mapping[str, object]) -> IterLink:
    options = Options("iterator", given, OPTIONS)
    target = f"the iterator {program.spec.attach_to}".rstrip()
    fields = {"attach_type": int(AttachType.TRACE_ITER)}
    with _cgroup(options) as cgroup:
        info = pin(_info(options, cgroup))
        if any(info.raw):
            fields |= {"iter_info": address(info), "iter_info_len": len(info)}
        made = create_link(program, target, fields, needs=NEEDS, first=(5, 8), feature="iterators", reasons=REASONS)
    return IterLink("iter link", (made,))


def _cgroup(options: Options) -> Descriptor:
    path = options.text("cgroup")
    if not path:
        return Descriptor.none()
    return Descriptor(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), f"the cgroup {path}")


def _info(options: Options, cgroup: Descriptor) -> bytes:
    """`union bpf_iter_link_info`, 16 bytes: what to go through."""
    chosen = [name for name in ("map", "pid", "tid", "cgroup") if name in options]
    if len(chosen) > 1:
        raise options.wrong(f"got both {chosen[0]} and {chosen[1]}; give one")
    if "order" in options and "cgroup" not in options:
        raise options.wrong("got an order, which is for a cgroup, and no cgroup")
    numbers = (0, 0, 0)
    if "map" in options:
        numbers = (_map(options), 0, 0)
    elif "cgroup" in options:
        numbers = (ORDERS[options.choice("order", tuple(ORDERS), "descendants")], cgroup.number, 0)
    elif chosen:
        numbers = (options.number("tid", 0), options.number("pid", 0), 0)
    return b"".join(number.to_bytes(4, sys.byteorder) for number in (*numbers, 0))


def _map(options: Options) -> int:
    given = options.get("map")
    found = given if isinstance(given, KernelMap) else getattr(given, "live", None)
    if not isinstance(found, KernelMap):
        raise options.wrong(f"got map={given!r}, which is no map in the kernel")
    return found.descriptor.number
