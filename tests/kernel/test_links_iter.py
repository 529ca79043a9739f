"""Every kind of iterator that this kernel has: its program is called for the objects that there are."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

import pytest

import purebpf as bpf
from purebpf import u64
from purebpf.btf.hooks import find_hook
from purebpf.errors import Error, KernelError, Unsupported
from purebpf.kernel.engine import KernelEngine
from purebpf.tables.enums import AttachType

pytestmark = pytest.mark.kernel
counts = bpf.Array[u64](max_entries=1)
table = bpf.Hash[u64, u64](max_entries=8)
sockets = bpf.SockMap(max_entries=4)
stored = bpf.SkStorage[u64]()


@bpf.sk_msg
def keeps_maps(ctx: bpf.SkMsgContext) -> int:
    return sockets.redirect(ctx, 1)


def lines(path: str) -> Callable[[], int]:
    """Those of a table of procfs without its head."""
    return lambda: max(len(open(path).readlines()) - 1, 0)


@contextmanager
def open_sockets() -> Iterator[None]:
    with ExitStack() as stack:
        for family, type in ((socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_NETLINK, socket.SOCK_RAW)):
            stack.enter_context(socket.socket(family, type))
        for type in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            made = stack.enter_context(socket.socket(socket.AF_INET, type))
            made.bind(("127.0.0.1", 0))
            if type == socket.SOCK_STREAM:
                made.listen()
        yield


# By kind: what there is of it at least, while other processes go on.
LEAST: dict[str, Callable[[], int]] = {
    "bpf_link": lambda: 1,  # the iterator's own
    "bpf_map": lambda: 1,
    "bpf_prog": lambda: 1,
    "cgroup": lambda: 1,
    "dmabuf": lambda: 0,
    "ipv6_route": lambda: 0,
    "kmem_cache": lambda: 20,
    "ksym": lambda: 1000,
    "netlink": lambda: 1,
    "task": lambda: 2,
    "task_file": lambda: len(os.listdir("/proc/self/fd")) - 1,
    "task_vma": lambda: lines("/proc/self/maps")(),
    "tcp": lambda: 1,
    "udp": lambda: 1,
    "unix": lambda: 1,
}


@bpf.xdp
def frames(ctx: bpf.XdpContext) -> bpf.XdpAction:
    return bpf.XDP_PASS


def program(kind: str) -> bpf.Program:
    @bpf.iter(kind)
    def each(ctx: bpf.IterContext) -> None:
        counts[0] += 1

    return each


def needs_iterator(kind: str) -> None:
    try:
        found = find_hook(AttachType.TRACE_ITER, kind)
    except Unsupported as error:
        pytest.skip(str(error))
    if found is None:
        pytest.skip(f"this kernel has no iterator {kind!r}")


def counted(kind: str, options: dict[str, object], around: AbstractContextManager[object] | None = None) -> int:
    needs_iterator(kind)
    with around or nullcontext(), program(kind).attach(engine="kernel", **options) as attached:
        assert (attached.mechanism, attached.read()) == ("iter link", "")
        return counts[0]


@pytest.mark.parametrize("kind", LEAST)
def test_the_program_is_called_for_what_there_is(kernel: KernelEngine, cgroup: str, kind: str) -> None:
    options: dict[str, object] = {"cgroup": cgroup, "order": "self"} if kind == "cgroup" else {}
    least = LEAST[kind]()
    with open_sockets():
        assert counted(kind, options) >= least


def test_elements_of_a_map(kernel: KernelEngine) -> None:
    with bpf.load(table, engine="kernel"):
        table.update(dict.fromkeys(range(5), 1))
        assert counted("bpf_map_elem", {"map": table}) == 6  # and once at the end


def test_a_map_that_is_not_given(kernel: KernelEngine) -> None:
    with pytest.raises(KernelError, match=r"attach\(map=\.\.\.\)"):
        counted("bpf_map_elem", {})


def test_what_cannot_take_the_place_of_a_program_is_told(kernel: KernelEngine) -> None:
    needs_iterator("task")
    with program("task").attach(engine="kernel") as attached, frames.load("vm"):
        with pytest.raises(TypeError, match="the place of `each`, a decorated function, not None"):
            attached.update(None)  # type: ignore[arg-type]
        with pytest.raises(Error, match="`frames` is loaded in the virtual machine, and `each` is attached in the kernel"):
            attached.update(frames)


def test_an_attachment_says_what_it_is(kernel: KernelEngine) -> None:
    needs_iterator("task")
    with program("task").attach(engine="kernel") as attached:
        assert repr(attached) == "<bpf.Attachment of each by iter link>"
    assert repr(attached) == "<bpf.Attachment of each by iter link, closed>"


def test_sockets_of_a_map(kernel: KernelEngine) -> None:
    with (
        bpf.load(keeps_maps, engine="kernel"),
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        sockets[0] = client
        assert counted("sockmap", {"map": sockets}) >= 1


def test_sockets_with_a_stored_value(kernel: KernelEngine) -> None:
    with bpf.load(stored, engine="kernel"), socket.socket() as one, socket.socket():
        stored[one] = 5
        assert counted("bpf_sk_storage_map", {"map": stored}) >= 1
