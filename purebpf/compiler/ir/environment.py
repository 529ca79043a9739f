"""A world for IR to run in: a context, a packet, maps, and what helpers need to know. Deterministic; no system call.

A per-CPU map has the value of one CPU here. What helpers do is in `models.py`. After a run the environment holds what
came of it: `printed`, `events`, `redirected`, the maps and the packet.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from purebpf.compiler.ir.memory import IrRuntimeError, Memory, PacketMemory, Place, Pointer, Value, integer
from purebpf.compiler.ir.ops import Module
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

BPF_F_RDONLY_PROG = 1 << 7
BPF_NOEXIST, BPF_EXIST = 1, 2
ENOENT, E2BIG, EEXIST, EINVAL, ENOSPC = 2, 7, 17, 22, 28

FULL_ARRAYS = frozenset({MapType.ARRAY, MapType.PERCPU_ARRAY})
"""Every index has a value from the start."""
SPARSE_ARRAYS = frozenset({MapType.PROG_ARRAY, MapType.PERF_EVENT_ARRAY, MapType.DEVMAP, MapType.CPUMAP, MapType.XSKMAP})
HASHES = frozenset(
    {MapType.HASH, MapType.PERCPU_HASH, MapType.LRU_HASH, MapType.LRU_PERCPU_HASH, MapType.DEVMAP_HASH},
)
LRU = frozenset({MapType.LRU_HASH, MapType.LRU_PERCPU_HASH})
RINGS = frozenset({MapType.RINGBUF})
OTHERS = frozenset({MapType.QUEUE, MapType.STACK, MapType.BLOOM_FILTER, MapType.LPM_TRIE})


class MapPlace(Place):
    """A map. Keys and values are bytes; results are 0 or -errno, as in the kernel."""

    def __init__(self, spec: MapSpec, big_endian: bool) -> None:
        super().__init__("map", spec.name)
        if spec.type not in FULL_ARRAYS | SPARSE_ARRAYS | HASHES | RINGS | OTHERS:
            raise IrRuntimeError(f"map `{spec.name}`: the IR interpreter has no maps of type {spec.type.name}")
        self.spec = spec
        self.big_endian = big_endian
        self.entries: dict[bytes, Memory] = {}
        self.values: list[bytes] = []  # of a map without keys
        for key, value in spec.contents:
            self.set(key, value[: spec.value_size])

    def _memory(self, value: bytes) -> Memory:
        writable = not self.spec.flags & BPF_F_RDONLY_PROG
        return Memory("map_value", self.name, value, writable=writable, big_endian=self.big_endian)

    def _index(self, key: bytes) -> int:
        return int.from_bytes(key, "big" if self.big_endian else "little")

    def set(self, key: bytes, value: bytes) -> None:
        """Put an entry in from outside, whatever the map's flags say to programs."""
        if len(key) != self.spec.key_size or len(value) != self.spec.value_size:
            raise IrRuntimeError(
                f"map `{self.name}` has keys of {self.spec.key_size} and values of {self.spec.value_size} bytes"
            )
        self.entries[key] = self._memory(value)

    def prefix(self, key: bytes, length: int) -> bytes:
        """A trie's key of so many bits, the others zero. As lengths lie in memory."""
        order: Literal["little", "big"] = "big" if self.big_endian else "little"
        bits = 8 * (len(key) - 4)
        kept = int.from_bytes(key[4:], "big") >> (bits - length) << (bits - length)
        return length.to_bytes(4, order) + kept.to_bytes(len(key) - 4, "big")

    def exact(self, key: bytes) -> bytes | None:
        """The key as entries have it; None for one that is none."""
        if self.spec.type is not MapType.LPM_TRIE:
            return key
        length = self._index(key[:4])
        return self.prefix(key, length) if length <= 8 * (len(key) - 4) else None

    def lookup(self, key: bytes) -> Memory | None:
        if self.spec.type is MapType.LPM_TRIE:
            lengths = range(min(self._index(key[:4]), 8 * (len(key) - 4)), -1, -1)
            return next((self.entries[p] for p in (self.prefix(key, n) for n in lengths) if p in self.entries), None)
        found = self.entries.get(key)
        if found is None and self.spec.type in FULL_ARRAYS and self._index(key) < self.spec.max_entries:
            found = self.entries[key] = self._memory(bytes(self.spec.value_size))
        if found is not None and self.spec.type in LRU:
            self.entries[key] = self.entries.pop(key)  # the dictionary's order is that of last use
        return found

    def get(self, key: bytes) -> bytes | None:
        """The value, or None when there is no such entry."""
        found = self.lookup(key)
        return bytes(found.data) if found is not None else None

    def update(self, key: bytes, value: bytes, flags: int = 0) -> int:
        exact = self.exact(key)
        if flags not in (0, BPF_NOEXIST, BPF_EXIST) or exact is None:
            return -EINVAL
        key = exact
        if self.spec.type in FULL_ARRAYS | SPARSE_ARRAYS and self._index(key) >= self.spec.max_entries:
            return -E2BIG
        found = self.entries.get(key) if self.spec.type is MapType.LPM_TRIE else self.lookup(key)
        if found is not None and flags == BPF_NOEXIST:
            return -EEXIST
        if found is None and flags == BPF_EXIST:
            return -ENOENT
        if found is None and len(self.entries) >= self.spec.max_entries:
            if self.spec.type not in LRU:
                return -ENOSPC if self.spec.type is MapType.LPM_TRIE else -E2BIG
            del self.entries[next(iter(self.entries))]
        if found is not None and self.spec.type in FULL_ARRAYS:
            found.data[:] = value  # an array's memory stays where it is
        else:
            self.set(key, value)
        return 0

    def walk(self) -> list[tuple[bytes, Memory]]:
        """All entries as they are now; an array's in order."""
        if self.spec.type in FULL_ARRAYS:
            order: Literal["little", "big"] = "big" if self.big_endian else "little"
            for index in range(self.spec.max_entries):
                self.lookup(index.to_bytes(4, order))
            return sorted(self.entries.items(), key=lambda entry: self._index(entry[0]))
        return list(self.entries.items())

    def delete(self, key: bytes) -> int:
        if self.spec.type in FULL_ARRAYS:
            return -EINVAL
        exact = self.exact(key)
        if exact is None:
            return -EINVAL
        return 0 if self.entries.pop(exact, None) is not None else -ENOENT


class Context(Place):
    """The context: plain bytes, and fields that are read as pointers into the packet or to anything else."""

    def __init__(self, env: Environment) -> None:
        super().__init__("ctx", "")
        self.env = env

    def load(self, offset: int, size: int, kind: str = "") -> Value:
        return self.env.load_ctx(offset, size)

    def store(self, offset: int, size: int, value: Value, kind: str = "") -> None:
        self.env.store_ctx(offset, size, value)

    def read(self, offset: int, size: int) -> bytes:
        return self.env.ctx_bytes.read(offset, size)


class Environment:
    """`pointers` says which context fields, by offset, are pointers: "packet", "packet_end", "packet_meta", or a Pointer.

    `programs` are what tail calls may go to, by the number that a program array holds; `foreign` is other memory, by address,
    for the helpers that read any; `redirect_code` is what `redirect` gives, which depends on the program's type.
    """

    def __init__(
        self,
        maps: Iterable[MapSpec] = (),
        *,
        context: bytes = b"",
        pointers: Mapping[int, str | Pointer] | None = None,
        packet: bytes = b"",
        meta: bytes = b"",
        headroom: int = 256,
        cpu: int = 0,
        time: int = 1_000_000_000,
        pid_tgid: int = 0x0000_03E9_0000_03EA,
        uid_gid: int = 0,
        comm: bytes = b"python",
        seed: int = 0,
        redirect_code: int = 4,
        programs: Mapping[int, Module] | None = None,
        foreign: Mapping[int, bytes] | None = None,
        big_endian: bool = False,
    ) -> None:
        self.big_endian = big_endian
        self.order: Literal["little", "big"] = "big" if big_endian else "little"
        self.maps = {spec.name: MapPlace(spec, big_endian) for spec in maps}
        self.ctx_bytes = Memory("ctx", "", context, big_endian=big_endian)
        self.pointers = dict(pointers or {})
        self.packet = PacketMemory(packet, meta, big_endian=big_endian)
        self.headroom = headroom
        self.cpu = cpu
        self.time = time
        self.pid_tgid = pid_tgid
        self.uid_gid = uid_gid
        self.comm = comm
        self.random = random.Random(seed)
        self.redirect_code = redirect_code
        self.programs = dict(programs or {})
        self.foreign = dict(foreign or {})
        self.printed: list[str] = []
        self.events: list[tuple[str, int, bytes]] = []
        """Records sent to perf event arrays and rings: map, flags, bytes."""
        self.reserved: dict[Memory, str] = {}
        """Ring records that are reserved and neither submitted nor discarded yet, with their map."""
        self.dynptrs: dict[tuple[Place, int], Place | None] = {}
        """By the place on the stack: the bytes that it stands for, None when there are none."""
        self.iterators: dict[tuple[Place, int], Iterator[int]] = {}
        """The numbers that are left, by the iterator's place on the stack."""
        self.rcu = 0
        """How often RCU is held."""
        self.redirected: tuple[str, int, int] | None = None
        """The last redirect: the map or "", the key or interface, the flags."""
        self.context = Pointer(Context(self))

    def load_ctx(self, offset: int, size: int) -> Value:
        found = self.pointers.get(offset)
        if found is not None:
            return self._packet_pointer(found) if isinstance(found, str) else found
        if any(at < offset + size and offset < at + 4 for at in self.pointers):
            raise IrRuntimeError(f"bytes {offset} to {offset + size - 1} of the context hold a part of a pointer")
        return self.ctx_bytes.load(offset, size)

    def store_ctx(self, offset: int, size: int, value: Value) -> None:
        if any(at < offset + size and offset < at + 4 for at in self.pointers):
            raise IrRuntimeError(
                f"bytes {offset} to {offset + size - 1} of the context hold a pointer, which cannot be written"
            )
        self.ctx_bytes.store(offset, size, integer(value, "what is stored in the context"))

    def _packet_pointer(self, name: str) -> Pointer:
        packet = self.packet
        return Pointer(packet, {"packet": packet.start, "packet_end": len(packet.data), "packet_meta": 0}[name])

    def map(self, name: str) -> Pointer:
        if name not in self.maps:
            raise IrRuntimeError(f"the environment has no map `{name}`; it has {', '.join(self.maps) or 'none'}")
        return Pointer(self.maps[name])

    def map_value(self, name: str, offset: int) -> Pointer:
        place = self.map(name).place
        assert isinstance(place, MapPlace)
        spec = place.spec
        if spec.type != MapType.ARRAY or spec.max_entries != 1:
            raise IrRuntimeError(f"map `{name}` is no array of one value, so it has no address of its own")
        value = place.lookup(bytes(spec.key_size))
        assert value is not None
        return Pointer(value, offset)

    def call(self, helper: str, args: Sequence[Value]) -> Value:
        from purebpf.compiler.ir.models import HELPERS

        model = HELPERS.get(helper)
        if model is None:
            raise IrRuntimeError(
                f"the IR interpreter does not know the helper `{helper}`; it knows {', '.join(sorted(HELPERS))}"
            )
        return model(self, args)

    def kfunc(self, name: str, args: Sequence[Value]) -> Value:
        from purebpf.compiler.ir.models import KFUNCS

        model = KFUNCS.get(name)
        if model is None:
            raise IrRuntimeError(
                f"the IR interpreter does not know the kernel function `{name}`; it knows {', '.join(sorted(KFUNCS))}"
            )
        return model(self, args)

    def packet_bytes(self) -> bytes:
        """The packet as it is now, without metadata."""
        return bytes(self.packet.data[self.packet.start :])

    def replace_packet(self, data: bytes, meta: bytes, why: str) -> None:
        """The packet has changed: pointers into the old one must not be used any more."""
        self.packet.gone = why
        self.packet = PacketMemory(data, meta, big_endian=self.big_endian)
