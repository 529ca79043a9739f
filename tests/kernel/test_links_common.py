"""What all links offer: what they tell about themselves, pins, updates, detaching. In a BPF file system of the test's own."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import s64, u64
from purebpf.errors import Error, KernelError, Unsupported
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.link.pinned import open_link
from purebpf.tables.enums import LinkType
from tests.kernel.programs import needs

pytestmark = [pytest.mark.kernel, needs((5, 15), "links of all kinds used here")]
libc = ctypes.CDLL("libc.so.6")
calls = bpf.Array[u64](max_entries=4)


@bpf.globals
class only:
    pid: s64 = 0


@bpf.uprobe("libc.so.6", "labs")
def probed() -> None:
    if bpf.current.tgid == only.pid:
        calls[0] += 1
        calls[1] = bpf.cookie()


@bpf.raw_tracepoint("sys_enter")
def entering(ctx: bpf.RawTracepointContext) -> None:
    if bpf.current.tgid == only.pid:
        calls[0] += 1


@bpf.iter("task")
def first(task) -> None:  # type: ignore[no-untyped-def]
    if task is not None and task.tgid == only.pid:
        print("first")


@bpf.iter("task")
def second(task) -> None:  # type: ignore[no-untyped-def]
    if task is not None and task.tgid == only.pid:
        print("second")


@pytest.fixture
def bpffs(tmp_path: Path) -> Iterator[Path]:
    if subprocess.run(["mount", "-t", "bpf", "bpf", str(tmp_path)], capture_output=True).returncode:
        pytest.skip("a BPF file system cannot be mounted here")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_link_tells_what_it_is(kernel: KernelEngine) -> None:
    with probed.attach(pid=0, cookie=7) as attached:
        only.pid = os.getpid()
        assert attached.info.type == LinkType.PERF_EVENT
        assert attached.info.program_id == probed.loaded.info.id  # type: ignore[attr-defined]
        assert attached.mechanism == "uprobe, perf event link"
        libc.labs(-1)
        assert [calls[0], calls[1]] == [1, 7]
        if kernel_version() >= (6, 6):
            assert attached.details["kind"] == "uprobe"
            assert "libc.so.6" in attached.target
        if kernel_version() >= (6, 9):
            assert attached.details["cookie"] == 7


@needs((6, 10), "cookies of raw tracepoints")
def test_a_raw_tracepoint_tells_its_name_and_cookie(kernel: KernelEngine) -> None:
    with entering.attach(cookie=5) as attached:
        assert attached.target == "sys_enter"
        if kernel_version() >= (6, 17):
            assert attached.details["cookie"] == 5


def test_an_iterator_tells_its_target(kernel: KernelEngine) -> None:
    with first.attach() as attached:
        assert attached.target == "task"
        assert attached.info.type == LinkType.ITER


def test_a_pinned_link_outlives_what_attached_it(kernel: KernelEngine, bpffs: Path) -> None:
    with bpf.load(probed):
        only.pid = os.getpid()
        with probed.attach(pid=0) as attached:
            assert attached.pin(bpffs / "probe") == str(bpffs / "probe")
            with pytest.raises(KernelError, match="something of that name already"):
                attached.pin(bpffs / "probe")
        libc.labs(-1)
        assert calls[0] == 1
        with open_link(bpffs / "probe") as link:
            assert (link.info.type, link.mechanism) == (LinkType.PERF_EVENT, "pinned perf_event link")
            link.unpin()
            with pytest.raises(Error, match="not pinned"):
                link.unpin()
            libc.labs(-1)
            assert calls[0] == 2
        libc.labs(-1)
        assert calls[0] == 2


def test_a_pinned_iterator_is_read_by_any_program(kernel: KernelEngine, bpffs: Path) -> None:
    with first.attach() as attached:
        only.pid = os.getpid()
        attached.pin(bpffs / "tasks")
        assert set((bpffs / "tasks").read_text().split()) == {"first"}
        with open_link(bpffs / "tasks") as link:
            assert set(link) == {"first"}  # type: ignore[call-overload]


def test_pins_need_a_bpf_file_system(kernel: KernelEngine, tmp_path: Path, bpffs: Path) -> None:
    with first.attach() as attached:
        with pytest.raises(Error, match="in a BPF file system only"):
            attached.pin(tmp_path.parent / "no_bpffs_here")
        with pytest.raises(KernelError, match="Nothing is pinned"):
            open_link(bpffs / "nothing")


def test_what_is_no_link_is_told(kernel: KernelEngine, bpffs: Path) -> None:
    from purebpf.kernel.pins import pin

    with bpf.load(probed):
        pin(probed.loaded.descriptor, str(bpffs / "program"))  # type: ignore[attr-defined]
        with pytest.raises(Error, match="is no link"):
            open_link(bpffs / "program")


def test_an_iterator_is_updated_in_place(kernel: KernelEngine) -> None:
    with bpf.load(first, second):
        only.pid = os.getpid()
        with first.attach() as attached:
            before = attached.info.id
            assert set(attached) == {"first"}
            attached.update(second)
            assert set(attached) == {"second"}
            assert attached.info.id == before
            assert attached.program is second


def test_kinds_that_cannot_be_updated_say_so(kernel: KernelEngine) -> None:
    with bpf.load(probed), probed.attach(pid=0) as attached, pytest.raises(Unsupported, match="attach the new one"):
        attached.update(probed)


def test_detaching_ends_it(kernel: KernelEngine) -> None:
    with bpf.load(probed):
        only.pid = os.getpid()
        attached = probed.attach(pid=0)
        libc.labs(-1)
        attached.detach()
        libc.labs(-1)
        assert calls[0] == 1
