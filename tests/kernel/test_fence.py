"""Between what the kernel writes in order, a reader passes a fence: looked at access by access, since x86 would not tell."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from purebpf.engine import Run
from purebpf.isa.asm import DW, FP, R1, R2, R3, R4, Add, Exit, LoadMapPtr, Mov, StoreImm, assemble
from purebpf.kernel import ring, ring_batch
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.fence import Fence
from purebpf.kernel.ring import RingReader
from purebpf.kernel.ring_memory import RingMemory
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType
from tests.vm.support import helper

MACHINES = ("x86_64", "aarch64", "s390x", "riscv64", "ppc64le")


def on(machine: str, monkeypatch: pytest.MonkeyPatch) -> Fence:
    monkeypatch.setattr(os, "uname", lambda: type("U", (), {"machine": machine})())
    return Fence()


@pytest.mark.parametrize("machine", MACHINES)
def test_a_fence_is_a_release_and_then_an_acquisition(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fence, done = on(machine, monkeypatch), []

    class Lock:
        def __enter__(self) -> None:
            done.append("acquire")

        def __exit__(self, *_: object) -> None:
            done.append("release")

    fence._lock = Lock()  # type: ignore[assignment]
    fence.pass_()
    if machine in ("x86_64", "s390x"):
        assert not done
    else:
        assert "acquire" in done[done.index("release") :]


def test_many_threads_may_pass_one_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    fence, failed = on("aarch64", monkeypatch), []

    def work() -> None:
        try:
            for _ in range(2000):
                fence.pass_()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and not fence._lock.locked()


class Seen:
    """Memory that tells of accesses."""

    def __init__(self, name: str, memory: Any, told: list[str]) -> None:
        self.name, self.memory, self.told = name, memory, told

    def __getitem__(self, place: Any) -> Any:
        self.told.append(f"load {self.name}")
        return self.memory[place]

    def __setitem__(self, place: Any, value: Any) -> None:
        self.told.append(f"store {self.name}")
        self.memory[place] = value


class Told:
    def __init__(self, told: list[str]) -> None:
        self.told = told

    def pass_(self) -> None:
        self.told.append("fence")


def five_records() -> ProgramSpec:
    send = (
        LoadMapPtr(R1, "ring"),
        Mov.reg(R2, FP),
        Add.imm(R2, -16),
        Mov.imm(R3, 16),
        Mov.imm(R4, 0),
        helper("ringbuf_output"),
    )
    code = (StoreImm(FP, -16, 1, DW), StoreImm(FP, -8, 2, DW), *(send * 5), Exit())
    return ProgramSpec("five", ProgramType.XDP, assemble(code))


def apart(told: list[str], earlier: str, later: str) -> bool:
    """Whether a fence lies between each access and the next one of the other kind."""
    last = None
    for access in told:
        if access == "fence":
            last = None
        elif access == later and last == earlier:
            return False
        elif access == earlier:
            last = earlier
    return True


def numpy_drain(memory: RingMemory, runs: list[Run]) -> None:
    pytest.importorskip("numpy")
    ring_batch.drain(memory, runs)


@pytest.mark.kernel
@pytest.mark.parametrize("drain", [ring.drain, numpy_drain])
def test_a_reader_keeps_positions_headers_and_records_apart(
    kernel: KernelEngine, drain: Callable[[RingMemory, list[Run]], None]
) -> None:
    told: list[str] = []
    with (
        kernel.create_map(MapSpec("ring", MapType.RINGBUF, 0, 0, 4096)) as events,
        kernel.load_program(five_records(), {"ring": events}) as program,
        kernel.open_events(events) as reader,
    ):
        program.run()
        assert isinstance(reader, RingReader)
        memory = reader._memory
        assert memory is not None
        kept = dict(vars(memory))
        try:
            memory.fence = Told(told)  # type: ignore[assignment]
            for name in ("_producer", "_consumer", "lengths"):
                setattr(memory, name, Seen(name, kept[name], told))
            if drain is ring.drain:
                memory.data = Seen("data", kept["data"], told)  # type: ignore[assignment]
                memory.bytes = Seen("headers", kept["bytes"], told)  # type: ignore[assignment]
            runs: list[Run] = []
            drain(memory, runs)
        finally:
            vars(memory).update(kept)
        assert sum(run.count for run in runs) == 5
    assert told.count("load _producer") >= 1 and "store _consumer" in told
    headers, data = ("load lengths", "load headers"), "load data"
    assert all(apart(told, "load _producer", header) for header in headers)
    assert all(apart(told, header, data) for header in headers)
    assert all(apart(told, access, "store _consumer") for access in (*headers, data))


def test_the_check_finds_what_is_not_kept_apart() -> None:
    assert apart(["a", "fence", "b", "a", "fence", "b"], "a", "b")
    assert not apart(["a", "fence", "b", "a", "b"], "a", "b")
