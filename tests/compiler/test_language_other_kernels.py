"""Programs that were compiled with this kernel's types, in kernels that have them otherwise.

Such a kernel is the virtual machine, with CO-RE resolved against made-up types and objects laid out by them in its memory.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import pytest

import purebpf as bpf
from purebpf import u64
from purebpf.btf.reader import Btf
from purebpf.collection import Collection
from purebpf.compiler.options import Options
from purebpf.data import replace
from purebpf.engine import EngineMap
from purebpf.relocate import relocated
from purebpf.spec import ProgramSpec
from purebpf.vm.engine import VmEngine, VmProgram
from purebpf.vmlinux import pid_type, task_struct  # type: ignore[attr-defined, unused-ignore]
from tests.btf.kit import Kit
from tests.compiler.test_language_kernel import kernel_has_types

pytestmark = pytest.mark.skipif(bool(kernel_has_types()), reason=kernel_has_types())
found = bpf.Array[u64](max_entries=16)
BY_HELPER = Options(4, kernel_pointers=False, kernel_casts=False)


@bpf.struct
class Text:
    comm: str = bpf.chars(16)


text = bpf.Array[Text](max_entries=1)


@bpf.raw_tracepoint("sys_enter")
def look(ctx: bpf.RawTracepointContext) -> None:
    task = task_struct(ctx.args[0])
    found[0] = task.tgid
    found[1] = task.real_parent.tgid
    found[2] = task.sched_reset_on_fork
    found[3] = task.policy
    found[4] = task.real_parent.se.vruntime
    found[5] = bpf.exists(task_struct, "of_the_future") + 1
    found[6] = bpf.exists(task_struct, "pid") + 1
    found[7] = bpf.sizeof(task_struct)
    found[8] = bpf.offsetof(task_struct, "se.vruntime")
    found[9] = bpf.enum_value(pid_type, "PIDTYPE_SID")
    if bpf.exists(task_struct, "exit_code"):
        found[10] = task.exit_code
    else:
        found[10] = 77
    text[0].comm = task.comm


class OtherKernel(VmEngine):
    """With these types."""

    def __init__(self, btf: Btf) -> None:
        super().__init__()
        self.btf = btf

    def load_program(self, spec: ProgramSpec, maps: Mapping[str, EngineMap]) -> VmProgram:
        assert spec.relocations
        return super().load_program(replace(spec, instructions=relocated(spec, [self.btf])), maps)


def one() -> Kit:
    """Nothing is where it is here; some of it is inside of others."""
    k = Kit()
    entity = k.struct("sched_entity", ("new", k.u64), ("vruntime", k.u64))
    inner = k.struct("", ("pad", k.u16), ("comm", k.array(k.u8, 16)), ("tgid", k.s32))
    k.enum("pid_type", OTHER=0, PIDTYPE_SID=9)
    k.struct(
        "task_struct",
        ("sched_reset_on_fork", k.u32, 1), ("more", k.u32, 9), ("se", entity), ("", inner),
        ("real_parent", k.ptr()), ("of_the_future", k.ptr()), ("policy", k.u32),
    )  # fmt: skip
    return k


def two() -> Kit:
    """Other names and orders; a bit field that is none; a field more and one less."""
    k = Kit()
    entity = k.union("sched_entity___2", ("vruntime", k.u64), ("x", k.u8))
    k.enum("pid_type", size=8, PIDTYPE_SID=1 << 20)
    k.struct(
        "task_struct",
        ("policy", k.u32), ("exit_code", k.s32), ("sched_reset_on_fork", k.u8), ("pid", k.s32), ("tgid", k.s32),
        ("comm", k.array(k.u8, 16)), ("se", entity), ("real_parent", k.ptr()),
    )  # fmt: skip
    return k


PLACES = {
    one: {
        "tgid": (44, "i"), "real_parent": (48, "Q"), "policy": (64, "I"), "vruntime": (16, "Q"), "comm": (26, "16s"),
        "bits": (0, "B"),
    },
    two: {
        "tgid": (16, "i"), "real_parent": (48, "Q"), "policy": (0, "I"), "vruntime": (40, "Q"), "comm": (20, "16s"),
        "bits": (8, "B"), "exit_code": (4, "i"),
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "kernel, expected",
    [
        (one, {5: 2, 6: 1, 7: 72, 8: 16, 9: 9, 10: 77}),
        (two, {5: 1, 6: 2, 7: 56, 8: 40, 9: 1 << 20, 10: -3 % (1 << 64)}),
    ],
)
def test_fields_are_found_where_that_kernel_has_them(kernel: object, expected: dict[int, int]) -> None:
    assert callable(kernel)
    btf = kernel().btf()
    size = btf.size_of(btf.find("task_struct"))
    engine = OtherKernel(btf)
    places = PLACES[kernel]

    def task(**values: int | bytes) -> int:
        data = bytearray(size)
        for name, value in values.items():
            offset, form = places[name]
            struct.pack_into(f"={form}", data, offset, value)
        return engine.share("a task", data)

    parent = task(tgid=41, vruntime=1 << 50)
    child = task(
        tgid=42, real_parent=parent, policy=3, comm=b"the child", bits=1, **({"exit_code": -3} if kernel is two else {})
    )
    look.options = BY_HELPER
    try:
        with Collection([look], engine).load() as collection:
            look_there = collection.of(look)
            look_there.run(context=struct.pack("=QQ", child, 0))
            got = {index: found[index] for index in range(11)}
            assert text[0].comm == "the child"
    finally:
        look.options = None
    assert got == {0: 42, 1: 41, 2: 1, 3: 3, 4: 1 << 50} | expected
