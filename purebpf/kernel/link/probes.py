"""What kprobes and uprobes share: a perf event on their own PMU (Linux 4.17), before that one that tracefs makes.

Documentation/trace/kprobetrace.rst, uprobetracer.rst; kernel/trace/trace_event_perf.c:perf_kprobe_init.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping

from purebpf.data import data
from purebpf.errors import Error, KernelError, Unsupported
from purebpf.kernel import cpus, tracefs
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import EMPTY, failure
from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.link.perf import NEEDS, attach_to_event, open_event
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.syscall import address, pin
from purebpf.tables.attr import PERF_TYPE_TRACEPOINT

PMUS = "/sys/bus/event_source/devices"
SEMAPHORE_BIT = 32  # as the file format/ref_ctr_offset tells (Linux 4.20)
RETURN_BIT = "config:"  # how the file format/retprobe tells the bit


@data
class Probe:
    """Where a probe is to be. `kind` is "kprobe" or "uprobe"; `symbol` the function or the file's path, `offset` the bytes
    from its start; `text` says it in words. `semaphore`: the offset in the file of a counter that the kernel counts up while
    the probe is there (0: none). `maxactive`: how many calls at once a kretprobe sees return (0: as many as the kernel finds
    right, about twice the number of CPUs)."""

    kind: str
    symbol: str
    offset: int
    returning: bool
    text: str
    semaphore: int = 0
    maxactive: int = 0

    @property
    def what(self) -> str:
        """The probe in words, for errors."""
        kind = self.kind.replace("probe", "retprobe") if self.returning else self.kind
        return f"the {kind} {self.text}"


def attach_probe(
    program: KernelProgram,
    probe: Probe,
    pid: int = -1,
    cookie: int = 0,
    *,
    links: bool = True,
    tracefs_only: bool = False,
    reasons: Mapping[int, str] = EMPTY,
) -> KernelLink:
    """Attach to one probe. `tracefs_only` takes the older way to make it, `links=False` that to attach to it."""
    fields = None if tracefs_only or probe.maxactive else _pmu(probe)  # only tracefs takes it
    if fields is not None:
        name = pin(os.fsencode(probe.symbol) + b"\0")
        fields |= {"config1": address(name), "config2": probe.offset}
        opened = open_event(probe.what, fields, pid, _cpu(pid), reasons)
        mechanism, held = attach_to_event(program, opened, cookie, links)
        return KernelLink(f"{probe.kind}, {mechanism}", held)
    number, remove = _made(probe, reasons)
    try:
        opened = open_event(probe.what, {"type": PERF_TYPE_TRACEPOINT, "config": number, "sample_period": 1}, pid, _cpu(pid))
        mechanism, held = attach_to_event(program, opened, cookie, links)
    except BaseException:
        remove()
        raise
    return KernelLink(f"{probe.kind} by tracefs, {mechanism}", held, cleanup=remove)


def _cpu(pid: int) -> int:
    return -1 if pid >= 0 else cpus.online()[0]


def _pmu(probe: Probe) -> dict[str, int] | None:
    """Type and configuration of the PMU's events; None on a kernel that has no such PMU."""
    folder = f"{PMUS}/{probe.kind}"
    try:
        with open(f"{folder}/type") as file:
            fields = {"type": int(file.read())}
        with open(f"{folder}/format/retprobe") as file:
            bit = int(file.read().strip().removeprefix(RETURN_BIT))
    except OSError:
        return None
    config = (1 << bit if probe.returning else 0) | probe.semaphore << SEMAPHORE_BIT
    return fields | ({"config": config} if config else {})


def _made(probe: Probe, reasons: Mapping[int, str]) -> tuple[int, Callable[[], None]]:
    """Have tracefs make the probe: its number, and what removes it again."""
    path = f"{tracefs.folder()}/{probe.kind}_events"
    if not os.path.exists(path):
        raise Unsupported(
            f"{probe.what[0].upper()}{probe.what[1:]} cannot be made: this kernel was built without "
            f"{'CONFIG_KPROBE_EVENTS' if probe.kind == 'kprobe' else 'CONFIG_UPROBE_EVENTS'}."
        )
    group, name = f"purebpf_{os.getpid()}", f"{'r' if probe.returning else 'p'}_{os.urandom(8).hex()}"
    where = _place(probe)
    kind = f"r{probe.maxactive or ''}" if probe.returning else "p"
    _write(path, f"{kind}:{group}/{name} {where}\n", probe, reasons)

    def remove() -> None:
        try:
            _write(path, f"-:{group}/{name}\n", probe, reasons)
        except KernelError as error:
            if error.errno != errno.ENOENT:  # somebody else did it
                raise

    try:
        return tracefs.tracepoint_id(group, name), remove
    except Error:
        remove()
        raise


def _place(probe: Probe) -> str:
    if probe.kind == "uprobe":
        return f"{probe.symbol}:{probe.offset:#x}" + (f"({probe.semaphore:#x})" if probe.semaphore else "")
    return f"{probe.symbol}+{probe.offset}" if probe.offset else probe.symbol


def _write(path: str, line: str, probe: Probe, reasons: Mapping[int, str]) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        with Descriptor(descriptor, path):
            os.write(descriptor, line.encode())
    except OSError as error:
        number = error.errno or errno.EINVAL
        raise failure(number, f"Writing {line.strip()!r} for {probe.what} to {path}", needs=NEEDS, reasons=reasons) from error
