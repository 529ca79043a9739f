"""Security hooks for the processes of one cgroup (Linux 6.0)."""

from __future__ import annotations

import errno
import socket

import pytest

import purebpf as bpf
from purebpf import u64
from purebpf.errors import CompileError, Error, KernelError, Unsupported
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.link import lsm
from purebpf.program import Attachment
from purebpf.tables.enums import AttachType, LinkType, ProgramType
from tests.kernel.cgroups import HERE, inside

pytestmark = pytest.mark.kernel
binds = bpf.Array[u64](max_entries=1)
others = bpf.Array[u64](max_entries=1)


@bpf.lsm_cgroup("socket_bind")
def no_datagrams(sock, address):  # type: ignore[no-untyped-def]
    binds[0] += 1
    return 0 if sock.type == socket.SOCK_DGRAM else 1


@bpf.lsm_cgroup("socket_bind")
def all_allowed(sock):  # type: ignore[no-untyped-def]
    others[0] += 1
    return 1


@bpf.lsm_cgroup("inet_csk_clone")
def nothing_to_refuse(newsk):  # type: ignore[no-untyped-def]
    binds[0] += 1
    return 1


def attached(program: bpf.Program, cgroup: str) -> Attachment:
    """Attach it, or skip where a policy forbids that even to who has every privilege, or the security module is not active."""
    if kernel_version() < (6, 0):
        pytest.skip("programs on security hooks of a cgroup came with Linux 6.0")
    active = lsm.active_modules() or lsm.unmounted_modules()
    try:
        return program.attach(cgroup, engine="kernel")
    except KernelError as error:
        if error.errno == errno.EPERM and "No capability is missing" in str(error):
            pytest.skip(f"this kernel refuses security hooks: {error}")
        raise
    except Unsupported as error:
        if "bpf" in active:
            raise
        pytest.skip(f"the security module bpf is not active: {error}")


def bound(type: int) -> bool:
    """Whether a socket of this type can be bound here."""
    with socket.socket(socket.AF_INET, type) as made:
        try:
            made.bind((HERE, 0))
        except PermissionError:
            return False
    return True


def test_a_hook_refuses_what_it_is_told_to_in_its_cgroup_alone(kernel: object, cgroup: str) -> None:
    with attached(no_datagrams, cgroup) as held:
        assert held.mechanism == "cgroup link"
        assert held.info.type == LinkType.CGROUP
        assert inside(cgroup, lambda: (bound(socket.SOCK_DGRAM), bound(socket.SOCK_STREAM))) == (False, True)
        assert bound(socket.SOCK_DGRAM)
        assert binds[0] == 2
    assert inside(cgroup, lambda: bound(socket.SOCK_DGRAM))


def test_one_takes_the_place_of_another(kernel: object, cgroup: str) -> None:
    with attached(no_datagrams, cgroup) as held, all_allowed.load("kernel"):
        held.update(all_allowed)
        assert inside(cgroup, lambda: bound(socket.SOCK_DGRAM))
        assert others[0] == 1


def test_a_hook_without_a_result_is_watched(kernel: object, cgroup: str) -> None:
    def connect() -> None:
        with socket.create_server((HERE, 0)) as server, socket.create_connection(server.getsockname()), server.accept()[0]:
            pass

    with attached(nothing_to_refuse, cgroup):
        inside(cgroup, connect)
        assert binds[0] == 1


def test_the_spec_names_the_hook(kernel: object) -> None:
    (spec,) = no_datagrams.spec().programs.values()
    assert spec.section == "lsm_cgroup/socket_bind"
    assert (spec.type, spec.attach_type, spec.attach_to) == (ProgramType.LSM, AttachType.LSM_CGROUP, "socket_bind")


def test_where_nothing_can_be_refused_1_is_the_only_result(kernel: object) -> None:
    @bpf.lsm_cgroup("inet_csk_clone")
    def refusing(newsk):  # type: ignore[no-untyped-def]
        return 0

    with pytest.raises(CompileError, match="returns 1 at this hook, where nothing can be refused"):
        refusing.spec()


def test_a_hook_that_is_not_there_is_told_with_similar_names(kernel: object) -> None:
    @bpf.lsm_cgroup("socket_bynd")
    def unknown(sock):  # type: ignore[no-untyped-def]
        return 1

    with pytest.raises(Error, match="did you mean socket_bind"):
        unknown.spec()


def test_an_older_kernel_is_told_what_it_lacks(kernel: object, cgroup: str) -> None:
    if kernel_version() >= (6, 0):
        pytest.skip("this kernel has security hooks of a cgroup")
    with pytest.raises(Unsupported, match=r"Linux 6\.0"):
        all_allowed.attach(cgroup, engine="kernel")
