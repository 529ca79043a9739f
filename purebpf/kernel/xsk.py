"""AF_XDP sockets: frames that an XDP program redirects to a process, past the kernel's network (Linux 4.18;
Documentation/networking/af_xdp.rst).

A socket is for one queue of one interface. Frames lie in memory that the process shares with the kernel, in chunks of a page:
one half is for receiving, one for sending. Four rings hand chunks over: `fill` and `rx`, `tx` and `completion`.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import select
import socket
import struct
from collections.abc import Iterator, Mapping
from types import TracebackType

from purebpf.errors import Error, KernelError, NotLoaded
from purebpf.kernel.errors import failure
from purebpf.kernel.fence import Fence

# include/uapi/linux/socket.h, if_xdp.h
AF_XDP, SOL_XDP = 44, 283
MMAP_OFFSETS, RX_RING, TX_RING, UMEM_REG, FILL_RING, COMPLETION_RING, STATISTICS = 1, 2, 3, 4, 5, 6, 7
PAGES = {RX_RING: 0, TX_RING: 0x8000_0000, FILL_RING: 0x1_0000_0000, COMPLETION_RING: 0x1_8000_0000}
MODES = {"auto": 0, "copy": 1 << 1, "zerocopy": 1 << 2}  # XDP_COPY, XDP_ZEROCOPY
CHUNK = 4096
COUNTED = ("rx_dropped", "rx_invalid_descs", "tx_invalid_descs", "rx_ring_full", "rx_fill_ring_empty", "tx_ring_empty")
DESCRIPTOR = struct.Struct("=QII")  # struct xdp_desc: place, length, options
NEEDS = ("CAP_NET_RAW",)
REASONS = {
    errno.EBUSY: "The queue has an AF_XDP socket already.",
    errno.EINVAL: "There is no such queue, or the driver does not have this mode.",
    errno.EAFNOSUPPORT: "The kernel was built without it (CONFIG_XDP_SOCKETS, Linux 4.18).",
    errno.EOPNOTSUPP: "The driver does not have this mode; every one has mode='copy'.",
    errno.ENOBUFS: "The frames' memory is more than the process may lock (`ulimit -l`).",
    errno.ENODEV: "The interface is gone.",
    errno.ENETDOWN: "The interface is down.",
}


class _Ring:
    """One of the four rings: entries of the same size, a producer's and a consumer's position, which count on for ever."""

    def __init__(self, file: socket.socket, kind: int, count: int, entry: int, places: tuple[int, int, int]) -> None:
        producer, consumer, self.start = places
        self.memory = mmap.mmap(
            file.fileno(), self.start + count * entry, mmap.MAP_SHARED | mmap.MAP_POPULATE, offset=PAGES[kind]
        )
        self.words = memoryview(self.memory)[: self.start // 4 * 4].cast("I")
        self.producer, self.consumer = producer // 4, consumer // 4
        self.mask, self.entry = count - 1, entry

    def place(self, position: int) -> int:
        return self.start + (position & self.mask) * self.entry

    def close(self) -> None:
        self.words.release()
        self.memory.close()


class XskSocket:
    """A socket for one queue of an interface; put it into an `XskMap`, and have an XDP program redirect to it.

    `frames` is how many it can hold for receiving, and as many again for sending (a power of two). `mode`: "auto" (without
    copying where the driver can), "copy" or "zerocopy". Needs CAP_NET_RAW and Linux 4.18. A context manager.
    """

    def __init__(self, interface: str | int, queue: int = 0, *, frames: int = 1024, mode: str = "auto") -> None:
        if mode not in MODES:
            raise Error(f"An AF_XDP socket's mode is one of {', '.join(map(repr, MODES))}, not {mode!r}.")
        if frames < 1 or frames & (frames - 1):
            raise Error(f"An AF_XDP socket has a power of two of frames, not {frames}.")
        self.what = f"An AF_XDP socket for queue {queue} of interface {interface}"
        self._rings: dict[int, _Ring] = {}
        self._fence = Fence()
        index = _index(interface)
        self._memory = mmap.mmap(-1, 2 * frames * CHUNK)
        self._free = list(range(frames * CHUNK, 2 * frames * CHUNK, CHUNK))  # chunks for sending
        try:
            self._socket = socket.socket(AF_XDP, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        except OSError as error:
            self._memory.close()
            raise self._refused(error) from error
        try:
            self._set_up(index, queue, frames, MODES[mode])
        except OSError as error:
            self.close()
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> Error:
        return failure(error.errno or errno.EINVAL, self.what, needs=NEEDS, first=(4, 18), feature="AF_XDP", reasons=REASONS)

    def _set_up(self, index: int, queue: int, frames: int, flags: int) -> None:
        anchor = ctypes.c_char.from_buffer(self._memory)
        region = struct.pack("=QQIIII", ctypes.addressof(anchor), len(self._memory), CHUNK, 0, 0, 0)
        del anchor
        self._socket.setsockopt(SOL_XDP, UMEM_REG, region)
        for kind in PAGES:
            self._socket.setsockopt(SOL_XDP, kind, frames)
        offsets = struct.unpack("=16Q", self._socket.getsockopt(SOL_XDP, MMAP_OFFSETS, 128))
        for kind, start, entry in ((RX_RING, 0, 16), (TX_RING, 4, 16), (FILL_RING, 8, 8), (COMPLETION_RING, 12, 8)):
            self._rings[kind] = _Ring(self._socket, kind, frames, entry, offsets[start : start + 3])
        self._fill([number * CHUNK for number in range(frames)])
        address = struct.pack("=HHIII", AF_XDP, flags, index, queue, 0)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.bind(self._socket.fileno(), address, len(address)):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def _fill(self, chunks: list[int]) -> None:
        """Give chunks to the kernel to receive into; there is always room, since it had them before."""
        ring = self._rings[FILL_RING]
        position = ring.words[ring.producer]
        for chunk in chunks:
            struct.pack_into("=Q", ring.memory, ring.place(position), chunk)
            position += 1
        self._fence.pass_()
        ring.words[ring.producer] = position & 0xFFFF_FFFF

    def fileno(self) -> int:
        """Readable when there are frames; -1 when it is closed."""
        return self._socket.fileno()

    def receive(self, timeout: float | None = None) -> list[bytes]:
        """The frames that are there; waits up to `timeout` seconds (None: without end) for the first, [] when none came."""
        found = self._drain()
        if found or timeout == 0:
            return found
        poll = select.poll()
        poll.register(self._open(), select.POLLIN)
        poll.poll(None if timeout is None else timeout * 1000)
        return self._drain()

    def _open(self) -> socket.socket:
        if not self._rings:
            raise NotLoaded(f"{self.what} is closed.")
        return self._socket

    def _drain(self) -> list[bytes]:
        self._open()
        ring = self._rings[RX_RING]
        position, end = ring.words[ring.consumer], ring.words[ring.producer]
        self._fence.pass_()
        found, chunks = [], []
        while position != end:
            place, length, _ = DESCRIPTOR.unpack_from(ring.memory, ring.place(position))
            found.append(self._memory[place : place + length])
            chunks.append(place // CHUNK * CHUNK)
            position = (position + 1) & 0xFFFF_FFFF
        if found:
            self._fence.pass_()
            ring.words[ring.consumer] = position
            self._fill(chunks)
        return found

    def send(self, *frames: bytes) -> int:
        """Send frames out of the interface; how many found room. Raises KernelError, Error for a frame beyond a chunk."""
        opened = self._open()
        self._reclaim()
        ring = self._rings[TX_RING]
        position, sent = ring.words[ring.producer], 0
        for frame in frames[: len(self._free)]:
            if len(frame) > CHUNK:
                raise Error(f"A frame has up to {CHUNK} bytes here, not {len(frame)}.")
            place = self._free.pop()
            self._memory[place : place + len(frame)] = frame
            DESCRIPTOR.pack_into(ring.memory, ring.place(position), place, len(frame), 0)
            position, sent = (position + 1) & 0xFFFF_FFFF, sent + 1
        self._fence.pass_()
        ring.words[ring.producer] = position
        try:
            opened.send(b"", socket.MSG_DONTWAIT)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EBUSY, errno.ENOBUFS):  # the kernel goes on by itself
                raise failure(error.errno or errno.EIO, f"{self.what}: sending", reasons=REASONS) from error
        return sent

    def _reclaim(self) -> None:
        """Take back the chunks of frames that have been sent."""
        ring = self._rings[COMPLETION_RING]
        position, end = ring.words[ring.consumer], ring.words[ring.producer]
        self._fence.pass_()
        while position != end:
            self._free.append(struct.unpack_from("=Q", ring.memory, ring.place(position))[0] // CHUNK * CHUNK)
            position = (position + 1) & 0xFFFF_FFFF
        self._fence.pass_()
        ring.words[ring.consumer] = position

    @property
    def statistics(self) -> Mapping[str, int]:
        """What the kernel has counted of lost and refused frames (XDP_STATISTICS; less before Linux 5.9)."""
        data = self._open().getsockopt(SOL_XDP, STATISTICS, 48)
        return dict(zip(COUNTED, struct.unpack(f"={len(data) // 8}Q", data), strict=False))

    def __iter__(self) -> Iterator[bytes]:
        """The frames, until it is closed."""
        while self._rings:
            yield from self.receive()

    def close(self) -> None:
        """Closing again does nothing; it leaves the maps that it is in."""
        rings, self._rings = self._rings, {}
        for ring in rings.values():
            ring.close()
        self._socket.close()
        self._memory.close()

    def __enter__(self) -> XskSocket:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{self.what}{'' if self._rings else ', closed'}>"


def _index(interface: str | int) -> int:
    try:
        return interface if isinstance(interface, int) else socket.if_nametoindex(interface)
    except OSError as error:
        there = ", ".join(name for _, name in socket.if_nameindex())
        text = f"There is no network interface {interface!r} in this network namespace. There are: {there}."
        raise KernelError(errno.ENODEV, text) from error
