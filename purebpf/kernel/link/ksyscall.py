"""Programs on system calls, by a kprobe on the call's function: at its start, or when it returns."""

from __future__ import annotations

import os
from collections.abc import Mapping

from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.link.kprobe import attach_function
from purebpf.kernel.link.options import Options
from purebpf.kernel.program import KernelProgram
from purebpf.lang.system_calls import function_of

OPTIONS = {"cookie": "a number that bpf_get_attach_cookie returns (Linux 5.15)"}


def attach(program: KernelProgram, given: Mapping[str, object]) -> KernelLink:
    """Raises Error, with similar names, when the kernel has no such call; KernelError with why it cannot be probed."""
    options = Options("ksyscall", given, OPTIONS)
    function = function_of(program.spec.attach_to, os.uname().machine)
    return attach_function(program, function, options.number("cookie", 0))
