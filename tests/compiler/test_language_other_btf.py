"""Programs compiled by another kernel's BTF than the running one's: `Options(btf=FILE)`, `--btf FILE`."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import u64
from purebpf.btf.running import instead, kernel_btf, modules
from purebpf.btf.types import Func, FuncProto, Linkage, Parameter
from purebpf.collection import Collection, set_default_btf
from purebpf.compiler.options import Options
from purebpf.data import replace
from purebpf.errors import CompileError, Error
from purebpf.kernel.engine import KernelEngine
from purebpf.vmlinux import (  # type: ignore[attr-defined, unused-ignore]
    gadget,
    task_struct,
)
from tests.btf.kit import Kit
from tests.cli.test_cli import purebpf
from tests.compiler.test_language_kernel import kernel_has_types
from tests.compiler.test_language_other_kernels import BY_HELPER, OtherKernel

found = bpf.Array[u64](max_entries=8)


@bpf.raw_tracepoint("sys_enter")
def look(ctx: bpf.RawTracepointContext) -> None:
    found[0] = gadget(ctx.args[0]).serial
    found[1] = bpf.sizeof(gadget)
    found[2] = task_struct(ctx.args[0]).of_that_kernel


@bpf.fentry("turn_gadget")
def turned(g, by) -> None:  # type: ignore[no-untyped-def]
    found[0] = g.serial + by


def there() -> Kit:
    k = Kit()
    g = k.struct("gadget", ("pad", k.u64), ("serial", k.u64))
    k.struct("task_struct", ("tgid", k.s32), ("of_that_kernel", k.u32))
    proto = k.add(FuncProto(k.s32, (Parameter("g", k.ptr(g)), Parameter("by", k.u32))))
    k.add(Func("turn_gadget", proto, Linkage.STATIC))
    return k


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "vmlinux"
    path.write_bytes(bytes(there().btf().raw))
    return str(path)


def test_types_are_those_of_the_file(file: str) -> None:
    look.options = replace(BY_HELPER, btf=file)
    engine = OtherKernel(there().btf())
    try:
        with Collection([look], engine).load() as collection:
            place = engine.share("a gadget", bytearray(struct.pack("=IIQ", 1, 2, 3)))
            collection.of(look).run(context=struct.pack("=QQ", place, 0))
            assert [found[0], found[1], found[2]] == [3, 16, 2]
    finally:
        look.options = None


def test_hooks_and_their_parameters_are_those_of_the_file(file: str) -> None:
    turned.options = Options(btf=file)
    assert turned.compiled().program.attach_to == "turn_gadget"
    turned.options = None
    with pytest.raises(CompileError, match="turn_gadget"):
        turned.compiled()


@pytest.mark.parametrize("event", ["gadget_turned", "gadget_lost", "sys_enter"])
def test_raw_tracepoints_are_those_of_the_file(event: str, tmp_path: Path) -> None:
    k = there()
    k.typedef("btf_trace_gadget_turned", k.ptr())
    path = tmp_path / "vmlinux"
    path.write_bytes(bytes(k.btf().raw))
    program = bpf.raw_tracepoint(event)(look.function)
    program.options = Options(btf=str(path))
    if event == "gadget_turned":
        assert program.compiled().program.attach_to == event
    else:
        with pytest.raises(CompileError, match=f"the kernel has no tracepoint `{event}`"):
            program.compiled()


def test_what_the_file_has_not_is_an_error(file: str) -> None:
    path = Path(file).with_name("empty")
    k = Kit()
    k.struct("gadget", ("pad", k.u64))
    path.write_bytes(bytes(k.btf().raw))
    look.options = Options(btf=str(path))
    try:
        with pytest.raises(CompileError, match="the kernel's `gadget` has no field `serial`"):
            look.compiled()
    finally:
        look.options = None


@pytest.mark.skipif(bool(kernel_has_types()), reason=kernel_has_types())
def test_only_compiling_sees_the_file(file: str) -> None:
    with instead(file):
        assert len(kernel_btf()) < 100 and list(modules()) == []
    assert len(kernel_btf()) > 1000


def test_the_default_of_a_process(file: str) -> None:
    set_default_btf(file)
    try:
        look.options = Options(3)
        assert look.compiled().program.relocations
        assert look.compiled().options.btf == file
    finally:
        set_default_btf("")
        look.options = None


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    look.options = Options(btf=str(tmp_path / "none"))
    with pytest.raises(Error, match=r"the BTF to compile for, .*none, cannot be read: No such file"):
        look.compiled()
    look.options = None


@bpf.tracepoint("syscalls/sys_enter_getpgid")
def here(ctx: bpf.TracepointContext) -> None:
    if bpf.current.tgid == bpf.current.task.tgid:
        found[3] = bpf.current.task.tgid


@pytest.mark.skipif(bool(kernel_has_types()), reason=kernel_has_types())
def test_an_object_for_another_kernel_loads_into_this_one(tmp_path: Path, kernel: KernelEngine) -> None:
    """Where its types have what it asks for: the places are those of here."""
    k = Kit()
    k.struct("task_struct", ("tgid", k.s32))
    path = tmp_path / "small"
    path.write_bytes(bytes(k.btf().raw))
    here.options = Options(4, btf=str(path))
    with here.attach():
        for _ in range(3):
            os.getpgid(0)
        assert found[3] > 0
    here.options = None


SCRIPT = """
import purebpf as bpf
from purebpf.vmlinux import gadget

@bpf.raw_tracepoint("sys_enter")
def look(ctx):
    return gadget(ctx.args[0]).serial == 3

if __name__ == "__main__":
    print(len(look.spec().programs["look"].relocations))
"""


def test_the_command_line(file: str, tmp_path: Path) -> None:
    script = tmp_path / "look.py"
    script.write_text(SCRIPT)
    assert "+8)" in purebpf("build", str(script), "--btf", file).stdout
    assert purebpf("run", "--btf", file, str(script)).stdout == "2\n"
    assert "`gadget` is not in the BTF" in purebpf("build", str(script)).stderr
    done = purebpf("build", str(script), "--btf", "no/such/file")
    assert done.returncode == 1 and "no/such/file, cannot be read" in done.stderr
