"""What the kernel tells of programs, maps and links: each test looks only at objects of its own."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.errors import Error, NotLoaded, Unsupported
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.info import read_info
from purebpf.kernel.objects import dump, ids, links, machine, maps, programs
from purebpf.kernel.objects.btf import Users, btf_of
from purebpf.kernel.objects.holders import Holder, holders
from purebpf.kernel.objects.pins import pins
from purebpf.kernel.pins import pin
from purebpf.kernel.program import KernelProgram
from tests.kernel.netns import veth_pair
from tests.kernel.programs import needs

pytestmark = pytest.mark.kernel


@bpf.struct
class Row:
    small: u32
    large: u64


rows = bpf.Hash[u32, Row](max_entries=8)
each_cpu = bpf.PerCpuArray[u64](max_entries=2)


@bpf.global_subprogram
def added(x: u64, y: u64) -> u64:
    return x * 3 + y


@bpf.raw_tracepoint("sys_enter")
def a_program_with_a_long_name(ctx: bpf.RawTracepointContext) -> None:
    row = rows.get(7)
    if row is not None:
        row.large = added(row.large, bpf.ktime())
    each_cpu[1] += 1


@bpf.xdp
def passing(ctx: bpf.XdpContext) -> bpf.XdpAction:
    each_cpu[0] += 1
    return bpf.XDP_PASS


@pytest.fixture
def loaded(kernel: KernelEngine) -> Iterator[KernelProgram]:
    with a_program_with_a_long_name.load("kernel"):
        program = a_program_with_a_long_name.loaded
        assert isinstance(program, KernelProgram)
        yield program


def test_ids_of_what_is_there_and_of_what_has_gone(loaded: KernelProgram) -> None:
    number = loaded.info.id
    assert number in set(ids.ids("program")) and rows.live.info.id in set(ids.ids("map"))  # type: ignore[attr-defined]
    with ids.opened("program", number) as again:
        assert read_info(again, "bpf_prog_info") == read_info(loaded.descriptor, "bpf_prog_info")
    a_program_with_a_long_name.close()
    end = time.monotonic() + 5
    while ids.open_id("program", number) is not None and time.monotonic() < end:
        time.sleep(0.01)  # the kernel frees a program a little later
    with pytest.raises(Error, match=f"There is no program with the id {number}"):
        ids.opened("program", number)


def test_a_program_by_the_keys_of_bpftool(loaded: KernelProgram) -> None:
    told, info = programs.describe(loaded.descriptor), loaded.info
    assert told["name"] == "a_program_with_a_long_name" and info.name == "a_program_with_a_long_name"[:15]
    assert (told["id"], told["type"], told["tag"]) == (info.id, "raw_tracepoint", info.tag)
    assert told["bytes_xlated"] == len(programs.xlated(loaded.descriptor)) > 0 and told["gpl_compatible"] is True
    assert told["uid"] == os.getuid() and abs(float(str(told["loaded_at"])) - time.time()) < 60
    wanted = {rows.live.info.id, each_cpu.live.info.id}  # type: ignore[attr-defined]
    assert set(programs.map_ids(loaded.descriptor)) == wanted == set(told["map_ids"])  # type: ignore[call-overload]


@needs((5, 8), "statistics as long as they are wanted")
def test_runs_are_counted_while_statistics_are_on(kernel: KernelEngine) -> None:
    with passing.load("kernel"):
        before = passing.info.run_count
        with bpf.statistics():
            passing.run(packet=bytes(64), repeat=50)
            during = passing.info
        assert (during.run_count - before, during.run_time_ns > 0) == (50, True)
        with open("/proc/sys/kernel/bpf_stats_enabled") as file:
            if file.read().strip() == "0":
                passing.run(packet=bytes(64), repeat=5)
                assert passing.info.run_count == during.run_count


def test_only_what_is_in_the_kernel_has_an_account() -> None:
    with pytest.raises(NotLoaded):
        print(passing.info)
    with passing.load("vm"), pytest.raises(Unsupported, match="loaded in the virtual machine"):
        print(passing.info)


def test_holders_are_the_processes_with_a_descriptor(loaded: KernelProgram) -> None:
    with open("/proc/self/comm") as file:
        me = Holder(os.getpid(), file.read().strip())
    program, map_ = ("program", loaded.info.id), ("map", rows.live.info.id)  # type: ignore[attr-defined]
    assert holders()[program] == holders()[map_] == [me]
    os.set_inheritable(loaded.descriptor.number, True)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    try:
        held = holders()
        assert {holder.pid for holder in held[program]} == {me.pid, child.pid} and held[map_] == [me]
    finally:
        child.communicate(b"\n")


def test_the_dump_has_the_lines_of_the_source(loaded: KernelProgram) -> None:
    found = list(dump.rows(loaded.descriptor, loaded.info))
    assert b"".join(row.code for row in found) == programs.xlated(loaded.descriptor)
    lines = {row.line.line: row.line.text for row in found if row.line}
    source = Path(__file__).read_text().splitlines()
    assert len(lines) >= 4 and all(source[number - 1].strip() == text for number, text in lines.items())
    assert {row.line.file for row in found if row.line} == {__file__}
    names = {row.function.name: row.function.declaration for row in found if row.function}
    assert list(names) == ["a_program_with_a_long_name", "added"]
    assert names["added"].startswith("unsigned long long added(") and found[0].function is not None
    calls = [row.text for row in found if "(85) call" in row.text]
    assert any("call pc+" in call and "added" in call for call in calls), calls
    assert any("bpf_ktime_get_ns" in call for call in calls), calls
    assert any(f"map[id:{rows.live.info.id}]" in row.text for row in found)  # type: ignore[attr-defined]
    text = [line for row in found for line in dump.as_text(row, opcodes=True, places=True)]
    assert f"; return x * 3 + y [file:{__file__} " in "\n".join(text)


def test_machine_code_lies_under_the_lines_it_comes_from(loaded: KernelProgram) -> None:
    if not loaded.info.jited_size:
        pytest.skip("this kernel interprets its programs")
    parts = list(machine.parts(loaded.descriptor, loaded.info))
    code = b"".join(piece for part in parts for _, _, piece in part.pieces)
    assert code == programs.jited(loaded.descriptor) and len(parts) == 2
    texts = {line.text for part in parts for _, line, _ in part.pieces if line}
    assert "each_cpu[1] += 1" in texts and "return x * 3 + y" in texts
    assert all(part.address for part in parts)


def test_instructions_that_only_the_kernel_writes_have_a_text(loaded: KernelProgram) -> None:
    words = dump.Words(loaded.descriptor)
    moved = struct.pack("=BBhi", 0xBF, 0x11, -1, 0)
    assert words.text(moved) == "(bf) r1 = &(void __percpu *)(r1)"
    assert words.text(struct.pack("=BBhi", 0xC2, 0, 0, 0)) == "(c2) nospec"
    assert words.text(struct.pack("=BBhi", 0xEE, 0, 0, 0)) == "(ee) unknown ee 00 00 00 00 00 00 00"
    assert words.text(struct.pack("=BBhi", 0x85, 0, 0, 5)) == "(85) call bpf_ktime_get_ns#5"


def test_a_map_and_its_entries_by_the_keys_of_bpftool(loaded: KernelProgram) -> None:
    rows[7] = Row(small=1, large=0x0203)
    with ids.opened("map", rows.live.info.id) as found:  # type: ignore[attr-defined]
        told = maps.describe(found)
        assert (told["type"], told["name"], told["bytes_key"], told["bytes_value"]) == ("hash", "rows", 4, 16)
        assert told["max_entries"] == 8 and told["frozen"] == 0
        (entry,) = maps.Entries(maps.open_map(found))
        assert entry["key"] == [f"0x{byte:02x}" for byte in struct.pack("=I", 7)]
        assert entry["value"] == [f"0x{byte:02x}" for byte in struct.pack("=IxxxxQ", 1, 0x0203)]
    with ids.opened("map", each_cpu.live.info.id) as found:  # type: ignore[attr-defined]
        values = [entry["values"] for entry in maps.Entries(maps.open_map(found))]
        assert len(values) == 2 and len(values[0]) == KernelEngine().possible_cpus  # type: ignore[arg-type]


def test_btf_of_a_program_knows_its_user(loaded: KernelProgram) -> None:
    number = loaded.info.btf_id
    if not number:
        pytest.skip("this kernel takes no BTF of programs")
    types = btf_of(number)
    assert types is not None and types.types_named("added")
    assert Users().programs[number] == [loaded.info.id] and btf_of(0) is None


def test_links_by_the_keys_of_bpftool(kernel: KernelEngine) -> None:
    with a_program_with_a_long_name.attach() as attached:
        told = links.describe(attached.link._descriptors[0])
        base = {"id": attached.link.info.id, "type": "raw_tracepoint", "prog_id": a_program_with_a_long_name.info.id}
        assert told == base | {"tp_name": "sys_enter", "cookie": 0}
    with veth_pair() as (name, _), passing.attach(name, mode="generic") as attached:
        told = links.describe(attached.link._descriptors[0])
        assert (told["type"], told["devname"], told["ifindex"]) == ("xdp", name, socket.if_nametoindex(name))


@needs((6, 6), "what a link of a perf event tells")
def test_links_of_perf_events(kernel: KernelEngine) -> None:
    @bpf.perf_event
    def sampled(ctx: bpf.PerfEventContext) -> None:
        each_cpu[0] += 1

    @bpf.tracepoint("syscalls/sys_enter_getppid")
    def entered(ctx: bpf.TracepointContext) -> None:
        each_cpu[0] += 1

    with sampled.attach(event="page-faults", tid=0, cookie=5) as attached:
        told = links.describe(attached.link._descriptors[0])
        assert (told["event_type"], told["event_config"], told["cookie"]) == ("software", "page-faults", 5)
    with entered.attach() as attached:
        assert links.describe(attached.link._descriptors[0])["tracepoint"] == "sys_enter_getppid"


@needs((6, 8), "the offsets of a link of many uprobes")
def test_links_to_many_places(kernel: KernelEngine) -> None:
    @bpf.uprobe("libc.so.6", "getpp*d")
    def called(ctx: bpf.ProbeContext) -> None:
        each_cpu[0] += 1

    with called.attach(pid=os.getpid()) as attached:
        told = links.describe(attached.link._descriptors[0])
    assert told["type"] == "uprobe_multi" and str(told["path"]).endswith("libc.so.6") and told["retprobe"] is False
    functions = told["funcs"]
    assert isinstance(functions, list) and len(functions) == told["func_cnt"] and functions[0]["offset"] > 0


@needs((5, 18), "runs on live frames")
def test_live_frames_reach_the_network_stack(kernel: KernelEngine) -> None:
    with veth_pair():
        for command in ("ip link set lo up", "ip addr add 10.9.9.9/32 dev lo"):
            subprocess.run(command.split(), check=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, passing.load("kernel"):
            receiver.bind(("10.9.9.9", 0))
            receiver.settimeout(5)
            result = passing.run_live(datagram(receiver.getsockname()[1], b"hello"), repeat=20)
            assert [receiver.recv(100) for _ in range(20)] == [b"hello"] * 20
            assert sum(each_cpu[0]) == 20 and result.duration_ns > 0


def test_what_cannot_run_on_live_frames(kernel: KernelEngine) -> None:
    with a_program_with_a_long_name.load("kernel"), pytest.raises(Unsupported, match="Only XDP programs run on live frames"):
        a_program_with_a_long_name.run_live(bytes(64))
    with passing.load("vm"), pytest.raises(Unsupported, match="no network"):
        passing.run_live(bytes(64))


def datagram(port: int, data: bytes) -> bytes:
    """A frame with a UDP datagram from 10.9.9.8 to 10.9.9.9."""
    udp = struct.pack(">HHHH", 1234, port, 8 + len(data), 0) + data
    addresses = bytes((10, 9, 9, 8, 10, 9, 9, 9))
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses
    total = sum(struct.unpack(">10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + header[12:]
    return bytes(12) + b"\x08\x00" + header + udp


def test_pins_are_found_by_what_they_hold(loaded: KernelProgram, tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "bpf", "bpf", str(tmp_path)], capture_output=True).returncode:
        pytest.skip("no BPF file system can be mounted here")
    try:
        path = str(tmp_path / "it")
        pin(loaded.descriptor, path)
        assert pins()["program", loaded.info.id] == [path]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
