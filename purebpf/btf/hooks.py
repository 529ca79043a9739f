"""The hooks that programs attach to by the number of a type: functions, security hooks, tracepoints, iterators.

The kernel marks each by the name of a function or type in its BTF (include/linux/bpf_lsm.h, include/trace/bpf_probe.h,
include/linux/bpf.h). A function may be in a module, and is then named alone or as "module:function".
"""

from __future__ import annotations

from purebpf.btf.reader import Btf
from purebpf.btf.running import module_btf, modules, stands_in
from purebpf.btf.types import Kind
from purebpf.data import data
from purebpf.errors import Error
from purebpf.tables.enums import AttachType

KERNEL = "vmlinux"
CHOICES = 3000  # that many names are compared with one that is not there


@data
class HookKind:
    """How hooks of an attach type are called in BTF, and what they are in words."""

    prefix: str
    kind: Kind
    what: str


FUNCTION = HookKind("", Kind.FUNC, "function")
HOOKS = {
    AttachType.TRACE_FENTRY: FUNCTION,
    AttachType.TRACE_FEXIT: FUNCTION,
    AttachType.MODIFY_RETURN: FUNCTION,
    AttachType.TRACE_RAW_TP: HookKind("btf_trace_", Kind.TYPEDEF, "tracepoint"),
    AttachType.LSM_MAC: HookKind("bpf_lsm_", Kind.FUNC, "security hook"),
    AttachType.LSM_CGROUP: HookKind("bpf_lsm_", Kind.FUNC, "security hook"),
    AttachType.TRACE_ITER: HookKind("bpf_iter_", Kind.FUNC, "iterator"),
}


@data
class Hook:
    """A type's number in the BTF of a module, or of the kernel itself ("vmlinux")."""

    module: str
    number: int


def find_hook(attach: AttachType, name: str) -> Hook | None:
    """Where a hook is; None when the kernel has none of that name. Raises Error for a module that is not there or has no BTF,
    Unsupported when the kernel offers no BTF."""
    hook = HOOKS[attach]
    module, colon, plain = name.rpartition(":")
    for place in (module,) if colon else (KERNEL, *sorted(modules())):
        numbers = module_btf(place).types_named(hook.prefix + plain, hook.kind)
        if numbers:
            return Hook(place, numbers[0])
    return None


def unknown_hook(attach: AttachType, name: str) -> str:
    """The sentence about a hook that is not there, with similar names."""
    hook = HOOKS[attach]
    module, colon, plain = name.rpartition(":")
    where = f"the module {module!r}" if colon else "the kernel"
    if attach is AttachType.TRACE_RAW_TP and "/" in plain and find_hook(attach, event := plain.rpartition("/")[2]):
        return f"a tp_btf program names its event without a category: write {event!r}, not {plain!r}"
    if hook is FUNCTION and _in_symbols(plain):
        return (
            f"the BTF of {where} does not describe its function `{plain}`, since it takes nothing or the compiler changed its "
            f'parameters: use @bpf.kprobe("{plain}")'
        )
    near = similar(plain, hook_names(module_btf(module or KERNEL), hook))
    known = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"{where} has no {hook.what} `{plain}`{known}"


def _in_symbols(name: str) -> bool:
    """Whether there is a function of that name, whatever BTF says."""
    from purebpf.btf.kallsyms import functions, read_symbols

    return not stands_in() and bool(functions(read_symbols(), name))


def hook_names(btf: Btf, hook: HookKind) -> list[str]:
    """The names of all hooks of a kind."""
    names = (btf.name(number) for number in btf.numbers(hook.kind))
    return [name.removeprefix(hook.prefix) for name in names if name.startswith(hook.prefix)]


def similar(name: str, names: list[str]) -> list[str]:
    """At most three names that look like one. Of very many, only those that begin alike are compared."""
    import difflib

    if len(names) > CHOICES:
        names = [each for each in names if each[:3] == name[:3] and abs(len(each) - len(name)) <= 6]
    return difflib.get_close_matches(name, names[: 4 * CHOICES], 3, 0.7)


def hook_of(attach: AttachType, name: str) -> Hook:
    """Where a hook is. Raises Error, with similar names, when there is none."""
    found = find_hook(attach, name)
    if found is None:
        raise Error(unknown_hook(attach, name))
    return found
