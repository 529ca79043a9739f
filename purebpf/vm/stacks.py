"""Stack trace maps (kernel/bpf/stackmap.c). The virtual machine runs on no stack of machine code, so it never finds one."""

from __future__ import annotations

from purebpf.vm.facts import EFAULT, EINVAL
from purebpf.vm.machine import Machine
from purebpf.vm.maps import VmMap
from purebpf.vm.memory import Fault


class StackTrace(VmMap):
    """Always empty."""

    def user_get(self, key: bytes) -> bytes | None:
        return None

    def remove(self, key: bytes) -> bool:
        return False

    def following(self, key: bytes | None) -> bytes | None:
        return None


def get_stackid(vm: Machine, ctx: int, map: int, flags: int) -> int:
    found = vm.map_at(map)
    if not isinstance(found, StackTrace):
        raise Fault(f"keeps a stack in {found.what}, which is no stack trace map but a {found.kind}")
    return -EFAULT


def get_stack(vm: Machine, ctx: int, buf: int, size: int, flags: int) -> int:
    if size % 8:
        return -EINVAL
    vm.memory.write(buf, bytes(size))  # as the kernel does where it finds none
    return -EFAULT


HELPERS = (get_stackid, get_stack)
