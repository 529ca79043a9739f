"""Maps that packets are redirected to: network interfaces, CPUs, AF_XDP sockets."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from purebpf.errors import Error
from purebpf.lang import declaring
from purebpf.lang.idioms import _only_in_a_program
from purebpf.lang.maps.keyed import KeyedMap
from purebpf.lang.packing import Decoder
from purebpf.lang.types import IntType, Type
from purebpf.tables.enums import MapType

K = TypeVar("K")
V = TypeVar("V")
WORD = IntType(32)
NONE_YET = 0xFFFF_FFFF  # of a program: a closed descriptor


class Held(KeyedMap[K, V], Generic[K, V]):
    """A map that holds things of the kernel. In a program it has methods of its own, and its values cannot be read."""


class Targets(Held[int, Any]):
    """Places a packet can be redirected to."""

    parameters = 0

    def redirect(self, index: int, flags: int = 0) -> int:
        """Send the packet to the entry at an index; return its result from an XDP program (helper redirect_map). The low bits
        of `flags` are the result where there is none."""
        _only_in_a_program(f"{type(self).__name__}.redirect()")


class WithPrograms(Targets):
    """Targets that may have an XDP program each, which gets the packets that arrive there.

    With `programs=True` a value is a number alone or a pair of it and a loaded program; reading gives a pair with the program's
    id, None where it has none.
    """

    def __init__(self, max_entries: int, *, programs: bool = False, name: str | None = None, flags: int = 0) -> None:
        super().__init__(max_entries, name=name, flags=flags)
        self.programs = programs

    @property
    def value_type(self) -> Type:
        return IntType(64) if self.programs else WORD

    def number(self, value: Any) -> int:
        """The number that stands for a target."""
        return int(value) if isinstance(value, int) and not isinstance(value, bool) else self._no_target(value)

    def _no_target(self, value: Any) -> int:
        raise TypeError(f"the value of `{self.name}` is {self.holds}, not {value!r}")

    holds = "a number"

    def _encode(self, value: Any) -> bytes:
        if not isinstance(value, tuple):
            return self._fitted("value", WORD, self.number(value)) + (b"\xff" * 4 if self.programs else b"")
        if not self.programs or len(value) != 2:
            hint = f"bpf.{type(self).__name__}(max_entries=..., programs=True) takes pairs of a target and its program"
            raise declaring.error(f"the value of `{self.name}` is {self.holds}", hint)
        return self._fitted("value", WORD, self.number(value[0])) + WORD.encode(_handle(value[1]))

    def _unpacker(self, one: Decoder) -> Decoder:
        return (lambda data: (WORD.decode(data[:4]), WORD.decode(data[4:8]) or None)) if self.programs else one


def _handle(program: Any) -> int:
    """The descriptor of a loaded program."""
    if program is None:
        return NONE_YET
    loaded = getattr(program, "loaded", None)
    handle = getattr(loaded, "handle", None)
    if not isinstance(handle, int):
        raise TypeError(f"a program is wanted, not {program!r}")
    return handle


class DevMap(WithPrograms):
    """Network interfaces by index, for `redirect` (BPF_MAP_TYPE_DEVMAP, Linux 4.14). Values are interfaces, by name or index;
    0 means none. With `programs=True` (Linux 5.8) each may have a program, `@bpf.xdp("devmap")`."""

    kind = MapType.DEVMAP
    holds = "a network interface, by name or index"

    def number(self, value: Any) -> int:
        if not isinstance(value, str):
            return super().number(value)
        import socket

        try:
            return socket.if_nametoindex(value)
        except OSError:
            there = ", ".join(name for _, name in socket.if_nameindex())
            raise Error(f"There is no network interface {value!r} in this network namespace. There are: {there}.") from None


class DevMapHash(DevMap):
    """The same under any 32-bit key (BPF_MAP_TYPE_DEVMAP_HASH, Linux 5.4), such as the interface's own index."""

    kind = MapType.DEVMAP_HASH


class CpuMap(WithPrograms):
    """CPUs by number, for `redirect` (BPF_MAP_TYPE_CPUMAP, Linux 4.15): the packet's way through the network goes on
    there. Values are how many packets may wait (up to 16384); 0 means none. With `programs=True` (Linux 5.9) each may have a
    program, `@bpf.xdp("cpumap")`."""

    kind = MapType.CPUMAP
    holds = "the length of the queue"


class XskMap(Targets):
    """AF_XDP sockets by index, for `redirect` (BPF_MAP_TYPE_XSKMAP, Linux 4.18), usually the packet's `ctx.rx_queue_index`. In
    user space `xsks[0] = socket`; they can be put in and taken out, and not be read."""

    kind = MapType.XSKMAP

    def _encode(self, value: Any) -> bytes:
        return self._fitted("value", WORD, descriptor(self, value))


def descriptor(map: KeyedMap[Any, Any], value: Any) -> int:
    """The descriptor of an open socket. Raises TypeError and ValueError."""
    fileno = getattr(value, "fileno", None)
    if fileno is None:
        raise TypeError(f"the value of `{map.name}` is a socket, not {value!r}")
    number = fileno()
    if number < 0:
        raise ValueError(f"the socket for `{map.name}` is closed")
    return int(number)
