"""Boot a kernel under qemu with the host's files, run the tests in it, and take the results as they come.

By KVM where that is permitted, else by emulation, which is some twenty times slower. The guest sees the host's files read-only;
what it writes stays in its memory. It has no network but its own.
"""

from __future__ import annotations

import os
import selectors
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from tests.kernels.children import child
from tests.kernels.fetch import Kernel
from tests.kernels.initramfs import initramfs
from tests.kernels.machines import PC, accelerator
from tests.kernels.results import Results

ROOT = Path(__file__).parents[2]
PARAMETERS = (
    "quiet loglevel=4 rdinit=/init panic=-1 oops=panic "  # an oops ends the guest, and so the wait for it
    "mitigations=off nokaslr apparmor=0 selinux=0 audit=0"
)
PYTHON = "/usr/bin/python3"  # of the programs that a guest has of its own


def pytest(tests: list[str]) -> list[str]:
    """Python's arguments that run tests and tell what comes of them."""
    plugins = ("tests.kernels.stream", "tests.kernels.ahead.taking", "tests.kinds.record", "no:cacheprovider")
    return [
        "-m",
        "pytest",
        *(word for plugin in plugins for word in ("-p", plugin)),
        "--color=no",
        "--durations=25",
        "-m",
        "kernel",
        *tests,
    ]


def script(kernel: Kernel, arguments: list[str], given: Mapping[str, str]) -> str:
    """What the guest runs when it has its root: Python, with more variables."""
    variables = {
        "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TMPDIR": "/run/tmp",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PUREBPF_STREAM": kernel.machine.results,
        **given,
    }
    words = [PYTHON if kernel.programs else sys.executable, *arguments]
    return "".join(
        (
            *(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()),
            f"cd {shlex.quote(str(ROOT))} && {shlex.join(words)} </dev/null\n",
            "/run/guest/poweroff -f\n",
        )
    )


def command(kernel: Kernel, archive: Path, console: Path) -> list[str]:
    machine = kernel.machine
    serial = (
        ("-serial", "stdio") if machine is PC else ("-chardev", "stdio,id=results", "-device", "pci-serial,chardev=results")
    )
    return [
        machine.qemu,
        *("-accel", accelerator(machine), *machine.options),
        *("-smp", "2", "-m", "2G", "-nodefaults", "-no-reboot", "-display", "none"),
        *("-kernel", str(kernel.image), "-initrd", str(archive)),
        *("-append", f"console={machine.console} {PARAMETERS} {machine.parameters}"),
        *("-serial", f"file:{console}", *serial),
        *folder("host", Path("/")),
        *(folder("programs", kernel.programs) if kernel.programs else ()),
    ]


def folder(name: str, path: Path) -> tuple[str, str]:
    return "-virtfs", f"local,path={path},mount_tag={name},security_model=none,readonly=on,multidevs=remap"


def run(
    kernel: Kernel,
    busybox: Path,
    arguments: list[str],
    seconds: float,
    console: Path,
    tell: Callable[[Results], None],
    given: Mapping[str, str] = MappingProxyType({}),
) -> Results:
    """Run Python in a kernel for at most `seconds`, with these arguments and variables; `tell` is called after each line it
    writes to the stream."""
    results = Results(kernel.release)
    begin = time.monotonic()

    def take(line: str) -> None:
        results.take(line)
        tell(results)

    with tempfile.NamedTemporaryFile(prefix="purebpf-initramfs-") as archive:
        archive.write(initramfs(kernel, busybox, script(kernel, arguments, given)))
        archive.flush()
        words = command(kernel, Path(archive.name), console)
        with (
            tempfile.TemporaryFile() as complaints,
            child(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints) as guest,
        ):
            in_time = listen(guest, begin + seconds, take)
            complaints.seek(0)
            complaint = complaints.read()
    results.seconds = time.monotonic() - begin
    if not in_time:
        results.trouble.append(f"not done after {seconds:.0f} seconds{while_running(results)}")
    elif not results.finished:
        results.trouble.append(f"the guest ended before its tests did{while_running(results)}")
    if not results.good:
        results.trouble += [f"qemu: {line}" for line in complaint.decode(errors="replace").splitlines()]
        results.trouble.append(f"the console is in {console}")
    return results


def while_running(results: Results) -> str:
    return f", while it ran {results.running}" if results.running else ""


def listen(guest: subprocess.Popen[bytes], end: float, take: Callable[[str], None]) -> bool:
    """Hand on each line of the guest until it ends; False when it does not in time."""
    assert guest.stdout is not None
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(guest.stdout, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0:
            if not selector.select(left):
                continue
            chunk = os.read(guest.stdout.fileno(), 65536)
            if not chunk:
                return True
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    take(line.decode(errors="replace").strip())
    return False
