"""Maps that hold sockets and cgroups: Python's on one side, the kernel's on the other.

In user space a socket is put in by any object with `fileno()`, and reading gives its cookie (SO_COOKIE), a number that stands
for it. Closing a socket takes it out.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from purebpf.lang.idioms import _only_in_a_program
from purebpf.lang.maps.declaration import KEY32
from purebpf.lang.maps.devices import Held, descriptor
from purebpf.lang.types import IntType, Type
from purebpf.tables.enums import MapType

K = TypeVar("K")
COOKIE = IntType(64)


class Sockets(Held[K, Any], Generic[K]):
    """What the maps of sockets share."""

    @property
    def value_type(self) -> Type:
        return COOKIE

    def _encode(self, value: Any) -> bytes:
        return COOKIE.encode(descriptor(self, value))

    def select(self, ctx: Any, key: K, flags: int = 0) -> int:
        """In an `sk_reuseport` program: the packet is for the socket of a key, one of its group (helper sk_select_reuseport); 0
        or a negative errno."""
        _only_in_a_program(f"{type(self).__name__}.select()")


class StreamSockets(Sockets[K], Generic[K]):
    """Sockets whose messages and streams go through programs: `sk_msg` and `sk_skb` programs are attached to the map. They are
    for the sockets that are put in from then on, and until these are taken out."""

    def redirect(self, ctx: Any, key: K, flags: int = 0) -> int:
        """In an `sk_msg` or `sk_skb` program: pass the data on to the socket of a key, to be sent by it or, with
        `bpf.BPF_F_INGRESS`, to be received from it. Return the result: `SK_DROP` where there is no such socket."""
        _only_in_a_program(f"{type(self).__name__}.redirect()")

    if TYPE_CHECKING:

        def get(self, key: K, default: Any = None) -> Any:
            """In a program: the socket of a key, or None; to be given back with `bpf.helpers.sk_release(sk)`. In user space its
            cookie, or the default."""

    def add(self, ctx: Any, key: K, flags: int = 0) -> int:
        """In a `sockops` program: put the context's socket in; 0 or a negative errno."""
        _only_in_a_program(f"{type(self).__name__}.add()")

    def assign(self, ctx: Any, key: K, flags: int = 0) -> int:
        """In an `sk_lookup` or `tc` program: the packet is for the socket of a key (helper sk_assign); 0 or a negative errno,
        -ENOENT where there is no such socket."""
        _only_in_a_program(f"{type(self).__name__}.assign()")


class SockMap(StreamSockets[int]):
    """TCP, UDP and Unix sockets by index (BPF_MAP_TYPE_SOCKMAP, Linux 4.14; UDP 5.7, Unix 5.15)."""

    kind = MapType.SOCKMAP
    parameters = 0

    @property
    def key_type(self) -> Type:
        return KEY32


class SockHash(StreamSockets[K], Generic[K]):
    """The same by keys of type K (BPF_MAP_TYPE_SOCKHASH, Linux 4.18): `bpf.SockHash[Flow](max_entries=64)`."""

    kind = MapType.SOCKHASH
    parameters = 1

    @property
    def key_type(self) -> Type:
        return self.types[0]


class ReusePortSockArray(Sockets[int]):
    """Sockets that are bound to one port together, by index (BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, Linux 4.19)."""

    kind = MapType.REUSEPORT_SOCKARRAY
    parameters = 0

    @property
    def key_type(self) -> Type:
        return KEY32


class CgroupArray(Held[int, Any]):
    """Cgroups of version 2 by index (BPF_MAP_TYPE_CGROUP_ARRAY, Linux 4.8). In user space a value is the cgroup's folder, or an
    open file of it; it cannot be read back."""

    kind = MapType.CGROUP_ARRAY
    parameters = 0

    def holds_current(self, index: int) -> int:
        """In a tracing program: whether the current task is in the cgroup or below (helper current_task_under_cgroup): 1, 0, or
        a negative errno."""
        _only_in_a_program("CgroupArray.holds_current()")

    def holds_packet(self, ctx: Any, index: int) -> int:
        """In a `tc` or `lwt` program: whether the packet's socket is of the cgroup or below (helper skb_under_cgroup): 1, 0,
        or a negative errno."""
        _only_in_a_program("CgroupArray.holds_packet()")

    def __setitem__(self, key: int, value: Any) -> None:
        self.set(key, value)

    def set(self, key: int, value: Any, flags: int = 0) -> int:
        number = value if isinstance(value, int) and not isinstance(value, bool) else None
        if number is None and hasattr(value, "fileno"):
            number = int(value.fileno())
        if number is not None:
            self.live.update(self._key(key), self._fitted("value", KEY32, number), flags)
            return 0
        if not isinstance(value, str | os.PathLike):
            raise TypeError(f"the value of `{self.name}` is the folder of a cgroup, not {value!r}")
        folder = os.open(value, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return self.set(key, folder, flags)
        finally:
            os.close(folder)
