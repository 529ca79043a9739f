"""Programs on functions of the kernel: at their start, at an offset, or when they return (Linux 4.1; as a link 5.15)."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.btf.targets import target
from purebpf.errors import Error, KernelError, Unsupported
from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.link.options import Options
from purebpf.kernel.link.probes import Probe, attach_probe
from purebpf.kernel.program import KernelProgram

OPTIONS = {
    "function": "the function, or 'function+offset', when the program does not name it itself",
    "cookie": "a number that bpf_get_attach_cookie returns (Linux 5.15)",
    "maxactive": "of a kretprobe, how many calls at once it sees return, up to 4096 (Linux 4.12)",
}
REASONS = {
    errno.EILSEQ: "The offset is in the middle of an instruction.",
    errno.EADDRNOTAVAIL: "There are several functions of that name, and the kernel does not choose.",
    errno.ENOENT: "The kernel has no such function, or it may not be probed.",
    errno.EINVAL: "The kernel does not probe this place: the function is one that probing itself needs, or the offset is not "
    "at an instruction.",
    errno.ENOSPC: "There are more probes than the kernel takes.",
    errno.EOPNOTSUPP: "The kernel cannot probe functions of this kind.",
}
MOST_ACTIVE = 4096  # kernel/trace/trace_kprobe.c
BLACKLIST = "/sys/kernel/debug/kprobes/blacklist"


def attach(program: KernelProgram, given: Mapping[str, object], links: bool = True, tracefs_only: bool = False) -> KernelLink:
    """Raises Error, with similar names, when the kernel has no such function; KernelError with why it cannot be probed."""
    options = Options("kprobe", given, OPTIONS)
    text = options.text("function", program.spec.attach_to)
    if not text:
        raise options.wrong("needs the option 'function', as the program itself names none")
    return attach_function(program, text, options.number("cookie", 0), links, tracefs_only, options.number("maxactive", 0))


def returning(program: KernelProgram) -> bool:
    """Whether a program is for the end of functions, as its section says."""
    return program.spec.section.startswith(("kretprobe", "uretprobe", "kretsyscall"))


def attach_function(
    program: KernelProgram, text: str, cookie: int = 0, links: bool = True, tracefs_only: bool = False, maxactive: int = 0
) -> KernelLink:
    wanted = target(text)
    probe = Probe("kprobe", wanted.symbol, wanted.offset, returning(program), text, maxactive=maxactive)
    if maxactive and not probe.returning:
        raise Error(f"'maxactive' is of kretprobes; {probe.what} is at a function's start.")
    if not 0 <= maxactive <= MOST_ACTIVE:
        raise Error(f"'maxactive' is a number up to {MOST_ACTIVE}, not {maxactive}.")
    if probe.returning and wanted.offset:
        raise Error(f"A kretprobe is where a function returns; {text!r} has an offset.")
    try:
        return attach_probe(program, probe, cookie=cookie, links=links, tracefs_only=tracefs_only, reasons=REASONS)
    except (KernelError, Unsupported) as error:
        if isinstance(error, KernelError) and error.errno in (errno.ENOENT, errno.EINVAL, errno.EADDRNOTAVAIL):
            raise _why(error, wanted.name) from error
        raise


def _why(error: KernelError, name: str) -> Error:
    """The failure with what the kernel's tables say about the function."""
    from purebpf.btf import kallsyms

    unknown = kallsyms.unknown(name)
    if unknown:
        return Error(f"{error} In fact {unknown}.")
    try:
        with open(BLACKLIST) as file:
            forbidden = any(line.split()[-1:] == [name] for line in file)
    except OSError:
        return error
    return KernelError(error.errno or 0, f"{error} It is in the kernel's list of them, {BLACKLIST}.") if forbidden else error
