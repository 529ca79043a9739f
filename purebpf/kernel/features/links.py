"""Types of links: BPF_LINK_CREATE is asked for a link to what is not there. A kernel that knows the type minds the target, one
that does not minds the type. Nothing is attached."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable

from purebpf.data import data
from purebpf.isa import asm
from purebpf.isa.codec import encode
from purebpf.kernel import verifier
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import ENOTSUPP, kernel_version
from purebpf.kernel.features.answers import NO, YES, Answer, inconclusive, kept
from purebpf.kernel.syscall import address, bpf, pin
from purebpf.tables.enums import AttachType, Command, LinkType, ProgramType
from purebpf.tables.since import parse, since

NOTHING = (1 << 32) - 1  # no descriptor, no interface
TOO_MANY = (1 << 20) + 1  # functions in one link


@data
class Attempt:
    """A program's type and attach type, members of BPF_LINK_CREATE that lead nowhere, and what a kernel that knows the type
    answers."""

    program: ProgramType
    attach: AttachType
    fields: tuple[tuple[str, int], ...]
    known_by: tuple[int, ...]
    expected: AttachType | None = None  # what it is loaded for, where the kernel wants that
    value: int = 0


_TARGET, _INTERFACE = (("target_fd", NOTHING),), (("target_ifindex", NOTHING >> 1),)
ATTEMPTS = {
    LinkType.CGROUP: Attempt(ProgramType.CGROUP_SKB, AttachType.CGROUP_INET_INGRESS, _TARGET, (errno.EBADF,)),
    LinkType.NETNS: Attempt(
        ProgramType.SK_LOOKUP, AttachType.SK_LOOKUP, _TARGET, (errno.EBADF,), AttachType.SK_LOOKUP, value=1
    ),
    LinkType.PERF_EVENT: Attempt(ProgramType.TRACEPOINT, AttachType.PERF_EVENT, _TARGET, (errno.EBADF,)),
    LinkType.KPROBE_MULTI: Attempt(
        ProgramType.KPROBE,
        AttachType.TRACE_KPROBE_MULTI,
        (("kprobe_multi_addrs", 8), ("kprobe_multi_cnt", TOO_MANY)),
        (errno.E2BIG, errno.EFAULT),
        AttachType.TRACE_KPROBE_MULTI,
    ),
    LinkType.TCX: Attempt(ProgramType.SCHED_CLS, AttachType.TCX_INGRESS, _INTERFACE, (errno.ENODEV,)),
    LinkType.NETKIT: Attempt(ProgramType.SCHED_CLS, AttachType.NETKIT_PRIMARY, _INTERFACE, (errno.ENODEV,)),
    LinkType.NETFILTER: Attempt(
        ProgramType.NETFILTER,
        AttachType.NETFILTER,
        (("netfilter_pf", NOTHING),),
        (errno.EAFNOSUPPORT,),
        AttachType.NETFILTER,
        value=1,
    ),
    LinkType.SOCKMAP: Attempt(ProgramType.SK_SKB, AttachType.SK_SKB_STREAM_VERDICT, _TARGET, (errno.EBADF,), value=1),
}


def link_type(type: LinkType) -> Answer:
    """Whether there are links of this type. Some can be told by the kernel's version only; `why` says so."""
    return kept(type, lambda: SPECIAL.get(type, _by_version)(type) if type not in ATTEMPTS else _find(ATTEMPTS[type]))


def _find(wanted: Attempt) -> Answer:
    code, license = pin(encode((asm.Mov.imm(asm.R0, wanted.value), asm.Exit()), sys.byteorder)), pin(b"GPL")
    fields: verifier.Fields = {"prog_type": int(wanted.program), "insn_cnt": 2, "insns": address(code)}
    fields |= {"license": address(license), "expected_attach_type": int(wanted.expected or 0)}
    answer, _ = verifier.load(fields)
    if answer < 0:
        return inconclusive(-answer) if -answer != errno.EINVAL else NO
    with Descriptor(answer, "a probe") as program:
        number = bpf(
            Command.LINK_CREATE,
            {"prog_fd": program.number, "attach_type": int(wanted.attach), **dict(wanted.fields)},
        )
    return _meaning(number, wanted.known_by)


def _meaning(number: int, known_by: tuple[int, ...]) -> Answer:
    if number >= 0:  # which cannot be, since there is nothing to attach to
        Descriptor(number, "a probe").close()
        return YES
    if -number in known_by:
        return YES
    unknown = (errno.EINVAL, errno.EOPNOTSUPP, ENOTSUPP, errno.E2BIG)
    return NO if -number in unknown else inconclusive(-number)


def _uprobe_multi(_type: LinkType) -> Answer:
    """The root folder is no file to probe."""
    path, offsets = pin(b"/\0"), pin(bytes(8))
    places = (("uprobe_multi_path", address(path)), ("uprobe_multi_offsets", address(offsets)), ("uprobe_multi_cnt", 1))
    attach = AttachType.TRACE_UPROBE_MULTI
    return _find(Attempt(ProgramType.KPROBE, attach, places, (errno.EBADF,), attach))


def _raw_tracepoint(_type: LinkType) -> Answer:
    """By a tracepoint of a name that no kernel has; links to raw tracepoints came with the links."""
    if kernel_version() < parse(since(LinkType.RAW_TRACEPOINT)):
        return NO
    name = pin(b"purebpf_no_such_tracepoint\0")
    code, license = pin(encode((asm.Mov.imm(asm.R0, 0), asm.Exit()), sys.byteorder)), pin(b"GPL")
    fields: verifier.Fields = {"prog_type": int(ProgramType.RAW_TRACEPOINT), "insn_cnt": 2, "insns": address(code)}
    answer, _ = verifier.load({**fields, "license": address(license)})
    if answer < 0:
        return inconclusive(-answer)
    with Descriptor(answer, "a probe") as program:
        number = bpf(Command.RAW_TRACEPOINT_OPEN, {"name": address(name), "prog_fd": program.number})
    return _meaning(number, (errno.ENOENT,))


def _by_version(type: LinkType) -> Answer:
    first = since(type)
    return Answer(kernel_version() >= parse(first), f"by the kernel's version: it came with Linux {first}")


SPECIAL: dict[LinkType, Callable[[LinkType], Answer]] = {
    LinkType.UPROBE_MULTI: _uprobe_multi,
    LinkType.RAW_TRACEPOINT: _raw_tracepoint,
}
