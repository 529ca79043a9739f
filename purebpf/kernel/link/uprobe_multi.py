"""One program on many functions of a file, by one link (BPF_LINK_CREATE, Linux 6.6; kernel/trace/bpf_trace.c).

Before Linux 6.6 each function gets a uprobe of its own.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Mapping

from purebpf.errors import Error
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.link.base import KernelLink, create_link
from purebpf.kernel.link.kprobe import returning
from purebpf.kernel.link.options import Options
from purebpf.kernel.link.probes import Probe, attach_probe
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.syscall import address, pin
from purebpf.tables.enums import AttachType

FIRST = (6, 6)
SESSIONS_SINCE = (6, 13)
RETURN = 1  # BPF_F_UPROBE_MULTI_RETURN
MOST_ALONE = 512  # functions that get a uprobe each, on a kernel without this kind of link
OPTIONS = {
    "binary": "the file, or a library's or command's name, when the program does not name it itself",
    "symbol": "a pattern of symbols, such as 'mem*'",
    "pid": "the process to probe, 0 for this one (without it: all that have the file mapped); before Linux 6.10 one thread",
    "cookie": "a number that bpf_get_attach_cookie returns, the same for all functions",
}
REASONS = {
    errno.EBADF: "The file is none that can be mapped.",
    errno.ESRCH: "There is no such process.",
    errno.E2BIG: "There are too many functions.",
    errno.EINVAL: "The kernel does not probe one of these places.",
}


def attach(program: KernelProgram, given: Mapping[str, object]) -> KernelLink:
    """Raises Error for a file that is not there, and for a pattern that fits no function of it."""
    from purebpf.binaries.files import find_binary, matching_offsets

    options = Options("uprobe multi", given, OPTIONS)
    named, _, where = program.spec.attach_to.rpartition(":")
    binary, pattern = options.text("binary", named), options.text("symbol", where)
    if not binary or not pattern:
        raise options.wrong("needs the options 'binary' and 'symbol', as the program itself names none")
    path, cookie, pid = find_binary(binary), options.number("cookie", 0), options.number("pid", -1)
    places = matching_offsets(path, pattern)
    pid = os.getpid() if pid == 0 else pid
    session = program.spec.attach_type is AttachType.TRACE_UPROBE_SESSION
    if kernel_version() < FIRST and not session:
        return _alone(program, path, places, pid, cookie)
    offsets = (ctypes.c_uint64 * len(places))(*places)
    cookies = (ctypes.c_uint64 * len(places))(*[cookie] * len(places))
    name = pin(os.fsencode(path) + b"\0")
    fields = {
        "attach_type": int(program.spec.attach_type or AttachType.TRACE_UPROBE_MULTI),
        "uprobe_multi_path": address(name),
        "uprobe_multi_offsets": ctypes.addressof(offsets),
        "uprobe_multi_cookies": ctypes.addressof(cookies) if cookie else 0,
        "uprobe_multi_cnt": len(places),
        "uprobe_multi_flags": RETURN if returning(program) else 0,
        "uprobe_multi_pid": max(pid, 0),
    }
    target = f"{len(places)} functions of {path} ({pattern})"
    first = SESSIONS_SINCE if session else FIRST
    feature = "programs at both ends of functions" if session else "links to many functions"
    made = create_link(program, target, fields, needs=("CAP_PERFMON",), first=first, feature=feature, reasons=REASONS)
    return KernelLink(f"uprobe {'session' if session else 'multi'} link, {len(places)} functions", (made,))


def _alone(program: KernelProgram, path: str, places: Mapping[int, str], pid: int, cookie: int) -> KernelLink:
    if len(places) > MOST_ALONE:
        raise Error(
            f"{len(places)} functions would get a uprobe each on this kernel, and at most {MOST_ALONE} do: one link for many "
            f"came with Linux {FIRST[0]}.{FIRST[1]}. Use a narrower pattern."
        )
    links: list[KernelLink] = []

    def detach() -> None:
        while links:
            links.pop().close()

    try:
        for offset, name in places.items():
            probe = Probe("uprobe", path, offset, returning(program), f"{path}:{name}")
            links.append(attach_probe(program, probe, pid, cookie))
    except BaseException:
        detach()
        raise
    return KernelLink(f"{len(places)} uprobes, {links[0].mechanism.partition(', ')[2]}", (), detach)
