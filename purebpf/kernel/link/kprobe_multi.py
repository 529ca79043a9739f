"""One program on many functions of the kernel, by one link (BPF_LINK_CREATE, Linux 5.18; kernel/trace/bpf_trace.c).

Before Linux 5.18, and where the kernel was built without CONFIG_FPROBE, each function gets a kprobe of its own.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Mapping

from purebpf.btf.targets import is_pattern, target
from purebpf.errors import Error, KernelError
from purebpf.kernel import tracefs
from purebpf.kernel.errors import ENOTSUPP, kernel_version
from purebpf.kernel.link.base import KernelLink, create_link
from purebpf.kernel.link.kprobe import attach_function, returning
from purebpf.kernel.link.options import Options
from purebpf.kernel.program import KernelProgram
from purebpf.tables.enums import AttachType

FIRST = (5, 18)
SESSIONS_SINCE = (6, 10)
RETURN = 1  # BPF_F_KPROBE_MULTI_RETURN
MOST_ALONE = 512  # functions that get a kprobe each, on a kernel without this kind of link
OPTIONS = {
    "functions": "names and patterns, with commas between, when the program does not name them itself",
    "cookie": "a number that bpf_get_attach_cookie returns, the same for all functions",
}
REASONS = {
    errno.ESRCH: "One of the functions cannot be traced.",
    errno.EINVAL: "One of the functions cannot be traced, or has several of its name.",
    errno.E2BIG: "There are too many functions.",
}


def attach(program: KernelProgram, given: Mapping[str, object]) -> KernelLink:
    """Raises Error when a name or pattern fits no function that can be traced."""
    options = Options("kprobe multi", given, OPTIONS)
    text = options.text("functions", program.spec.attach_to)
    if not text:
        raise options.wrong("needs the option 'functions', as the program itself names none")
    names, cookie = functions(text), options.number("cookie", 0)
    session = program.spec.attach_type is AttachType.TRACE_KPROBE_SESSION
    if kernel_version() < FIRST and not session:
        return _alone(program, names, cookie)
    texts = [name.encode() for name in names]
    symbols = (ctypes.c_char_p * len(names))(*texts)
    cookies = (ctypes.c_uint64 * len(names))(*[cookie] * len(names))
    fields = {
        "attach_type": int(program.spec.attach_type or AttachType.TRACE_KPROBE_MULTI),
        "kprobe_multi_flags": RETURN if returning(program) else 0,
        "kprobe_multi_cnt": len(names),
        "kprobe_multi_syms": ctypes.addressof(symbols),
        "kprobe_multi_cookies": ctypes.addressof(cookies) if cookie else 0,
    }
    target = names[0] if len(names) == 1 else f"{len(names)} functions ({text})"
    try:
        first = SESSIONS_SINCE if session else FIRST
        feature = "programs at both ends of functions" if session else "links to many functions"
        made = create_link(program, target, fields, needs=("CAP_PERFMON",), first=first, feature=feature, reasons=REASONS)
    except KernelError as error:
        if session or error.errno not in (errno.EOPNOTSUPP, ENOTSUPP):
            raise
        return _alone(program, names, cookie)
    return KernelLink(f"kprobe {'session' if session else 'multi'} link, {len(names)} functions", (made,))


def _alone(program: KernelProgram, names: list[str], cookie: int) -> KernelLink:
    if len(names) > MOST_ALONE:
        raise Error(
            f"{len(names)} functions would get a kprobe each on this kernel, and at most {MOST_ALONE} do: one link for many "
            f"came with Linux {FIRST[0]}.{FIRST[1]} and takes CONFIG_FPROBE=y. Use a narrower pattern."
        )
    links: list[KernelLink] = []

    def detach() -> None:
        while links:
            links.pop().close()

    try:
        for name in names:
            links.append(attach_function(program, name, cookie))
    except BaseException:
        detach()
        raise
    return KernelLink(f"{len(names)} kprobes, {links[0].mechanism.partition(', ')[2]}", (), detach)


def functions(text: str) -> list[str]:
    """The functions that names and patterns stand for, without those that patterns fit but that cannot be traced."""
    from purebpf.btf import kallsyms

    traceable, symbols = _traceable(), b""
    found: dict[str, None] = {}
    for part in text.split(","):
        if is_pattern(part):
            symbols = symbols or kallsyms.read_symbols()
            fitting = kallsyms.functions(symbols, part)
            able = [name for name in fitting if name in traceable] if traceable else fitting
            if not able:
                why = f"none of the {len(fitting)} that fit can be traced" if fitting else "none fits"
                raise Error(f"There is no function to probe for the pattern {part!r}: {why}.")
            found |= dict.fromkeys(able)
            continue
        name = target(part).name
        if traceable and name not in traceable:
            why = kallsyms.unknown(part) or f"the kernel does not trace `{name}`: it is not in available_filter_functions"
            raise Error(f"{part!r} cannot be probed together with others: {why}.")
        found[name] = None
    return list(found)


def _traceable() -> frozenset[str]:
    """The functions that can be traced; empty where that cannot be found out."""
    try:
        with open(f"{tracefs.folder()}/available_filter_functions", errors="replace") as file:
            return frozenset(line.split()[0] for line in file)
    except (OSError, Error):
        return frozenset()
