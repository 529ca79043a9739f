"""The hook of a program that is attached by the number of a type: looked up when the program is loaded (Linux 5.5)."""

from __future__ import annotations

from purebpf.btf.hooks import HOOKS, KERNEL, find_hook, unknown_hook
from purebpf.errors import Error
from purebpf.kernel.descriptor import Descriptor
from purebpf.spec import ProgramSpec


def open_hook(spec: ProgramSpec) -> tuple[int, Descriptor]:
    """The number of the type, and the BTF of the module that has it (closed for the kernel itself; Linux 5.11).

    Raises Error, with similar names, when there is no such hook; Unsupported when the kernel offers no BTF.
    """
    if spec.attach_type not in HOOKS:
        said = "none" if spec.attach_type is None else spec.attach_type.name.lower()
        known = ", ".join(attach.name.lower() for attach in HOOKS)
        raise Error(
            f"The program {spec.name!r} has the attach type {said}, but a {spec.type.name.lower()} program has one of {known}."
        )
    found = find_hook(spec.attach_type, spec.attach_to)
    if found is None:
        raise Error(f"The program {spec.name!r} cannot be loaded: {unknown_hook(spec.attach_type, spec.attach_to)}.")
    if found.module == KERNEL:
        return found.number, Descriptor.none()
    from purebpf.kernel.btf import module_btf

    return found.number, module_btf(found.module)
