"""Programs of a cgroup (version 2): packets, sockets, addresses, socket options, sysctls, devices (Linux 4.10 and later).

By BPF_LINK_CREATE (Linux 5.7); before that by BPF_PROG_ATTACH, beside others (Linux 4.15) or, before that, so that a cgroup
below may override it. kernel/bpf/cgroup.c.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.data import data
from purebpf.errors import Unsupported
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import ENOTSUPP, failure, kernel_version
from purebpf.kernel.link import order
from purebpf.kernel.link.base import KernelLink, create_link, only_here, own
from purebpf.kernel.link.options import Options
from purebpf.kernel.link.places import open_cgroup
from purebpf.kernel.privileges import for_program
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.syscall import bpf
from purebpf.tables.enums import AttachType, Command

OPTIONS = {
    "cgroup": "the folder of the cgroup, version 2 (or a descriptor of it)",
    "mode": "'multi' (beside others), 'override' (a cgroup below may have its own instead) or 'exclusive' (none below may have "
    "one); given, it is attached without a link",
    **order.OPTIONS,
}
MODES = {"multi": 2, "override": 1, "exclusive": 0}  # BPF_F_ALLOW_MULTI, BPF_F_ALLOW_OVERRIDE
REPLACE = 1 << 2  # BPF_F_REPLACE
ORDERED = (6, 17)
UNIX = (6, 7)
SECURITY = (6, 0)
OLD = (errno.EINVAL, errno.EPERM)
REASONS = {
    errno.EPERM: "A cgroup above or this one has programs of the kind in another mode, which does not allow it.",
    errno.EEXIST: "This program is attached there already; to run it twice, load it twice.",
    errno.EBADF: "It is no cgroup of version 2.",
    errno.EINVAL: "The kernel does not take it: the folder is no cgroup of version 2, or a program for another hook.",
    errno.E2BIG: "A cgroup takes 64 programs of a kind.",
    errno.ESTALE: "The programs there have been changed since that revision.",
}


@data
class Place:
    """Where a program is attached: the cgroup's folder and the hook."""

    cgroup: Descriptor
    hook: AttachType
    what: str


def attach(program: KernelProgram, given: Mapping[str, object], links: bool = True) -> KernelLink:
    """`links=False` takes the older way. Raises Unsupported for what this kernel has no hook for."""
    options = Options("cgroup", given, OPTIONS)
    hook = program.spec.attach_type
    if hook is None:
        raise options.wrong("needs a program that was loaded for a hook (expected attach type)")
    if hook is AttachType.LSM_CGROUP:
        from purebpf.kernel.link.lsm import check_active

        check_active(program)
    mode = options.choice("mode", tuple(MODES), "multi")
    fields = order.ordered(options, "cgroup")
    if fields and "mode" in options:
        raise options.wrong("got a mode and an order; with a mode there is no link, and so no order")
    if fields and kernel_version() < ORDERED:
        raise Unsupported("The order of a cgroup's programs can be chosen since Linux 6.17; leave out before, after, revision.")
    place = Place(open_cgroup(options), hook, f"{hook.name.lower()} of the cgroup {options.get('cgroup')}")
    try:
        made = None
        if links and "mode" not in options:
            made = _link(program, place, fields)
        if made is not None:
            place.cgroup.close()
            return KernelLink("cgroup link", (made,))
        return _attached(program, place, MODES[mode], mode, fallback="mode" not in options)
    except BaseException:
        place.cgroup.close()
        raise


def _link(program: KernelProgram, place: Place, fields: Mapping[str, int]) -> Descriptor | None:
    """A link; None on a kernel without links to cgroups."""
    if kernel_version() < (5, 7):
        return None
    wanted = {"target_fd": place.cgroup.number, "attach_type": int(place.hook), **fields}
    return create_link(
        program,
        place.what,
        wanted,
        needs=for_program(program.spec.type),
        first=_first(place.hook),
        feature="this hook",
        reasons=REASONS if not _denied(program) else {n: text for n, text in REASONS.items() if n != errno.EPERM},
    )


def _first(hook: AttachType) -> tuple[int, int]:
    if hook is AttachType.LSM_CGROUP:
        return SECURITY
    return UNIX if "UNIX" in hook.name else (5, 7)


def _denied(program: KernelProgram) -> bool:
    """Whether a privilege is missing."""
    from purebpf.kernel.privileges import why_not_permitted

    return bool(why_not_permitted(for_program(program.spec.type)))


def _attached(program: KernelProgram, place: Place, flags: int, mode: str, fallback: bool) -> KernelLink:
    """By BPF_PROG_ATTACH, which holds until it is detached, also when this process ends."""
    answer = _prog_attach(program.handle, place, flags)
    if answer == -errno.EINVAL and fallback and kernel_version() < (4, 15):
        mode, flags = "override", MODES["override"]
        answer = _prog_attach(program.handle, place, flags)
    if answer < 0:
        what = f"Attaching {program.descriptor.what} to {place.what} ({mode})"
        raise failure(-answer, what, needs=for_program(program.spec.type), first=(4, 10), feature="it", reasons=REASONS)
    held = [own(program)]

    def replace(new: KernelProgram) -> None:
        more = {"replace_bpf_fd": held[-1].number} if flags == MODES["multi"] else {}
        answer = _prog_attach(new.handle, place, flags | (REPLACE if more else 0), **more)
        if answer < 0:
            what = f"Replacing {held[-1].what} at {place.what} by {new.descriptor.what}"
            raise failure(-answer, what, first=(5, 5) if more else (4, 10), feature="replacing one program", reasons=REASONS)
        held.append(own(new))
        held.pop(0).close()

    def detach() -> None:
        fields = {"target_fd": place.cgroup.number, "attach_type": int(place.hook), "attach_bpf_fd": held[-1].number}
        answer = bpf(Command.PROG_DETACH, fields)
        if answer < 0 and -answer not in (errno.ENOENT, errno.EINVAL, ENOTSUPP):
            raise failure(-answer, f"Detaching {held[-1].what} from {place.what}")

    def cleanup() -> None:
        held[-1].close()
        place.cgroup.close()

    return KernelLink(f"cgroup attach, {mode}", (), only_here(detach), cleanup, replace)


def _prog_attach(program: int, place: Place, flags: int, **more: int) -> int:
    fields = {"target_fd": place.cgroup.number, "attach_bpf_fd": program, "attach_type": int(place.hook)}
    return bpf(Command.PROG_ATTACH, {**fields, "attach_flags": flags, **more})
