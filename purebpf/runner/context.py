"""The context of a run, and the packet behind it, in the machine's memory."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from purebpf.errors import Error
from purebpf.lang.given import field_type
from purebpf.lang.reading import TEXT_BYTES
from purebpf.lang.types import ArrayType, BytesType, CharsType, IntType, StructType, Type, type_of
from purebpf.runner.views import Block, Fetched, Text, load, store
from purebpf.tables.contexts import context as context_of
from purebpf.tables.enums import ProgramType
from purebpf.vm.memory import CONTEXT, OFFSET_MASK, SHIFT
from purebpf.vm.packet import Packet

if TYPE_CHECKING:
    from purebpf.runner.session import Runner

ADDRESS = CONTEXT << SHIFT
POINTERS = ("data", "data_end", "data_meta")


class ProgramContext:
    """`ctx`: the fields that the program's type has."""

    __slots__ = ("_runner",)

    def __init__(self, runner: Runner) -> None:
        object.__setattr__(self, "_runner", runner)

    def _place(self, name: str) -> tuple[Block, int, Type, bool]:
        """Where a field lies: block, offset, type, and whether it can be written."""
        runner = self._runner
        block = Block(runner.machine.memory.readable[CONTEXT], runner.function, ADDRESS, False)
        if runner.kind.type == ProgramType.TRACEPOINT:
            from purebpf.lang.tracepoints import event_fields

            event = event_fields(runner.hook).get(name)
            if event is not None and event.type is not None:
                return block, event.offset, event.type, False
        elif runner.kind.decorator == "raw_tracepoint" and name == "args":
            return block, 0, ArrayType(IntType(64), min(12, len(block.data) // 8)), False
        else:
            table = context_of(runner.kind.type)
            field = table.fields.get(name) if table is not None and name not in POINTERS else None
            if field is not None:
                return block, field.offset, field_type(field), field.writable
        raise AttributeError(f"the context of a program of type `{runner.kind.decorator}` has no field `{name}`")

    def record(self, layout: StructType) -> Any:
        """The whole context as a record that the program may write."""
        block = Block(self._runner.machine.memory.readable[CONTEXT], self._runner.function, ADDRESS, True)
        if len(block.data) < layout.size:
            raise Error(f"the context of this run has {len(block.data)} bytes, and the program's `{layout}` has {layout.size}")
        return load(block, 0, layout)

    def _sockets(self) -> tuple[str, ...]:
        table = context_of(self._runner.kind.type)
        return () if table is None else tuple(field.name for field in table.fields.values() if field.kind == "socket")

    def _socket(self, name: str) -> Any:
        """The socket that a field points to, or None."""
        from purebpf.lang.sockets import SOCKET_COMMON

        table = context_of(self._runner.kind.type)
        assert table is not None
        field, memory = table.fields[name], self._runner.machine.memory
        address = int.from_bytes(memory.readable[CONTEXT][field.offset : field.offset + 8], sys.byteorder)
        return socket_at(self._runner, address, SOCKET_COMMON)

    def _dynamic_text(self, name: str) -> Fetched | None:
        """A text behind the event's fixed part."""
        from purebpf.lang.tracepoints import event_fields, text_base

        field = event_fields(self._runner.hook).get(name)
        base = text_base(field) if field is not None else None
        if field is None or base is None:
            return None
        content = self._runner.machine.memory.readable[CONTEXT]
        address = ADDRESS + base + int.from_bytes(content[field.offset : field.offset + 2], sys.byteorder)

        def read(size: int) -> Text:
            place: Text = self._runner.zeroed(CharsType(size))
            self._runner.helper("probe_read_kernel_str", place, address)
            return place

        return Fetched(read, TEXT_BYTES)

    def __getattr__(self, name: str) -> Any:
        if name == "packet" and self._runner.kind.packet:
            return ProgramPacket(self._runner)
        if self._runner.kind.type == ProgramType.TRACEPOINT and (text := self._dynamic_text(name)) is not None:
            return text
        if name in self._sockets():
            return self._socket(name)
        block, at, type, writable = self._place(name)
        if at + type.size > len(block.data):
            raise Error(
                f"`ctx.{name}` lies at {at}, but the context that was given has {len(block.data)} bytes: give the program "
                f"one with `ctx=...`"
            )
        block.writable = writable
        return load(block, at, type)

    def __setattr__(self, name: str, value: Any) -> None:
        block, at, type, writable = self._place(name)
        if not writable:
            raise Error(f"`{name}` cannot be written in a program of type `{self._runner.kind.decorator}`")
        block.writable = True
        store(block, at, type, value)

    def __repr__(self) -> str:
        return f"<the context of a {self._runner.kind.decorator} program>"


def socket_at(runner: Runner, address: int, type: Type) -> Any:
    """What a program sees of the socket at an address of the machine; None for no address."""
    if not address:
        return None
    data = runner.machine.memory.readable[address >> SHIFT]
    return load(Block(data, runner.function, address & ~OFFSET_MASK, False), address & OFFSET_MASK, type)


class ProgramPacket:
    """`ctx.packet`."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @property
    def _packet(self) -> Packet:
        packet = self._runner.machine.packet
        assert packet is not None
        return packet

    def __len__(self) -> int:
        return self._packet.length

    def at(self, offset: int, type: Any) -> Any:
        """A reference into the packet; None where it is too short."""
        packet, layout = self._packet, type_of(type)
        assert layout is not None
        if offset < 0 or offset + layout.size > packet.length:
            return None
        if not packet.direct:
            return self.load(offset, type)
        return self._reference(offset, layout)

    def _reference(self, offset: int, layout: Type) -> Any:
        packet = self._packet
        start = packet.get("data") - packet.meta
        assert not start & OFFSET_MASK
        return load(Block(packet.content, self._runner.function, start, packet.writable), packet.meta + offset, layout)

    def load(self, offset: int, type: Any) -> Any:
        """A copy; None where the packet is too short."""
        layout = type_of(type)
        assert layout is not None
        return self._copy(offset, layout)

    def _copy(self, offset: int, layout: Type) -> Any:
        if offset < 0 or offset + layout.size > self._packet.length:
            return None
        copy = self._packet.read(offset, layout.size)
        return load(Block(bytearray(copy or b""), self._runner.function, writable=False), 0, layout)

    def store(self, offset: int, data: Any, flags: int = 0) -> int:
        """0 or a negative errno."""
        xdp = self._runner.kind.type == ProgramType.XDP
        name, more = ("xdp_store_bytes", {}) if xdp else ("skb_store_bytes", {"flags": flags})
        return self._runner.helper(name, self._runner.context, offset, data, **more)  # type: ignore[no-any-return]

    def __getitem__(self, bounds: slice) -> Any:
        start, layout = bounds.start or 0, BytesType(bounds.stop - (bounds.start or 0))
        if start + layout.size > self._packet.length:
            return None
        return self._reference(start, layout) if self._packet.direct else self._copy(start, layout)

    def adjust_head(self, delta: int) -> int:
        return self._runner.helper("xdp_adjust_head", self._runner.context, delta)  # type: ignore[no-any-return]

    def adjust_tail(self, delta: int) -> int:
        return self._runner.helper("xdp_adjust_tail", self._runner.context, delta)  # type: ignore[no-any-return]

    def adjust_meta(self, delta: int) -> int:
        return self._runner.helper("xdp_adjust_meta", self._runner.context, delta)  # type: ignore[no-any-return]

    def __bytes__(self) -> bytes:
        return self._packet.data

    def __repr__(self) -> str:
        return f"<a packet of {len(self)} bytes: {bytes(self)[:32].hex(' ')}{' ...' if len(self) > 32 else ''}>"
