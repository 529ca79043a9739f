"""How far the verifier trusts a pointer into the kernel (kernel/bpf/verifier.c:check_ptr_to_btf_access).

An object that the kernel hands to a program, or that the program holds a reference to, is trusted. What a pointer in it leads
to is not, but for a few fields, and for those that RCU protects while RCU is held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from purebpf.btf.types import Array, Ptr, Struct, TypeTag, Union
from purebpf.compiler.frontend import rcu

if TYPE_CHECKING:
    from purebpf.btf.reader import Btf
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.compiler.frontend.values import KernelRef

# BTF_TYPE_SAFE_TRUSTED, BTF_TYPE_SAFE_RCU and BTF_TYPE_SAFE_RCU_OR_NULL: struct.field
TRUSTED_FIELDS = frozenset(
    {"bpf_iter_meta.seq", "bpf_iter__task.meta", "bpf_iter__task.task", "linux_binprm.file", "file.f_inode", "socket.sk"}
)
RCU_FIELDS = frozenset(
    {
        "task_struct.cpus_ptr", "task_struct.cgroups", "task_struct.real_parent", "task_struct.group_leader", "cgroup.kn",
        "css_set.dfl_cgrp",
    }
)  # fmt: skip
NULLABLE_RCU_FIELDS = frozenset({"mm_struct.exe_file", "sk_buff.sk", "request_sock.sk"})


def walked(cx: Lowering, btf: Btf, ref: KernelRef, found: Ptr) -> str:
    """The trust in what the pointer at a place leads to."""
    field = _field(btf, ref)
    if ref.trust == "trusted" and field in TRUSTED_FIELDS:
        return "trusted"
    tagged = btf.type(found.type)
    protected = field in RCU_FIELDS | NULLABLE_RCU_FIELDS or (isinstance(tagged, TypeTag) and tagged.name == "rcu")
    return "rcu" if ref.trust and protected and in_rcu(cx) else ""


def never_null(btf: Btf, ref: KernelRef) -> bool:
    """Whether the verifier takes the pointer at a trusted place for one that is there."""
    return _field(btf, ref) in RCU_FIELDS | TRUSTED_FIELDS


def in_rcu(cx: Lowering) -> bool:
    """Whether RCU is held: programs that cannot sleep run under it."""
    return rcu.is_held(cx) or not cx.unit.kind.sleepable


def _field(btf: Btf, ref: KernelRef) -> str:
    """`struct.field` of a place."""
    here, name = btf.resolve(ref.root), ""
    for index in ref.path[1:]:
        found = btf.type(here)
        if isinstance(found, Array):
            return ""
        assert isinstance(found, Struct | Union)
        inner = found.members[index]
        if inner.name:
            name = f"{btf.name(here)}.{inner.name}"
        here = btf.resolve(inner.type)
    return name
