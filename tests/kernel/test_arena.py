"""Memory that programs and this process share."""

from __future__ import annotations

import gc

import pytest

import purebpf as bpf
from purebpf import u8, u32, u64
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version

pytestmark = pytest.mark.kernel


@bpf.struct
class Cell:
    hits: u64 = 0
    last: u32 = 0
    name: str = bpf.chars(12)


counts = bpf.Arena[u64](max_entries=2000)
cells = bpf.Arena[Cell](max_entries=300)
letters = bpf.Arena[u8](max_entries=10_000)
names = bpf.Hash[u32, Cell](max_entries=4)


@bpf.tc
def touches(ctx: bpf.TcContext) -> int:
    n = len(ctx.packet)
    if n >= 2000:
        return 1
    counts[n] += 2
    counts[0] = counts[n] + counts[1999]
    return u32(counts[0])


@bpf.tc
def fills(ctx: bpf.TcContext) -> int:
    n = len(ctx.packet) & 255
    cell = cells[n]
    cell.hits += 1
    cell.last = n
    cell.name = "cell"
    cells[299] = Cell(hits=cells[n].hits + 10, name=cell.name)
    names[1] = cells[299]
    return cells[299].last + 3


@bpf.tc
def sums(ctx: bpf.TcContext) -> int:
    total = 0
    for i in range(10_000):
        total += letters[i]
    return u32(total)


@pytest.fixture(autouse=True)
def supported() -> None:
    if kernel_version() < (6, 9):
        pytest.skip("arenas came with Linux 6.9")


def test_both_sides_see_what_the_other_writes(kernel: KernelEngine) -> None:
    with touches.load("kernel"):
        assert len(counts) == 2000 and counts[64] == 0
        counts[1999] = 100
        assert touches.run(bytes(64)).value == 102 and counts[64] == 2 and counts[0] == 102
        counts[64] = 1 << 40
        touches.run(bytes(64))
        assert counts[64] == (1 << 40) + 2 and counts[0] == (1 << 40) + 102
        with pytest.raises(IndexError, match="index 2000 is outside `counts`, which has 2000 entries"):
            counts[2000]


def test_records(kernel: KernelEngine) -> None:
    with fills.load("kernel"):
        cells[64] = Cell(hits=7, last=1, name="before")
        assert fills.run(bytes(64)).value == 3
        assert cells[64] == Cell(hits=8, last=64, name="cell")
        assert cells[299] == Cell(hits=18, last=0, name="cell") == names[1]
        numpy = pytest.importorskip("numpy", reason="NumPy is an optional extra")
        view = cells.view()
        assert view["hits"][64] == 8 and view.dtype == numpy.dtype(Cell)
        view["hits"][64] = 20
        fills.run(bytes(64))
        assert cells[64].hits == 21


def test_memory_stays_as_long_as_somebody_has_it(kernel: KernelEngine) -> None:
    with touches.load("kernel"):
        counts[5] = 55
        memory = counts.live.memory()
    gc.collect()
    assert int.from_bytes(memory[40:48], "little") == 55
    memory.release()


def test_bytes_in_a_loop_and_two_arenas_at_once(kernel: KernelEngine) -> None:
    with sums.load("kernel"), touches.load("kernel"):
        for i in range(0, 10_000, 10):
            letters[i] = 3
        assert sums.run(bytes(64)).value == 3000
        assert touches.run(bytes(64)).value == 2 and sums.run(bytes(64)).value == 3000


def test_what_an_arena_cannot_do_is_told(kernel: KernelEngine) -> None:
    def outside(ctx: bpf.TcContext) -> int:
        return u32(counts[len(ctx.packet)])

    def looks_up(ctx: bpf.TcContext) -> int:
        return u32(counts.get(1, 0))

    with pytest.raises(bpf.CompileError, match="the index may be outside `counts`, which has 2000 entries"):
        bpf.tc(outside).spec()
    with pytest.raises(bpf.CompileError, match="an Arena has no method `get` in a program"):
        bpf.tc(looks_up).spec()
    with pytest.raises(bpf.Unsupported, match="no maps of type arena"):
        touches.load("vm")
