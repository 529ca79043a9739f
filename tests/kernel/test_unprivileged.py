"""What an unprivileged user is told. Each case runs in a child process that has become nobody, or has given up capabilities."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel
ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534

BECOME_NOBODY = f"os.setgroups([]); os.setresgid({NOBODY}, {NOBODY}, {NOBODY}); os.setresuid({NOBODY}, {NOBODY}, {NOBODY})"
PRELUDE = f"""
import ctypes, os, sys
sys.path.insert(0, {str(ROOT)!r})
from purebpf.errors import Error, KernelError
from purebpf.kernel import memlock, privileges, probe, tracefs
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.link import attach, perf_event, raw_tracepoint, socket_filter, tcx, tracepoint, xdp
from purebpf.kernel.trace_pipe import TracePipe
from purebpf.isa.asm import *
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType
import encodings.idna, difflib, warnings
kernel = KernelEngine()
def said(what):
    try:
        what()
    except KernelError as error:
        print(error.errno, error)
    else:
        print("allowed")
"""
KEEP_ONLY = """
class Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]
def keep_only(*bits):
    # capset(2), version 3: two words of effective, permitted and inheritable each
    words = [sum(1 << bit % 32 for bit in bits if bit // 32 == word) for word in (0, 1)]
    data = (ctypes.c_uint32 * 6)(words[0], words[0], 0, words[1], words[1], 0)
    assert ctypes.CDLL(None).capset(ctypes.byref(Header(0x20080522, 0)), data) == 0
"""
CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF = 12, 38, 39


def child(code: str, before: str = BECOME_NOBODY) -> str:
    """What a process with less rights prints."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    text = PRELUDE + KEEP_ONLY + before + "\n" + code
    done = subprocess.run([sys.executable, "-I", "-c", text], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def has_new_capabilities() -> bool:
    """Whether the kernel knows CAP_BPF (Linux 5.8)."""
    known: int = ctypes.CDLL(None).prctl(23, CAP_BPF, 0, 0, 0)  # PR_CAPBSET_READ
    return known >= 0


def test_nobody_is_told_which_capabilities_a_map_takes() -> None:
    told = child('said(lambda: kernel.create_map(MapSpec("devices", MapType.DEVMAP, 4, 4, 1)))')
    assert told.startswith("1 Creating the map 'devices' (devmap)")
    assert "operation not permitted (EPERM). It needs CAP_BPF and CAP_NET_ADMIN; this process lacks CAP_BPF and" in told
    assert "Run it as root, or as a service with AmbientCapabilities=CAP_BPF CAP_NET_ADMIN." in told


@pytest.mark.parametrize(
    ("type", "needs"),
    [
        ("SOCKET_FILTER", "CAP_BPF"),
        ("XDP", "CAP_BPF and CAP_NET_ADMIN"),
        ("TRACEPOINT", "CAP_BPF and CAP_PERFMON"),
        ("EXT", "CAP_BPF and CAP_PERFMON and CAP_NET_ADMIN"),
    ],
)
def test_nobody_is_told_which_capabilities_a_program_takes(type: str, needs: str) -> None:
    told = child(f'said(lambda: kernel.load_program(ProgramSpec("p", ProgramType.{type}, (Mov.imm(R0, 0), Exit())), {{}}))')
    if type == "SOCKET_FILTER" and told == "allowed\n":
        pytest.skip("kernel.unprivileged_bpf_disabled is 0: everybody may load socket filters here")
    assert told.startswith("1 Loading the program 'p'")
    assert f"It needs {needs}; this process lacks {needs}." in told


def test_permitted_gives_nobody_the_reason() -> None:
    told = child("print(probe.permitted(), '|', probe.permitted(ProgramType.XDP))")
    assert "lacks CAP_BPF" in told


def test_only_the_missing_capability_is_named() -> None:
    if not has_new_capabilities():
        pytest.skip("CAP_BPF came with Linux 5.8")
    load = 'ProgramSpec("p", ProgramType.{}, (Mov.imm(R0, 0), Exit()))'
    told = child(
        f"said(lambda: kernel.load_program({load.format('SOCKET_FILTER')}, {{}}).close())\n"
        f"said(lambda: kernel.load_program({load.format('XDP')}, {{}}).close())\n"
        f"said(lambda: kernel.load_program({load.format('TRACEPOINT')}, {{}}).close())",
        before=f"keep_only({CAP_BPF}, {CAP_PERFMON})",
    ).splitlines()
    assert told[0] == "allowed"
    assert "It needs CAP_BPF and CAP_NET_ADMIN; this process lacks CAP_NET_ADMIN." in told[1]
    assert told[2] == "allowed"


def test_the_named_capabilities_are_enough() -> None:
    if not has_new_capabilities():
        pytest.skip("CAP_BPF came with Linux 5.8")
    told = child(
        "print(probe.permitted(), probe.permitted(ProgramType.XDP), probe.permitted(ProgramType.TRACEPOINT))\n"
        'said(lambda: kernel.create_map(MapSpec("devices", MapType.DEVMAP, 4, 4, 1)).close())',
        before=f"keep_only({CAP_BPF}, {CAP_PERFMON}, {CAP_NET_ADMIN})",
    )
    assert told.splitlines() == ["None None None", "allowed"]


def test_sampling_all_cpus_names_the_capability_it_takes() -> None:
    told = child(
        f"{BECOME_NOBODY}\nsaid(lambda: kernel.attach(program, {{'frequency': 10}}).close())",
        before='program = kernel.load_program(ProgramSpec("p", ProgramType.PERF_EVENT, (Mov.imm(R0, 0), Exit())), {})\n',
    )
    if told == "allowed\n":
        pytest.skip("kernel.perf_event_paranoid is -1: everybody may sample all CPUs here")
    assert told.startswith("13 Opening the event cpu-clock on CPU 0 failed: permission denied (EACCES).")
    assert "It needs CAP_PERFMON; this process lacks CAP_PERFMON." in told


def test_tracefs_that_may_not_be_read_names_the_capability() -> None:
    told = child("said(lambda: tracefs.tracepoint_id('syscalls', 'sys_enter_openat'))")
    if told == "allowed\n":
        pytest.skip("tracefs is readable for everybody here")
    assert told.startswith("13 ")
    assert "It needs CAP_DAC_READ_SEARCH; this process lacks CAP_DAC_READ_SEARCH." in told


def test_forgotten_descriptor_is_reported_and_closed() -> None:
    told = child(
        "warnings.simplefilter('always')\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    before = len(os.listdir('/proc/self/fd'))\n"
        '    map = kernel.create_map(MapSpec("lost", MapType.ARRAY, 4, 4, 1))\n'
        "    del map\n"
        "    print(len(os.listdir('/proc/self/fd')) - before, seen[0].category.__name__, seen[0].message)",
        before="",
    )
    assert told == "0 ResourceWarning the map 'lost' (array) was never closed\n"
