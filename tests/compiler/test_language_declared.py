"""Types of the kernel that a program declares itself: with BTF and without, on this kernel and on others."""

from __future__ import annotations

import enum
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import be16, s32, u8, u16, u32, u64
from purebpf.btf import running
from purebpf.collection import Collection
from purebpf.compiler.options import Options
from purebpf.errors import CompileError, Error, Unsupported, VerifierError
from purebpf.kernel.engine import KernelEngine
from purebpf.lang.declaring import Misdeclared
from purebpf.vmlinux import mm_struct  # type: ignore[attr-defined, unused-ignore]
from tests.btf.kit import Kit
from tests.compiler.test_language_kernel import WAYS, kernel_has_types
from tests.compiler.test_language_other_kernels import BY_HELPER, OtherKernel
from tests.kernel.programs import needs

with_types = pytest.mark.skipif(bool(kernel_has_types()), reason=kernel_has_types())
found = bpf.Array[u64](max_entries=32)


class upid(bpf.KernelStruct):
    nr: s32


class pid(bpf.KernelStruct):
    numbers: list[upid] = bpf.array(upid, 1)


class kuid_t(bpf.KernelStruct):
    val: u32


class cred(bpf.KernelStruct):
    uid: kuid_t


class task_struct(bpf.KernelStruct):
    comm: str = bpf.chars(16)
    tgid: s32
    real_parent: task_struct = bpf.pointer()
    group_leader: task_struct = bpf.pointer()
    thread_pid: pid = bpf.pointer()
    cred: cred = bpf.pointer()
    sched_reset_on_fork: u32 = bpf.bits(1)
    stack: u64 = bpf.pointer()


class task_struct___with_mm(bpf.KernelStruct):
    mm: mm_struct = bpf.pointer()


class task_struct___of_the_future(bpf.KernelStruct):
    tgid: task_struct = bpf.pointer()
    novelty: u32


@bpf.struct
class Names:
    own: str = bpf.chars(16)
    parent: str = bpf.chars(16)


names = bpf.Array[Names](max_entries=1)


@bpf.globals
class only:
    pid: u32 = 0


def ancestor(task: task_struct, n: u32) -> s32:
    for _ in range(n):
        task = task.real_parent
    return task.tgid


@bpf.tracepoint("syscalls/sys_enter_getpgid")
def look(ctx: bpf.TracepointContext) -> None:
    if bpf.current.tgid != only.pid:
        return
    task = task_struct(bpf.current.task)
    found[0] = task.tgid
    found[1] = task.real_parent.tgid
    found[2] = ancestor(task, 2)
    found[3] = task.thread_pid.numbers[0].nr
    found[4] = task.cred.uid.val
    found[5] = task.sched_reset_on_fork
    found[6] = task.stack >> 40
    found[7] = task.group_leader == task
    at = bpf.ktime() % 1
    found[8] = task.thread_pid.numbers[at].nr
    found[9] = bpf.exists(task_struct___of_the_future, "novelty") + 1
    found[10] = bpf.exists(task_struct, "pid") + 1
    if bpf.exists(task_struct___of_the_future, "tgid"):
        found[11] = task_struct___of_the_future(task).novelty
    names[0].own = task.comm
    names[0].parent = task.real_parent.comm


@pytest.fixture
def no_btf(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """While programs are compiled, not when they are loaded."""

    def none() -> None:
        raise Unsupported("This kernel offers no BTF.")

    with monkeypatch.context() as patch:
        patch.setattr(running, "own_btf", none)
        yield


def compiled_without_btf(program: bpf.Program, way: Options) -> None:
    program.options = way
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "own_btf", lambda: (_ for _ in ()).throw(Unsupported("This kernel offers no BTF.")))
        program.compiled(target=way)


@with_types
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("btf", ["with", "without"])
def test_declared_fields_are_those_of_the_kernel(btf: str, way: Options, kernel: KernelEngine) -> None:
    program = bpf.tracepoint("syscalls/sys_enter_getpgid")(look.function)
    program.options = way
    if btf == "without":
        compiled_without_btf(program, way)
    with Collection([program], kernel).load():
        program.attach()
        only.pid = os.getpid()
        os.getpgid(0)
        got = [found[at] for at in range(12)]
        entry = names[0]
    assert got[0] == got[3] == got[8] == os.getpid()
    assert got[1] == os.getppid()
    assert got[4] == os.getuid()
    assert got[6] == 0xFFFFFF & got[6] > 0xF00000
    assert (got[5], got[7], got[9], got[10], got[11]) == (0, 1, 1, 2, 0)
    assert entry.own == Path("/proc/self/comm").read_text().rstrip("\n")
    assert entry.parent == Path(f"/proc/{os.getppid()}/comm").read_text().rstrip("\n")


@bpf.tracepoint("syscalls/sys_enter_getpgid")
def both(ctx: bpf.TracepointContext) -> None:
    if bpf.current.tgid != only.pid:
        return
    task = bpf.current.task
    found[0] = task.pid
    mine: task_struct = task
    found[1] = mine.tgid
    found[2] = task_struct___with_mm(task).mm.mm_users.counter
    found[3] = bpf.sizeof(task_struct)
    found[4] = bpf.sizeof(mm_struct)
    found[5] = bpf.type_exists(task_struct___with_mm) + 1
    found[6] = bpf.offsetof(task_struct, "thread_pid")


@with_types
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_declared_and_imported_types_in_one_program(way: Options, kernel: KernelEngine) -> None:
    both.options = way
    with both.attach():
        only.pid = os.getpid()
        os.getpgid(0)
        got = [found[at] for at in range(7)]
    both.options = None
    btf = running.kernel_btf()
    sizes = [btf.size_of(btf.find(name)) for name in ("task_struct", "mm_struct")]
    assert got[:2] == [os.getpid()] * 2 and got[2] >= 1
    assert got[3:6] == [*sizes, 2]
    assert 0 < got[6] < sizes[0]


class Mode(enum.IntEnum):
    SLOW = 0
    FAST = 1


class rates(bpf.KernelUnion):
    whole: u64
    half: u16


class device___mine(bpf.KernelStruct):
    mode: Mode
    rates: rates
    port: be16
    ready: bool
    words: list[u16] = bpf.array(u16, 3)
    mac: bytes = bpf.bytes(6)
    low: u8 = bpf.bits(3)
    __hidden: u32
    later: sibling = bpf.pointer()


class sibling(bpf.KernelStruct):
    """Declared after the struct that points to it."""

    devices: list[device___mine] = bpf.array(device___mine, 2)


@bpf.raw_tracepoint("sys_enter")
def read(ctx: bpf.RawTracepointContext) -> None:
    one = device___mine(ctx.args[0])
    found[0] = one.mode
    found[1] = one.rates.whole
    found[2] = one.rates.half
    found[3] = one.port
    found[4] = one.ready
    found[5] = one.words[2]
    found[6] = one.mac[1]
    found[7] = one.low
    found[8] = one.__hidden
    found[9] = one.later.devices[1].port
    if one.mode == Mode.FAST:
        found[10] = 5


def test_every_kind_of_field_is_found_in_a_kernel_that_has_it_elsewhere(no_btf: None) -> None:
    k = Kit()
    mode = k.enum("Mode", SLOW=0, FAST=1)
    be16_there = k.typedef("__be16", k.u16)
    rates_there = k.union("", ("half", k.u16), ("whole", k.u64))
    bool_there = k.int("_Bool", 1)
    device = k.struct(
        "device",
        ("new", k.u64), ("rates", rates_there), ("words", k.array(k.u16, 3)), ("mac", k.array(k.u8, 6)), ("port", be16_there),
        ("mode", mode), ("low", k.u8, 2), ("ready", bool_there), ("__hidden", k.u32), ("later", k.ptr()),
    )  # fmt: skip
    k.struct("sibling", ("pad", k.u64), ("devices", k.array(device, 2)))
    engine = OtherKernel(k.btf())
    form = "=QQ3H6BHxxIBBxxIxxxxQ"
    assert struct.calcsize(form) == k.sizes[device][0]
    read.options = BY_HELPER
    with Collection([read], engine).load() as collection:

        def packed(port: int, later: int) -> bytes:
            swapped = int.from_bytes(port.to_bytes(2, "big"), "little")
            values = (9, 0x1_0002, 10, 11, 12, 1, 2, 3, 4, 5, 6, swapped, 1, 0xFE, 1, 77, later)
            return struct.pack(form, *values)

        others = engine.share("a sibling", bytearray(8) + bytearray(packed(80, 0)) + bytearray(packed(443, 0)))
        place = engine.share("a device", bytearray(packed(22, others)))
        collection.of(read).run(context=struct.pack("=QQ", place, 0))
        got = [found[at] for at in range(11)]
    assert got == [1, 0x1_0002, 2, 22, 1, 12, 2, 2, 77, 443, 5]


@bpf.raw_tracepoint("sys_enter")
def read_mode(ctx: bpf.RawTracepointContext) -> None:
    one = device___mine(ctx.args[0])
    found[0] = one.mode == Mode.FAST
    found[1] = one.mode


@pytest.mark.parametrize("size, form", [(1, "=BB6x"), (4, "=II"), (8, "=QQ")])
@pytest.mark.parametrize("way", [BY_HELPER, Options(4, kernel_pointers=False)], ids=["helper", "casts"])
def test_an_enum_has_the_size_that_it_has_there(way: Options, size: int, form: str, no_btf: None) -> None:
    k = Kit()
    mode = k.enum("Mode", size=size, SLOW=0, FAST=1)
    k.struct("device", ("mode", mode), ("next", {1: k.u8, 4: k.u32, 8: k.u64}[size]))
    engine = OtherKernel(k.btf())
    read_mode.options = way
    with Collection([read_mode], engine).load() as collection:
        place = engine.share("a device", bytearray(struct.pack(form, 1, 0xFF)))
        collection.of(read_mode).run(context=struct.pack("=QQ", place, 0))
        assert (found[0], found[1]) == (1, 1)
    read_mode.options = None


def test_a_program_of_declared_types_compiles_without_btf(no_btf: None) -> None:
    program = bpf.raw_tracepoint("sys_enter")(read.function)
    assert program.compiled().program.relocations


DECLARATIONS = {
    "class t(bpf.KernelStruct):\n    pid: int": ("`int` is no type of a field", "use u8 to s64"),
    "class t(bpf.KernelStruct):\n    pid: s32 = 5": ("no default", "the value that is there"),
    "class t(bpf.KernelStruct):\n    pid = 5": ("annotated fields only", "`pid: s32`"),
    "class t(bpf.KernelStruct):\n    def f(self): ...": ("has fields only", "plain function"),
    "class t(bpf.KernelStruct):\n    mm: mm_struct": ("how large `mm_struct` is", "bpf.pointer()"),
    "class t(bpf.KernelStruct):\n    own: Own": ("record of your own", "class Own(bpf.KernelStruct)"),
    "class t(bpf.KernelStruct):\n    own: Own = bpf.pointer()": ("nothing in the kernel to point to", "u64"),
    "class t(bpf.KernelStruct):\n    low: str = bpf.bits(3)": ("for an integer", "bpf.bits(1)"),
    "class t(bpf.KernelStruct, int):\n    a: u8": ("inherits nothing", ""),
    "class a(bpf.KernelStruct):\n    x: u8\nm = bpf.Hash[u32, a](max_entries=1)": ("`a` has no layout", "stay there"),
    "class a(bpf.KernelStruct):\n    x: u8\n@bpf.struct\nclass r:\n    y: a": ("r.y: `a` has no layout", "stay there"),
    "class a(bpf.KernelStruct):\n    x: u8\nclass t(a):\n    y: u8": ("inherits nothing", ""),
}


@pytest.mark.parametrize("text", DECLARATIONS)
def test_a_wrong_declaration_is_told_at_its_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "declared.py"
    head = "import purebpf as bpf\nfrom purebpf import *\nfrom purebpf.vmlinux import mm_struct\n"
    head += "@bpf.struct\nclass Own:\n    a: u8\n"
    path.write_text(head + text + "\n")
    with pytest.raises(Misdeclared) as caught:
        exec(compile(path.read_text(), str(path), "exec"), {"__name__": "declared", "__file__": str(path)})
    for part in DECLARATIONS[text]:
        assert part in str(caught.value)
    assert "declared.py:" in str(caught.value)


@bpf.xdp
def in_python(ctx: bpf.XdpContext) -> bpf.XdpAction:
    if len(ctx.packet) == 60:
        found[0] = task_struct(5).tgid
    elif len(ctx.packet) == 61:
        found[0] = bpf.type_exists(task_struct)
    else:
        found[0] = task_struct(bpf.current.task).tgid
    return bpf.XDP_PASS


@pytest.mark.parametrize(
    "length, said", [(60, r"task_struct\(address\)"), (61, r"bpf.type_exists\(\)"), (62, "bpf.current.task")]
)
def test_python_has_no_objects_of_the_kernel(length: int, said: str) -> None:
    try:
        with pytest.raises(Unsupported, match=f"{said}: Python has none of the kernel's objects"):
            in_python.python(packet=bytes(length))
    finally:
        in_python.close()


def test_such_types_are_for_programs() -> None:
    with pytest.raises(Error, match="in a program, in the kernel, `task_struct\\(address\\)` is what lies at an address"):
        task_struct(0)


HEAD = """import purebpf as bpf
from purebpf import s32, u32
class task_struct(bpf.KernelStruct):
    tgid: s32
class sock(bpf.KernelStruct):
    mark: u32
    self: sock
class lost(bpf.KernelStruct):
    other: nobody
"""
REFUSED = {
    "x = task_struct(bpf.current.task).pid": ("the declaration of `task_struct` has no field `pid`", "add it", "program.py:14"),
    "x = bpf.KernelStruct(5)": ("no type of the kernel itself", "class task_struct", "program.py:14"),
    "x = sock(5).mark": ("inside of itself", "bpf.pointer()", "program.py:14"),
    "x = lost(5)": ("name 'nobody' is not defined", "", "program.py:14"),
    "x: sock = bpf.current.task": ("not a `sock`", "another view", "program.py:14"),
    "x: task_struct = 5": ("annotated `task_struct`", "task_struct(address)", "program.py:14"),
    "x = bpf.current.task.tgid": ("This kernel offers no BTF", "bpf.KernelStruct", "program.py:14"),
    "x = bpf.sizeof(mm_struct)": ("This kernel offers no BTF", "--btf FILE", "program.py:14"),
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_a_program_may_not(line: str, tmp_path: Path, no_btf: None) -> None:
    path = tmp_path / "program.py"
    body = f"from purebpf.vmlinux import mm_struct\n@bpf.raw_tracepoint('sys_enter')\ndef f(ctx):\n    {line}\n".split("\n", 1)
    path.write_text("from __future__ import annotations\n" + body[0] + "\n" + HEAD + body[1])
    space: dict[str, object] = {"__name__": "program"}
    exec(compile(path.read_text(), str(path), "exec"), space)
    program = space["f"]
    assert isinstance(program, bpf.Program)
    with pytest.raises(CompileError) as caught:
        program.compiled()
    for part in REFUSED[line]:
        assert part in str(caught.value)


class task_struct___wide(bpf.KernelStruct):
    tgid: u64


@with_types
@needs((5, 11), "a pointer to the current task that the verifier knows")
def test_a_signed_field_of_another_size_is_told_with_the_right_one(kernel: KernelEngine) -> None:
    @bpf.raw_tracepoint("sys_enter")
    def wide(ctx: bpf.RawTracepointContext) -> None:
        found[0] = task_struct___wide(bpf.current.task).tgid

    with pytest.raises(VerifierError, match="declare it with the kernel's size and sign: `s32`"):
        Collection([wide], kernel).load()


class task_struct___empty(bpf.KernelStruct):
    pass


@with_types
def test_a_declaration_without_fields(kernel: KernelEngine) -> None:
    @bpf.raw_tracepoint("sys_enter")
    def empty(ctx: bpf.RawTracepointContext) -> None:
        if bpf.type_exists(task_struct___empty):
            found[0] = bpf.sizeof(task_struct___empty)

    with Collection([empty], kernel).load():
        pass


@pytest.mark.parametrize("ask", [bpf.sizeof, lambda type: bpf.exists(type, "pid"), lambda type: bpf.offsetof(type, "pid")])
def test_python_cannot_ask_the_kernel(ask: Callable[[object], object]) -> None:
    for type in (task_struct___empty, mm_struct):
        with pytest.raises(Error, match="lies in the kernel: ask in a program"):
            ask(type)
