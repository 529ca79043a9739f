"""Specs as text: what is read back is what was written, and nothing of this machine is in it."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.errors import Error
from purebpf.kernel.engine import KernelEngine
from purebpf.portable import dumps, loads
from purebpf.program import Program, spec_of
from purebpf.spec import CollectionSpec
from purebpf.vm.engine import VmEngine
from tests.cli.test_cli import purebpf

SOURCE = """
import purebpf as bpf
from purebpf import u64

counts = bpf.Array[u64](max_entries=4)

@bpf.xdp
def first(ctx: bpf.XdpContext) -> bpf.XdpAction:
    counts[0] += len(ctx.packet)
    return bpf.XDP_PASS

@bpf.xdp
def second(ctx: bpf.XdpContext) -> bpf.XdpAction:
    counts[1] += 1
    return bpf.XDP_DROP
"""


@bpf.struct
class Guarded:
    lock: bpf.SpinLock
    total: u64 = 0


@bpf.config
class settings:
    limit: u32 = 100
    word: str = bpf.chars(8)


@bpf.globals
class state:
    seen: u64 = 0


totals = bpf.Hash[u32, Guarded](max_entries=4)


def bigger(size: u32) -> bool:
    return size > settings.limit and settings.word == ""


@bpf.tc
def locks(ctx: bpf.TcContext) -> bpf.TcAction:
    entry = totals.get(0)
    if entry is not None and bigger(ctx.len):
        with entry.lock:
            entry.total += ctx.len
        state.seen += 1
    bpf.printk(f"{ctx.len} octets")
    return bpf.TC_ACT_OK


@bpf.xdp
def loops(ctx: bpf.XdpContext) -> bpf.XdpAction:
    found = 0
    for i in range(ctx.rx_queue_index):
        found += i
    return bpf.XDP_PASS if found < 100 else bpf.XDP_DROP


@pytest.mark.parametrize("program", [locks, loops], ids=["locks", "loops"])
def test_what_is_read_back_is_what_was_written(program: Program) -> None:
    spec = program.spec()
    again = loads(dumps(spec))
    assert again == spec
    assert dumps(again) == dumps(spec)


def test_lines_are_kept_and_folders_are_not() -> None:
    (program,) = loads(dumps(locks.spec())).programs.values()
    lines = [instruction.source for instruction in program.instructions if instruction.source]
    assert {line.file for line in lines} == {Path(__file__).name}
    assert any("with entry.lock:" in line.text for line in lines)
    assert str(Path(__file__).parent) not in dumps(locks.spec())


def test_what_the_command_writes_does_the_same_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(SOURCE)
    written = purebpf("build", str(tmp_path / "two.py"), "--emit", "spec", "--kernel", "5.10").stdout
    spec, engine = loads(written), VmEngine()
    maps = {name: engine.create_map(map) for name, map in spec.maps.items()}
    results = [engine.load_program(spec.programs[name], maps).run(data=bytes(60)).value for name in ("first", "second")]
    assert results == [bpf.XDP_PASS, bpf.XDP_DROP]
    assert [maps["counts"].lookup(bytes([key, 0, 0, 0])) for key in (0, 1)] == [bytes([60, *[0] * 7]), bytes([1, *[0] * 7])]


def test_the_kernel_takes_what_was_read_back(kernel: KernelEngine) -> None:
    spec = loads(dumps(spec_of(locks, loops)))
    maps = {name: kernel.create_map(map) for name, map in spec.maps.items()}
    try:
        for program in spec.programs.values():
            with kernel.load_program(program, maps) as loaded:
                assert loaded.run(data=bytes(64)).value in (bpf.TC_ACT_OK, bpf.XDP_PASS)
    finally:
        for map in maps.values():
            map.close()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"purebpf": 99}', "\x7fELF"])
def test_another_text_is_an_error(text: str) -> None:
    with pytest.raises(Error, match="no program made by"):
        loads(text)


def test_a_damaged_text_is_an_error() -> None:
    good = json.loads(dumps(loops.spec()))
    for spoil in ({"maps": {"x": {"is": "MapSpec"}}}, {"programs": {"loops": {}}}, {"variables": {"v": {"is": "Nothing"}}}):
        with pytest.raises(Error, match="another purebpf, or is damaged"):
            loads(json.dumps(good | spoil))


def test_whatever_the_damage_it_is_an_error_or_a_spec() -> None:
    good, chance = dumps(loops.spec()), random.Random(7)
    for _ in range(1500):
        text = good
        for _ in range(chance.randrange(1, 4)):
            start = chance.randrange(len(text))
            end = start + chance.choice((0, 1, 1, 3, 40))
            text = text[:start] + chance.choice(("", "0", "9", '"', "[", "{", "}", ",", "null", "-", '"is"', "\0")) + text[end:]
        with contextlib.suppress(Error):
            assert isinstance(loads(text), CollectionSpec)
    with pytest.raises(Error):
        loads("[" * 100_000)


def test_a_version_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(SOURCE)
    done = purebpf("build", str(tmp_path / "two.py"), "--kernel", "old")
    assert done.returncode == 2 and "'old' is no kernel release" in done.stderr
