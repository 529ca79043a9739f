"""Programs on typed hooks of the kernel: fentry, fexit, fmod_ret, tp_btf (Linux 5.5; kernel/bpf/trampoline.c).

The hook was named when the program was loaded. Attached by BPF_LINK_CREATE (Linux 5.19), before that by
BPF_RAW_TRACEPOINT_OPEN without a name, which gives a link as well.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.errors import Error, KernelError, Unsupported
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import EMPTY, ENOTSUPP, failure
from purebpf.kernel.link.base import KernelLink, create_link
from purebpf.kernel.link.options import Options
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.syscall import bpf
from purebpf.tables.enums import AttachType, Command

OPTIONS = {"cookie": "a number that bpf_get_attach_cookie returns (Linux 5.19; of tp_btf 6.10)"}
NAMES = {
    AttachType.TRACE_FENTRY: "fentry",
    AttachType.TRACE_FEXIT: "fexit",
    AttachType.MODIFY_RETURN: "fmod_ret",
    AttachType.TRACE_RAW_TP: "tp_btf",
    AttachType.LSM_MAC: "lsm",
}
FIRST = {AttachType.TRACE_RAW_TP: (6, 10)}  # with cookies; the others have them since 5.19
NEEDS = ("CAP_BPF", "CAP_PERFMON")
REASONS = {
    errno.E2BIG: "The function has as many programs as fit its trampoline (38).",
    errno.EBUSY: "Something else holds the function: a live patch, or a program that replaces it.",
    errno.ENOENT: "The function or tracepoint is gone: was its module unloaded?",
    ENOTSUPP: "This kernel cannot call programs from its functions on this machine (arm64 can since Linux 6.0).",
}


def attach(program: KernelProgram, given: Mapping[str, object], links: bool = True) -> KernelLink:
    """`links=False` takes the older way. Raises Unsupported for a cookie on a kernel that is too old for it."""
    options = Options("tracing", given, OPTIONS)
    return attach_typed(program, options.number("cookie", 0), links)


def attach_typed(program: KernelProgram, cookie: int = 0, links: bool = True, reasons: Mapping[int, str] = EMPTY) -> KernelLink:
    """Attach to the hook that the program was loaded for."""
    spec = program.spec
    kind = spec.attach_type
    if kind not in NAMES:
        raise Error(f"{program.descriptor.what} has the attach type {kind and kind.name.lower()}, which is for no typed hook.")
    target = f"the {NAMES[kind]} hook {spec.attach_to}".rstrip()
    made = _link(program, target, kind, cookie, {**REASONS, **reasons}) if links or cookie else None
    if made is not None:
        return KernelLink(f"{NAMES[kind]} link", (made,))
    answer = bpf(Command.RAW_TRACEPOINT_OPEN, {"prog_fd": program.handle})
    if answer < 0:
        what = f"Attaching {program.descriptor.what} to {target}"
        raise failure(
            -answer, what, needs=NEEDS, first=(5, 5), feature="programs on typed hooks", reasons={**REASONS, **reasons}
        )
    opened = Descriptor(answer, f"the link of {program.descriptor.what} to {target}")
    return KernelLink(f"{NAMES[kind]}, raw tracepoint open", (opened,))


def _link(program: KernelProgram, target: str, kind: AttachType, cookie: int, reasons: Mapping[int, str]) -> Descriptor | None:
    """A link by BPF_LINK_CREATE; None on a kernel that is too old for it, where the cookie was not asked for."""
    first = FIRST.get(kind, (5, 19)) if cookie else (5, 19)
    feature = f"cookies of {NAMES[kind]} programs" if cookie else "links of typed hooks"
    fields = {"attach_type": int(kind), "tracing_cookie": cookie}
    try:
        return create_link(program, target, fields, needs=NEEDS, first=first, feature=feature, reasons=reasons)
    except (Unsupported, KernelError) as error:
        number = errno.EINVAL if isinstance(error, Unsupported) else error.errno
        if cookie or number not in (errno.EINVAL, ENOTSUPP):
            raise
        return None
