"""The examples, on every engine that can run them; results are read back from maps, rings and the trace pipe."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

import purebpf as bpf
from purebpf.collection import choose_engine
from purebpf.isa import encode
from purebpf.kernel.engine import KernelEngine
from purebpf.pcap import read_packets
from purebpf.program import Program
from purebpf.tables.since import parse, since
from purebpf.vm.engine import VmEngine
from tests.kernel.netns import FIRST, SECOND, eventually, frame, send, veth_pair

EXAMPLES = Path(__file__).parents[2] / "examples"
ETH_P_ALL = 0x0003
CAPTURE = EXAMPLES / "packet_count.pcap"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_packet_count(engine: str) -> None:
    example = load("packet_count")
    with example.count.load(engine):
        for packet in read_packets(CAPTURE):
            assert example.count.run(packet=packet).value == bpf.XDP_PASS
        assert example.totals() == {"UDP": (30, 2336), "ICMP": (10, 900), "TCP": (10, 600)}


@pytest.mark.parametrize("size", range(0, 60, 7))
def test_packet_count_passes_truncated_frames(engine: str, size: int) -> None:
    example = load("packet_count")
    first = next(read_packets(CAPTURE))
    with example.count.load(engine):
        assert example.count.run(packet=first[: max(size, 14)]).value == bpf.XDP_PASS
        assert sum(packets for packets, _ in example.totals().values()) == (size >= 34)


def test_the_capture_is_what_its_script_makes() -> None:
    assert list(read_packets(CAPTURE)) == load("make_pcap").packets()


def test_tail_calls(engine: str) -> None:
    example = load("tail_calls")
    with bpf.load(example.entry, engine=engine):
        for packet in read_packets(CAPTURE):
            assert example.entry.run(packet=packet).value == bpf.XDP_PASS
        assert dict(example.ports.items()) == {53: 10, 123: 10, 80: 10}
        assert example.others[0] == 10  # ICMP has no handler


def test_perf_ring_123_in_source_and_in_assembly_are_the_same_bytes() -> None:
    source, assembly = load("perf_ring_123"), load("perf_ring_123_asm")
    assert encode(source.send.compiled().program.instructions) == encode(assembly.SEND.instructions)


def test_perf_ring_123_from_source(engine: str) -> None:
    example = load("perf_ring_123")
    with example.send.load(engine):
        if engine == "vm":
            example.send.run(ctx=bytes(64))
        else:
            example.send.attach()
            os.getpgid(0)
        assert example.events.read(timeout=2.0)[0] == 123


def test_perf_ring_123_from_assembly(engine: str) -> None:
    example = load("perf_ring_123_asm")
    chosen, _ = choose_engine(engine)
    events = chosen.create_map(example.EVENTS)
    program = chosen.load_program(example.SEND, {"events": events})
    reader = chosen.open_events(events)
    link = None
    try:
        if engine == "vm":
            program.run(context=bytes(64))
        else:
            link = chosen.attach(program, {})
            os.getpgid(0)
        assert example.read(chosen, reader) == 123
    finally:
        for resource in (link, reader, program, events):
            if resource is not None:
                resource.close()


def test_syscall_count_in_the_virtual_machine() -> None:
    example = load("syscall_count")
    with example.count.load("vm"):
        for _ in range(3):
            example.count.run(ctx=bytes(64))
        ((name, total),) = example.busiest()
        assert total == 3 and name


@pytest.mark.kernel
def test_syscall_count_sees_a_child() -> None:
    example = load("syscall_count")
    with example.count.attach():
        code = "import ctypes, os\nctypes.CDLL(None).prctl(15, b'pbpfchild')\nfor _ in range(500): os.getpgid(0)"
        subprocess.run([sys.executable, "-c", code], check=True)
        counted = example.calls[example.Process(name="pbpfchild")]
    assert 500 <= counted < 5000


@pytest.mark.kernel
def test_hello_is_in_the_trace_pipe() -> None:
    example = load("hello")
    with bpf.trace_pipe() as pipe, example.hello.attach():
        child = subprocess.Popen(["/bin/true"])
        child.wait()
        end = time.monotonic() + 5
        seen: list[str] = []
        while time.monotonic() < end and not seen:
            seen = [record.text for record in pipe.read(0.5)]
    assert seen[0] == "Hello world!"


def test_hello_in_the_virtual_machine() -> None:
    example = load("hello")
    with example.hello.load("vm") as collection:
        example.hello.run(ctx=bytes(64))
        assert isinstance(collection.engine, VmEngine)
        assert collection.engine.trace.texts[0].startswith("Hello world!")


@pytest.mark.kernel
def test_xconnect_moves_frames_between_interfaces(kernel: KernelEngine) -> None:
    """A frame that arrives on one interface is sent out by the one that the map names: here the same, so it comes back."""
    example = load("xconnect")
    with veth_pair(), example.xconnect.attach(FIRST, mode="generic"):
        index = socket.if_nametoindex(FIRST)
        example.peers[index] = index
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as receiver:
            receiver.bind((SECOND, ETH_P_ALL))
            receiver.settimeout(0.2)
            send(SECOND, frame(b"there and back"))

            def came_back() -> bool:
                try:
                    data, address = receiver.recvfrom(2048)
                except TimeoutError:
                    return False
                return b"there and back" in data and address[2] != socket.PACKET_OUTGOING

            assert eventually(came_back)


def words(name: str) -> str:
    """What an example says of itself."""
    return (EXAMPLES / f"{name}.py").read_text().split('"""')[1]


NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem != "make_pcap")


@pytest.mark.parametrize("name", NAMES)
def test_examples_say_how_to_run_them(name: str) -> None:
    assert f"examples/{name}.py" in words(name)


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_listed(name: str) -> None:
    assert f"[{name}.py]({name}.py)" in (EXAMPLES / "README.md").read_text()


@pytest.mark.parametrize("name", [name for name in NAMES if "Linux " in words(name)])
def test_the_kernel_that_an_example_needs_has_its_maps_and_programs(name: str) -> None:
    said = parse(words(name).split("Linux ", 1)[1].split()[0].rstrip("."))
    for program in (value for value in vars(load(name)).values() if isinstance(value, Program)):
        spec = program.spec()
        needed = [since(spec.programs[each].type) for each in spec.programs] + [since(map.type) for map in spec.maps.values()]
        needed += ["5.2"] * bool(spec.variables)  # settings and globals
        assert said >= max(map(parse, needed)), needed
