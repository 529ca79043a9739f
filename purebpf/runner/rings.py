"""Ring buffers as a program sees them, on the rings of the virtual machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from purebpf.lang.rings import RingBuf
from purebpf.runner.dynptrs import Dynptr
from purebpf.runner.maps import Keyed, ProgramMap
from purebpf.runner.names import stands_for_kind
from purebpf.runner.views import Block, View, encoded, load, place_of, store, view
from purebpf.vm.memory import SHIFT
from purebpf.vm.rings import RingBuf as VmRing

if TYPE_CHECKING:
    from purebpf.runner.session import Runner


class Reserved(Dynptr):
    """`with ring.reserve_bytes(n) as data:`."""


class Ring(ProgramMap):
    """`emit`, `reserve`, `discard`, `dropped`."""

    @property
    def _ring(self) -> VmRing:
        assert isinstance(self.live, VmRing)
        return self.live

    def emit(self, record: Any, flags: int = 0) -> bool:
        """Copy a record into the ring; False, and counted, when it is full."""
        data = encoded(self._declaration.value_type, record)
        sent: bool = self._runner.helper("ringbuf_output", self, data, flags=flags) == 0
        if not sent:
            self._count_loss()
        return sent

    @contextmanager
    def reserve(self) -> Iterator[View | None]:
        """A zeroed record in the ring, or None when it is full; the end of the block submits it."""
        layout = self._declaration.value_type
        address = self._ring.reserve_record(layout.size)
        if not address:
            self._count_loss()
            yield None
            return
        data = self._runner.machine.memory.readable[address >> SHIFT]
        try:
            yield view(Block(data, self._runner.function, address), 0, layout)
        except BaseException:
            self._end(address, keep=False)
            raise
        self._end(address, keep=True)

    def _end(self, address: int, keep: bool) -> None:
        """The end of a block; a record that was discarded is gone already."""
        if address in self._ring.open:
            self._ring.give_back(address, keep)

    @contextmanager
    def reserve_bytes(self, size: int) -> Iterator[Reserved]:
        """Bytes in the ring, of a size known at run time; empty when it is full."""
        address = self._ring.reserve_record(size)
        if not address:
            self._count_loss()
        data = self._runner.machine.memory.readable[address >> SHIFT] if address else bytearray()
        try:
            block = Block(data, self._runner.function, address)
            yield Reserved(self._runner, block, 0 if address else None, len(data))
        finally:
            if address in self._ring.open:
                self._ring.give_back(address, keep=True)

    def discard(self, record: View | Reserved) -> None:
        """Drop a reserved record."""
        if isinstance(record, Reserved):
            if record.block.address:
                self._ring.give_back(record.block.address, keep=False)
            return
        address = place_of(record)[0].address
        assert address is not None
        self._ring.give_back(address, keep=False)

    @property
    def dropped(self) -> int:
        """How many records found no room so far."""
        where = self._losses()
        return 0 if where is None else load(*where)

    def _losses(self) -> tuple[Block, int, Any] | None:
        """The place of the counter."""
        losses = self._declaration.losses  # type: ignore[attr-defined]
        return Keyed(self._runner, losses).place(bytes(4))

    def _count_loss(self) -> None:
        where = self._losses()
        assert where is not None
        store(*where, load(*where) + 1)


@stands_for_kind(RingBuf)
def ring(runner: Runner, declaration: RingBuf[Any]) -> Ring:
    return Ring(runner, declaration)
