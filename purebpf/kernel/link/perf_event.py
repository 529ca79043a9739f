"""Programs that run on samples of the kernel's software events, as a profiler's do (perf_event_open(2); Linux 4.9)."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.kernel import cpus
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.link.options import Options
from purebpf.kernel.link.perf import attach_to_event, open_event
from purebpf.kernel.program import KernelProgram
from purebpf.tables import attr

EVENTS = {
    name.removeprefix("PERF_COUNT_SW_").lower().replace("_", "-"): value
    for name, value in vars(attr).items()
    if name.startswith("PERF_COUNT_SW_") and name != "PERF_COUNT_SW_BPF_OUTPUT"
}
PERIODS = {"cpu-clock": 10_000_000, "task-clock": 10_000_000}  # nanoseconds; any other event is sampled each time
OPTIONS = {
    "event": f"one of {', '.join(EVENTS)} (cpu-clock)",
    "sample_period": "a sample after so many events; of a clock, nanoseconds (10 ms; any other event: 1)",
    "frequency": "instead of sample_period: samples a second",
    "pid": "the thread to sample, 0 for the calling one (without it: all that run on the CPUs)",
    "cpu": "the CPU to sample on (all)",
    "cookie": "a number that bpf_get_attach_cookie returns (Linux 5.15)",
}
REASONS = {
    errno.ENODEV: "That CPU is offline.",
    errno.ESRCH: "There is no such thread.",
    errno.EINVAL: "The kernel does not take this event with this period, frequency, thread and CPU. The highest frequency "
    "is in /proc/sys/kernel/perf_event_max_sample_rate.",
}


def attach(program: KernelProgram, given: Mapping[str, object], links: bool = True) -> KernelLink:
    """One perf event for a thread or a CPU, else one for each CPU that is online."""
    options = Options("perf event", given, OPTIONS)
    event = options.choice("event", tuple(EVENTS), "cpu-clock")
    if "sample_period" in options and "frequency" in options:
        raise options.wrong("got both sample_period and frequency; give one")
    period = options.number("sample_period", PERIODS.get(event, 1))
    frequency = options.number("frequency", 0)
    if period < 1 or frequency < 0:
        raise options.wrong("got a sample_period or a frequency below 1")
    fields = {"type": attr.PERF_TYPE_SOFTWARE, "config": EVENTS[event], "disabled": 1, "wakeup_events": 1}
    fields |= {"sample_freq": frequency, "freq": 1} if frequency else {"sample_period": period}
    pid = options.number("pid", -1)
    only = options.number("cpu", -1)
    places = (only,) if pid >= 0 or only >= 0 else cpus.online()
    held: list[Descriptor] = []
    mechanism = ""
    try:
        for cpu in places:
            what = f"the event {event}" + (f" of thread {pid}" if pid >= 0 else "") + (f" on CPU {cpu}" if cpu >= 0 else "")
            opened = open_event(what, fields, pid, cpu, REASONS)
            mechanism, pair = attach_to_event(program, opened, options.number("cookie", 0), links)
            held += pair
    except BaseException:
        for descriptor in held:
            descriptor.close()
        raise
    return KernelLink(mechanism, tuple(held))
