"""Dynptrs as a program sees them: of reserved bytes, of memory in maps and globals, of the packet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from purebpf.lang.dynptrs import dynptr
from purebpf.lang.types import type_of
from purebpf.runner.context import ProgramPacket
from purebpf.runner.names import stands_for
from purebpf.runner.views import Block, load, place_of, put
from purebpf.vm.facts import E2BIG, EINVAL
from purebpf.vm.memory import OFFSET_MASK

if TYPE_CHECKING:
    from purebpf.runner.session import Runner


class Dynptr:
    """`size` bytes of a block; `start` None where there are none."""

    def __init__(self, runner: Runner, block: Block, start: int | None, size: int) -> None:
        self.runner, self.block, self.start, self.size = runner, block, start, size

    def at(self, offset: int, type: Any) -> Any:
        """What is at an offset; None where the bytes end before."""
        layout = type_of(type)
        assert layout is not None
        if self.start is None or offset + layout.size > self.size:
            return None
        return load(self.block, self.start + offset, layout)

    def read(self, offset: int, type: Any) -> Any:
        """A copy of it, in memory of the program's own."""
        layout = type_of(type)
        assert layout is not None
        if self.start is None or offset + layout.size > self.size:
            return None
        first = self.start + offset
        return load(Block(bytearray(self.block.data[first : first + layout.size]), self.runner.function), 0, layout)

    def write(self, offset: int, data: Any) -> int:
        """Copy bytes to an offset; 0 or -errno."""
        raw = data.encode() + b"\0" if isinstance(data, str) else bytes(data)
        if self.start is None:
            return -EINVAL
        if offset + len(raw) > self.size:
            return -E2BIG
        put(self.block, self.start + offset, raw)
        return 0

    def __len__(self) -> int:
        return self.size


class OfPacket(Dynptr):
    """What is at an offset can only be read, though `write` writes."""

    def at(self, offset: int, type: Any) -> Any:
        layout = type_of(type)
        assert layout is not None and self.start is not None
        if offset + layout.size > self.size:
            return None
        readable = Block(self.block.data, self.block.methods, self.block.address, writable=False)
        return load(readable, self.start + offset, layout)


@stands_for(dynptr)
def make(runner: Runner, _: Any) -> Any:
    def of(source: Any) -> Dynptr:
        if isinstance(source, ProgramPacket):
            packet = source._packet
            address = packet.get("data") - packet.meta if packet.direct else None
            assert address is None or not address & OFFSET_MASK
            block = Block(packet.content, runner.function, address, packet.writable)
            return OfPacket(runner, block, packet.meta, packet.length)
        block, at, layout = place_of(source)
        return Dynptr(runner, block, at, layout.size)

    return of
