"""Programs of infrared receivers (Linux 4.18, CONFIG_BPF_LIRC_MODE2): in the virtual machine, and on a receiver that hears what
it sends itself (the module rc-loopback), where the kernel has both."""

from __future__ import annotations

import array
import glob
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

import purebpf as bpf
from purebpf import u64
from purebpf.errors import Error, KernelError
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.features import program_type
from purebpf.kernel.link import lirc
from purebpf.kernel.program import KernelProgram
from purebpf.tables.enums import AttachType, ProgramType

PULSE, LENGTH = 1 << 24, (1 << 24) - 1  # LIRC_MODE2_PULSE
heard = bpf.Array[u64](max_entries=4)


@bpf.lirc_mode2
def pulses(ctx: bpf.LircContext) -> None:
    if ctx.sample & ~LENGTH == PULSE:
        heard[0] += 1
        heard[1] = ctx.sample & LENGTH
    else:
        heard[2] += 1


@bpf.lirc_mode2
def key(ctx: bpf.LircContext) -> None:
    if ctx.sample == PULSE | 9000:
        bpf.helpers.rc_keydown(ctx, 64, 0x1234, 0)


def sample(kind: int, length: int) -> bytes:
    return (kind | length).to_bytes(4, sys.byteorder)


def test_the_virtual_machine_runs_it_on_a_sample() -> None:
    with pulses.load("vm"):
        pulses.run(ctx=sample(PULSE, 560))
        pulses.run(ctx=sample(0, 1690))
        pulses.run(ctx={"sample": PULSE | 9000})
        assert (heard[0], heard[1], heard[2]) == (2, 9000, 1)


def test_the_spec_names_the_section() -> None:
    (spec,) = key.spec().programs.values()
    assert (spec.section, spec.type, spec.attach_type) == ("lirc_mode2", ProgramType.LIRC_MODE2, AttachType.LIRC_MODE2)


@pytest.fixture
def receiver(kernel: KernelEngine) -> Iterator[str]:
    if not program_type(ProgramType.LIRC_MODE2):
        pytest.skip("this kernel was built without CONFIG_BPF_LIRC_MODE2")
    subprocess.run(["modprobe", "rc-loopback"], capture_output=True)
    found = glob.glob("/dev/lirc*")
    if not found:
        pytest.skip("there is no infrared receiver, and no module rc-loopback")
    yield found[0]


@pytest.mark.kernel
def test_what_a_receiver_hears_goes_to_the_program(receiver: str) -> None:
    with pulses.attach(receiver, engine="kernel") as attached:
        assert attached.mechanism == "lirc attach"
        with open(receiver, "wb", buffering=0) as sender:
            sender.write(array.array("I", [9000, 4500, 560]).tobytes())
        assert heard[0] == 2


@pytest.mark.kernel
def test_what_is_no_receiver_is_told(kernel: KernelEngine) -> None:
    spec = bpf.cgroup_device(lambda_like).spec().programs["lambda_like"]
    with kernel.load_program(spec, {}) as program:
        assert isinstance(program, KernelProgram)
        with pytest.raises(KernelError, match="Opening the receiver /dev/no-receiver failed: no such file"):
            lirc.attach(program, {"device": "/dev/no-receiver"})
        with pytest.raises(Error, match="needs the option 'device'"):
            lirc.attach(program, {})
        with pytest.raises(KernelError, match="It is no infrared receiver"):
            lirc.attach(program, {"device": os.devnull})


def lambda_like(ctx: bpf.CgroupDeviceContext) -> int:
    return 1
