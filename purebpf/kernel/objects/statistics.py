"""Run counts and times of all programs, while somebody asks for them (BPF_ENABLE_STATS, Linux 5.8)."""

from __future__ import annotations

from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.syscall import bpf
from purebpf.tables.enums import Command

RUN_TIME = 0  # BPF_STATS_RUN_TIME


def statistics() -> Descriptor:
    """Have the kernel count runs and their time until the result is closed; `with` does. Each run of any program then takes
    some tens of nanoseconds more. Needs CAP_SYS_ADMIN and Linux 5.8; before that the sysctl kernel.bpf_stats_enabled does
    it."""
    answer = bpf(Command.ENABLE_STATS, {"type": RUN_TIME})
    if answer < 0:
        first, feature = (5, 8), "statistics for as long as they are wanted (else: sysctl kernel.bpf_stats_enabled=1)"
        raise failure(-answer, "Turning statistics on", needs=("CAP_SYS_ADMIN",), first=first, feature=feature)
    return Descriptor(answer, "the statistics of programs")
