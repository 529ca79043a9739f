"""Call stacks: kept once, looked up by number in user space."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

import purebpf as bpf
from purebpf import s32, u32, u64
from purebpf.errors import Error, NotLoaded
from purebpf.symbols import BuildIdSymbols, ProcessSymbols

stacks = bpf.StackTrace(max_entries=1024, depth=32)
numbers = bpf.Array[s32](max_entries=4)
mine = bpf.Array[u64](max_entries=1)


@bpf.raw_tracepoint("sys_enter")
def enters(ctx: bpf.RawTracepointContext) -> None:
    if mine[0] != u64(bpf.current.tgid) << 32 | bpf.current.pid:
        return
    numbers[0] = bpf.stack(stacks)
    numbers[1] = bpf.stack(stacks, user=True)
    numbers[2] = bpf.stack(stacks, True, 2)


@bpf.struct
class Copied:
    kernel: s32
    user: s32
    skipped: s32
    inner: list[u64] = bpf.array(u64, 32)
    outer: list[u64] = bpf.array(u64, 32)
    less: list[u64] = bpf.array(u64, 2)


copies = bpf.Array[Copied](max_entries=1)


@bpf.raw_tracepoint("sys_enter")
def copying(ctx: bpf.RawTracepointContext) -> None:
    if mine[0] != u64(bpf.current.tgid) << 32 | bpf.current.pid:
        return
    into = copies[0]
    into.kernel = bpf.get_stack(into.inner)
    into.user = bpf.get_stack(into.outer, user=True)
    into.skipped = bpf.get_stack(into.less, skip=1)


@pytest.mark.kernel
def test_stacks_copied_into_memory() -> None:
    with copying.attach():
        mine[0] = os.getpid() << 32 | threading.get_native_id()
        os.getppid()
        mine[0] = 0
        found = copies[0]
    assert 2 < found.kernel < 32 and all(address >> 63 for address in found.inner[: found.kernel])
    assert not any(found.inner[found.kernel :])
    assert 0 < found.user <= 32 and not any(address >> 63 for address in found.outer)
    assert (found.skipped, list(found.less)) == (2, list(found.inner[1:3]))


@pytest.mark.parametrize("how", ["vm", "python"])
def test_no_stack_is_copied_in_the_virtual_machine(how: str) -> None:
    with copying.load("vm"):
        mine[0] = os.getpid() << 32 | threading.get_native_id()
        copies[0] = Copied(kernel=1, user=1, skipped=1, less=[7, 8])
        run: Callable[..., object] = copying.python if how == "python" else copying.run
        run(ctx=bytes(16))
        assert copies[0] == Copied(kernel=-14, user=-14, skipped=-14)


@pytest.mark.kernel
def test_stacks_of_the_kernel_and_of_the_process() -> None:
    with enters.attach():
        mine[0] = os.getpid() << 32 | threading.get_native_id()
        os.getppid()
        mine[0] = 0
        kernel, user = stacks[numbers[0]], stacks[numbers[1]]
        assert kernel and all(address >> 63 for address in kernel)
        assert user and not any(address >> 63 for address in user)
        if len(user) <= 2:
            assert numbers[2] == -14
        elif len(user) < 30:
            assert stacks[numbers[2]] == user[2:]
        assert {numbers[0], numbers[1]} <= set(stacks) and numbers[0] in stacks
        del stacks[numbers[0]]
        assert numbers[0] not in stacks and stacks.get(-14) is None
        stacks.clear()
        assert list(stacks) == []
        with pytest.raises(KeyError):
            print(stacks[numbers[1]])


in_files = bpf.BuildIdStackTrace(max_entries=64, depth=32)


@bpf.raw_tracepoint("sys_enter")
def in_both(ctx: bpf.RawTracepointContext) -> None:
    if mine[0] != u64(bpf.current.tgid) << 32 | bpf.current.pid:
        return
    numbers[0] = bpf.stack(stacks, user=True)
    numbers[1] = bpf.stack(in_files, user=True)


@pytest.mark.kernel
def test_places_in_files_are_those_of_the_addresses() -> None:
    addresses, files = ProcessSymbols(os.getpid()), BuildIdSymbols()
    files.learn(os.getpid())
    with in_both.attach():
        mine[0] = os.getpid() << 32 | threading.get_native_id()
        os.getppid()
        mine[0] = 0
        plain, places = stacks[numbers[0]], in_files.in_files(numbers[1])
        assert places and len(places) == len(in_files[numbers[1]]) <= len(plain)
    named = 0
    for address, place in zip(plain, places, strict=False):
        if place.build_id:
            wanted, found = addresses.frame(address), files.frame(place.build_id, place.offset)
            assert (found.name, found.module, found.offset) == (wanted.name, wanted.module, wanted.offset)
            named += 1
        else:
            assert place.address == address
    assert named and in_files.in_files(-14) is None
    unknown = files.frame("ab" * 20, 16)
    assert unknown.label == f"[build-id {'ab' * 20}+0x10]" and files.frame("", 0).label == "[unknown]"


@pytest.mark.parametrize("how", ["vm", "python"])
def test_the_virtual_machine_has_no_stack(how: str) -> None:
    program = enters
    with program.load("vm"):
        task = os.getpid() << 32 | threading.get_native_id()
        mine[0] = task
        run: Callable[..., object] = program.python if how == "python" else program.run
        run(ctx=bytes(16))
        assert [numbers[i] for i in range(3)] == [-14] * 3 and list(stacks) == []


def test_declarations() -> None:
    with pytest.raises(Error, match="1 to 127, not 128"):
        bpf.StackTrace(4, depth=128)
    with pytest.raises(NotLoaded):
        print(bpf.StackTrace(4)[u32(1)])
    with pytest.raises(Error, match="runs only inside a program"):
        bpf.stack(stacks)
