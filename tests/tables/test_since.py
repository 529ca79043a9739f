"""Minimum kernels: every member has one, and releases are compared as numbers."""

from __future__ import annotations

import itertools
from enum import IntEnum

import pytest

from purebpf.compiler.options import OPTIONAL, Options, for_kernels
from purebpf.kernel.engine import VERSIONS
from purebpf.tables.enums import AttachType, Command, LinkType, MapType, ProgramType
from purebpf.tables.since import feature_since, has, parse, since


@pytest.mark.parametrize(
    ("member", "version"),
    [
        (ProgramType.XDP, "4.8"),
        (ProgramType.NETFILTER, "6.4"),
        (MapType.HASH, "3.19"),
        (MapType.RINGBUF, "5.8"),
        (MapType.ARENA, "6.9"),
        (AttachType.TCX_INGRESS, "6.6"),
        (LinkType.XDP, "5.9"),
        (LinkType.PERF_EVENT, "5.15"),
        (Command.LINK_CREATE, "5.7"),
        (Command.PROG_RUN, "4.12"),
        (MapType.CGROUP_STORAGE_DEPRECATED, "4.19"),
    ],
)
def test_since(member: IntEnum, version: str) -> None:
    assert since(member) == version


@pytest.mark.parametrize("enum", [ProgramType, MapType, AttachType, LinkType, Command])
def test_every_member_has_a_version_not_younger_than_its_follower_by_much(enum: type[IntEnum]) -> None:
    versions = [parse(since(member)) for member in enum if member.name != "UNSPEC"]
    # numbers are given in the order of addition; one merge window apart at most, as trees are merged in another order
    assert sum(a > b for a, b in itertools.pairwise(versions)) <= 3


def test_unspec_has_none() -> None:
    with pytest.raises(KeyError, match="UNSPEC"):
        since(ProgramType.UNSPEC)


def test_foreign_enum_has_none() -> None:
    class Other(IntEnum):
        XDP = 6

    with pytest.raises(KeyError, match="no versions of Other"):
        since(Other.XDP)


@pytest.mark.parametrize(
    ("release", "wanted"),
    [
        ("5.10.0-28-amd64", False),
        ("6.6", True),
        ("6.12.107+deb13", True),
        ("6.5.99", False),
        ("10.0", True),
        ("6.10-rc1", True),
    ],
)
def test_release_is_compared_as_numbers(release: str, wanted: bool) -> None:
    assert has(release, LinkType.TCX) is wanted


@pytest.mark.parametrize("release", ["", "6", "six.one", "6.x"])
def test_no_release(release: str) -> None:
    with pytest.raises(ValueError, match="is no kernel release"):
        parse(release)


def test_features_of_engines_have_the_versions_that_the_kernel_engine_knows() -> None:
    assert {name: feature_since(name) for name in VERSIONS} == VERSIONS


def test_a_program_for_old_kernels_has_none_of_what_came_later() -> None:
    assert for_kernels((3, 19)) == Options(1, **dict.fromkeys(OPTIONAL, False))
    middle = for_kernels((6, 1))
    assert (middle.cpu, middle.kernel_pointers, middle.bpf_loop) == (3, True, True)
    assert not (middle.kernel_casts or middle.iter_num or middle.may_goto or middle.dead_registers)
    assert for_kernels((99, 0)) == Options(4)
