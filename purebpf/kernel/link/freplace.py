"""Programs that replace a function of another program (Linux 5.6; kernel/bpf/syscall.c:bpf_tracing_prog_attach).

Which function was said when the program was loaded; attaching needs no more than the program.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.link.options import Options
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.syscall import bpf
from purebpf.tables.enums import Command

OPTIONS: dict[str, str] = {}
REASONS = {
    errno.EBUSY: "The function is replaced by another program already, or traced.",
    errno.EINVAL: "The program was loaded for a function that is gone.",
}


def attach(program: KernelProgram, given: Mapping[str, object]) -> KernelLink:
    Options("freplace", given, OPTIONS)
    answer = bpf(Command.RAW_TRACEPOINT_OPEN, {"prog_fd": program.handle})
    target = f"the function {program.spec.attach_to}"
    if answer < 0:
        what = f"Attaching {program.descriptor.what} to {target}"
        raise failure(
            -answer, what, needs=("CAP_BPF",), first=(5, 6), feature="programs that replace functions", reasons=REASONS
        )
    return KernelLink("freplace link", (Descriptor(answer, f"the link of {program.descriptor.what} to {target}"),))
