"""The virtual machine's address space: regions of bytes, each at a synthetic address, checked at every access.

An address is `region << SHIFT | offset`, so finding the region is one shift and one dictionary lookup, and a pointer is an
ordinary 64-bit number that the program may compute with. Regions are at most SPAN bytes long and lie SPAN apart: whatever
leaves
one is outside of all. Packets have numbers below 16, so that their addresses fit in the 32-bit fields `data` and `data_end`
of a context and can be loaded from there as they are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from purebpf.data import data

SHIFT = 28
SPAN = 1 << SHIFT
OFFSET_MASK = SPAN - 1

# Regions at fixed places. 0 is what null pointers point to and is never mapped.
PACKET = 1  # and, after helpers that move it, the numbers in PACKETS: an old pointer then points nowhere
FIRST_FRAME = 2  # the stack of the program itself
CONTEXT = 3
SOCKET = 4  # of a test run
PACKETS = (PACKET, *range(5, 16))
FRAMES = (FIRST_FRAME, *range(16, 23))
FIRST_FREE = 32

FRAME_BYTES = 512
NULL_BYTES = 1 << 16  # how far from 0 an address still counts as a null pointer in messages

Buffer = bytearray | memoryview


class Fault(Exception):
    """An access outside of memory, or against its permissions. Becomes a `VmError` that names the instruction."""


@data
class Owner:
    """Who holds the regions from `first` to `last`; `describe` names one of them."""

    first: int
    last: int
    describe: Callable[[int], str]


class Memory:
    """All regions of one engine.

    `readable` and `writable` map a region's number to its bytes; generated code looks there by itself. Whoever maps memory
    keeps
    the two in step: what can be written can be read, unless the region is write-only.
    """

    def __init__(self) -> None:
        self.readable: dict[int, Buffer] = {}
        self.writable: dict[int, Buffer] = {}
        self._owners: list[Owner] = []
        self._fixed: dict[int, str] = {}
        self._next = FIRST_FREE

    def reserve(self, count: int, describe: Callable[[int], str]) -> int:
        """Take `count` regions in a row without mapping any; the number of the first. `describe(number)` names one in
        messages."""
        first = self._next
        self._next += count
        self._owners.append(Owner(first, self._next - 1, describe))
        return first

    def name(self, region: int, description: str) -> None:
        """Say in messages what a region at a fixed place is."""
        self._fixed[region] = description

    def map(self, region: int, data: Buffer, *, writable: bool = True, readable: bool = True) -> int:
        """Put bytes at a region; its address. Accesses reach exactly `len(data)` bytes."""
        if len(data) > SPAN:
            raise Fault(f"a region of {len(data)} bytes is not possible; the most is {SPAN}")
        if readable:
            self.readable[region] = data
        if writable:
            self.writable[region] = data
        return region << SHIFT

    def unmap(self, region: int) -> None:
        """From now on an access there is a fault; the number is not used again."""
        self.readable.pop(region, None)
        self.writable.pop(region, None)

    def share(self, description: str, data: Buffer, *, writable: bool = True) -> int:
        """Map memory of a caller's; its address."""
        return self.map(self.reserve(1, lambda _: description), data, writable=writable)

    def release(self, first: int) -> None:
        """Unmap and forget what was reserved at `first`."""
        position = bisect_right(self._owners, first, key=lambda owner: owner.first) - 1
        owner = self._owners.pop(position)
        if owner.last - owner.first < len(self.readable) + len(self.writable):
            gone = list(range(owner.first, owner.last + 1))
        else:
            gone = [region for region in {*self.readable, *self.writable} if owner.first <= region <= owner.last]
        for region in gone:
            self.unmap(region)

    def read(self, address: int, size: int) -> bytes:
        """The bytes at an address. Raises Fault."""
        if size == 0:
            return b""
        offset = address & OFFSET_MASK
        data = self.readable.get(address >> SHIFT)
        if data is None or offset + size > len(data):
            raise Fault(self.explain(address, size, write=False))
        return bytes(data[offset : offset + size])

    def write(self, address: int, data: bytes) -> None:
        """Write bytes at an address. Raises Fault before anything is written."""
        if not data:
            return
        offset = address & OFFSET_MASK
        target = self.writable.get(address >> SHIFT)
        if target is None or offset + len(data) > len(target):
            raise Fault(self.explain(address, len(data), write=True))
        target[offset : offset + len(data)] = data

    def check_writable(self, address: int, size: int) -> None:
        """Raise Fault unless `size` bytes at an address can be written."""
        target = self.writable.get(address >> SHIFT)
        if size and (target is None or (address & OFFSET_MASK) + size > len(target)):
            raise Fault(self.explain(address, size, write=True))

    def read_text(self, address: int, limit: int) -> bytes:
        """The bytes up to a NUL, which is not included, or `limit` of them. Raises Fault where neither comes before the end."""
        offset = address & OFFSET_MASK
        data = self.readable.get(address >> SHIFT)
        if data is None or offset >= len(data):
            raise Fault(self.explain(address, 1, write=False))
        found = bytes(data[offset : offset + limit])
        end = found.find(0)
        if end < 0 and len(found) < limit:
            raise Fault(self.explain(address, len(found) + 1, write=False))
        return found if end < 0 else found[:end]

    def describe(self, region: int) -> str | None:
        """What a region is, or None where there is nothing."""
        if region in self._fixed:
            return self._fixed[region]
        position = bisect_right(self._owners, region, key=lambda owner: owner.first) - 1
        if position >= 0 and region <= self._owners[position].last:
            return self._owners[position].describe(region)
        return None

    def explain(self, address: int, size: int, write: bool) -> str:
        """Why an access is refused, as the end of a sentence that begins with what the program does."""
        address &= 0xFFFF_FFFF_FFFF_FFFF
        what = f"{'writes' if write else 'reads'} {size} byte{'s' if size != 1 else ''} at {address:#x}"
        if address < NULL_BYTES or address >= (1 << 64) - NULL_BYTES:
            offset = address if address < NULL_BYTES else address - (1 << 64)
            return f"{what}, a null pointer{f' {offset:+d}' if offset else ''}: test the pointer before it is used"
        region, offset = address >> SHIFT, address & OFFSET_MASK
        if offset > SPAN // 2 and offset >= len(self.readable.get(region, b"")) and self.describe(region + 1):
            region, offset = region + 1, offset - SPAN
        name = self.describe(region)
        if name is None:
            return f"{what}, where nothing is: the address belongs to no stack, context, packet, map value or given memory"
        return f"{what}, {self._place(region, name, offset, size, write)}"

    def _place(self, region: int, name: str, offset: int, size: int, write: bool) -> str:
        data = self.readable.get(region, self.writable.get(region))
        if data is None:
            return f"in {name}"
        total = f"{len(data)} byte{'s' if len(data) != 1 else ''}"
        if offset < 0:
            return f"{-offset} byte{'s' if offset != -1 else ''} before the start of {name} ({total})"
        if offset >= len(data):
            past = offset - len(data)
            return f"{f'{past} bytes past' if past else 'right at'} the end of {name} ({total})"
        if offset + size > len(data):
            return f"at offset {offset} of {name}, and so reaches {offset + size - len(data)} past its end ({total})"
        return f"in {name}, which is {'read-only' if write else 'write-only'}"
