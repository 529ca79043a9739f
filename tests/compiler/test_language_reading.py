"""Memory of the process that runs, by address: `bpf.read_user`, `bpf.read_user_str` and their siblings for the kernel's."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterator

import pytest

import purebpf as bpf
from purebpf import s16, s32, s64, u8, u32, u64
from purebpf.vm.engine import VmEngine

ENGINES = ("vm", "python", pytest.param("kernel", marks=pytest.mark.kernel))


@bpf.struct
class Pair:
    small: u8 = 0
    large: u64 = 0
    low: s16 = 0


@bpf.struct
class Seen:
    short: str = bpf.chars(4)
    exact: str = bpf.chars(6)
    long: str = bpf.chars(300)
    sized: str = bpf.chars(16)
    kept: str = bpf.chars(256)
    length: u32 = 0
    first: u8 = 0
    sum: u64 = 0


@bpf.struct
class Name:
    text: str = bpf.chars(16)


pairs = bpf.Array[Pair](max_entries=2)
seen = bpf.Array[Seen](max_entries=1)
facts = bpf.Hash[u32, u64](max_entries=16)
names = bpf.Hash[Name, u64](max_entries=4)
sent = bpf.RingBuf[Seen](size=1 << 12)


@bpf.raw_tracepoint("sys_enter")
def read_numbers(ctx: bpf.RawTracepointContext) -> None:
    number = bpf.read_user(ctx.args[0], s32)
    facts[0] = 1 if number is None else u64(number)
    pair = bpf.read_user(ctx.args[0] + 8, Pair)
    if pair is not None:
        pairs[0] = pair
        facts[1] = u64(s64(pair.large) + pair.low)
    if bpf.read_user(8, u32) is None and bpf.read_kernel(8, Pair) is None:
        facts[2] = 7
    facts[3] = bpf.read_user(ctx.args[0] + 4, u8) or 99


@bpf.raw_tracepoint("sys_enter")
def read_texts(ctx: bpf.RawTracepointContext) -> None:
    address = ctx.args[0]
    entry = seen[0]
    entry.short = bpf.read_user_str(address)
    entry.exact = bpf.read_user_str(address)
    entry.long = bpf.read_user_str(address)
    entry.sized = bpf.read_user_str(address, size=3)
    text = bpf.read_user_str(address)
    entry.kept = text
    entry.length = len(text)
    entry.first = text[1]
    entry.sum = sum(bpf.read_user_str(address, 8))


@bpf.raw_tracepoint("sys_enter")
def use_texts(ctx: bpf.RawTracepointContext) -> None:
    address = ctx.args[0]
    facts[0] = bpf.read_user_str(address, 16) == "hello"
    facts[1] = bpf.read_user_str(address, 16).startswith("hel")
    facts[2] = bpf.read_user_str(8, 8) == "" and bpf.read_kernel_str(8, 8) == ""
    names[Name(text=bpf.read_user_str(address))] += 1
    names[Name(text=bpf.read_user_str(address, 6))] += 1
    sent.emit(Seen(long=bpf.read_user_str(address), length=3))


@pytest.fixture(params=ENGINES)
def run(request: pytest.FixtureRequest) -> Iterator[Callable[[bpf.Program, bytes], None]]:
    """Runs a program with the address of some bytes as its first argument."""
    programs: list[bpf.Program] = []

    def once(program: bpf.Program, data: bytes) -> None:
        programs.append(program)
        engine = "vm" if request.param == "python" else request.param
        collection = program.load(engine)
        memory = ctypes.create_string_buffer(data, len(data))
        address = ctypes.addressof(memory)
        if isinstance(collection.engine, VmEngine):
            address = collection.engine.share("the process's memory", bytearray(data))
        call = program.python if request.param == "python" else program.run
        call(ctx=struct.pack("12Q", address, *[0] * 11))

    yield once
    for program in programs:
        program.close()


def test_records_and_numbers(run: Callable[[bpf.Program, bytes], None]) -> None:
    run(read_numbers, struct.pack("=iB3xB7xQh6x", -5, 0, 9, 1 << 40, -3))
    assert dict(facts.items()) == {0: (1 << 64) - 5, 1: (1 << 40) - 3, 2: 7, 3: 99}
    assert pairs[0] == Pair(small=9, large=1 << 40, low=-3)


def test_texts(run: Callable[[bpf.Program, bytes], None]) -> None:
    run(read_texts, b"hello\0after")
    found = seen[0]
    assert (found.short, found.exact, found.long, found.sized, found.kept) == ("hel", "hello", "hello", "he", "hello")
    assert (found.length, found.first, found.sum) == (5, ord("e"), sum(b"hello"))


def test_texts_compared_as_keys_and_in_a_ring(run: Callable[[bpf.Program, bytes], None]) -> None:
    run(use_texts, b"hello\0after")
    assert dict(facts.items()) == {0: 1, 1: 1, 2: 1}
    assert dict(names.items()) == {Name(text="hello"): 2}
    assert sent.read(1.0) == [Seen(long="hello", length=3)]


def test_a_text_without_end_is_cut(run: Callable[[bpf.Program, bytes], None]) -> None:
    run(read_texts, b"x" * 400)
    found = seen[0]
    assert (found.short, found.long, found.kept, found.length) == ("xxx", "x" * 299, "x" * 255, 255)


def test_outside_a_program() -> None:
    for call in (lambda: bpf.read_user(0, u32), lambda: bpf.read_kernel_str(0)):
        with pytest.raises(bpf.Error, match="runs only inside a program"):
            call()
