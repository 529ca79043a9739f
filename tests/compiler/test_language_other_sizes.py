"""Fields and constants that have another size in the kernel a program is loaded into than in the one it was compiled for."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import s32, u8, u32, u64
from purebpf.btf.types import Array, Int, Kind
from purebpf.btf.types import Struct as BtfStruct
from purebpf.collection import Collection
from purebpf.compiler.options import Options
from purebpf.data import replace
from purebpf.engine import EngineMap
from purebpf.isa.asm import R0, R1, Mov
from purebpf.kernel.engine import KernelEngine
from purebpf.spec import ProgramSpec
from purebpf.vm.engine import VmProgram
from purebpf.vmlinux import (  # type: ignore[attr-defined, unused-ignore]
    no_such_type,
    pid_type,
    task_struct,
)
from tests.btf.kit import Kit
from tests.compiler.test_language_kernel import kernel_has_types
from tests.compiler.test_language_other_kernels import BY_HELPER, OtherKernel

pytestmark = pytest.mark.skipif(bool(kernel_has_types()), reason=kernel_has_types())
BY_CAST = Options(4, kernel_pointers=False)
found = bpf.Array[u64](max_entries=32)


class Casting(OtherKernel):
    """It has pointers that `bpf_rdonly_cast` made, which in a machine that checks every access are the numbers they were."""

    def load_program(self, spec: ProgramSpec, maps: Mapping[str, EngineMap]) -> VmProgram:
        code = (Mov.reg(R0, R1) if i.symbol == "bpf_rdonly_cast" else i for i in spec.instructions)
        return super().load_program(replace(spec, instructions=tuple(code)), maps)


@bpf.raw_tracepoint("sys_enter")
def unsigned(ctx: bpf.RawTracepointContext) -> None:
    task = task_struct(ctx.args[0])
    found[0] = task.policy
    found[1] = task.start_time
    found[2] = 1 if task.policy < 8 else 2
    found[3] = task.policy + 1


@bpf.raw_tracepoint("sys_enter")
def signed(ctx: bpf.RawTracepointContext) -> None:
    task = task_struct(ctx.args[0])
    found[0] = task.prio
    found[1] = 1 if task.prio < 0 else 2
    found[2] = task.sched_reset_on_fork


def narrow() -> Kit:
    k = Kit()
    s16, u8 = k.int("short", 2, signed=True), k.u8
    k.struct("task_struct", ("prio", s16), ("policy", u8), ("start_time", k.u16), ("sched_reset_on_fork", u8))
    return k


def wide() -> Kit:
    k = Kit()
    k.struct("task_struct", ("prio", k.s64), ("policy", k.u64), ("start_time", k.u64), ("sched_reset_on_fork", k.u8))
    return k


def run(program: bpf.Program, way: Options, kernel: Kit, form: str, *values: int) -> list[int]:
    """What the program finds in a task of that kernel, whose fields are packed by `form`."""
    engine = Casting(kernel.btf())
    program.options = way
    try:
        with Collection([program], engine).load() as collection:
            task = engine.share("a task", bytearray(struct.pack(form, *values)))
            collection.of(program).run(context=struct.pack("=QQ", task, 0))
            return [found[index] for index in range(4)]
    finally:
        program.options = None


@pytest.mark.parametrize("way", [BY_HELPER, BY_CAST], ids=["helper", "cast"])
def test_unsigned_integers_are_read_in_the_size_they_have_there(way: Options) -> None:
    assert run(unsigned, way, narrow(), "=hBxHBx", -1, 0xFE, 0xFFFD, 1) == [0xFE, 0xFFFD, 2, 0xFF]
    assert run(unsigned, way, wide(), "=qQQB7x", -1, 7, 1 << 40, 1) == [7, 1 << 40, 1, 8]


@pytest.mark.parametrize("way", [BY_HELPER, BY_CAST], ids=["helper", "cast"])
def test_the_low_bits_of_what_is_larger_there_are_within_the_type(way: Options) -> None:
    """The compiler has reckoned with them: a comparison and a sum agree with the value that was stored."""
    assert run(unsigned, way, wide(), "=qQQB7x", 0, (1 << 32) + 5, 0, 0)[::2] == [5, 1]
    assert run(unsigned, way, wide(), "=qQQB7x", 0, (1 << 33) - 1, 0, 0)[::3] == [(1 << 32) - 1, 1 << 32]


def test_signed_integers_keep_their_sign_by_the_helper() -> None:
    assert run(signed, BY_HELPER, narrow(), "=hBxHBx", -3, 0, 0, 1)[:3] == [(1 << 64) - 3, 1, 1]
    assert run(signed, BY_HELPER, wide(), "=qQQB7x", -3, 0, 0, 1)[:3] == [(1 << 64) - 3, 1, 1]
    assert run(signed, BY_HELPER, wide(), "=qQQB7x", (1 << 32) + 5, 0, 0, 0)[:2] == [5, 2]


def test_a_bit_field_that_is_wider_there_gives_the_bits_that_it_has_here() -> None:
    assert run(signed, BY_HELPER, wide(), "=qQQB7x", 0, 0, 0, 0xFE)[2] == 0
    assert run(signed, BY_HELPER, wide(), "=qQQB7x", 0, 0, 0, 0x81)[2] == 1


class flags_here(bpf.KernelStruct):
    low: u32
    count: s32
    ready: bool
    mode: u8


@bpf.raw_tracepoint("sys_enter")
def packed_there(ctx: bpf.RawTracepointContext) -> None:
    here = flags_here(ctx.args[0])
    found[0] = here.low
    found[1] = here.count
    found[2] = here.ready
    found[3] = here.mode


@pytest.mark.parametrize("low, count, ready, mode", [(5, -2, 1, 3), (0, 3, 0, 0), (7, -4, 0, 7), (1, 0, 1, 0)])
def test_a_field_that_is_bits_there(low: int, count: int, ready: int, mode: int) -> None:
    """Read whole here, cut out of what is around it there."""
    k = Kit()
    k.struct(
        "flags_here",
        ("a", k.u32, 5),
        ("low", k.u32, 3),
        ("ready", k.u32, 1),
        ("count", k.s32, 3),
        ("mode", k.u32, 3),
        ("z", k.u32, 9),
    )
    word = 0b10101 | low << 5 | ready << 8 | (count & 7) << 9 | mode << 12 | 0x1FF << 15
    assert run(packed_there, BY_HELPER, k, "=I", word) == [low, count % (1 << 64), ready, mode]


def test_a_bool_of_more_bytes() -> None:
    k = Kit()
    k.struct("flags_here", ("ready", k.u32), ("low", k.u32), ("count", k.s32), ("mode", k.u8))
    assert run(packed_there, BY_HELPER, k, "=IIiBxxx", 256, 2, 3, 4) == [2, 3, 1, 4]
    assert run(packed_there, BY_CAST, k, "=IIiBxxx", 256, 2, 3, 4) == [2, 3, 1, 4]


def array_of_ints() -> str:
    """A struct of this kernel with a signed array, as `struct.field`; the tests of elements need none of a certain name."""
    from purebpf.btf.running import kernel_btf

    btf = kernel_btf()
    for number in btf.numbers(Kind.STRUCT):
        outer = btf.type(number)
        assert isinstance(outer, BtfStruct)
        if not outer.name or len(btf.types_named(outer.name, (Kind.STRUCT, Kind.UNION))) > 1:
            continue
        for member in outer.members:
            array = btf.type(btf.resolve(member.type))
            if member.name.isidentifier() and isinstance(array, Array) and array.length >= 4:
                element = btf.type(btf.resolve(array.type))
                if isinstance(element, Int) and element.signed and element.size == 4 and member.bit_offset % 8 == 0:
                    return f"{outer.name}.{member.name}"
    raise AssertionError("no struct of this kernel has an array of signed integers")


SOURCE = """
import purebpf as bpf
from purebpf import s32, u8, u32, u64
from purebpf.vmlinux import {struct}

found = bpf.Array[u64](max_entries=32)

@bpf.raw_tracepoint("sys_enter")
def read(ctx):
    one = {struct}(ctx.args[0])
    at = ctx.args[1] & 3
    found[0] = one.{field}[at]
    found[1] = one.{field}[2]
    found[2] = 1 if one.{field}[at] < 0 else 2
"""


@pytest.mark.parametrize("size", [2, 4, 8])
def test_elements_lie_as_far_apart_as_they_do_there(size: int, tmp_path: Path) -> None:
    name, _, field = array_of_ints().partition(".")
    path = tmp_path / "elements.py"
    path.write_text(SOURCE.format(struct=name, field=field))
    space: dict[str, object] = {"__name__": "elements"}
    exec(compile(path.read_text(), str(path), "exec"), space)
    program, there = space["read"], space["found"]
    assert isinstance(program, bpf.Program) and isinstance(there, bpf.Array)
    k = Kit()
    k.struct(name, ("pad", k.u64), (field, k.array(k.int("int", size, signed=True), 4)))
    engine = Casting(k.btf())
    program.options = BY_HELPER
    with Collection([program], engine).load() as collection:
        letter = {2: "h", 4: "i", 8: "q"}[size]
        place = engine.share("one", bytearray(struct.pack(f"=Q4{letter}", 9, 10, -20, 30, -40)))
        for at, value in enumerate((10, -20, 30, -40)):
            collection.of(program).run(context=struct.pack("=QQ", place, at))
            assert [there[i] for i in range(3)] == [value % (1 << 64), 30, 1 if value < 0 else 2]


@bpf.raw_tracepoint("sys_enter")
def ask(ctx: bpf.RawTracepointContext) -> None:
    found[0] = bpf.enum_value(pid_type, "PIDTYPE_SID")
    found[1] = bpf.type_exists(no_such_type) + 1


@pytest.mark.parametrize("value", [0, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 64) - 1])
def test_constants_have_up_to_64_bits(value: int) -> None:
    k = Kit()
    k.enum("pid_type", size=8 if value >> 32 else 4, PIDTYPE_SID=value)
    assert run(ask, BY_HELPER, k, "=q", 0)[:2] == [value, 1]


@pytest.mark.parametrize(
    "kind", ["struct", "union", "enum", "typedef of an int", "typedef of a pointer", "typedef of a struct"]
)
def test_a_type_that_this_kernel_lacks_may_be_of_any_kind_there(kind: str) -> None:
    k = Kit()
    k.enum("pid_type", PIDTYPE_SID=3)
    match kind:
        case "struct":
            k.struct("no_such_type", ("a", k.u32))
        case "union":
            k.union("no_such_type", ("a", k.u32))
        case "enum":
            k.enum("no_such_type", A=1)
        case "typedef of an int":
            k.typedef("no_such_type", k.u32)
        case "typedef of a pointer":
            k.typedef("no_such_type", k.ptr(k.struct("other", ("a", k.u32))))
        case _:
            k.typedef("no_such_type", k.struct("", ("a", k.u32)))
    assert run(ask, BY_HELPER, k, "=q", 0)[:2] == [3, 2]


@bpf.tracepoint("syscalls/sys_enter_getpgid")
def by_index(ctx: bpf.TracepointContext) -> None:
    at = bpf.ktime() % 1
    found[0] = bpf.current.task.thread_pid.numbers[at].nr
    found[1] = bpf.enum_value(pid_type, "PIDTYPE_SID")
    found[2] = bpf.type_exists(no_such_type) + 1


@pytest.mark.parametrize("way", [Options(4), BY_CAST, BY_HELPER], ids=["pointers", "cast", "helper"])
def test_this_kernel_takes_all_of_it(way: Options, kernel: KernelEngine) -> None:
    by_index.options = way
    try:
        with by_index.load("kernel"):
            pass
    finally:
        by_index.options = None
