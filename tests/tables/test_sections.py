"""Section names: what each stands for, that the longest fits, and that all attach types of a kind can be said."""

from __future__ import annotations

import pytest

from purebpf.tables.enums import AttachType, ProgramType
from purebpf.tables.sections import FRAGS, SLEEPABLE, find_section, parse_section, section_name, sections, similar_section


@pytest.mark.parametrize(
    ("name", "type", "attach", "hook"),
    [
        ("xdp", "XDP", "XDP", ""),
        ("xdp/devmap", "XDP", "XDP_DEVMAP", ""),
        ("xdp.frags/cpumap", "XDP", "XDP_CPUMAP", ""),
        ("?xdp", "XDP", "XDP", ""),
        ("tc", "SCHED_CLS", None, ""),
        ("tc/egress", "SCHED_CLS", "TCX_EGRESS", ""),
        ("tracepoint/syscalls/sys_enter_open", "TRACEPOINT", None, "syscalls/sys_enter_open"),
        ("tp/sched/sched_switch", "TRACEPOINT", None, "sched/sched_switch"),
        ("tracepoint", "TRACEPOINT", None, ""),
        ("raw_tp/sched_switch", "RAW_TRACEPOINT", None, "sched_switch"),
        ("raw_tp.w/bpf_test", "RAW_TRACEPOINT_WRITABLE", None, "bpf_test"),
        ("kprobe/tcp_v4_connect", "KPROBE", None, "tcp_v4_connect"),
        ("kprobe.multi/tcp_*", "KPROBE", "TRACE_KPROBE_MULTI", "tcp_*"),
        ("uprobe/libc.so.6:labs", "KPROBE", None, "libc.so.6:labs"),
        ("uprobe//bin/sh:main", "KPROBE", None, "/bin/sh:main"),
        ("fentry/vfs_read", "TRACING", "TRACE_FENTRY", "vfs_read"),
        ("iter/task", "TRACING", "TRACE_ITER", "task"),
        ("lsm_cgroup/socket_bind", "LSM", "LSM_CGROUP", "socket_bind"),
        ("cgroup/sock", "CGROUP_SOCK", "CGROUP_INET_SOCK_CREATE", ""),
        ("cgroup/connect_unix", "CGROUP_SOCK_ADDR", "CGROUP_UNIX_CONNECT", ""),
        ("sk_reuseport/migrate", "SK_REUSEPORT", "SK_REUSEPORT_SELECT_OR_MIGRATE", ""),
        ("struct_ops/init", "STRUCT_OPS", None, "init"),
        ("perf_event", "PERF_EVENT", None, ""),
    ],
)
def test_section_stands_for(name: str, type: str, attach: str | None, hook: str) -> None:
    assert parse_section(name) == (ProgramType[type], AttachType[attach] if attach else None, hook)


@pytest.mark.parametrize(
    "name", ["", "/", "xdpx", "xdp/nothing", "socket/1", "cgroup", "cgroup/connect", "text", ".text", "kprobes/x"]
)
def test_other_sections_stand_for_no_program(name: str) -> None:
    assert parse_section(name) is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("xpd", "xdp"),
        ("?XDP", "xdp"),
        ("kprobes/do_X", "kprobe/do_X"),
        ("tracepont/syscalls/sys_enter_x", "tracepoint/syscalls/sys_enter_x"),
        ("cgroup_skb/ingres", "cgroup_skb/ingress"),
        ("of_our_own/thing", ""),
        ("prog", ""),
        ("2/1", ""),
    ],
)
def test_the_section_that_may_be_meant(name: str, meant: str) -> None:
    assert similar_section(name) == meant


@pytest.mark.parametrize(
    ("name", "flags"),
    [("fentry.s/x", SLEEPABLE), ("fentry/x", 0), ("xdp.frags", FRAGS), ("xdp.frags/devmap", FRAGS), ("lsm.s/y", SLEEPABLE)],
)
def test_flags(name: str, flags: int) -> None:
    found = find_section(name)
    assert found is not None and found[0].flags == flags


def test_every_program_type_and_every_attach_type_that_sections_can_say_has_one() -> None:
    types = {section.type for section in sections().values()}
    assert types == set(ProgramType) - {ProgramType.UNSPEC}
    unsaid = set(AttachType) - {section.attach for section in sections().values()}
    # the first two are attach types of links, not of programs
    assert unsaid == {AttachType.PERF_EVENT, AttachType.STRUCT_OPS}


def test_every_name_is_found_again() -> None:
    for name, section in sections().items():
        assert find_section(name) == (section, "")
        assert find_section(f"{name}/some/hook") == ((section, "some/hook") if section.suffix else None)


def test_section_name_is_the_inverse() -> None:
    for section in sections().values():
        hook = "some/hook" if section.suffix else ""
        name = section_name(section.type, section.attach, hook, section.flags)
        assert parse_section(name) == (section.type, section.attach, hook)
    with pytest.raises(KeyError, match="no section name stands for XDP programs for CGROUP_DEVICE"):
        section_name(ProgramType.XDP, AttachType.CGROUP_DEVICE)
