"""One object on every kernel: compiled once, with the types of Linux 6.18, and loaded as it is wherever these tests run.

What it finds is compared with procfs and system calls, where it found it with the running kernel's own types. `make kernels`
shows the offsets of all kernels side by side. The object is examples/whoami.py; `tests/compiler/test_cases.py` holds it to its
source, and writes it anew with the golden cases.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from purebpf.btf.files import open_btf
from purebpf.btf.reader import Btf
from purebpf.btf.running import kernel_btf
from purebpf.btf.types import Kind, Struct, Union
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.portable import loads
from tests.examples.test_examples import load
from tests.kernel.portable.make import OBJECT, TYPES
from tests.kernel.programs import needs
from tests.kernels.results import FACT

COMPILED_FOR = (6, 18)
MINOR_BITS = 20
whoami = load("whoami")
old = needs((5, 10), "the program's test-run")


def stat(field: int) -> int:
    """A number of /proc/self/stat, counted as proc_pid_stat(5) does."""
    return int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[field - 3])


def lines(path: str) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in Path(path).read_text().splitlines())
    return {name: value.strip() for name, value in pairs}


def told_by_the_kernel(file: int, connection: socket.socket) -> dict[str, object]:
    """The same as the program's answer, by procfs and system calls."""
    status, entry, info = lines("/proc/self/status"), lines(f"/proc/self/fdinfo/{file}"), os.fstat(file)
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "comm": status["Name"],
        "started": stat(22),
        "uid": int(status["Uid"].split()[0]),
        "group": int(status["Gid"].split()[1]),
        "threads": int(status["Threads"]),
        "arguments": stat(48),
        "network": os.stat("/proc/self/ns/net").st_ino,
        "descriptors": int(status["FDSize"]),
        "flags": int(entry["flags"], 8) & ~os.O_CLOEXEC,
        "position": int(entry["pos"]),
        "inode": info.st_ino,
        "device": os.major(info.st_dev) << MINOR_BITS | os.minor(info.st_dev),
        "port": connection.getsockname()[1],
        "peer": connection.getpeername()[1],
        "family": connection.family,
        "socket_inode": os.fstat(connection.fileno()).st_ino,
        "changed": int(info.st_ctime),
    }


@pytest.fixture
def descriptors() -> Iterator[tuple[int, socket.socket]]:
    """A file of 11 bytes, at its end, and a connected socket; the process is in a group that is not 0, as much else is."""
    with ExitStack() as stack:
        stack.callback(os.setegid, os.getegid())
        os.setegid(4711)
        file = stack.enter_context(os.fdopen(os.memfd_create("whoami"), "w+b", buffering=0))
        file.write(b"hello world")
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield file.fileno(), stack.enter_context(socket.create_connection(server.getsockname()))


def offset(btf: Btf, number: int, names: list[str]) -> int | None:
    """Where a member of a struct is, in bytes; anonymous ones are gone through."""
    composite = btf.type(btf.resolve(number))
    if not isinstance(composite, Struct | Union):
        return None
    for member in composite.members:
        if member.name not in ("", names[0]):
            continue
        rest = names[1:] if member.name else names
        inside = offset(btf, member.type, rest) if rest else 0
        if inside is not None:
            return member.bit_offset // 8 + inside
    return None


def offsets(btf: Btf) -> list[int | None]:
    """Of the program's fields, by these types."""
    return [offset(btf, btf.find(struct.__name__, Kind.STRUCT), name.split(".")) for struct, name in whoami.FIELDS]


@old
def test_values_are_those_of_procfs_and_system_calls(kernel: KernelEngine, descriptors: tuple[int, socket.socket]) -> None:
    file, connection = descriptors
    answer = whoami.ask(loads(OBJECT.read_text()), file, connection.fileno())
    expected = told_by_the_kernel(file, connection)
    found = {name: getattr(answer, name) for name in expected}
    found["started"] = answer.started * os.sysconf("SC_CLK_TCK") // 10**9
    assert found == expected


@old
def test_offsets_are_those_of_this_kernel(
    kernel: KernelEngine, descriptors: tuple[int, socket.socket], record_property: Callable[[str, object], None]
) -> None:
    file, connection = descriptors
    answer = whoami.ask(loads(OBJECT.read_text()), file, connection.fileno())
    for (struct, name), place in zip(whoami.FIELDS, answer.offsets, strict=True):
        record_property(f"{FACT}offset of {struct.__name__}.{name}", place)
    assert list(answer.offsets) == offsets(kernel_btf())
    if kernel_version() != COMPILED_FOR:
        assert list(answer.offsets) != offsets(open_btf(TYPES)), "they are as in the kernel it was compiled for"
