"""Programs that are kept on disk: taken again when nothing has changed, compiled again when anything has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = """
import os
import sys
import enum
import types
import purebpf as bpf
from purebpf import u8, u16, u32, u64
N = int(os.environ.get("N", "1"))
"""
TAIL = """
def said(result):
    print("compiled" if "purebpf.compiler.pipeline" in sys.modules else "kept", result)
"""
RUN = 'said(f.run(packet=bytes(64), engine="vm").value)\n'

# How a number can come from outside into a program. Each program gives 1 for N=1 and another result for N=2.
WAYS = {
    "module": """
@bpf.xdp
def f(ctx):
    return N
""",
    "closure": """
def made(n):
    @bpf.xdp
    def f(ctx):
        return n
    return f
f = made(N)
""",
    "default": """
def part(n=N):
    return n
@bpf.xdp
def f(ctx):
    return part()
""",
    "keyword default": """
def part(*, n=N):
    return n
@bpf.xdp
def f(ctx):
    return part()
""",
    "function of a function": """
def inner():
    return N
def part():
    return inner()
@bpf.xdp
def f(ctx):
    return part()
""",
    "which function": """
def one():
    return 1
def two():
    return 2
part = one if N == 1 else two
@bpf.xdp
def f(ctx):
    return part()
""",
    "declared type of the kernel": """
class t(bpf.KernelStruct):
    a: u8 if N == 1 else u16
@bpf.xdp
def f(ctx):
    return bpf.sizeof(t)
""",
    "class": """
class limits:
    most = N
@bpf.xdp
def f(ctx):
    return limits.most
""",
    "base class": """
class base:
    most = N
class limits(base):
    pass
@bpf.xdp
def f(ctx):
    return limits.most
""",
    "object": """
limits = types.SimpleNamespace(most=N)
@bpf.xdp
def f(ctx):
    return limits.most
""",
    "enum": """
class Color(enum.IntEnum):
    RED = N
@bpf.xdp
def f(ctx):
    return Color.RED
""",
    "enum member": """
class Color(enum.IntEnum):
    RED = 1
    BLUE = 2
c = Color(N)
@bpf.xdp
def f(ctx):
    return c
""",
    "list": """
values = [N, 7]
@bpf.xdp
def f(ctx):
    return values[0]
""",
    "dict": """
values = {"a": N}
@bpf.xdp
def f(ctx):
    return values["a"]
""",
    "tuple": """
values = (N, 7)
@bpf.xdp
def f(ctx):
    return sum(v for v in values) - 7
""",
    "nested": """
values = ({"a": [N]},)
@bpf.xdp
def f(ctx):
    return values[0]["a"][0]
""",
    "text": """
text = "x" * N
@bpf.xdp
def f(ctx):
    return len(text)
""",
    "bool for number": """
flag = N == 1 or 5
@bpf.xdp
def f(ctx):
    return flag + 0
""",
    "module attribute": """
limits = types.ModuleType("limits")
limits.most = N
@bpf.xdp
def f(ctx):
    return limits.most
""",
    "module seen twice": """
limits = types.ModuleType("limits")
limits.least = 0
limits.most = N
def part():
    return limits.most
@bpf.xdp
def f(ctx):
    return limits.least + part()
""",
    "annotation of a local": """
narrow = u8 if N == 1 else u16
@bpf.xdp
def f(ctx):
    x: narrow = len(ctx.packet) * 4 + 1
    return x
""",
    "record": """
@bpf.struct
class R:
    a: u8 = N
@bpf.xdp
def f(ctx):
    r = R()
    return r.a
""",
    "method": """
@bpf.struct
class R:
    a: u8
    def most(self):
        return self.a + N
@bpf.xdp
def f(ctx):
    r = R(a=0)
    return r.most()
""",
    "layout of a map": """
V = u8 if N == 1 else u16
m = bpf.Array[V](max_entries=1)
@bpf.xdp
def f(ctx):
    m[0] = u16(257) if N == 2 else 1
    return m[0]
""",
    "licence": """
if N == 2:
    bpf.license("MIT")
@bpf.xdp
def f(ctx):
    return N
""",
    "object of a class": """
class Limits:
    def __init__(self, most):
        self.most = most
limits = Limits(N)
@bpf.xdp
def f(ctx):
    return limits.most
""",
    "object of a record": """
@bpf.struct
class Point:
    x: u32 = 0
    y: u32 = 0
origin = Point(x=N, y=7)
@bpf.xdp
def f(ctx):
    return origin.x
""",
    "record in a record": """
@bpf.struct
class Point:
    x: u32 = 0
@bpf.struct
class Line:
    start: Point = Point(x=N)
lines = bpf.Array[Line](max_entries=1)
@bpf.xdp
def f(ctx):
    line = Line()
    lines[0] = line
    return lines[0].start.x
""",
    "shadowed builtin": """
if N == 2:
    def len(x):
        return 2
@bpf.xdp
def f(ctx):
    return len((7,))
""",
}


def run(script: Path, number: int = 1, *options: str, **environment: str) -> tuple[str, str]:
    """("compiled" or "kept", the result)."""
    given = {name: value for name, value in os.environ.items() if name not in ("PUREBPF_KEEP", "PYTHONDONTWRITEBYTECODE")}
    made = subprocess.run(
        [sys.executable, *options, str(script)],
        env={**given, "N": str(number), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert made.returncode == 0, made.stderr
    how, _, result = made.stdout.strip().partition(" ")
    return how, result


def write(folder: Path, text: str, then: str = RUN) -> Path:
    script = folder / "script.py"
    script.write_text(HEAD + text + TAIL + then)
    return script


DECORATED = """
class Registry(list):
    def __call__(self, function):
        self.append(function)
        return function
registry = Registry()
@bpf.xdp
@registry
def f(ctx):
    return N
"""


def test_what_has_decorated_a_function_is_no_part_of_it(tmp_path: Path) -> None:
    script = write(tmp_path, DECORATED)
    assert run(script) == ("compiled", "1")
    assert run(script) == ("kept", "1")
    assert run(script, 2) == ("compiled", "2")


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_from_outside_is_seen(way: str, tmp_path: Path) -> None:
    script = write(tmp_path, WAYS[way])
    first = run(script)
    assert first[0] == "compiled"
    assert run(script) == ("kept", first[1])
    other = run(script, 2)
    assert other[0] == "compiled"
    assert other[1] != first[1] or way == "licence"
    assert run(script, 2) == ("kept", other[1])
    assert run(script, 1) == ("kept", first[1])


INCOMPARABLE = {
    "partial": "import functools\ndef add(a, b):\n    return a + b\npart = functools.partial(add, N)\n"
    "@bpf.xdp\ndef f(ctx):\n    return part(0)\n",
    "slots": "class Odd:\n    __slots__ = ('most',)\nodd = Odd()\nodd.most = N\n@bpf.xdp\ndef f(ctx):\n    return odd.most\n",
    "property": "class Odd:\n    @property\n    def most(self):\n        return N\nodd = Odd()\n"
    "@bpf.xdp\ndef f(ctx):\n    return odd.most\n",
    "attributes made when asked": "class Odd:\n    def __getattr__(self, name):\n        return N\nodd = Odd()\n"
    "@bpf.xdp\ndef f(ctx):\n    return odd.most\n",
    "address": "import ipaddress\na = ipaddress.IPv4Address(N)\n@bpf.xdp\ndef f(ctx):\n    return int(a)\n",
}


@pytest.mark.parametrize("way", INCOMPARABLE)
def test_what_cannot_be_compared_is_compiled(way: str, tmp_path: Path) -> None:
    script = write(tmp_path, INCOMPARABLE[way])
    assert [run(script, n) for n in (1, 1, 2)] == [("compiled", "1"), ("compiled", "1"), ("compiled", "2")]


def test_a_changed_file_is_compiled_again(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text("def part():\n    return 1\n")
    script = write(tmp_path, "from part import part\n@bpf.xdp\ndef f(ctx):\n    return part()\n")
    assert run(script) == ("compiled", "1")
    assert run(script) == ("kept", "1")
    (tmp_path / "part.py").write_text("def part():\n    return 22 // 11\n")
    assert run(script) == ("compiled", "2")
    script.write_text(script.read_text().replace("return part()", "return part() + 1"))
    assert run(script) == ("compiled", "3")
    assert run(script) == ("kept", "3")


def test_maps_and_settings_are_those_of_the_module(tmp_path: Path) -> None:
    text = """
m = bpf.Hash[u32, u64](max_entries=8)
@bpf.globals
class state:
    seen: u64 = 5
@bpf.config
class settings:
    step: u32 = 1
table = (3, 1, 4, 1, 5)
@bpf.xdp
def f(ctx):
    m[7] += settings.step
    state.seen += 1
    return table[len(ctx.packet) & 3]
"""
    then = """
settings.step = N
with f.load("vm"):
    result = f.run(packet=bytes(64)).value
    said((result, m[7], state.seen))
"""
    script = write(tmp_path, text, then)
    assert run(script) == ("compiled", "(3, 1, 6)")
    assert run(script) == ("kept", "(3, 1, 6)")
    assert run(script, 9) == ("kept", "(3, 9, 6)")


def test_a_factory_makes_several(tmp_path: Path) -> None:
    text = "def made(n):\n    @bpf.xdp\n    def f(ctx):\n        return n\n    return f\n"
    script = write(tmp_path, text, 'said([made(n).run(packet=bytes(64), engine="vm").value for n in (3, 4, 5)])\n')
    assert run(script) == ("compiled", "[3, 4, 5]")
    assert run(script) == ("kept", "[3, 4, 5]")


def test_programs_of_a_table(tmp_path: Path) -> None:
    text = """
table = bpf.ProgArray(max_entries=2)
@bpf.xdp
def g(ctx):
    return 7
@bpf.xdp
def f(ctx):
    table.tail_call(ctx, 1)
    return 1
table[1] = g
"""
    script = write(tmp_path, text)
    assert run(script) == ("compiled", "7")
    assert run(script) == ("kept", "7")


def test_warnings_are_given_again(tmp_path: Path) -> None:
    script = write(
        tmp_path,
        "@bpf.xdp\ndef f(ctx):\n    a: u64 = bpf.ktime()\n    b: u64 = bpf.ktime()\n    return 1 if a - b < 0 else 2\n",
    )
    given = {**os.environ, "PUREBPF_KEEP": "", "PYTHONDONTWRITEBYTECODE": ""}
    first, second = (
        subprocess.run([sys.executable, str(script)], env=given, capture_output=True, text=True, timeout=60) for _ in range(2)
    )
    assert first.stdout.startswith("compiled")
    assert second.stdout.startswith("kept")
    assert first.stderr == second.stderr != ""


@pytest.mark.parametrize("damage", [b"", b"\0" * 40, b"garbage", None])
def test_a_damaged_file_is_no_harm(damage: bytes | None, tmp_path: Path) -> None:
    script = write(tmp_path, WAYS["module"])
    run(script)
    (kept,) = (tmp_path / "__pycache__").glob("*.bpf")
    kept.write_bytes(kept.read_bytes()[:-5] if damage is None else damage)
    assert run(script) == ("compiled", "1")
    assert run(script) == ("kept", "1")


STUCK = """
if "STUCK" in os.environ:
    from purebpf.kept import files
    files.remove = files.write = lambda *given: None
"""


def test_what_an_engine_refuses_is_compiled_again(tmp_path: Path) -> None:
    """As if an engine had taken it once and does not any more; also where nothing can be removed or written."""
    script = write(tmp_path, "@bpf.xdp\ndef f(ctx):\n    return N + len(ctx.packet)\n" + STUCK)
    assert run(script)[1] == "65"
    (kept,) = (tmp_path / "__pycache__").glob("*.bpf")
    break_instructions(kept)
    assert run(script, STUCK="yes") == ("compiled", "65")
    assert run(script) == ("compiled", "65")
    assert run(script) == ("kept", "65")


def break_instructions(kept: Path) -> None:
    """Put one that no engine has into a program."""
    import marshal
    from zlib import crc32

    stamp, words, [(seen, plain)] = marshal.loads(kept.read_bytes()[4:])
    program, instructions, *rest = plain
    broken = [(0x8D, *i[1:]) if i[0] == 0x95 else i for i in instructions]
    data = marshal.dumps((stamp, words, [(seen, (program, broken, *rest))]))
    kept.write_bytes(crc32(data).to_bytes(4, "little") + data)


def test_nothing_is_written_or_read_when_it_is_not_wanted(tmp_path: Path) -> None:
    script = write(tmp_path, WAYS["module"])
    assert run(script, 1, "-B")[0] == "compiled"
    assert not list(tmp_path.rglob("*.bpf"))
    assert run(script, PUREBPF_KEEP="no")[0] == "compiled"
    assert not list(tmp_path.rglob("*.bpf"))
    run(script)
    assert run(script, PUREBPF_KEEP="no")[0] == "compiled"
    assert run(script, 1, "-B")[0] == "kept"


def test_another_place_for_what_python_keeps(tmp_path: Path) -> None:
    script = write(tmp_path, WAYS["module"])
    elsewhere = tmp_path / "elsewhere"
    assert run(script, PYTHONPYCACHEPREFIX=str(elsewhere))[0] == "compiled"
    assert list(elsewhere.rglob("script.f-*.bpf"))
    assert not (tmp_path / "__pycache__").exists()
    assert run(script, PYTHONPYCACHEPREFIX=str(elsewhere))[0] == "kept"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    script = write(tmp_path, WAYS["module"])
    tmp_path.chmod(0o555)
    try:
        assert run(script)[0] == "compiled"
        assert run(script)[0] == "compiled"
    finally:
        tmp_path.chmod(0o755)


def test_types_of_the_kernel_and_of_functions(kernel: object, tmp_path: Path) -> None:
    text = """
from purebpf.vmlinux import task_struct
found = bpf.Array[u64](max_entries=4)
@bpf.globals
class only:
    pid: u32 = 0
@bpf.tracepoint("syscalls/sys_enter_getpgid")
def f(ctx):
    if bpf.current.tgid == only.pid:
        found[0] = task_struct(id(bpf.current.task)).tgid
        found[1] = bpf.exists(task_struct, "no_such_field") + 1
"""
    then = "with f.attach():\n    only.pid = os.getpid()\n    os.getpgid(0)\n    said((found[0] == os.getpid(), found[1]))\n"
    script = write(tmp_path, text, then)
    assert run(script) == ("compiled", "(True, 1)")
    assert run(script) == ("kept", "(True, 1)")


def test_a_tracepoint_of_the_kernel(kernel: object, tmp_path: Path) -> None:
    text = '@bpf.tracepoint("syscalls/sys_enter_execve")\ndef f(ctx):\n    bpf.printk("hello")\n'
    script = write(tmp_path, text, "with f.attach() as a:\n    said(a.mechanism)\n")
    first = run(script)
    assert first[0] == "compiled"
    assert run(script) == ("kept", first[1])
