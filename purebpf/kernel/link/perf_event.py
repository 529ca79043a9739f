"""Programs that run on samples, as a profiler's do: of the kernel's software events, of what the processor counts, and of
accesses to an address (perf_event_open(2); Linux 4.9)."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from purebpf.errors import KernelError
from purebpf.kernel import cpus
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.link.options import Options
from purebpf.kernel.link.perf import attach_to_event, open_event
from purebpf.kernel.program import KernelProgram
from purebpf.tables import attr


def _named(prefix: str) -> dict[str, int]:
    found = {name.removeprefix(prefix): value for name, value in vars(attr).items() if name.startswith(prefix)}
    return {name.lower().replace("_", "-"): value for name, value in found.items() if name != "BPF_OUTPUT"}


SOFTWARE, HARDWARE = _named("PERF_COUNT_SW_"), _named("PERF_COUNT_HW_")
BREAKPOINT = "breakpoint"
EVENTS = (*SOFTWARE, *HARDWARE, BREAKPOINT)
ACCESSES = {"write": 2, "read-write": 3, "execute": 4}  # enum HW_BREAKPOINT_*, include/uapi/linux/hw_breakpoint.h
LENGTHS = (1, 2, 4, 8)
PERIODS = {  # of clocks nanoseconds; any other software event, and each access, is sampled each time
    **dict.fromkeys(HARDWARE, 1_000_000),
    **dict.fromkeys(("cpu-clock", "task-clock"), 10_000_000),
}
OPTIONS = {
    "event": f"one of {', '.join(EVENTS)} (cpu-clock)",
    "address": "of a breakpoint: where, in the process's memory or the kernel's",
    "access": "of a breakpoint: 'write', 'read-write' or 'execute' (write)",
    "length": "of a breakpoint: how many bytes, 1, 2, 4 or 8 (8)",
    "sample_period": "a sample after so many events; of a clock, nanoseconds (10 ms; of what the processor counts a million; "
    "any other event: 1)",
    "frequency": "instead of sample_period: samples a second",
    "pid": "the process to sample, with all its threads, 0 for the calling one (without pid and tid: all that run on the CPUs)",
    "tid": "the thread to sample, 0 for the calling one",
    "cpu": "the CPU to sample on (all)",
    "cookie": "a number that bpf_get_attach_cookie returns (Linux 5.15)",
}
REASONS = {
    errno.ENODEV: "That CPU is offline.",
    errno.ENOENT: "This processor, or the virtual machine that it is, counts no such event.",
    errno.EOPNOTSUPP: "This processor, or the virtual machine that it is, gives no samples of this event.",
    errno.ENOSPC: "The processor has as many breakpoints as it can have (4 on x86-64).",
    errno.ESRCH: "There is no such process or thread.",
    errno.EINVAL: "The kernel does not take this event with this period, frequency, thread and CPU. The highest frequency "
    "is in /proc/sys/kernel/perf_event_max_sample_rate.",
}


THREADS_SINCE = (5, 13)  # inherit_thread: new threads are sampled, but not new processes


def attach(program: KernelProgram, given: Mapping[str, object], links: bool = True) -> KernelLink:
    """A perf event for each thread of a process, for a thread or a CPU, else for each CPU that is online."""
    options = Options("perf event", given, OPTIONS)
    event = options.choice("event", EVENTS, "cpu-clock")
    fields = _fields(options, event)
    held: list[Descriptor] = []
    mechanism = ""
    try:
        for thread, cpu in _places(options):
            what = (
                f"the event {event}" + (f" of thread {thread}" if thread >= 0 else "") + (f" on CPU {cpu}" if cpu >= 0 else "")
            )
            try:
                opened = open_event(what, fields, thread, cpu, _reasons(cpu))
            except KernelError as error:
                if error.errno == errno.ESRCH and held:  # a thread that has ended since
                    continue
                raise
            mechanism, pair = attach_to_event(program, opened, options.number("cookie", 0), links)
            held += pair
    except BaseException:
        for descriptor in held:
            descriptor.close()
        raise
    if "pid" in options and not fields.get("inherit"):
        mechanism += ", without threads that start later"
    return KernelLink(mechanism, tuple(held))


def _reasons(cpu: int) -> dict[int, str]:
    """What an errno means for an event on a CPU, which may be none."""
    last = cpus.identifiers() - 1
    return REASONS | ({errno.EINVAL: f"There is no CPU {cpu}; they are 0 to {last} here."} if cpu > last else {})


def _fields(options: Options, event: str) -> dict[str, int]:
    """The event's attribute, but for where it counts."""
    if "sample_period" in options and "frequency" in options:
        raise options.wrong("got both sample_period and frequency; give one")
    period = options.number("sample_period", PERIODS.get(event, 1))
    frequency = options.number("frequency", 0)
    if period < 1 or ("frequency" in options and frequency < 1):
        raise options.wrong("got a sample_period or a frequency below 1")
    fields = {**_counted(options, event), "disabled": 1, "wakeup_events": 1}
    fields |= {"sample_freq": frequency, "freq": 1} if frequency else {"sample_period": period}
    if "pid" in options and kernel_version() >= THREADS_SINCE:
        fields |= {"inherit": 1, "inherit_thread": 1}
    return fields


def _counted(options: Options, event: str) -> dict[str, int]:
    """What is counted: the members of the attribute that tell it."""
    if event != BREAKPOINT and any(name in options for name in ("address", "access", "length")):
        raise options.wrong("got an address, an access or a length, which are for event='breakpoint'")
    if event in SOFTWARE:
        return {"type": attr.PERF_TYPE_SOFTWARE, "config": SOFTWARE[event]}
    if event in HARDWARE:
        return {"type": attr.PERF_TYPE_HARDWARE, "config": HARDWARE[event]}
    if "address" not in options:
        raise options.wrong("needs the option 'address' for a breakpoint")
    length = options.number("length", 8)
    if length not in LENGTHS:
        raise options.wrong(f"got length={length}, which is none of 1, 2, 4, 8")
    access = ACCESSES[options.choice("access", tuple(ACCESSES), "write")]
    where = {"bp_addr": options.number("address", 0), "bp_len": length, "bp_type": access}
    return {"type": attr.PERF_TYPE_BREAKPOINT, **where}


def _places(options: Options) -> list[tuple[int, int]]:
    """(thread, CPU) of each event to open, -1 for any."""
    if "pid" in options and "tid" in options:
        raise options.wrong("got both pid and tid; give one")
    pid, tid, cpu = (options.number(name, -1) for name in ("pid", "tid", "cpu"))
    if min(pid, tid, cpu) < -1:
        raise options.wrong("got a negative pid, tid or cpu")
    if pid >= 0:
        try:
            return [(int(thread), cpu) for thread in os.listdir(f"/proc/{pid or os.getpid()}/task")]
        except FileNotFoundError as error:
            raise KernelError(errno.ESRCH, f"There is no process {pid} to sample.") from error
    if tid >= 0 or cpu >= 0:
        return [(tid, cpu)]
    return [(-1, each) for each in cpus.online()]
