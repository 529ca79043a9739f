"""The `purebpf` command, run as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from purebpf.pcap import read_packets, write_packets
from tests.conformance.dialect import require_cases

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
HELLO = "import purebpf as bpf\n\n@bpf.xdp\ndef hello(ctx):\n    return bpf.XDP_PASS\n"


def purebpf(*arguments: str, stdin: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "purebpf.cli.main", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, cwd=ROOT)


def test_build_json_describes_each_program() -> None:
    made = json.loads(purebpf("build", str(EXAMPLES / "packet_count.py"), "--emit", "json").stdout)
    count = made["programs"]["count"]
    assert count["type"] == "xdp" and count["stack"] > 0
    assert len(count["bytes"]) == count["slots"] * 16
    assert count["maps"]["traffic"] == {"type": "percpu_array", "key_size": 4, "value_size": 16, "max_entries": 256, "flags": 0}


@pytest.mark.parametrize("emit, shows", [("asm", "r0 = "), ("ir", "function count("), ("hex", "61")])
def test_build_emits(emit: str, shows: str) -> None:
    assert shows in purebpf("build", str(EXAMPLES / "packet_count.py"), "--emit", emit).stdout


def test_a_file_that_fails_shows_its_own_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text("import purebpf as bpf\n\n\ndef table():\n    return bpf.Hsh[1]\n\n\nm = table()\n")
    for command in (["build", str(path)], ["gen", str(path), "-o", str(tmp_path / "package")]):
        done = purebpf(*command)
        assert done.returncode == 1 and not done.stdout
        assert done.stderr.startswith(f"{path} cannot be imported:\nTraceback") and "line 5, in table" in done.stderr
        assert done.stderr.count("File ") == 2 and done.stderr.count("did you mean 'Hash'") == 1
        assert "Did you mean" not in done.stderr


def test_disasm_reads_what_build_emits() -> None:
    made = purebpf("build", str(EXAMPLES / "xconnect.py"), "--emit", "hex").stdout
    assert "call bpf_redirect_map#51" in purebpf("disasm", stdin=made).stdout


def test_a_compile_error_is_told_without_a_traceback(tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(HELLO.replace("return bpf.XDP_PASS", "return ctx.nope"))
    result = purebpf("build", str(file))
    assert result.returncode == 1
    assert "has no field `nope`" in result.stderr and "wrong.py:5:12" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize("text, message", [("x = 1\n", "defines no program"), ("def (:\n", "invalid syntax")])
def test_a_file_without_programs_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "file.py"
    file.write_text(text)
    result = purebpf("build", str(file))
    assert result.returncode == 1 and message in result.stderr


def test_run_feeds_a_capture(tmp_path: Path) -> None:
    result = purebpf("run", str(EXAMPLES / "packet_count.py"), "--pcap", str(EXAMPLES / "packet_count.pcap"), "--engine", "vm")
    assert "count: XDP_PASS: 60" in result.stdout and "Traffic(packets=30, octets=2336)" in result.stdout


def test_run_feeds_a_capture_to_the_functions_themselves(tmp_path: Path) -> None:
    file = tmp_path / "stops.py"
    file.write_text(
        "import purebpf as bpf\n@bpf.xdp\ndef stops(ctx: bpf.XdpContext) -> bpf.XdpAction:\n"
        "    if len(ctx.packet) > 99:\n        breakpoint()\n    return bpf.XDP_DROP\n"
    )
    capture = str(EXAMPLES / "packet_count.pcap")
    result = purebpf("run", str(file), "--pcap", capture, "--python", stdin="p len(ctx.packet)\nc\n" * 60)
    assert "engine: Python" in result.stdout and "stops: XDP_DROP: 60" in result.stdout
    assert "-> return bpf.XDP_DROP" in result.stdout and "(Pdb) 1" in result.stdout  # in packets of 100 bytes and more
    refused = purebpf("run", str(file), "--pcap", capture, "--engine", "vm")
    assert refused.returncode == 1 and "breakpoint" in refused.stderr
    assert purebpf("run", str(file), "--python").returncode == 2


def test_run_without_a_target_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "hello.py"
    file.write_text(HELLO)
    result = purebpf("run", str(file), "--engine", "vm")
    assert result.returncode == 1 and "attaches to an interface" in result.stderr


def test_run_gives_the_file_its_arguments(tmp_path: Path) -> None:
    file = tmp_path / "main.py"
    file.write_text('import sys\nif __name__ == "__main__":\n    print(sys.argv[1:])\n')
    assert purebpf("run", str(file), "a", "--b").stdout == "['a', '--b']\n"


def test_vm_exec_speaks_the_protocol_of_the_conformance_suite() -> None:
    assert purebpf("vm", "exec", stdin="b700000005000000" + "9500000000000000").stdout == "5\n"
    load = "7110000000000000" + "9500000000000000"  # r0 = *(u8 *)(r1 +0)
    assert purebpf("vm", "exec", "ab12", stdin=load).stdout == "ab\n"
    wrong = purebpf("vm", "exec", stdin=load)
    assert wrong.returncode != 0 and "Traceback" not in wrong.stderr


def test_vm_exec_runs_the_conformance_cases_through_the_command() -> None:
    """A sample of the suite by the command itself; all of it runs in tests/vm."""
    from purebpf.isa import encode

    for case in require_cases()[::40]:
        result = purebpf("vm", "exec", case.memory.hex(), stdin=encode(case.instructions).hex())
        if case.result is not None:
            assert int(result.stdout, 16) == case.result, case.name
        else:
            assert result.returncode != 0, case.name


def test_demo_in_the_virtual_machine() -> None:
    result = purebpf("demo", "--engine", "vm")
    assert result.returncode == 0 and "virtual machine" in result.stdout and "2,336" in result.stdout


@pytest.mark.kernel
def test_demo_on_the_kernel_leaves_nothing_behind() -> None:
    result = purebpf("demo", "--engine", "kernel", "--seconds", "2")
    assert result.returncode == 0, result.stderr
    assert all(name in result.stdout for name in ("UDP", "TCP", "ICMP", "kernel"))
    assert "pbpf0" not in os.listdir("/sys/class/net")


@pytest.mark.kernel
def test_ctrl_c_detaches(tmp_path: Path) -> None:
    file = tmp_path / "watch.py"
    file.write_text(
        'import purebpf as bpf\n\n@bpf.tracepoint("syscalls/sys_enter_getpgid")\ndef watch(ctx):\n    bpf.printk("seen")\n'
    )
    command = [sys.executable, "-m", "purebpf.cli.main", "run", str(file)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None and "attached watch" in process.stderr.readline()
    os.getpgid(0)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert "seen" in out and "Traceback" not in err
    assert process.returncode in (0, 130)


def test_a_damaged_capture_is_a_clean_error(tmp_path: Path) -> None:
    good = tmp_path / "good.pcap"
    write_packets(good, [bytes(60), bytes(100)])
    assert [len(p) for p in read_packets(good)] == [60, 100]
    data = good.read_bytes()
    for length in (0, 10, 24 + 8, len(data) - 1):
        bad = tmp_path / "bad.pcap"
        bad.write_bytes(data[:length])
        result = purebpf("run", str(EXAMPLES / "packet_count.py"), "--pcap", str(bad), "--engine", "vm")
        assert result.returncode == 1 and "bad.pcap" in result.stderr and "Traceback" not in result.stderr
