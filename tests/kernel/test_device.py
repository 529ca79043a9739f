"""XDP programs that belong to a network device: those that ask it about packets, and those that it runs itself."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

import purebpf as bpf
from purebpf import u64
from purebpf.errors import Error, KernelError, Unsupported, VerifierError
from purebpf.isa.asm import R0, Exit, Mov
from purebpf.kernel import device, verifier
from purebpf.kernel.device import DeviceEngine
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType
from tests.kernel.netns import eventually, send, veth_pair

pytestmark = pytest.mark.kernel
stamped = bpf.Array[u64](max_entries=2)
counted = bpf.Array[u64](max_entries=1)
METADATA = pytest.mark.skipif(kernel_version() < (6, 3), reason="programs ask devices about packets since Linux 6.3")


@bpf.xdp
def with_time(ctx: bpf.XdpContext) -> bpf.XdpAction:
    time = bpf.array(u64, 1)
    known = bpf.kfuncs.bpf_xdp_metadata_rx_timestamp(ctx, time) == 0
    stamped[1 if known else 0] += 1
    return bpf.XDP_PASS


@bpf.xdp
def count(ctx: bpf.XdpContext) -> bpf.XdpAction:
    counted[0] += 1
    return bpf.XDP_PASS


PASS = ProgramSpec("pass_all", ProgramType.XDP, (Mov.imm(R0, 2), Exit()))


@pytest.fixture
def veth(kernel: KernelEngine) -> Iterator[tuple[str, str]]:
    with veth_pair() as names:
        yield names


@METADATA
@pytest.mark.skipif(kernel_version() < (6, 8), reason="this kernel's veth tells nothing of packets from packet sockets")
def test_a_program_asks_its_device_about_packets(veth: tuple[str, str]) -> None:
    with with_time.attach(veth[0], engine="kernel") as attached:
        assert attached.mechanism == "xdp link, native"
        assert with_time.info.id
        send(veth[1], bytes(60))
        assert eventually(lambda: sum(stamped))


@METADATA
def test_it_runs_on_its_own_device_in_native_mode_only(veth: tuple[str, str]) -> None:
    with pytest.raises(Error, match="which only native mode lets it"):
        with_time.attach(veth[0], engine="kernel", mode="generic")
    with (
        with_time.attach(veth[0], engine="kernel"),
        pytest.raises(Error, match="belongs to the device of the interface"),
    ):
        with_time.attach(veth[1])


@METADATA
def test_loaded_without_a_device_it_is_told_what_it_wants(kernel: KernelEngine) -> None:
    with pytest.raises(VerifierError, match="attach it without loading it before"):
        with_time.load("kernel")


def test_a_driver_that_runs_no_programs_on_its_device_is_unsupported(veth: tuple[str, str]) -> None:
    with pytest.raises(Unsupported, match="cannot be on the device of pbpf0: its driver runs no programs there"):
        count.attach(veth[0], engine="kernel", mode="offload")
    offload = DeviceEngine(veth[0], offload=True)
    with pytest.raises(Unsupported, match="program 'pass_all' cannot be on the device"):
        offload.load_program(PASS, {})
    with pytest.raises(Unsupported, match=r"map 'm' \(queue\) cannot be on a device"):
        offload.create_map(MapSpec("m", MapType.QUEUE, 0, 4, 1))


def test_what_was_loaded_for_the_processor_is_not_offloaded(veth: tuple[str, str]) -> None:
    with count.load("kernel"), pytest.raises(Error, match="was loaded for the processor, not for a device"):
        count.attach(veth[0], mode="offload")


def test_a_device_that_is_not_there(veth: tuple[str, str]) -> None:
    with pytest.raises(KernelError, match="no network interface 'pbpf9'"):
        count.attach("pbpf9", engine="kernel")


@pytest.mark.parametrize("offload", [True, False])
def test_the_kernel_is_told_the_device(veth: tuple[str, str], monkeypatch: pytest.MonkeyPatch, offload: bool) -> None:
    """For a device that can do it there is none here: what is sent is looked at, and the kernel's refusal made up."""
    told: list[verifier.Fields] = []

    def load(fields: verifier.Fields, log_level: int = 0) -> tuple[int, str]:
        told.append(fields)
        return -errno.ENOMEM, ""

    monkeypatch.setattr(verifier, "load", load)
    monkeypatch.setattr(device, "asked", lambda spec: "bpf_xdp_metadata_rx_hash")
    monkeypatch.setattr(device, "kernel_version", lambda: (6, 3))
    engine = DeviceEngine(veth[0], offload=offload)
    with pytest.raises(KernelError, match="not enough memory"):
        engine.load_program(PASS, {})
    assert told[0]["prog_ifindex"] == engine.device > 0
    assert told[0]["prog_flags"] == (0 if offload else 1 << 6)
