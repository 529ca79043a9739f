"""What an engine offers: the interface that the kernel and the virtual machine share. Protocols and plain data.

Keys and values are bytes in the target's byte order. A per-CPU value is one value per possible CPU, each padded to a
multiple of 8 bytes, joined. What an engine cannot do raises `Unsupported` with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from purebpf.data import data
from purebpf.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Any, Literal, Protocol

    from purebpf.spec import CollectionSpec, MapSpec, ProgramSpec

    Form = Literal["bytes", "arrays", "view"]
else:
    Protocol = object


LONGEST = 1_000_000  # seconds: more than the system's calls take, and more than anybody waits


def deadline(timeout: float | None) -> float | None:
    """The moment (`time.monotonic`) at which a wait for so many seconds is over; None for one without end. Raises Error for
    what is no time."""
    if timeout is None:
        return None
    number = isinstance(timeout, int | float) or hasattr(type(timeout), "__float__")
    if not number or isinstance(timeout, bool) or timeout != timeout:  # not a number
        raise Error(f"a timeout is seconds (0 for what is there now), or None to wait without end, not {timeout!r}")
    return None if timeout > LONGEST else time.monotonic() + float(timeout)


@data
class RunResult:
    """One test run: the program's result (unsigned 32-bit), the packet and the context afterwards, mean time of a run, and the
    lines it printed (not from the kernel, whose trace pipe has them)."""

    value: int
    data: bytes = b""
    context: bytes = b""
    duration_ns: int = 0
    printed: tuple[str, ...] = ()


@data
class Event:
    """One record from a perf event array (the bytes as sent, which the kernel may pad to a multiple of 8, less 4; and its CPU)
    or from a ring buffer (exactly the bytes; CPU -1).
    `lost` counts records the kernel had to drop just before; such an event carries no data."""

    cpu: int
    data: bytes
    lost: int = 0


@data(eq=False)
class Run:
    """`count` records of `size` bytes each out of a ring: `content` has `stride` bytes for each, in which it begins at `start`.

    `content` is bytes, or a NumPy array where arrays were wanted; if the run is `lent` it is the ring's own memory, until the
    reader is asked again. `cpu` and `lost` are those of an `Event`; `end` is where the ring goes on, for its reader.
    """

    content: Any
    start: int
    size: int
    stride: int
    count: int
    cpu: int = -1
    lost: int = 0
    end: int = 0
    lent: bool = False

    def part(self, first: int, last: int) -> bytes:
        """The content of some of the records."""
        return bytes(memoryview(self.content)[first * self.stride : last * self.stride])

    def after(self, first: int) -> Run:
        """Without the first ones."""
        content = self.content[first * self.stride :]
        return Run(content, self.start, self.size, self.stride, self.count - first, self.cpu, self.lost, self.end, self.lent)

    def events(self) -> list[Event]:
        """The records one by one; of a run that tells of lost ones, an event without data."""
        if self.lost:
            return [Event(self.cpu, b"", self.lost)]
        content, size = self.part(0, self.count), self.size
        places = (self.start + n * self.stride for n in range(self.count))
        return [Event(self.cpu, content[place : place + size]) for place in places]


class EngineMap(Protocol):
    @property
    def spec(self) -> MapSpec: ...
    @property
    def handle(self) -> int:
        """What a map of maps takes for this one."""

    @property
    def identity(self) -> int:
        """What a map of maps gives for this one."""

    def keys(self) -> Iterator[bytes]:
        """The keys that are there."""

    def lookup(self, key: bytes) -> bytes | None:
        """The value, or None when the map has no such key."""

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None: ...
    def delete(self, key: bytes) -> bool:
        """True if there was such a key."""

    def next_key(self, key: bytes | None) -> bytes | None:
        """The key after `key` (the first for None), or None at the end."""

    @property
    def mechanism(self) -> str:
        """How the last operation on many entries was done, or the last `take`."""

    def take(self, key: bytes) -> bytes | None:
        """The value of an entry, which is removed, or None."""

    def ask(self, value: bytes) -> bool:
        """Whether a value is probably in a Bloom filter."""

    def read_into(self, keys: bytearray | memoryview, values: bytearray | memoryview, room: int, take: bool = False) -> int:
        """Read entries, joined, into memory for `room` of them, with `take` removing them; how many there were."""

    def update_batch(
        self, keys: bytes | bytearray | memoryview, values: bytes | bytearray | memoryview, count: int, flags: int = 0
    ) -> None:
        """Write `count` entries, joined."""

    def delete_batch(self, keys: bytes | bytearray | memoryview, count: int) -> int:
        """Delete the entries of `count` keys, joined; how many there were."""

    def memory(self) -> memoryview:
        """An array's values as memory that programs see too, each at a multiple of 8 bytes. Release it before the map is
        closed."""

    def freeze(self) -> None:
        """From now on user space cannot write the map."""

    def pin(self, path: str) -> None:
        """Keep the map under a path of a BPF file system when no process has it."""

    def unpin(self, path: str) -> None: ...
    def move_pin(self, old: str, new: str) -> None: ...
    @property
    def info(self) -> object:
        """What the kernel tells about it."""

    def close(self) -> None: ...


class EngineProgram(Protocol):
    @property
    def spec(self) -> ProgramSpec: ...
    @property
    def handle(self) -> int:
        """What a program array stores as its 32-bit value."""

    def run(self, *, data: bytes | None = None, context: bytes | None = None, repeat: int = 1) -> RunResult:
        """Run it once (or `repeat` times) on a packet and/or a context, both as bytes."""

    def close(self) -> None: ...


class EngineLink(Protocol):
    """An attached program. Closing it detaches. `mechanism` names how it is attached (such as "xdp link")."""

    @property
    def mechanism(self) -> str: ...
    def close(self) -> None: ...


class EventReader(Protocol):
    """Reads a perf event array or ring buffer."""

    def read(self, timeout: float | None = None) -> list[Event]:
        """All events that are there; waits up to `timeout` seconds (None: without end) for the first, [] when none came."""

    def collect(self, runs: list[Run], timeout: float | None = None, form: Form = "bytes") -> None:
        """Append what is there to `runs`, which is to hold what this gave before and nobody has taken yet; waits as `read` if
        that is empty. What was appended is out of the ring, whatever exception ends this.

        `form`, where the reader has it so: "arrays" for contents in NumPy arrays; "view" for one run that is the ring's own
        memory, whose room the kernel gets back when this is called again.
        """

    def fileno(self) -> int:
        """Can be given to select and the like, readable when there are events; -1 where there is none."""

    def watch(self, wake: Callable[[], None]) -> None:
        """Have `wake` called when it is closed, by whichever thread does that; and when there are events, where there is no
        descriptor to wait for."""

    def unwatch(self, wake: Callable[[], None]) -> None: ...
    def close(self) -> None: ...


class RecordWriter(Protocol):
    """Writes a ring that programs empty."""

    def send(self, data: bytes) -> bool:
        """Put a record in; False when there is no room."""

    def close(self) -> None: ...


class Engine(Protocol):
    @property
    def name(self) -> str:
        """ "kernel" or "vm"."""

    @property
    def identity(self) -> tuple[str, ...]:
        """Engines of equal identity take the same programs."""

    @property
    def possible_cpus(self) -> int: ...
    def has(self, feature: str) -> bool:
        """Whether it takes programs with a feature: "may_goto", "iter_num", "bpf_loop", "cpu2" to "cpu4" for a level of the
        instruction set."""

    def together(self, spec: CollectionSpec) -> AbstractContextManager[object]:
        """Within the block, what the programs and maps of a collection have in common is told to it once."""

    def create_map(self, spec: MapSpec) -> EngineMap:
        """Create it, write its contents, freeze it if it is to be frozen."""

    def open_map(self, spec: MapSpec, existing: str | int) -> EngineMap:
        """The map that is pinned at a path, or of an id, if it is as the spec says."""

    def load_program(
        self, spec: ProgramSpec, maps: Mapping[str, EngineMap], *, part_of: EngineProgram | None = None
    ) -> EngineProgram:
        """`part_of`: the program of which it replaces or traces a function."""

    def attach(self, program: EngineProgram, options: Mapping[str, object]) -> EngineLink:
        """Attach by the program's type; the options are those of `Program.attach` (interface, mode, direction, pid, cpu
        ...)."""

    def open_events(
        self, events: EngineMap, size: int | None = None, *, watermark: int = 0, overwrite: bool = False
    ) -> EventReader:
        """Start reading a ring buffer or a perf event array, of which it sets the entries for every CPU. Of the latter, `size`:
        bytes for each CPU; `watermark`: wake the reader when so many are there; `overwrite`: keep the newest when full."""

    def open_writer(self, ring: EngineMap) -> RecordWriter:
        """Start writing a user ring buffer."""
