"""The packet of a run: its bytes in the machine's memory, and the fields of the context that point there.

Direct access reaches from `data_meta` to `data_end` and not a byte further. A helper that changes the packet's size moves
it to another address, so that a program which goes on using an old pointer gets an error, as the kernel's verifier would
tell it.
"""

from __future__ import annotations

from purebpf.data import data
from purebpf.vm.machine import Machine
from purebpf.vm.memory import CONTEXT, PACKETS, Fault

NETWORK_OFFSET, LINK_OFFSET = -0x100000, -0x200000  # SKF_NET_OFF and SKF_LL_OFF, include/uapi/linux/filter.h


@data
class Place:
    """Where a field is in a context: bytes."""

    offset: int
    size: int


class Packet:
    """`content` are `meta` bytes of metadata and the packet itself. `places` are all fields of the context's structure."""

    def __init__(
        self, machine: Machine, content: bytes, meta: int, places: dict[str, Place], *, direct: bool, writable: bool
    ) -> None:
        self.machine = machine
        self.content = bytearray(content)
        self.meta = meta
        self.places = places
        self.direct = direct
        self.writable = writable
        self._turn = -1
        self.move()

    @property
    def data(self) -> bytes:
        """The packet without its metadata."""
        return bytes(self.content[self.meta :])

    @property
    def length(self) -> int:
        return len(self.content) - self.meta

    def set(self, name: str, value: int) -> None:
        """Write a field of the context."""
        place = self.places[name]
        context = self.machine.memory.readable[CONTEXT]
        context[place.offset : place.offset + place.size] = self.machine.bytes(value, place.size)

    def place_bytes(self, name: str, data: bytes) -> None:
        """Write a field of the context as it is, in network byte order."""
        place = self.places[name]
        self.machine.memory.readable[CONTEXT][place.offset : place.offset + place.size] = data

    def get(self, name: str) -> int:
        place = self.places[name]
        return self.machine.integer(bytes(self.machine.memory.readable[CONTEXT][place.offset : place.offset + place.size]))

    def move(self) -> None:
        """Put the packet, whose size or beginning has changed, at another address."""
        memory = self.machine.memory
        if self._turn >= 0:
            old = PACKETS[self._turn]
            memory.unmap(old)
            memory.name(old, "a packet that has moved since: its size was changed, so read data and data_end again")
        self._turn = (self._turn + 1) % len(PACKETS)
        region = PACKETS[self._turn]
        memory.name(region, "the packet")
        if self.direct:
            start = memory.map(region, self.content, writable=self.writable)
            self.set("data_meta", start)
            self.set("data", start + self.meta)
            self.set("data_end", start + len(self.content))

    def remove(self) -> None:
        """Unmap it at the end of the run."""
        region = PACKETS[self._turn]
        self.machine.memory.unmap(region)
        self.machine.memory.name(region, "the packet of an earlier run")

    def resize(self, content: bytes, meta: int) -> None:
        self.content = bytearray(content)
        self.meta = meta
        self.move()

    def first(self, size: int) -> bytes | None:
        """The first bytes of the packet, or None when it has fewer."""
        return self.read(0, size)

    def read(self, offset: int, size: int) -> bytes | None:
        """Bytes of the packet, or None outside of it."""
        start = self.meta + offset
        return bytes(self.content[start : start + size]) if offset >= 0 and start + size <= len(self.content) else None

    def write(self, offset: int, data: bytes) -> bool:
        """Overwrite bytes of the packet; False outside of it."""
        start = self.meta + offset
        if offset < 0 or start + len(data) > len(self.content):
            return False
        self.content[start : start + len(data)] = data
        return True

    def classic(self, offset: int, size: int) -> bytes | None:
        """What a classic load gets: negative offsets count from the network or the link header."""
        raise Fault("loads from the packet the classic way, which only programs on socket buffers may")


HEADROOM = 256  # XDP_PACKET_HEADROOM
BUFFER_BYTES = 4096  # a page, which the kernel's test run takes
SHARED_INFO = 320  # what struct skb_shared_info takes at the buffer's end, aligned
FRAME_INFO = 40  # what struct xdp_frame takes at its beginning
LARGEST_META = 252  # what fits in skb_shared_info.meta_len and is a multiple of 4
ETHERNET = 14


class XdpPacket(Packet):
    """A frame in a driver's buffer. `front` is what lies before the metadata: room for more of them and for new headers."""

    def __init__(self, machine: Machine, content: bytes, meta: int, places: dict[str, Place]) -> None:
        super().__init__(machine, content, meta, places, direct=True, writable=True)
        self.front = bytes(HEADROOM - meta)

    @property
    def tailroom(self) -> int:
        return max(BUFFER_BYTES - SHARED_INFO - len(self.front) - len(self.content), 0)

    def shift(self, delta: int) -> None:
        """Move the packet's beginning, and its metadata with it. What is left in front is there again when it moves back."""
        whole = bytearray(self.front + self.content)
        start = len(self.front) + delta
        whole[start : start + self.meta] = self.content[: self.meta]
        self.front = bytes(whole[:start])
        self.resize(bytes(whole[start:]), self.meta)

    def grow_meta(self, size: int) -> None:
        """Make the metadata longer by `size` bytes, or shorter."""
        whole = self.front + bytes(self.content)
        start = len(self.front) - size
        self.front = whole[:start]
        self.resize(whole[start:], self.meta + size)


class SkbPacket(Packet):
    """A socket buffer. `link` is the Ethernet header of a packet that is seen from the network header on, else empty."""

    def __init__(
        self, machine: Machine, content: bytes, link: bytes, places: dict[str, Place], *, direct: bool, writable: bool
    ) -> None:
        self.link = link
        super().__init__(machine, content, 0, places, direct=direct, writable=writable)

    def move(self) -> None:
        super().move()
        self.set("len", len(self.content))

    @property
    def network_offset(self) -> int:
        """Where the network header begins."""
        return 0 if self.link else ETHERNET

    def from_header(self, offset: int, size: int, network: bool) -> bytes | None:
        """Bytes counted from the network or link header."""
        whole = self.link + bytes(self.content)
        start = offset + (ETHERNET if network else 0)
        return whole[start : start + size] if offset >= 0 and start + size <= len(whole) else None

    def classic(self, offset: int, size: int) -> bytes | None:
        if offset >= 0:
            return self.read(offset, size)
        if offset >= NETWORK_OFFSET:
            return self.from_header(offset - NETWORK_OFFSET, size, True)
        return self.from_header(offset - LINK_OFFSET, size, False)
