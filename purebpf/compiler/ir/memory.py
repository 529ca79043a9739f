"""What the IR interpreter's pointers point to: memory with bounds, provenance and knowledge of what has been written.

A value is an integer (signed 64-bit, or 0 to 2**32-1 for an i32) or a `Pointer`: a place and an offset, never a number. So an
access outside its place, of bytes nobody wrote, or through a pointer that is no longer valid is found where it happens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from purebpf.compiler.ir.ops import signed64
from purebpf.data import data
from purebpf.errors import Error

if TYPE_CHECKING:
    from purebpf.compiler.ir.ops import Op


class IrRuntimeError(Error):
    """A program did what the verifier would not allow, or what its own guards deny. `op` is the place, once it is known."""

    def __init__(self, message: str, op: Op | None = None) -> None:
        super().__init__(message)
        self.op = op


class Place:
    """Something pointers point to. `kind` is as in `Ptr.kind`; `gone` says why it can no longer be used."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        self.gone = ""

    def __repr__(self) -> str:
        return f"{self.kind} `{self.name}`" if self.name else self.kind

    def usable(self) -> None:
        if self.gone:
            raise IrRuntimeError(f"the pointer into {self} is not valid any more: {self.gone}")

    def load(self, offset: int, size: int, kind: str = "") -> Value:
        """`size` bytes as an unsigned integer, or the pointer that was stored there. `kind` is the pointer's."""
        raise IrRuntimeError(f"a {self.kind} has no bytes to be read")

    def store(self, offset: int, size: int, value: Value, kind: str = "") -> None:
        """The low `size` bytes of an integer, or a pointer."""
        raise IrRuntimeError(f"a {self.kind} has no bytes to be written")

    def read(self, offset: int, size: int) -> bytes:
        """Bytes for a helper."""
        raise IrRuntimeError(f"a {self.kind} has no bytes to be read")

    def write(self, offset: int, data: bytes) -> None:
        """Bytes from a helper."""
        raise IrRuntimeError(f"a {self.kind} has no bytes to be written")


class Callee(Place):
    """A subprogram that helpers can call; `call` runs it."""

    def __init__(self, name: str, call: Callable[[Sequence[Value]], Value | None]) -> None:
        super().__init__("func", name)
        self.call = call


@data
class Pointer:
    place: Place
    offset: int = 0

    def moved(self, distance: int) -> Pointer:
        return Pointer(self.place, self.offset + distance)

    def __str__(self) -> str:
        return f"{self.place} + {self.offset}" if self.offset else str(self.place)


class Lent(Place):
    """Memory of any kind as a global subprogram sees it: plain memory from a pointer on."""

    def __init__(self, at: Pointer) -> None:
        super().__init__("mem", at.place.name)
        self.at = at

    def usable(self) -> None:
        self.at.place.usable()

    def load(self, offset: int, size: int, kind: str = "") -> Value:
        return self.at.place.load(self.at.offset + offset, size)

    def store(self, offset: int, size: int, value: Value, kind: str = "") -> None:
        self.at.place.store(self.at.offset + offset, size, value)

    def read(self, offset: int, size: int) -> bytes:
        return self.at.place.read(self.at.offset + offset, size)

    def write(self, offset: int, data: bytes) -> None:
        self.at.place.write(self.at.offset + offset, data)


Value = int | Pointer


class Memory(Place):
    """Bytes. With `blank`, none of them may be read before it is written; only stack memory can hold pointers."""

    def __init__(
        self, kind: str, name: str, data: bytes, *, blank: bool = False, writable: bool = True, big_endian: bool = False
    ) -> None:
        super().__init__(kind, name)
        self.data = bytearray(data)
        self.known = bytearray(len(data)) if blank else None
        self.pointers: dict[int, Pointer] = {}
        self.writable = writable
        self.order: Literal["little", "big"] = "big" if big_endian else "little"

    def reach(self, offset: int, size: int, kind: str) -> None:
        """Raises unless these bytes may be accessed by a pointer of this kind ("": by a helper)."""
        self.usable()
        if offset < 0 or offset + size > len(self.data):
            raise IrRuntimeError(f"bytes {offset} to {offset + size - 1} are outside the {len(self.data)} of {self}")

    def _readable(self, offset: int, size: int) -> None:
        if any(at < offset + size and offset < at + 8 for at in self.pointers):
            raise IrRuntimeError(
                f"bytes {offset} to {offset + size - 1} of {self} hold a pointer, which cannot be read as bytes"
            )
        if self.known is not None and not all(self.known[offset : offset + size]):
            raise IrRuntimeError(f"bytes {offset} to {offset + size - 1} of {self} are read but have not all been written")

    def _written(self, offset: int, size: int) -> None:
        if not self.writable:
            raise IrRuntimeError(f"{self} can only be read")
        for at in [at for at in self.pointers if at < offset + size and offset < at + 8]:
            del self.pointers[at]
            if self.known is not None:
                self.known[at : at + 8] = bytes(8)  # the rest of an overwritten pointer is no value
        if self.known is not None:
            self.known[offset : offset + size] = b"\1" * size

    def load(self, offset: int, size: int, kind: str = "") -> Value:
        self.reach(offset, size, kind)
        if size == 8 and offset in self.pointers:
            return self.pointers[offset]
        self._readable(offset, size)
        return int.from_bytes(self.data[offset : offset + size], self.order)

    def store(self, offset: int, size: int, value: Value, kind: str = "") -> None:
        self.reach(offset, size, kind)
        self._written(offset, size)
        if isinstance(value, Pointer):
            if self.kind != "stack" or size != 8:
                raise IrRuntimeError(
                    f"the pointer to {value} is stored in {size} bytes of {self}; only 8 bytes of stack can hold one"
                )
            self.pointers[offset] = value
            return
        value &= (1 << 8 * size) - 1
        self.data[offset : offset + size] = value.to_bytes(size, self.order)

    def read(self, offset: int, size: int) -> bytes:
        self.reach(offset, size, "")
        self._readable(offset, size)
        return bytes(self.data[offset : offset + size])

    def write(self, offset: int, data: bytes) -> None:
        self.reach(offset, len(data), "")
        self._written(offset, len(data))
        self.data[offset : offset + len(data)] = data


class PacketMemory(Memory):
    """A packet: its metadata, then its bytes. What has not been compared with the end cannot be accessed: the verifier's rule.

    `checked` is how far from the start, `checked_meta` how far from the metadata's start a comparison has shown bytes to be.
    """

    def __init__(self, data: bytes, meta: bytes = b"", *, big_endian: bool = False) -> None:
        super().__init__("packet", "", meta + data, big_endian=big_endian)
        self.start = len(meta)
        self.checked = self.start
        self.checked_meta = 0

    def limits(self, kind: str) -> tuple[int, int]:
        """First and last offset that a pointer of this kind may access."""
        return (0, self.checked_meta) if kind == "packet_meta" else (self.start, self.checked)

    def reach(self, offset: int, size: int, kind: str) -> None:
        super().reach(offset, size, kind)
        first, last = self.limits(kind)
        if kind == "" and offset < self.start:
            first, last = self.limits("packet_meta")
        if not first <= offset <= offset + size <= last:
            accessed = f"bytes {offset - first} to {offset - first + size - 1} of the packet"
            raise IrRuntimeError(f"{accessed} are accessed, but only {last - first} have been compared with its end")

    def establish(self, kind: str, offset: int) -> None:
        """A comparison has shown that the bytes before `offset` are there."""
        if kind == "packet_meta":
            self.checked_meta = max(self.checked_meta, offset)
        else:
            self.checked = max(self.checked, offset)


def integer(value: Value, what: str) -> int:
    if isinstance(value, Pointer):
        raise IrRuntimeError(f"{what} is a pointer to {value}; an integer is wanted")
    return value


def pointer(value: Value, what: str) -> Pointer:
    if not isinstance(value, Pointer):
        raise IrRuntimeError(f"{what} is {'0' if value == 0 else f'the integer {value}'}; a pointer that is not 0 is wanted")
    value.place.usable()
    return value


def extended(value: int, size: int, signed: bool) -> int:
    """What a load of `size` bytes makes of an unsigned integer."""
    if size == 8:
        return signed64(value)
    sign = 1 << (8 * size - 1)
    return (value ^ sign) - sign if signed else value
