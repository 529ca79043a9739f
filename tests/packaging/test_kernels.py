"""Packages and kernels: operations of the kernel, and types for kernels that tell none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from purebpf.btf import running
from purebpf.btf.files import open_btf
from purebpf.btf.types import Kind
from purebpf.errors import Error, Unsupported
from tests.packaging.generated import generate, imported, source

CONGESTION = Path(__file__).parents[1] / "elf" / "writing" / "congestion.py"
PARENT = """
import purebpf as bpf
from purebpf import s32, u32

parents = bpf.Hash[u32, s32](max_entries=1024)


@bpf.raw_tracepoint("sys_enter")
def parent(ctx: bpf.RawTracepointContext) -> None:
    parents[bpf.current.pid] = bpf.current.task.real_parent.tgid
"""


@pytest.mark.kernel
def test_a_kernel_without_types_gets_those_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = os.uname().release
    copy = tmp_path / f"{release}.btf"
    shutil.copy("/sys/kernel/btf/vmlinux", copy)
    made = generate(tmp_path, source(tmp_path, PARENT), kernels=(copy,))  # type: ignore[arg-type]
    part = made / f"{release}.btf"
    assert part.stat().st_size < copy.stat().st_size / 1000
    assert len(open_btf(part).types_named("task_struct", Kind.STRUCT)) == 1

    def none() -> None:
        raise Unsupported("this kernel offers no BTF")

    monkeypatch.setattr(running, "own_btf", none)
    with imported(made) as module, module.Source() as parents:
        parents.attach()
        os.getppid()
        assert parents.maps.parents[os.getpid()] == os.getppid()
    part.unlink()
    with imported(made) as module, module.Source() as parents, pytest.raises(Error, match="cannot be read"):
        parents.load("kernel")


@pytest.mark.kernel
def test_operations_in_python_are_registered(tmp_path: Path) -> None:
    known = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
    with imported(generate(tmp_path, CONGESTION)) as module:
        with module.Congestion() as congestion:
            assert sorted(congestion.programs) == ["cong_avoid", "init", "ssthresh", "undo_cwnd"]
            congestion.attach()
            assert "pure_steady" in known.read_text().split()
            assert congestion.links.pure_steady is congestion.links["pure_steady"]
        assert "pure_steady" not in known.read_text().split()
