"""Objects that purebpf writes are loaded by bpftool and by a C program on libbpf, and do there what they do here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest

import purebpf as bpf
from bench.size.equality import TEST_RUN, depends_on_chance
from bench.size.inputs import inputs, packets
from bench.size.pairs import hook, pairs, program_of
from purebpf.cli.files import programs_of
from purebpf.collection import Collection
from purebpf.errors import Unsupported
from purebpf.kernel.engine import KernelEngine
from purebpf.lang.types import type_of
from purebpf.program import Program, load, spec_of
from purebpf.tables.enums import MapType
from tests.elf.writing.libbpf import Libbpf, bpftool, libbpf, pinned_by_bpftool
from tests.elf.writing.memory import as_written
from tests.kernel.programs import needs

pytestmark = pytest.mark.kernel
ROOT = Path(__file__).parents[3]
EXAMPLES = [
    "biolatency",
    "execsnoop",
    "exitsnoop",
    "hello",
    "opensnoop",
    "packet_count",
    "perf_ring_123",
    "processes",
    "profile",
    "runqlat",
    "syscall_count",
    "tail_calls",
    "tcplife",
    "whoami",
    "xconnect",
]
READABLE = frozenset(
    {MapType.HASH, MapType.ARRAY, MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_HASH, MapType.LRU_PERCPU_HASH}
)


class Example:
    """An example's programs, together, and its object file."""

    def __init__(self, name: str, folder: Path) -> None:
        self.programs = programs_of(ROOT / "examples" / f"{name}.py")
        self.module: Any = ModuleType(name)
        vars(self.module).update(next(iter(self.programs.values())).function.__globals__)
        self.spec = spec_of(*self.programs.values())
        self.file = folder / f"{name}.o"
        bpf.write_object(self.spec, self.file)


@pytest.fixture
def one_cpu() -> Iterator[None]:
    """Values of this CPU are written on the same one by everybody."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def entries(collection: Collection) -> dict[str, dict[str, str]]:
    """What is in the maps that can be read, in hex, by the names that they have in the object."""
    readable = {name: map for name, map in collection.maps.items() if map.spec.type in READABLE}
    found = {
        name: {key: value for key in map.keys() if (value := map.lookup(key)) is not None}  # noqa: SIM118
        for name, map in readable.items()
    }
    return as_written(collection.spec, found)


def same_results(
    collection: Collection, program: Program, file: Path, given: list[tuple[bytes | None, bytes | None]], other: Libbpf
) -> None:
    """Run a program here and there on the same inputs: results, packets and maps must be the same. `collection` is loaded."""
    script = [f"set {name} {key} {value}" for name, held in entries(collection).items() for key, value in held.items()]
    ours = []
    for packet, context in given:
        script.append(
            f"packet {program.name} {packet.hex()}" if packet is not None else f"context {program.name} {context.hex()}"
        )  # type: ignore[union-attr]
        result = program.run(packet=packet, ctx=context)
        ours.append([str(result.value & 0xFFFF_FFFF), *([result.data.hex()] if packet is not None else [])])
    left = entries(collection)
    theirs = other.run(file, *script, *(f"dump {name}" for name in left))
    assert [words[1:] for words in theirs if words[0] == "ran"] == ours
    dumped = iter([words[1:] for words in theirs if words[0] == "entry"])
    for name, held in left.items():
        assert dict(next(dumped) for _ in held) == held, name
    assert not list(dumped)


@pytest.mark.parametrize("name", EXAMPLES)
def test_bpftool_loads_examples(name: str, tmp_path: Path) -> None:
    example = Example(name, tmp_path)
    with pinned_by_bpftool(example.file) as folder:
        assert sorted(pin.name for pin in folder.iterdir()) == sorted(example.spec.programs)


@pytest.mark.parametrize("name", ["packet_count", "tail_calls", "xconnect"])
def test_examples_do_the_same_on_packets(name: str, tmp_path: Path, one_cpu: None) -> None:
    example = Example(name, tmp_path)
    given = [(packet, None) for packet in packets(Random(5), 60)]
    with load(*example.programs.values(), engine="kernel") as collection:
        same_results(collection, next(iter(example.programs.values())), example.file, given, libbpf())


PAIRS = [pair.name for pair in pairs() if pair.python.parent.name == "pairs"]


@pytest.mark.parametrize("name", PAIRS)
def test_programs_do_the_same(name: str, tmp_path: Path, one_cpu: None) -> None:
    program = program_of(next(pair for pair in pairs() if pair.name == name), 3)
    spec, file = program.spec(), tmp_path / "x.o"
    bpf.write_object(spec, file)
    compiled = spec.programs[program.name]
    if compiled.type not in TEST_RUN or depends_on_chance(compiled) or not all(m.type in READABLE for m in spec.maps.values()):
        with pinned_by_bpftool(file) as folder:  # its results cannot be compared: it is loaded
            assert [pin.name for pin in folder.iterdir()] == [program.name]
        return
    with program.load("kernel") as collection:
        if fill := hook(program, "fill"):
            fill(Random(1))
        same_results(collection, program, file, inputs(program, 3, 25), libbpf())


def test_whoami_tells_the_same(tmp_path: Path) -> None:
    example = Example("whoami", tmp_path)
    whoami, answers = example.programs["whoami"], example.module.answers
    with whoami.load("kernel"):
        whoami.run(ctx=bytes(16))
        ours = answers[0]
    words = libbpf().run(example.file, f"context whoami {bytes(16).hex()}", "dump answers")
    theirs = bpf.from_bytes(example.module.Answer, bytes.fromhex(words[1][2]))
    assert theirs.parent == ours.pid == os.getpid() and theirs.comm == "run_object"
    for field in ("uid", "group", "network"):
        assert getattr(theirs, field) == getattr(ours, field), field
    assert (ours.threads, theirs.threads) == (len(os.listdir("/proc/self/task")), 1)
    assert list(theirs.offsets) == list(ours.offsets) and any(ours.offsets)


def test_processes_are_the_same(tmp_path: Path) -> None:
    example = Example("processes", tmp_path)
    with example.programs["process"].attach() as table:
        ours = next(one for one in table if one.pid == os.getpid())
    ((_, read),) = libbpf().run(example.file, "iterate process")
    layout = type_of(example.module.Process)
    assert layout is not None
    raw = bytes.fromhex(read)
    theirs = [layout.decode(raw[at : at + layout.size]) for at in range(0, len(raw), layout.size)]
    found = next(one for one in theirs if one.pid == os.getpid())
    for field in ("parent", "uid", "started", "comm"):
        assert getattr(found, field) == getattr(ours, field), field
    assert any(one.comm == "run_object" and one.parent == os.getpid() for one in theirs)


def test_system_calls_are_counted(tmp_path: Path) -> None:
    example = Example("syscall_count", tmp_path)
    words = libbpf().run(example.file, "attach", "getpgid 1000", "dump calls")
    counted = {bytes.fromhex(key).rstrip(b"\0"): int.from_bytes(bytes.fromhex(value), "little") for _, key, value in words}
    assert 1000 <= counted[b"run_object"] < 1200
    example.module.settings.only = os.getpid()
    with example.programs["count"].attach():
        for _ in range(1000):
            os.getpgid(0)
        ours = {process.name: total for process, total in example.module.calls.items()}
    assert len(ours) == 1 and 1000 <= next(iter(ours.values())) < 1200


def test_perf_events_come(tmp_path: Path) -> None:
    example = Example("perf_ring_123", tmp_path)
    words = libbpf().run(example.file, "attach", "perf events")
    assert len(words) >= 123
    assert {int.from_bytes(bytes.fromhex(event)[:4], "little") for _, event in words} == {123}


def child_of(example: Example, record: str, ring: str, doing: str) -> Any:
    """What the C program's child was seen to do."""
    layout: Any = type_of(getattr(example.module, record))
    (_, pid), *seen = libbpf().run(example.file, "attach", doing, f"ring {ring}")
    decoded = [layout.decode(bytes.fromhex(raw)[: layout.size]) for _, raw in seen]
    return next(one for one in decoded if one.pid == int(pid))


def test_ends_of_processes_are_seen(tmp_path: Path) -> None:
    example = Example("exitsnoop", tmp_path)
    theirs = child_of(example, "Exit", "exits", "child 7 /etc/hostname")
    with example.programs["ending"].attach():
        pid = os.posix_spawn("/bin/sh", ["/bin/sh", "-c", "exit 7"], {})
        os.waitpid(pid, 0)
        ours = next(one for one in example.module.exits.read(timeout=2.0) if one.pid == pid)
    assert theirs.code == ours.code == 7 << 8 and theirs.comm == "run_object" and ours.parent == os.getpid()


def test_openings_are_seen(tmp_path: Path) -> None:
    example = Example("opensnoop", tmp_path)
    theirs = child_of(example, "Opened", "opened", "child 0 /etc/passwd")
    with load(*example.programs.values(), engine="kernel"):
        with example.programs["entering"].attach(), example.programs["leaving"].attach():
            os.close(os.open("/etc/passwd", os.O_RDONLY))
        seen = example.module.opened.read(timeout=2.0)
    ours = next(one for one in seen if one.pid == os.getpid() and one.file == "/etc/passwd")
    assert (theirs.file, theirs.comm, theirs.result >= 0) == (ours.file, "run_object", ours.result >= 0)


def test_starts_of_processes_are_seen(tmp_path: Path) -> None:
    example = Example("execsnoop", tmp_path)
    theirs = child_of(example, "Start", "starts", "exec /bin/true")
    with example.programs["started"].attach():
        pid = os.posix_spawn("/bin/true", ["/bin/true"], {})
        os.waitpid(pid, 0)
        ours = next(one for one in example.module.starts.read(timeout=2.0) if one.pid == pid)
    assert (theirs.comm, theirs.file, theirs.size) == (ours.comm, ours.file, ours.size) == ("true", "/bin/true", ours.size)


def test_everything_at_once(kernel: KernelEngine, tmp_path: Path, one_cpu: None) -> None:
    """Several programs, data sections, subprograms, a table of programs."""
    from tests.elf.writing import programs as own

    own.settings.mark = 1 << 40
    file = tmp_path / "x.o"
    bpf.write_object(spec_of(own.count, own.again, own.told), file)
    given = [(packet, None) for packet in packets(Random(9), 40)]
    with load(own.count, own.again, own.told, engine="kernel") as collection:
        same_results(collection, own.count, file, given, libbpf())
    with load(own.count, own.again, own.told, engine="kernel") as collection:
        same_results(collection, own.again, file, given, libbpf())


def test_functions_of_their_own_and_callbacks(tmp_path: Path, one_cpu: None) -> None:
    from tests.elf.writing import programs as own

    file = tmp_path / "x.o"
    bpf.write_object(spec_of(own.called, own.called_back, own.nested), file)
    given: list[tuple[bytes | None, bytes | None]] = [(packet, None) for packet in packets(Random(2), 30) if len(packet) > 60]
    for program in (own.called, own.called_back):
        with load(own.called, own.called_back, engine="kernel") as collection:
            same_results(collection, program, file, given, libbpf())
            assert any(own.sums[place] for place in range(4))


def test_maps_hold_what_they_held_in_python(tmp_path: Path) -> None:
    from tests.elf.writing import programs as own

    file = tmp_path / "x.o"
    bpf.write_object(own.nested.spec(), file)
    run = f"packet nested {bytes(64).hex()}"
    words = libbpf().run(file, run, run, run, "dump first_inner")
    assert [each[1] for each in words[:3]] == ["2", "2", "2"]  # XDP_PASS: it found the map
    assert words[3:] == [["entry", "00000000", "03000000"], ["entry", "01000000", "00000000"]]


def test_functions_of_the_kernel_are_called(tmp_path: Path) -> None:
    from tests.elf.writing import programs as own

    with own.asking.load("kernel"):
        own.asking.run(ctx=bytes(8))
        ours = [own.sums[place] for place in range(8)]
    bpf.write_object(own.asking.spec(), tmp_path / "x.o")
    words = libbpf().run(tmp_path / "x.o", f"context asking {bytes(8).hex()}", "dump sums")
    assert [int.from_bytes(bytes.fromhex(value), "little") for _, _, value in words[1:]] == ours
    assert ours[4] == 1 and ours[6] == 41  # the process was found; functions that are there count as 1


def test_operations_are_registered(tmp_path: Path) -> None:
    """A congestion control in Python, by bpftool and by purebpf's own loader."""
    from tests.elf.writing.congestion import pure_steady

    file, controls = tmp_path / "x.o", Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
    if not controls.exists():
        pytest.skip("this kernel has no TCP")
    try:
        bpf.write_object(spec_of(pure_steady), file)
    except Unsupported as error:
        pytest.skip(str(error))
    done = bpftool("struct_ops", "register", file)
    try:
        assert done.returncode == 0, done.stderr
        assert "pure_steady" in controls.read_text().split()
    finally:
        bpftool("struct_ops", "unregister", "name", "pure_steady")
    assert "pure_steady" not in controls.read_text().split()
    spec = bpf.load_object(file)
    assert [spec.programs[name].attach_to for name in ("init", "undo_cwnd")] == [
        "tcp_congestion_ops.init",
        "tcp_congestion_ops.undo_cwnd",
    ]
    assert spec.maps["pure_steady"].contents[0][1].count(b"pure_steady\0") == 1


@needs((6, 6), "trees of objects")
def test_objects_of_their_own_in_a_tree(tmp_path: Path) -> None:
    from tests.elf.writing import trees

    frames, file = [bytes(12) + b"\x88\xb5" + bytes(size) for size in (86, 46, 116)], tmp_path / "x.o"
    bpf.write_object(spec_of(trees.schedule, trees.run_first), file)
    with load(trees.schedule, trees.run_first, engine="kernel"):
        for frame in frames:
            trees.schedule.run(packet=frame)
        for _ in frames:
            trees.run_first.run(packet=bytes(64))
        ours = [trees.done[place] for place in range(2)]
    script = [f"packet schedule {frame.hex()}" for frame in frames] + [f"packet run_first {bytes(64).hex()}"] * 3
    words = libbpf().run(file, *script, "dump done")
    assert [each[1] for each in words[:3]] == ["2", "2", "2"]
    theirs = [int.from_bytes(bytes.fromhex(value), "little") for what, _, value in words if what == "entry"]
    assert theirs[:2] == ours and ours[0] == 3 and ours[1] > 10**6
