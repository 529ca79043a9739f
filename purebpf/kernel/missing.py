"""What a program wants and this kernel does not have, in words: a feature, an instruction, a helper.

Asked after a failure, but for what the verifier does not look at. A feature is probed; where there is no probe the kernel's
version decides. What the verifier says of helpers: `check_helper_call` in kernel/bpf/verifier.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from purebpf.errors import KernelError, Unsupported
from purebpf.isa.disassembler import disassemble
from purebpf.isa.forms import FIRST, minimum_kernel
from purebpf.isa.instruction import Instruction
from purebpf.kernel.errors import came_with, kernel_version, minimum
from purebpf.kernel.probe import FEATURES, has_feature
from purebpf.spec import ProgramSpec
from purebpf.tables.since import parse

BY_VERSION = {  # what cannot be probed without BTF
    "global subprograms": (5, 6),
    "records as arguments of global subprograms": (5, 12),
}
UNSEEN = ("printk_formats",)  # a program that needs these is loaded, and then fails without a word
UNKNOWN_HELPER = re.compile(
    r"^(?:(?:unknown|invalid) func \w+#|program of this type cannot use helper \w+#)(\d+)$",  # the second since Linux 6.8
    re.MULTILINE,
)


def unseen(spec: ProgramSpec) -> Unsupported | None:
    """What is missing here though the verifier will not say so. Without the privilege to probe, the load tells of that."""
    try:
        return _feature(spec, [name for name in spec.requires if name in UNSEEN])
    except KernelError:
        return None


def missing(spec: ProgramSpec, log: str) -> Unsupported | None:
    """Why a program that the kernel rejected cannot run here, if it is the kernel that lacks something."""
    return hook(spec) or _feature(spec, spec.requires) or _instruction(spec) or _helper(spec, log)


def hook(spec: ProgramSpec) -> Unsupported | None:
    """A hook that is newer than this kernel, which does not ask programs of some types for theirs when they are loaded."""
    first = minimum(spec.attach_type) if spec.attach_type is not None else None
    if spec.attach_type is None or first is None or first <= kernel_version():
        return None
    return Unsupported(f"The program {spec.name!r} is for the hook {spec.attach_type.name.lower()} {came_with(first)}.")


def _feature(spec: ProgramSpec, names: Iterable[str]) -> Unsupported | None:
    for name in names:
        minimum = BY_VERSION.get(name) or FEATURES[name].minimum
        if not (kernel_version() >= minimum if name in BY_VERSION else has_feature(name)):
            return Unsupported(f"The program {spec.name!r} needs {name} {came_with(minimum)}.")
    return None


def _instruction(spec: ProgramSpec) -> Unsupported | None:
    for instruction in spec.instructions:
        since = minimum_kernel(instruction)
        if since is not None and since > FIRST and not _has_instructions_of(since):
            return Unsupported(f"The program {spec.name!r} has the instruction `{_text(instruction)}` {came_with(since)}.")
    return None


def _has_instructions_of(first: tuple[int, int]) -> bool:
    """Whether this kernel has the instructions that a mainline kernel brought."""
    probes = [name for name, feature in FEATURES.items() if feature.minimum == first and name not in UNSEEN]
    return all(map(has_feature, probes)) if probes else kernel_version() >= first


def _text(instruction: Instruction) -> str:
    return disassemble([instruction]).splitlines()[-1].partition(") ")[2]


def _helper(spec: ProgramSpec, log: str) -> Unsupported | None:
    """A helper that the verifier does not know, or not for this type, while a later kernel does."""
    from purebpf.tables.helper_rows import NEWEST
    from purebpf.tables.helpers import helper_by_id

    said = UNKNOWN_HELPER.search(log)
    helper = helper_by_id(int(said[1])) if said else None
    if helper is None or spec.type not in helper.programs:
        return None
    calls = f"The program {spec.name!r} ({spec.type.name.lower()}) calls the helper {helper.name}"
    if kernel_version() < (since := parse(helper.since)):
        return Unsupported(f"{calls} {came_with(since)}.")
    if kernel_version() < NEWEST:
        return Unsupported(f"{calls}, which this kernel does not give to programs of this type {came_with(NEWEST, ' does')}.")
    return None
