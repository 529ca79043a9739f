"""Probes of features. A kernel as new as a feature has it, unless it was built without; an older one does not have it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess

import pytest

from purebpf.cli import features
from purebpf.errors import Error
from purebpf.isa import asm
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.features import answers, helper, helpers_of, link_type, map_type, program_type, system
from purebpf.kernel.features import helpers as helper_probes
from purebpf.kernel.features import maps as map_probes
from purebpf.kernel.features import programs as program_probes
from purebpf.kernel.features.answers import Answer
from purebpf.kernel.probe import cpu_level
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import LinkType, MapType, ProgramType
from purebpf.tables.since import parse, since
from tests.cli.test_cli import purebpf

pytestmark = pytest.mark.kernel
BPFTOOL = shutil.which("bpftool") or next((path for path in ("/usr/sbin/bpftool",) if os.path.exists(path)), None)
BUILT_IN = {  # what a kernel may be built without
    ProgramType.LIRC_MODE2.name: "CONFIG_BPF_LIRC_MODE2",
    ProgramType.LSM.name: "CONFIG_BPF_LSM",
    ProgramType.NETFILTER.name: "CONFIG_NETFILTER_BPF_LINK",
    MapType.XSKMAP.name: "CONFIG_XDP_SOCKETS",
    MapType.INODE_STORAGE.name: "CONFIG_BPF_LSM",
    LinkType.KPROBE_MULTI.name: "CONFIG_FPROBE",
    LinkType.UPROBE_MULTI.name: "CONFIG_UPROBE_EVENTS",
    LinkType.NETKIT.name: "CONFIG_NETKIT",
}


@pytest.fixture(autouse=True)
def anew() -> None:
    answers.forget()


def check(name: str, answer: Answer, first: str) -> None:
    if answer.there is None:
        pytest.skip(f"{name}: {answer.why}")
    option, built = BUILT_IN.get(name), system.options()
    if kernel_version() < parse(first):
        assert not answer, f"{name} came with Linux {first}"
    elif option is None:
        assert answer, f"this kernel is as new as {name} (Linux {first})"
    elif built:
        assert bool(answer) == bool(built[option])


@pytest.mark.parametrize("type", [type for type in MapType if type], ids=lambda type: type.name.lower())
def test_types_of_maps(kernel: KernelEngine, type: MapType) -> None:
    check(type.name, map_type(type), since(type))


@pytest.mark.parametrize("type", [type for type in ProgramType if type], ids=lambda type: type.name.lower())
def test_types_of_programs(kernel: KernelEngine, type: ProgramType) -> None:
    check(type.name, program_type(type), since(type))


@pytest.mark.parametrize("type", [type for type in LinkType if type], ids=lambda type: type.name.lower())
def test_types_of_links(kernel: KernelEngine, type: LinkType) -> None:
    check(type.name, link_type(type), since(type))


def test_helpers_that_the_verifier_knows(kernel: KernelEngine) -> None:
    """Against real programs: calls that are right are taken exactly where the probe says so."""
    calls = {"ktime_get_ns": 5, "get_current_pid_tgid": 14, "get_smp_processor_id": 8, "jiffies64": 118}
    for type in (ProgramType.XDP, ProgramType.TRACEPOINT, ProgramType.SCHED_CLS):
        for name, number in calls.items():
            spec = ProgramSpec("calls", type, (asm.Call.helper(number), asm.Mov.imm(0, 0), asm.Exit()))
            try:
                kernel.load_program(spec, {}).close()
                taken = True
            except Error:
                taken = False
            assert bool(helper(type, name)) == taken, (type, name)


def test_helpers_of_types() -> None:
    assert helper(ProgramType.XDP, "xdp_adjust_head") and not helper(ProgramType.TRACEPOINT, "xdp_adjust_head")
    assert not helper(ProgramType.XDP, "get_stackid") and helper(ProgramType.PERF_EVENT, "get_stackid")
    assert {"map_lookup_elem", "redirect", "ktime_get_ns"} <= set(helpers_of(ProgramType.SCHED_CLS))
    with pytest.raises(Error, match="no helper 'no_such'"):
        helper(ProgramType.XDP, "no_such")


def test_only_conclusive_answers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_probes, "_create", lambda fields: -errno.EPERM)
    monkeypatch.setattr(program_probes, "attempt", lambda *_: (errno.ENOMEM, ""))
    assert map_type(MapType.HASH).there is None and "not permitted" in map_type(MapType.HASH).why
    assert program_type(ProgramType.XDP).there is None and "ENOMEM" in program_type(ProgramType.XDP).why
    monkeypatch.undo()
    assert map_type(MapType.HASH).there is True and program_type(ProgramType.XDP).there is True
    monkeypatch.setattr(map_probes, "_create", lambda fields: -errno.EPERM)
    assert map_type(MapType.HASH).there is True


def test_types_of_equal_number_are_not_taken_for_each_other() -> None:
    numbers = {int(MapType.REUSEPORT_SOCKARRAY), int(ProgramType.LIRC_MODE2)}
    assert len(numbers) == 1
    lirc, sockets = program_type(ProgramType.LIRC_MODE2), map_type(MapType.REUSEPORT_SOCKARRAY)
    assert sockets and lirc.there == bool(system.options().get("CONFIG_BPF_LIRC_MODE2", lirc.there))


def test_the_command_tells_it_in_words_and_json(kernel: KernelEngine) -> None:
    told = json.loads(purebpf("features", "--json", "--no-helpers", timeout=300).stdout)
    assert told["map_types"]["have_hash_map_type"] is True and told["isa"]["level"] == cpu_level()
    assert told["program_types"]["have_xdp_prog_type"] is True and told["misc"]["have_large_insn_limit"] is True
    text = purebpf("features", "--no-helpers", timeout=300).stdout
    assert f"Instruction set: level {cpu_level()} of 4" in text and "Types of links" in text and "Helpers" not in text


def test_the_report_has_the_helpers_of_each_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper_probes, "HELPER_NAMES", ("map_lookup_elem", "map_update_elem", "map_delete_elem", "probe_read"))
    told = features.report(with_helpers=True)["helpers"]
    assert told["xdp_available_helpers"] == ["bpf_map_lookup_elem", "bpf_map_update_elem", "bpf_map_delete_elem"]
    assert len(told) == len(ProgramType) - 1


@pytest.mark.skipif(BPFTOOL is None, reason="bpftool is not installed")
def test_the_command_agrees_with_bpftool(kernel: KernelEngine) -> None:
    """bpftool's older versions take refused helpers for available ones and cannot tell a policy from a missing feature:
    helpers, and what is unknown here, are left out; so are a kernel's settings where bpftool does not understand their file."""
    assert BPFTOOL is not None
    wanted = json.loads(subprocess.run([BPFTOOL, "-j", "feature", "probe", "kernel"], capture_output=True, text=True).stdout)
    told = json.loads(purebpf("features", "--json", "--no-helpers", timeout=300).stdout)
    settings = [name for name in wanted["system_config"] if name.startswith("CONFIG_")]
    if all(wanted["system_config"][name] is None for name in settings):
        told["system_config"] |= dict.fromkeys(settings)
    for section in ("system_config", "syscall_config", "map_types", "misc", "program_types"):
        found = {name: value for name, value in told[section].items() if name in wanted[section] and value is not None}
        expected = {name: wanted[section][name] for name in found}
        if section == "program_types":
            expected["have_tracing_prog_type"] = True  # probed by fentry there, which a policy may forbid
        assert found == expected, section
        assert set(wanted[section]) <= set(told[section])
