"""Packets from a capture file in the classic pcap format (https://www.tcpdump.org/manpages/pcap-savefile.5.html).

Both byte orders, timestamps in micro- or nanoseconds, Ethernet only. Not the newer pcapng.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from os import PathLike

from purebpf.errors import Error

MAGICS = {0xA1B2C3D4: 1_000_000, 0xA1B23C4D: 1_000_000_000}  # to ticks per second
ETHERNET = 1
PCAPNG = 0x0A0D0D0A
MAX_PACKET = 1 << 18


def read_packets(path: str | PathLike[str]) -> Iterator[bytes]:
    """The packets of a file, in order. Raises Error for a file that is no capture or ends in the middle of a packet."""
    with open(path, "rb") as file:
        header = file.read(24)
        order = _byte_order(header, path)
        (link,) = struct.unpack(order + "I", header[20:24])
        if link & 0xFFFF != ETHERNET:
            raise Error(f"{path}: the packets are of link type {link}; only Ethernet (1) can be read")
        while record := file.read(16):
            if len(record) < 16:
                raise Error(f"{path}: the file ends in the middle of a packet's header")
            _, _, captured, _ = struct.unpack(order + "IIII", record)
            if captured > MAX_PACKET:
                raise Error(f"{path}: a packet of {captured} bytes is announced; the file is damaged")
            packet = file.read(captured)
            if len(packet) < captured:
                raise Error(f"{path}: the file ends in the middle of a packet")
            yield packet


def _byte_order(header: bytes, path: str | PathLike[str]) -> str:
    if len(header) >= 4:
        for order in "<>":
            if struct.unpack(order + "I", header[:4])[0] in MAGICS and len(header) == 24:
                return order
        if struct.unpack("<I", header[:4])[0] == PCAPNG:
            raise Error(f"{path} is a pcapng file; convert it: editcap -F pcap {path} out.pcap")
    raise Error(f"{path} is no capture file in pcap format")


def write_packets(path: str | PathLike[str], packets: list[bytes]) -> None:
    """Write a capture file; packet n has the time n milliseconds."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, MAX_PACKET, ETHERNET))
        for n, packet in enumerate(packets):
            file.write(struct.pack("<IIII", n // 1000, n % 1000 * 1000, len(packet), len(packet)) + packet)
