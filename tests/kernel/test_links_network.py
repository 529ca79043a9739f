"""XDP, TCX and socket filters on real frames, in a network namespace of the test's own."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from purebpf.errors import Error, KernelError, NotLoaded, Unsupported
from purebpf.isa.asm import R0, Exit, Mov
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.map import KernelMap
from purebpf.kernel.netlink import xdp_mode
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import AttachType, LinkType, ProgramType
from tests.kernel.netns import eventually, frame, send, veth_pair
from tests.kernel.programs import COUNTS, integer, needs, returning, tc_counter, u32, xdp_counter

pytestmark = pytest.mark.kernel
TCX = needs((6, 6), "TCX")


@pytest.fixture
def veth() -> Iterator[tuple[str, str]]:
    with veth_pair() as names:
        yield names


@pytest.fixture
def counts(kernel: KernelEngine) -> Iterator[KernelMap]:
    with kernel.create_map(COUNTS) as map:
        yield map


def counted(map: KernelMap) -> int:
    return integer(map.lookup(u32(0)))


@pytest.mark.parametrize(("mode", "used"), [("generic", "generic"), ("native", "native"), ("auto", "native"), (None, "native")])
def test_xdp_sees_frames_until_it_is_closed(
    kernel: KernelEngine, veth: tuple[str, str], counts: KernelMap, mode: str | None, used: str
) -> None:
    with kernel.load_program(xdp_counter(), {"counts": counts}) as program:
        link = kernel.attach(program, {"interface": veth[0], "mode": mode})
        assert link.mechanism == f"xdp link, {used}"
        assert link.info.type == LinkType.XDP
        assert link.info.program_id == program.info.id
        send(veth[1], *[frame()] * 5)
        assert eventually(lambda: counted(counts) == 5), counted(counts)
        link.close()
        link.close()
        send(veth[1], frame())
        assert xdp_mode(socket.if_nametoindex(veth[0])) == ""
        assert not eventually(lambda: counted(counts) > 5, 0.1)


def test_xdp_takes_an_interface_by_index(kernel: KernelEngine, veth: tuple[str, str], counts: KernelMap) -> None:
    index = socket.if_nametoindex(veth[0])
    with kernel.load_program(xdp_counter(), {"counts": counts}) as program, kernel.attach(program, {"interface": index}):
        send(veth[1], frame())
        assert eventually(lambda: counted(counts) == 1)


def test_xdp_drops_what_it_decides_to_drop(kernel: KernelEngine, veth: tuple[str, str]) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5)) as listener:
        listener.bind((veth[0], 0x88B5))
        listener.settimeout(0.15)
        with kernel.load_program(returning(1), {}) as drop, kernel.attach(drop, {"interface": veth[0]}):
            send(veth[1], frame(b"dropped"))
            with pytest.raises(TimeoutError):
                listener.recv(100)
        send(veth[1], frame(b"passed"))
        listener.settimeout(2)
        assert listener.recv(100) == frame(b"passed")


def test_second_xdp_program_on_an_interface_is_refused(kernel: KernelEngine, veth: tuple[str, str]) -> None:
    with kernel.load_program(returning(2), {}) as program, kernel.attach(program, {"interface": veth[0]}):
        with pytest.raises(KernelError, match="has an XDP program already") as busy:
            kernel.attach(program, {"interface": veth[0]})
        assert busy.value.errno == errno.EBUSY
        with pytest.raises(KernelError, match="in another mode already") as other:
            kernel.attach(program, {"interface": veth[0], "mode": "generic"})
        assert other.value.errno == errno.EEXIST


def test_native_xdp_on_a_driver_without_it_is_unsupported(kernel: KernelEngine, veth: tuple[str, str]) -> None:
    with (
        kernel.load_program(returning(2), {}) as program,
        pytest.raises(Unsupported, match=r"driver of interface lo has no native XDP .* Use mode='generic'"),
    ):
        kernel.attach(program, {"interface": "lo", "mode": "native"})


def test_interface_that_vanishes_takes_the_program_with_it(kernel: KernelEngine, veth: tuple[str, str]) -> None:
    with kernel.load_program(returning(2), {}) as program:
        link = kernel.attach(program, {"interface": veth[0]})
        subprocess.run(["ip", "link", "del", veth[0]], check=True)
        link.close()


@pytest.mark.parametrize("interface", ["nope0", 4_000_000, 1 << 40, "x" * 40])
def test_missing_interface_is_named_with_those_that_exist(
    kernel: KernelEngine, veth: tuple[str, str], interface: str | int
) -> None:
    with (
        kernel.load_program(returning(2), {}) as program,
        pytest.raises(KernelError, match=f"no network interface {interface!r} .*lo, pbpf1, pbpf0") as missing,
    ):
        kernel.attach(program, {"interface": interface})
    assert missing.value.errno == errno.ENODEV


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs the option 'interface'"),
        ({"interface": 1.5}, r"got interface=1\.5"),
        ({"interface": True}, "got interface=True"),
        ({"interface": "lo", "speed": 9}, "has no option 'speed'"),
    ],
)
def test_wrong_options_of_xdp_list_the_right_ones(kernel: KernelEngine, options: dict[str, object], said: str) -> None:
    with kernel.load_program(returning(2), {}) as program, pytest.raises(Error, match=f"{said}.*Its options are:\n  interface"):
        kernel.attach(program, options)


def test_a_wrong_mode_of_xdp_lists_the_modes(kernel: KernelEngine) -> None:
    said = r"got mode='fast'; it is one of 'auto', 'generic', 'native', 'offload'\.$"
    with kernel.load_program(returning(2), {}) as program, pytest.raises(Error, match=said):
        kernel.attach(program, {"interface": "lo", "mode": "fast"})


@TCX
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_tcx_sees_frames_in_its_direction_only(
    kernel: KernelEngine, veth: tuple[str, str], counts: KernelMap, direction: str
) -> None:
    receiving, sending = (veth[0], veth[1]) if direction == "ingress" else (veth[1], veth[0])
    with kernel.load_program(tc_counter(), {"counts": counts}) as program:
        with kernel.attach(program, {"interface": veth[0], "direction": direction}) as link:
            assert link.mechanism == f"tcx link, {direction}"
            assert link.info.type == LinkType.TCX
            send(sending, *[frame()] * 3)
            assert eventually(lambda: counted(counts) == 3), counted(counts)
            send(receiving, frame())
            assert not eventually(lambda: counted(counts) > 3, 0.1)
        send(sending, frame())
        assert not eventually(lambda: counted(counts) > 3, 0.1)


@TCX
@pytest.mark.parametrize(("declared", "used"), [(AttachType.TCX_EGRESS, "egress"), (None, "ingress")])
def test_tcx_direction_comes_from_the_program_when_not_given(
    kernel: KernelEngine, veth: tuple[str, str], counts: KernelMap, declared: AttachType | None, used: str
) -> None:
    with (
        kernel.load_program(tc_counter(declared), {"counts": counts}) as program,
        kernel.attach(program, {"interface": veth[0]}) as link,
    ):
        assert link.mechanism == f"tcx link, {used}"


@TCX
def test_several_tcx_programs_run_one_after_another(kernel: KernelEngine, veth: tuple[str, str], counts: KernelMap) -> None:
    with (
        kernel.load_program(tc_counter(), {"counts": counts}) as first,
        kernel.load_program(tc_counter(), {"counts": counts}) as second,
        kernel.attach(first, {"interface": veth[0]}),
        kernel.attach(second, {"interface": veth[0]}),
    ):
        send(veth[1], frame())
        assert eventually(lambda: counted(counts) == 2), counted(counts)
        with pytest.raises(KernelError, match="attached there already; to run it twice, load it twice"):
            kernel.attach(first, {"interface": veth[0]})


@pytest.mark.skipif(kernel_version() >= (6, 6), reason="this kernel has TCX")
def test_tc_on_an_older_kernel_is_a_filter_of_clsact(kernel: KernelEngine, veth: tuple[str, str]) -> None:
    with (
        kernel.load_program(returning(-1, ProgramType.SCHED_CLS), {}) as program,
        kernel.attach(program, {"interface": veth[0]}) as link,
    ):
        assert link.mechanism.startswith("clsact filter, ingress")


def test_wrong_direction_lists_the_right_ones(kernel: KernelEngine) -> None:
    with (
        kernel.load_program(returning(-1, ProgramType.SCHED_CLS), {}) as program,
        pytest.raises(Error, match="got direction='in'; it is one of 'ingress', 'egress'"),
    ):
        kernel.attach(program, {"interface": "lo", "direction": "in"})


class Datagrams:
    """Two UDP sockets on the loopback interface."""

    def __init__(self) -> None:
        self.receiver, self.sender = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self.receiver.bind(("127.0.0.1", 0))
        self.receiver.settimeout(2)

    def through(self, text: bytes) -> bytes:
        self.sender.sendto(text, self.receiver.getsockname())
        return self.receiver.recv(100)


@pytest.fixture
def datagrams() -> Iterator[Datagrams]:
    made = Datagrams()
    with made.receiver, made.sender:
        yield made


def keeping(size: int) -> ProgramSpec:
    """A filter that lets so many bytes through, after the UDP header."""
    return ProgramSpec("keeping", ProgramType.SOCKET_FILTER, (Mov.imm(R0, 8 + size), Exit()))


def test_socket_filter_decides_what_the_socket_gets(kernel: KernelEngine, datagrams: Datagrams) -> None:
    with kernel.load_program(keeping(4), {}) as program:
        link = kernel.attach(program, {"socket": datagrams.receiver})
        assert link.mechanism == "socket option SO_ATTACH_BPF"
        assert datagrams.through(b"everything") == b"ever"
        with pytest.raises(NotLoaded, match="which has no link to ask"):
            _ = link.info
        link.close()
        link.close()
        assert datagrams.through(b"everything") == b"everything"


def test_socket_that_is_closed_first_is_no_error(kernel: KernelEngine) -> None:
    with kernel.load_program(returning(0, ProgramType.SOCKET_FILTER), {}) as program:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as filtered:
            link = kernel.attach(program, {"socket": filtered})
        link.close()
        with pytest.raises(Error, match="got a socket that is closed"):
            kernel.attach(program, {"socket": filtered})


def test_socket_filter_of_what_is_no_socket_is_refused(kernel: KernelEngine) -> None:
    with kernel.load_program(returning(0, ProgramType.SOCKET_FILTER), {}) as program:
        with pytest.raises(Error, match="needs the option 'socket'"):
            kernel.attach(program, {})
        with pytest.raises(Error, match=r"got socket='eth0', which has no fileno\(\)"):
            kernel.attach(program, {"socket": "eth0"})
        with open(os.devnull) as file, pytest.raises(KernelError, match="It is no socket") as refused:
            kernel.attach(program, {"socket": file})
        assert refused.value.errno == errno.ENOTSOCK


def test_forked_child_leaves_the_parents_filter_alone(kernel: KernelEngine, datagrams: Datagrams) -> None:
    with kernel.load_program(keeping(2), {}) as program, kernel.attach(program, {"socket": datagrams.receiver}) as link:
        child = os.fork()
        if child == 0:
            link.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert datagrams.through(b"text") == b"te"


def test_type_that_cannot_be_attached_yet_is_unsupported(kernel: KernelEngine) -> None:
    with (
        kernel.load_program(returning(1, ProgramType.SCHED_ACT), {}) as program,
        pytest.raises(Unsupported, match="cannot be attached yet"),
    ):
        kernel.attach(program, {})
