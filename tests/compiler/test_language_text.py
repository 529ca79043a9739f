"""Texts: what programs print, read back from both engines; texts and bytes in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import be16, be32, be64, s8, s16, s32, s64, u8, u16, u32, u64
from purebpf.cli.files import programs_of
from purebpf.kernel.trace_pipe import TracePipe
from purebpf.vm.engine import VmEngine
from tests.kernel.programs import needs

FRAME = bytes(range(64))
NAME = "outer"
LIMIT = 250


@bpf.struct
class Numbers:
    a: u8 = 0
    b: s8 = 0
    c: u16 = 0
    d: s16 = 0
    e: u32 = 0
    f: s32 = 0
    g: u64 = 0
    h: s64 = 0
    i: be16 = 0
    j: be32 = 0
    k: be64 = 0
    l: bool = False  # noqa: E741
    low: u8 = bpf.bits(3)
    high: u8 = bpf.bits(5)


@bpf.struct
class Texts:
    short: str = bpf.chars(4)
    long: str = bpf.chars(16)
    mac: bytes = bpf.bytes(6)
    number: u32 = 0


numbers = bpf.Array[Numbers](max_entries=2)
texts = bpf.Array[Texts](max_entries=3)
out = bpf.Array[s64](max_entries=8)
names = bpf.Hash[Texts, u64](max_entries=8)

LARGEST = Numbers(
    a=255, b=127, c=65535, d=32767, e=(1 << 32) - 1, f=(1 << 31) - 1, g=(1 << 64) - 1, h=(1 << 63) - 1,
    i=0x1234, j=0x12345678, k=0x123456789ABCDEF0, l=True, low=5, high=17,
)  # fmt: skip
SMALLEST = Numbers(b=-128, d=-32768, f=-(1 << 31), h=-(1 << 63))

Printed = Callable[..., list[str]]


@pytest.fixture(params=["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def printed(engine: str) -> Iterator[Printed]:
    """Runs a function as an XDP program; gives the lines that it prints. `prepare` fills maps before."""
    loaded: list[bpf.Program] = []
    pipe: TracePipe | None = bpf.trace_pipe(pid=threading.get_native_id()) if engine == "kernel" else None

    def go(function: Callable[..., object], prepare: Callable[[], None] = lambda: None) -> list[str]:
        program = bpf.xdp(function)
        loaded.append(program)
        collection = program.load(engine)
        prepare()
        program.run(packet=FRAME)
        if pipe is None:
            assert isinstance(collection.engine, VmEngine)
            return collection.engine.trace.texts
        deadline = time.monotonic() + 5
        lines: list[str] = []
        while not lines and time.monotonic() < deadline:
            lines = [record.text for record in pipe.read(0.5)]
        return lines

    yield go
    for program in loaded:
        program.close()
    if pipe is not None:
        pipe.close()


def fill_numbers() -> None:
    numbers[0], numbers[1] = LARGEST, SMALLEST


def test_integers_of_every_width_in_decimal(printed: Printed) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        n = numbers[0]
        bpf.printk(f"{n.a} {n.b} {n.c}")
        bpf.printk(f"{n.d} {n.e} {n.f}")
        bpf.printk(f"{n.g} {n.h}")
        return 0

    n = LARGEST
    assert printed(program, fill_numbers) == [f"{n.a} {n.b} {n.c}", f"{n.d} {n.e} {n.f}", f"{n.g} {n.h}"]


def test_negative_integers(printed: Printed) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        n = numbers[1]
        bpf.printk(f"{n.b} {n.d} {n.f}")
        bpf.printk(f"[{n.h}] [{n.b:6}] [{n.b:06d}]")
        bpf.printk(f"{-n.f} {n.b - 1} {~n.d}")
        return 0

    n = SMALLEST
    assert printed(program, fill_numbers) == [
        f"{n.b} {n.d} {n.f}",
        f"[{n.h}] [{n.b:6}] [{n.b:06d}]",
        f"{-n.f} {n.b - 1} {~n.d}",
    ]


def test_network_order_prints_as_the_number(printed: Printed) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        n = numbers[0]
        bpf.printk(f"{n.i:x} {n.j:x} {n.k:x}")
        bpf.printk(f"{n.i} {n.low} {n.high}")
        return 0

    n = LARGEST
    assert printed(program, fill_numbers) == [f"{n.i:x} {n.j:x} {n.k:x}", f"{n.i} {n.low} {n.high}"]


def test_hexadecimal_widths_and_leading_zeros(printed: Printed) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        n = numbers[0]
        bpf.printk(f"{n.c:x} {n.c:X} {n.a:08x}")
        bpf.printk(f"[{n.a:5}] [{n.a:5d}] [{n.a:05}]")
        bpf.printk(f"[{n.a:2X}] [{n.g:016x}] [{n.e:12X}]")
        return 0

    n = LARGEST
    assert printed(program, fill_numbers) == [
        f"{n.c:x} {n.c:X} {n.a:08x}",
        f"[{n.a:5}] [{n.a:5d}] [{n.a:05}]",
        f"[{n.a:2X}] [{n.g:016x}] [{n.e:12X}]",
    ]


def test_signs_prefixes_and_sides(printed: Printed) -> None:
    def program(ctx: bpf.XdpContext) -> int:
        n = numbers[0]
        bpf.printk(f"[{n.a:<5}] [{n.a:>5}] [{n.b:<+6d}]")
        bpf.printk(f"[{n.c:#x}] [{n.a:#010x}] [{n.a:<#8X}]")
        bpf.printk(f"[{n.b:+}] [{-n.b: }] [{n.b: 05d}] [{n.a:-4}]")
        bpf.printk(f"{n.a=} {n.b!r} {n.c!s} {LIMIT!r:>4} {NAME!r}")
        return 1

    n = LARGEST
    assert printed(program, fill_numbers) == [
        f"[{n.a:<5}] [{n.a:>5}] [{n.b:<+6d}]",
        f"[{n.c:#x}] [{n.a:#010x}] [{n.a:<#8X}]",
        f"[{n.b:+}] [{-n.b: }] [{n.b: 05d}] [{n.a:-4}]",
        f"{n.a=} {n.b!r} {n.c!s} {LIMIT!r:>4} {NAME!r}",
    ]


def test_texts_in_columns(printed: Printed) -> None:
    def program(ctx: bpf.XdpContext) -> int:
        t = texts[0]
        bpf.printk(f"[{t.short:6}] [{t.short:<6}] [{t.short:>6}]")
        bpf.printk(f"[{t.short:2}] [{t.long:>16s}]")
        return 1

    def prepare() -> None:
        texts[0] = Texts(short="abc", long="a longer one")

    assert printed(program, prepare) == ["[abc   ] [abc   ] [   abc]", "[abc] [    a longer one]"]


def test_a_bool_prints_as_a_number(printed: Printed, capsys: pytest.CaptureFixture[str]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        bpf.printk(f"{len(ctx.packet) > 3} {numbers[0].l}")
        return 0

    assert printed(program, fill_numbers) == ["1 1"]
    assert "a bool is printed as 0 or 1" in capsys.readouterr().err


def test_constants_are_formatted_by_python(printed: Printed) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        bpf.printk(f"{NAME:>8}|{NAME:<8}|{LIMIT:#x} {LIMIT:,} {LIMIT:b} {True} {bpf.XDP_PASS}")
        bpf.printk("100 % of " + NAME + " %d %s")
        bpf.printk(f"50% of {len(ctx.packet)} {{braces}} \t tab")
        return 0

    assert printed(program) == [
        f"{NAME:>8}|{NAME:<8}|{LIMIT:#x} {LIMIT:,} {LIMIT:b} {True} 2",
        "100 % of outer %d %s",
        f"50% of {len(FRAME)} {{braces}} \t tab",
    ]


def test_texts_in_memory(printed: Printed) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        t = texts[0]
        bpf.printk(f"<{t.short}> <{t.long}> {t.number}")
        local = bpf.chars(8)
        local = t.short
        bpf.printk(f"{local}")
        bpf.printk(f"<{texts[1].long}>")
        return 0

    def fill() -> None:
        texts[0] = Texts(short="abc", long="a longer one", number=7)

    assert printed(program, fill) == ["<abc> <a longer one> 7", "abc", "<>"]


def test_the_name_of_the_task(printed: Printed) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        bpf.printk(f"[{bpf.current.comm}]")
        return 0

    with open("/proc/thread-self/comm") as comm:
        assert printed(program) == [f"[{comm.read().rstrip()}]"]


def test_the_task_is_this_one(printed: Printed) -> None:
    import os

    def program(ctx):  # type: ignore[no-untyped-def]
        bpf.printk(f"{bpf.current.tgid} {bpf.current.pid}")
        bpf.printk(f"{bpf.current.uid} {bpf.current.gid}")
        return 0

    assert printed(program) == [f"{os.getpid()} {threading.get_native_id()}", f"{os.getuid()} {os.getgid()}"]


@needs((5, 16), "more than three values in one line")
def test_more_than_three_values(printed: Printed) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        n = numbers[0]
        bpf.printk(f"{n.a} {n.c:x} {n.b} {n.d} {n.e:X} {n.f} {n.g} {n.h}")
        bpf.printk(f"{texts[0].short} {n.a} {texts[0].long} {n.b}")
        return 0

    def fill() -> None:
        fill_numbers()
        texts[0] = Texts(short="abc", long="def")

    n = LARGEST
    assert printed(program, fill) == [
        f"{n.a} {n.c:x} {n.b} {n.d} {n.e:X} {n.f} {n.g} {n.h}",
        f"abc {n.a} def {n.b}",
    ]


def test_print_puts_spaces_between(printed: Printed) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        print("size", len(ctx.packet), "of", LIMIT)
        print(f"{NAME}!", 3)
        return 0

    assert printed(program) == [f"size {len(FRAME)} of {LIMIT}", "outer! 3"]


def test_the_result_is_the_number_of_bytes_or_an_error(printed: Printed) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        out[0] = bpf.printk("four")
        return 0

    assert printed(program) == ["four"]
    assert out[0] >= 4


# -- texts and bytes as values


@pytest.fixture
def run(engine: str) -> Iterator[Callable[..., int]]:
    loaded: list[bpf.Program] = []

    def go(function: Callable[..., object], prepare: Callable[[], None] = lambda: None) -> int:
        program = bpf.xdp(function)
        loaded.append(program)
        program.load(engine)
        prepare()
        return program.run(packet=FRAME).value

    yield go
    for program in loaded:
        program.close()


def two_texts() -> None:
    texts[0] = Texts(short="abc", long="abc", mac=b"\1\2\3\4\5\6")
    texts[1] = Texts(short="ab", long="a longer one", mac=b"\1\2\3\4\5\7")


def test_texts_compare_up_to_their_end(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        a, b = texts[0], texts[1]
        result = 0
        if a.short == "abc" and a.short != "ab" and a.short != "abcd":
            result |= 1
        if b.long == "a longer one" and b.long != "a longer on" and b.long != "a longer one!":
            result |= 2
        if a.short != "ab" and b.short == "ab":
            result |= 4
        if texts[2].long == "" and a.long != "":
            result |= 8
        if a.long == "abc" and a.short in ("x", "abc") and b.short not in ("abc", "a"):
            result |= 16
        if a.mac == b"\1\2\3\4\5\6" and a.mac != b.mac:
            result |= 32
        return result

    assert run(program, two_texts) == 63


def test_the_tasks_name_is_compared(run: Callable[..., int]) -> None:
    with open("/proc/thread-self/comm") as file:
        name = file.read().rstrip()

    def program(ctx):  # type: ignore[no-untyped-def]
        return (bpf.current.comm == name) + 2 * (bpf.current.comm == "someone else")

    assert run(program) == 1


def test_storing_a_text_clears_what_was_behind_it(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        texts[1].long = "x"
        texts[1].short = texts[0].short
        texts[0].mac, texts[1].mac = texts[1].mac, texts[0].mac
        return texts[1].long[1] + texts[1].long[11]

    assert run(program, two_texts) == 0
    assert texts[1] == Texts(short="abc", long="x", mac=b"\1\2\3\4\5\6")
    assert texts[0].mac == b"\1\2\3\4\5\7"


def test_bytes_are_indexed_and_changed_in_place(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        t = texts[0]
        n = len(ctx.packet)
        t.mac[0] = 300 - n
        t.mac[-1] += 250
        t.mac[n % 6] = 9
        t.short[0] = 65
        total = 0
        for i in range(6):
            total += t.mac[i]
        return total

    assert run(program, two_texts) == sum((300 - 64, 2, 3, 4, 9, 0))
    assert texts[0] == Texts(short="Abc", long="abc", mac=bytes((236, 2, 3, 4, 9, 0)))


def test_a_local_text_is_a_value(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        name = bpf.current.comm
        first = name[0]
        texts[0].long = name
        texts[1].long = bpf.current.comm
        return first

    with open("/proc/thread-self/comm") as file:
        name = file.read().rstrip()
    assert run(program) == ord(name[0])
    assert texts[0].long == texts[1].long == name


def test_equal_names_are_equal_keys(engine: str) -> None:
    """Whatever a helper left behind the name's end."""

    @bpf.raw_tracepoint("sched_switch")
    def program(ctx: bpf.RawTracepointContext) -> None:
        dirt = bpf.array(u64, 8)
        for i in (0, 1, 2, 3, 4, 5, 6, 7):
            dirt[i] = ctx.args[i]
        names[Texts(long=bpf.current.comm)] = dirt[ctx.args[0] & 7]
        name = bpf.current.comm
        names[Texts(long=name)] = dirt[1]

    with program.load(engine):
        for _ in range(3):
            program.run(ctx=bytes(range(1, 97)))
        assert len(names) == 1


@pytest.mark.parametrize(
    "form, needed",
    [
        ("f'{n} {-n} {n:x}'", False),
        ("f'{name}'", False),
        ("f'{n:8}'", True),
        ("f'{n:08x}'", True),
        ("f'{n:X}'", True),
        ("f'{name} {name}'", True),
        ("'100%'", True),
    ],
)
def test_formats_that_older_kernels_print_nothing_of_are_required(form: str, needed: bool, tmp_path: Path) -> None:
    """Linux 5.12 and before refuse them at run time, where nobody looks."""
    lines = "import purebpf as bpf\n\n@bpf.xdp\ndef program(ctx):\n    n, name = len(ctx.packet), bpf.current.comm\n"
    (tmp_path / "prints.py").write_text(f"{lines}    bpf.printk({form})\n    return 0\n")
    (program,) = programs_of(tmp_path / "prints.py").values()
    assert program.spec().programs["program"].requires == ("printk_formats",) * needed
