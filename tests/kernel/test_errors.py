"""The sentences that errno becomes."""

from __future__ import annotations

import errno
import resource

import pytest

from purebpf.errors import Error, KernelError, Unsupported
from purebpf.kernel import errors, memlock, names, privileges
from purebpf.kernel.errors import ENOTSUPP, failure
from purebpf.tables.enums import MapType, ProgramType


def test_kernel_error_is_an_oserror_with_its_errno() -> None:
    error = failure(errno.ENOMEM, "Doing it")
    assert isinstance(error, OSError) and isinstance(error, Error)
    assert error.errno == errno.ENOMEM
    assert str(error) == "Doing it failed: cannot allocate memory (ENOMEM). The kernel has not enough memory for it."


def test_enotsupp_has_a_name_though_libc_knows_none() -> None:
    assert str(failure(ENOTSUPP, "It")) == "It failed: not supported (ENOTSUPP). The kernel does not support it."


def test_own_reason_of_the_caller_comes_first() -> None:
    assert "Because." in str(failure(errno.EINVAL, "It", reasons={errno.EINVAL: "Because."}))


@pytest.mark.parametrize("number", [errno.EINVAL, errno.E2BIG, ENOTSUPP])
def test_older_kernel_is_named_as_the_reason(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(errors, "kernel_version", lambda: (5, 4))
    error = failure(number, "It", first=(5, 9), feature="XDP links")
    assert isinstance(error, Unsupported)
    assert str(error).endswith("It needs XDP links, which Linux 5.9 brought; this is 5.4.")
    assert isinstance(failure(number, "It", first=(5, 4)), KernelError)


def test_version_of_a_release_candidate_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.uname", lambda: type("U", (), {"release": "7.0-rc3+"})())
    assert errors.kernel_version() == (7, 0)


def test_memlock_is_blamed_before_linux_5_11_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "why_not_permitted", lambda needed: "")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64 << 10, 64 << 10))
    monkeypatch.setattr(errors, "kernel_version", lambda: (5, 10))
    assert "RLIMIT_MEMLOCK, which is 64 KiB here" in str(failure(errno.EPERM, "It"))
    monkeypatch.setattr(errors, "kernel_version", lambda: (5, 11))
    assert "a policy forbids it" in str(failure(errno.EPERM, "It"))


def test_user_namespace_is_blamed_when_no_capability_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "effective", lambda: frozenset(privileges.CAPABILITIES))
    monkeypatch.setattr(privileges, "in_user_namespace", lambda: True)
    assert "only inside a user namespace" in str(failure(errno.EPERM, "It", needs=("CAP_BPF",)))


def test_sys_admin_stands_for_the_newer_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "effective", lambda: frozenset({"CAP_SYS_ADMIN"}))
    assert privileges.missing(("CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN")) == ()
    assert privileges.missing(("CAP_DAC_READ_SEARCH",)) == ("CAP_DAC_READ_SEARCH",)


def test_capabilities_of_programs_and_maps() -> None:
    assert privileges.for_program(ProgramType.SOCKET_FILTER) == ("CAP_BPF",)
    assert privileges.for_program(ProgramType.SCHED_CLS) == ("CAP_BPF", "CAP_NET_ADMIN")
    assert privileges.for_program(ProgramType.PERF_EVENT) == ("CAP_BPF", "CAP_PERFMON")
    assert privileges.for_map(MapType.ARRAY) == ("CAP_BPF",)
    assert privileges.for_map(MapType.DEVMAP) == ("CAP_BPF", "CAP_NET_ADMIN")


class Limits:
    """A make-believe RLIMIT_MEMLOCK."""

    def __init__(self, limit: int, allowed: bool) -> None:
        self.limits, self.allowed = (limit, limit), allowed

    def get(self, _: int) -> tuple[int, int]:
        return self.limits

    def put(self, _: int, limits: tuple[int, int]) -> None:
        if not self.allowed and limits[0] == resource.RLIM_INFINITY:
            raise ValueError("not allowed to raise maximum limit")
        self.limits = limits


@pytest.mark.parametrize(
    ("version", "helps", "calls", "left"),
    [((5, 10), True, 2, "raised"), ((5, 10), False, 2, "as before"), ((5, 11), True, 1, "as before")],
)
def test_memlock_is_raised_once_and_only_where_it_counts(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], helps: bool, calls: int, left: str
) -> None:
    limits, made = Limits(4096, allowed=True), []
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.put)
    monkeypatch.setattr(memlock, "kernel_version", lambda: version)

    def attempt() -> int:
        made.append(limits.limits)
        return 7 if helps and limits.limits[0] == resource.RLIM_INFINITY else -errno.EPERM

    answer = memlock.with_memlock(attempt)
    assert len(made) == calls
    assert answer == (7 if left == "raised" else -errno.EPERM)
    assert (limits.limits[0] == resource.RLIM_INFINITY) == (left == "raised")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("counts", b"counts"), ("a" * 20, b"a" * 15), ("with space/and-more", b"with_space_and_"), ("ü", b"_"), ("", b"")],
)
def test_names_fit_the_kernel(name: str, expected: bytes) -> None:
    assert names.kernel_name(name) == expected


def test_refused_name_is_tried_plainer_on_old_kernels_only(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bytes] = []

    def attempt(name: bytes) -> int:
        tried.append(name)
        return 5 if not name else -errno.EINVAL

    monkeypatch.setattr(names, "kernel_version", lambda: (4, 14))
    assert names.with_name("a.b", attempt) == 5
    assert tried == [b"a.b", b"a_b", b""]
    tried.clear()
    monkeypatch.setattr(names, "kernel_version", lambda: (5, 2))
    assert names.with_name("a.b", attempt) == -errno.EINVAL
    assert tried == [b"a.b"]
