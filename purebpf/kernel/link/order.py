"""The order of several programs at one hook (kernel/bpf/mprog.c): before or after another, or first or last of all.

TCX and netkit have it since Linux 6.6 and 6.7, cgroups since 6.17.
"""

from __future__ import annotations

from collections.abc import Mapping

from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.link.options import Options
from purebpf.kernel.program import KernelProgram

BEFORE, AFTER, LINK = 1 << 3, 1 << 4, 1 << 13  # BPF_F_BEFORE, BPF_F_AFTER, BPF_F_LINK
OPTIONS = {
    "before": "an attachment or program that is there, to run before it; True: before all others",
    "after": "the same, to run after it; True: after all others",
    "revision": "only if nobody has changed the programs there since: the revision that a query gave",
}


def ordered(options: Options, prefix: str) -> Mapping[str, int]:
    """The fields of BPF_LINK_CREATE for the options, none where none is given; `prefix` is the kind's."""
    chosen = [name for name in ("before", "after") if options.get(name) not in (None, False)]
    if len(chosen) > 1:
        raise options.wrong("got both 'before' and 'after'; give one")
    fields: dict[str, int] = {}
    if chosen:
        flags = BEFORE if chosen[0] == "before" else AFTER
        anchor = options.get(chosen[0])
        if anchor is not True:
            number, more = _anchor(options, chosen[0], anchor)
            fields[f"{prefix}_relative_fd"] = number
            flags |= more
        fields["flags"] = flags
    if "revision" in options:
        fields[f"{prefix}_expected_revision"] = options.number("revision", 0)
    return fields


def _anchor(options: Options, name: str, given: object) -> tuple[int, int]:
    """Descriptor and flags of what stands there already."""
    link = getattr(given, "link", given)
    if isinstance(link, KernelLink):
        return link.descriptor.number, LINK
    program = given if isinstance(given, KernelProgram) else getattr(given, "loaded", None)
    if isinstance(program, KernelProgram):
        return program.handle, 0
    raise options.wrong(f"got {name}={given!r}, which is no attachment, no loaded program and not True")
