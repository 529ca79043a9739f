"""The kinds of computer that qemu makes for guests."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.kernels.errors import CannotRun

LANGUAGE = "tests/compiler/test_language_*.py"
SOME = ("numbers", "maps", "packets", "hooks")


@dataclass(frozen=True, slots=True)
class Machine:
    """How a guest is started, and over what its words and results come."""

    name: str  # what `uname -m` says
    debian: str  # Debian's name for it
    qemu: str
    package: str  # Debian's package with that qemu
    options: tuple[str, ...]
    parameters: str  # of the kernel, of this machine alone
    console: str
    results: str
    tests: tuple[str, ...]  # by default; with wildcards


PC = Machine(
    name="x86_64",
    debian="amd64",
    qemu="qemu-system-x86_64",
    package="qemu-system-x86",
    options=("-cpu", "max"),
    parameters="random.trust_cpu=on tsc=reliable no_timer_check",
    console="ttyS0",
    results="/dev/ttyS1",
    tests=(
        "tests/kernel",
        "tests/examples",
        "tests/isa",
        "tests/explain",
        LANGUAGE,
        "tests/compiler/test_loops_of_old_kernels.py",
    ),
)
ARM = Machine(
    name="aarch64",
    debian="arm64",
    qemu="qemu-system-aarch64",
    package="qemu-system-arm",
    options=("-machine", "virt", "-cpu", "neoverse-n1"),  # the first with atomic instructions in qemu 7.2
    parameters="random.trust_cpu=on",
    console="ttyAMA0",
    results="/dev/ttyS0",
    tests=("tests/kernel", "tests/examples", "tests/isa", *(LANGUAGE.replace("*", part) for part in SOME)),
)
MACHINES = {machine.debian: machine for machine in (PC, ARM)}


def need(machine: Machine) -> None:
    """Nothing to boot with is a reason to fail: who runs this asked for it."""
    if os.uname().machine != PC.name:
        raise CannotRun(
            f"Guests run the host's programs, or Debian's for arm64, on an {PC.name} host; this is {os.uname().machine}."
        )
    if not shutil.which(machine.qemu):
        raise CannotRun(f"There is no `{machine.qemu}` to boot kernels with: install {machine.package} (Debian, Ubuntu).")


def accelerator(machine: Machine) -> str:
    """KVM where that is permitted. The device alone is not enough: some virtual machines have one that cannot run a kernel."""
    flags = re.search(r"^flags\s*:.*$", Path("/proc/cpuinfo").read_text(), re.M)
    able = flags and {"vmx", "svm"} & set(flags[0].split()) and os.access("/dev/kvm", os.R_OK | os.W_OK)
    return "kvm" if able and machine.name == os.uname().machine else "tcg,thread=multi"
