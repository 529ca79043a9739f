"""Whether the running kernel has what a program's decorator names: asked when the program is compiled.

Where it cannot be told (no BTF, no right to read, another system) nothing is refused; attaching will tell.
"""

from __future__ import annotations

from purebpf.errors import Error, Unsupported
from purebpf.lang.program_types import ProgramKind


def unknown(kind: ProgramKind, hook: str) -> str | None:
    """Why there is no such hook, with similar names; None when there is one, or when it cannot be told."""
    match kind.decorator:
        case "tracepoint":
            from purebpf.lang import tracepoints

            return tracepoints.unknown(hook)
        case "raw_tracepoint":
            from purebpf.lang import raw_tracepoints

            return raw_tracepoints.unknown(hook)
        case "uprobe" | "uretprobe" | "uprobe_session":
            from purebpf.binaries import places

            return places.unknown(hook, kind.attach is not None)
        case "usdt":
            from purebpf.binaries import places

            return places.unknown_probe(hook)
        case "ksyscall" | "kretsyscall":
            import os

            from purebpf.lang.system_calls import function_of

            return _function(function_of(hook, os.uname().machine))
        case "kprobe" | "kretprobe" | "kprobe_session":
            return next(filter(None, map(_function, hook.split(","))), None)
        case "fentry" | "fexit" | "fmod_ret" | "lsm" | "lsm_cgroup" | "tp_btf" | "iter":
            return _typed(kind, hook)
    return None


def unknown_elsewhere(kind: ProgramKind, hook: str) -> str | None:
    """The same by another kernel's BTF, which tells nothing of tracepoints' formats and not of all functions."""
    from purebpf.btf.hooks import HOOKS, hook_names, unknown_hook
    from purebpf.btf.running import kernel_btf
    from purebpf.tables.enums import AttachType

    if kind.decorator == "tracepoint":
        return None
    if kind.decorator != "raw_tracepoint":
        return unknown(kind, hook)
    event = AttachType.TRACE_RAW_TP
    known = hook_names(kernel_btf(), HOOKS[event])
    return unknown_hook(event, hook) if known and hook not in known else None


def _typed(kind: ProgramKind, hook: str) -> str | None:
    """Of hooks that the kernel's BTF names."""
    from purebpf.btf.hooks import find_hook, unknown_hook

    assert kind.attach is not None
    try:
        return None if find_hook(kind.attach, hook) is not None else unknown_hook(kind.attach, hook)
    except Unsupported:
        return None
    except Error as error:
        return str(error)


def _function(name: str) -> str | None:
    """Of a probe's function: BTF, which is read already, knows most of them; the table of symbols all."""
    from purebpf.btf import kallsyms
    from purebpf.btf.running import kernel_btf, stands_in
    from purebpf.btf.targets import is_pattern, target
    from purebpf.btf.types import Kind

    try:
        if not is_pattern(name):
            wanted = target(name)
            if not wanted.module and kernel_btf().types_named(wanted.name, Kind.FUNC):
                return None
    except Unsupported:
        pass
    except Error as error:
        return str(error)
    return None if stands_in() else kallsyms.unknown(name)
