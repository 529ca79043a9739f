"""Maps of what the virtual machine has not: sockets and cgroups. Programs can refer to them and find nothing there."""

from __future__ import annotations

from purebpf.errors import Unsupported
from purebpf.vm.maps import VmMap


class Empty(VmMap):
    """A map without entries, into which nothing can be put."""

    def user_get(self, key: bytes) -> bytes | None:
        return None

    def user_put(self, key: bytes, value: bytes, flags: int) -> None:
        raise Unsupported(f"{self.what} holds things of the kernel, of which the virtual machine has none".capitalize())

    def remove(self, key: bytes) -> bool:
        return False

    def following(self, key: bytes | None) -> bytes | None:
        return None

    def has_target(self, key: int) -> bool:
        return False
