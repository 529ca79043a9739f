"""Stub files of kernel types: what is in them, and that a type checker knows a program's fields by them."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from purebpf.btf.stubs import stub
from purebpf.btf.types import Int, TypeTag
from purebpf.errors import Error
from tests.btf.kit import Kit
from tests.cli.test_cli import purebpf

ROOT = Path(__file__).parents[2]


def kernel() -> Kit:
    k = Kit()
    char = k.int("char", 1, signed=True)
    boolean = k.add(Int("_Bool", 1, 8, bool=True), 1, 1)
    task = k.builder.reserve()
    deepest = k.struct("deepest", ("a", k.u8))
    deeper = k.struct("deeper", ("to", k.ptr(deepest)))
    mm = k.struct("mm_struct", ("users", k.s32), ("deeper", k.ptr(deeper)))
    anonymous = k.union("", ("state", k.u32), ("old_state", k.u64))
    inner = k.struct("", ("low", k.u32, 3), ("class", k.u8))
    refcount = k.typedef("refcount_t", k.struct("", ("count", k.u32)))
    user = k.ptr(k.add(TypeTag("user", mm)))
    mode = k.enum("mode", SLOW=0, FAST=1)
    k.struct(
        "task_struct",
        ("pid", k.s32), ("comm", k.array(char, 16)), ("ok", boolean), ("", anonymous), ("named", inner), ("usage", refcount),
        ("mm_struct", k.ptr(mm)), ("mode", mode), ("list", k.array(k.u32, 4)), ("parent", k.ptr(task)),
        ("str", k.array(k.array(char, 4), 2)), ("stack", k.ptr()), ("there", user), ("fn", k.ptr(k.fwd("x"))),
        number=task,
    )  # fmt: skip
    return k


TEXT = '''
class task_struct:
    def __init__(self, address: object, /) -> None: ...
    pid: int
    comm: _b.str
    ok: bool
    state: int
    old_state: int
    named: _k.task_struct__named
    usage: _k.refcount_t
    mm_struct: _k.mm_struct
    mode: int
    list: _b.list[int]
    parent: _k.task_struct
    str: _b.list[_b.str]
    stack: int
    there: int
    fn: int

class mode:
    """SLOW = 0, FAST = 1"""

class task_struct__named:
    def __init__(self, address: object, /) -> None: ...
    low: int

class refcount_t:
    def __init__(self, address: object, /) -> None: ...
    count: int

class mm_struct:
    def __init__(self, address: object, /) -> None: ...
    users: int
    deeper: Any

def __getattr__(name: str) -> Any: ...
'''


def test_fields_are_what_programs_read() -> None:
    text = stub(kernel().btf(), ["struct task_struct", "mode"], depth=1)
    assert "Written by `purebpf stubs`; from kit." in text
    assert text.partition("import purebpf.vmlinux as _k\n")[2] == TEXT


def test_depth_is_how_many_pointers_are_followed() -> None:
    btf = kernel().btf()
    assert [depth for depth in range(4) if "class deepest" in stub(btf, ["task_struct"], depth)] == [3]
    assert "mm_struct: Any" in stub(btf, ["task_struct"], 0)
    assert "parent: _k.task_struct" in stub(btf, ["task_struct"], 0)
    assert "mm_struct: _k.mm_struct" in stub(btf, ["task_struct", "mm_struct"], 0)


def test_an_unknown_name_is_told_with_similar_ones() -> None:
    with pytest.raises(Error, match=r"kit has no struct, union or enum 'task_strukt'; similar: task_struct"):
        stub(kernel().btf(), ["task_strukt"])
    with pytest.raises(Error, match="'unsigned'"):
        stub(kernel().btf(), ["unsigned"])


PROGRAM = """
import purebpf as bpf
from purebpf.vmlinux import task_struct, unknown_here

def parents(task: task_struct) -> int:
    return task.parent.parent.pid

@bpf.raw_tracepoint("sys_enter")
def program(ctx: bpf.RawTracepointContext) -> None:
    task = task_struct(ctx.args[0])
    mine: task_struct = bpf.current.task
    bpf.printk(f"{task.pid} {mine.comm.upper()} {task.mm_struct.users} {task.list[2]} {parents(task)}")
    task.pidd  # error
    task.pid.x  # error
    task.parent = 5  # error
    unknown_here(5).anything
"""


def test_a_type_checker_knows_the_fields(tmp_path: Path) -> None:
    """In an environment of its own, where the stubs are installed as users install them."""
    home = tmp_path / "env"
    venv.create(home, with_pip=False, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    (packages / "others.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    (tmp_path / "kernel.btf").write_bytes(bytes(kernel().btf().raw))
    done = purebpf("stubs", "task_struct", "--btf", str(tmp_path / "kernel.btf"), "-o", str(packages))
    assert done.stdout.startswith(f"wrote {packages}/purebpf-stubs/vmlinux.pyi: 5 classes"), done.stderr
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    flags = ["--strict", "--config-file=", f"--cache-dir={tmp_path / 'cache'}", "--python-executable", str(home / "bin/python")]
    said = subprocess.run(
        [sys.executable, "-m", "mypy", *flags, str(script)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    wrong = [number for number, line in enumerate(PROGRAM.splitlines(), 1) if "# error" in line]
    found = [int(line.split(":")[1]) for line in said.stdout.splitlines() if ": error:" in line]
    assert found == wrong, said.stdout + said.stderr
    alone = tmp_path / "alone.pyi"
    alone.write_text((packages / "purebpf-stubs" / "vmlinux.pyi").read_text())
    own = subprocess.run(
        [sys.executable, "-m", "mypy", *flags, str(alone)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert own.stdout.startswith("Success"), own.stdout


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    (tmp_path / "kernel.btf").write_bytes(bytes(kernel().btf().raw))
    file = str(tmp_path / "kernel.btf")
    (tmp_path / "taken").write_text("")
    for arguments, said in (
        (("task_strukt", "--btf", file, "-o", str(tmp_path)), "similar: task_struct"),
        (("task_struct", "--btf", "no/such"), "no/such cannot be read"),
        (("task_struct", "--btf", file, "-o", str(tmp_path / "taken" / "x")), "cannot be written"),
    ):
        done = purebpf("stubs", *arguments)
        assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
