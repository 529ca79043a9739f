"""The constants: spot facts, and agreement with Python's own modules where both know a name."""

from __future__ import annotations

import errno
import socket
import sys

import pytest

from purebpf.tables.constants import constant, group, groups, names
from purebpf.tables.helpers import HELPER_NAMES


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XDP_ABORTED", 0), ("XDP_DROP", 1), ("XDP_PASS", 2), ("XDP_TX", 3), ("XDP_REDIRECT", 4),
        ("TC_ACT_UNSPEC", -1), ("TC_ACT_OK", 0), ("TC_ACT_SHOT", 2), ("TC_ACT_REDIRECT", 7), ("TCX_NEXT", -1),
        ("BPF_ANY", 0), ("BPF_NOEXIST", 1), ("BPF_EXIST", 2), ("BPF_F_LOCK", 4),
        ("BPF_F_INDEX_MASK", 0xFFFFFFFF), ("BPF_F_CURRENT_CPU", 0xFFFFFFFF), ("BPF_F_CURRENT_NETNS", -1),
        ("BPF_F_CTXLEN_MASK", 0xFFFFF << 32), ("ETH_P_IP", 0x0800), ("ETH_P_IPV6", 0x86DD), ("ETH_P_ARP", 0x0806),
        ("ETH_ALEN", 6), ("IPPROTO_ICMPV6", 58), ("TCPHDR_SYN", 2), ("TCPHDR_ACK", 16), ("NF_ACCEPT", 1),
        ("BPF_PROG_TYPE_XDP", 6), ("SK_PASS", 1), ("PERF_COUNT_SW_CPU_CLOCK", 0), ("AT_FDCWD", -100),
    ],
)  # fmt: skip
def test_value(name: str, value: int) -> None:
    assert constant(name) == value


@pytest.mark.parametrize("name", ["", "XDP", "xdp_pass", "NO_SUCH_CONSTANT"])
def test_unknown_constant_gives_none(name: str) -> None:
    assert constant(name) is None


@pytest.mark.skipif(sys.platform != "linux", reason="Python's socket and errno have Linux's numbers on Linux only")
def test_agrees_with_python_where_both_know_a_name() -> None:
    checked = 0
    for module in (socket, errno):
        for name in dir(module):
            theirs, ours = getattr(module, name), constant(name)
            if name.startswith(("AF_INET", "AF_UNIX", "AF_PACKET", "IPPROTO_", "SOCK_", "SO_", "E")) and isinstance(
                theirs, int
            ):
                assert ours in (None, int(theirs)), name
                checked += ours is not None
    assert checked > 150


def test_helper_numbers_among_the_constants_are_those_of_the_helper_table() -> None:
    ours = {name: constant(f"BPF_FUNC_{name}") for name in HELPER_NAMES}
    given = {name: number for name, number in ours.items() if number is not None}
    assert given == {name: HELPER_NAMES.index(name) + 1 for name in given}


def test_groups_hold_all_constants() -> None:
    assert {"bpf", "tc", "ether", "ip", "tcp", "socket", "errno"} <= set(groups())
    assert len(names()) == len({name for each in groups() for name in group(each)}) > 1500
    assert group("errno")["ENOENT"] == 2
    with pytest.raises(KeyError, match="no group of constants 'nothing'"):
        group("nothing")


def test_names_by_prefix() -> None:
    assert set(names("XDP_")) >= {"XDP_PASS", "XDP_DROP"} and all(name.startswith("XDP_") for name in names("XDP_"))
