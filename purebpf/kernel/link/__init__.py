"""Links: programs attached to their hooks, one module a kind. `attach` finds the module by the program's type."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from purebpf.errors import Unsupported
from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.program import KernelProgram
from purebpf.tables.enums import ProgramType

KINDS = {
    ProgramType.XDP: "xdp",
    ProgramType.SCHED_CLS: "tcx",
    ProgramType.TRACEPOINT: "tracepoint",
    ProgramType.RAW_TRACEPOINT: "raw_tracepoint",
    ProgramType.RAW_TRACEPOINT_WRITABLE: "raw_tracepoint",
    ProgramType.PERF_EVENT: "perf_event",
    ProgramType.SOCKET_FILTER: "socket_filter",
}


def attach(program: KernelProgram, options: Mapping[str, object]) -> KernelLink:
    """Attach a program to the hook of its type; each kind's module lists its options in `OPTIONS`."""
    kind = KINDS.get(program.spec.type)
    if kind is None:
        kinds = ", ".join(sorted({type.name.lower() for type in KINDS}))
        raise Unsupported(f"{program.descriptor.what} cannot be attached yet. These types can: {kinds}.")
    made: KernelLink = import_module(f"{__name__}.{kind}").attach(program, options)
    return made
