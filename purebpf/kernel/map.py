"""Maps in the kernel: create, look up, update, delete and walk (bpf(2), kernel/bpf/syscall.c)."""

from __future__ import annotations

import errno
import mmap
import sys
from collections.abc import Iterator

from purebpf.data import replace
from purebpf.errors import Error, KernelError
from purebpf.kernel import cpus, privileges
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.element import Slot, quick_call, told_call
from purebpf.kernel.errors import ENOTSUPP, failure, minimum
from purebpf.kernel.info import MapInfo, map_info
from purebpf.kernel.memlock import with_memlock
from purebpf.kernel.names import with_name
from purebpf.kernel.syscall import bpf
from purebpf.kernel.token import with_token
from purebpf.spec import MapSpec, settled
from purebpf.tables.enums import Command, MapType

BY_CPU = frozenset({MapType.PERF_EVENT_ARRAY, MapType.CPUMAP})
RINGS = frozenset({MapType.RINGBUF, MapType.USER_RINGBUF})
UNTYPED = frozenset(  # maps that take no BTF of what is inside
    {
        MapType.PERF_EVENT_ARRAY,
        MapType.CGROUP_ARRAY,
        MapType.STACK_TRACE,
        MapType.ARRAY_OF_MAPS,
        MapType.HASH_OF_MAPS,
        MapType.DEVMAP,
        MapType.DEVMAP_HASH,
        MapType.CPUMAP,
        MapType.XSKMAP,
        MapType.SOCKMAP,
        MapType.SOCKHASH,
        MapType.QUEUE,
        MapType.STACK,
        MapType.ARENA,
        MapType.RINGBUF,
        MapType.USER_RINGBUF,
    }
)
BPF_F_RDONLY_PROG, BPF_F_MMAPABLE = 1 << 7, 1 << 10
TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.kernel.batch import Buffer


CREATE_REASONS = {
    errno.EINVAL: "Key size, value size, number of entries or flags do not fit this type of map, or there is no such type.",
    errno.E2BIG: "Its entries would take more memory than a map may have.",
    errno.ENOMEM: "The kernel has not enough memory for that many entries.",
}
UPDATE_REASONS = {
    errno.E2BIG: "The map is full, or the index is beyond its last entry: max_entries is {entries}.",
    errno.EEXIST: "The key is there already, and the flags ask for a new one (BPF_NOEXIST).",
    errno.ENOENT: "The key is not there, and the flags ask for one that is (BPF_EXIST).",
    errno.EPERM: "The map is frozen or read-only from user space.",
    errno.EINVAL: "The kernel takes flags or value for invalid; a program array takes the handle of a program of its own kind.",
    errno.EBADF: "The value is a descriptor that is closed, or not of what this map holds.",
    errno.ENODEV: "The value names a network interface that does not exist.",
    errno.EBUSY: "The entry is being changed by a program at this moment.",
}
UNREADY = {errno.EOPNOTSUPP: "Such a map takes a TCP socket that is connected or listens, other sockets that are connected."}
UPDATE_REASONS_OF = {
    MapType.SOCKMAP: UNREADY,
    MapType.SOCKHASH: UNREADY,
    MapType.QUEUE: {errno.E2BIG: "The queue is full; with BPF_EXIST the oldest value makes room."},
    MapType.STACK: {errno.E2BIG: "The stack is full; with BPF_EXIST the oldest value makes room."},
    MapType.LPM_TRIE: {
        errno.ENOSPC: "The trie is full.",
        errno.EINVAL: "The prefix is longer than the data of a key, or the flags are unknown.",
    },
    MapType.ARRAY_OF_MAPS: {errno.EINVAL: "Inner maps must be of the type and sizes of the one the outer map was made with."},
    MapType.HASH_OF_MAPS: {errno.EINVAL: "Inner maps must be of the type and sizes of the one the outer map was made with."},
}
LOOKUP_REASONS = {
    errno.EPERM: "User space may not read the map (BPF_F_WRONLY).",
    errno.EOPNOTSUPP: "Maps of this type cannot be read by user space.",
    ENOTSUPP: "Maps of this type cannot be read by user space.",
}
WALK_REASONS = {
    errno.EINVAL: "Maps of this type have no keys to walk over.",
    errno.EOPNOTSUPP: "Maps of this type cannot be walked over.",
    ENOTSUPP: "Maps of this type cannot be walked over.",
    errno.EPERM: "User space may not read the map (BPF_F_WRONLY).",
}
DELETE_REASONS = {
    errno.EINVAL: "Entries of an array cannot be deleted, only overwritten.",
    errno.EPERM: "The map is frozen or read-only from user space.",
}


class KernelMap:
    """A map in the kernel. May be used from several threads at once.

    A value is `value_size` bytes; in a per-CPU map one value per possible CPU, each padded to a multiple of 8 bytes, joined.
    """

    def __init__(self, spec: MapSpec, descriptor: Descriptor) -> None:
        self.spec = spec
        self.descriptor = descriptor
        self.types = Descriptor.none()  # of what is inside, for programs that share them
        self.value_bytes = (spec.value_size + 7) // 8 * 8 * cpus.possible() if spec.per_cpu else spec.value_size
        self.mechanism = ""  # how the last operation on many entries, or the last taking of one, was done
        self._spare: list[Slot] | _Closed = []
        self._mapped: mmap.mmap | None = None
        self.shared: memoryview | None = None  # an arena's memory
        self._quick = quick_call()

    def _slot(self) -> Slot:
        # pop and append are atomic: neither a second thread nor a signal handler can get a slot that is in use.
        try:
            return self._spare.pop()
        except IndexError:
            return Slot(self.descriptor.number, self.spec.key_size, self.value_bytes)

    def _with_key(self, key: bytes) -> Slot:
        """A slot with this key in it."""
        slot = self._slot()
        try:
            slot.key[:] = key
        except (ValueError, TypeError):
            self._spare.append(slot)
            self._check("key", key, self.spec.key_size)
            raise
        return slot

    def _check(self, what: str, data: bytes | Buffer, size: int) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"A {what} of the map {self.spec.name!r} is bytes, not {data!r}.")
        if len(data) != size:
            per_cpu = f" ({self.spec.value_size} rounded up to 8, for each of {cpus.possible()} CPUs)"
            detail = per_cpu if what == "value" and self.spec.per_cpu else ""
            raise Error(f"A {what} of the map {self.spec.name!r} has {size} bytes{detail}; these are {len(data)}.")

    def lookup(self, key: bytes) -> bytes | None:
        """The value, or None when there is no such key. Raises KernelError, with EOPNOTSUPP for a map that cannot be read."""
        slot = self._with_key(key)
        if self._quick(*slot.lookup) == 0:
            value = slot.value.raw
            self._spare.append(slot)
            return value
        answer = told_call(slot.lookup)
        value = slot.value.raw
        self._spare.append(slot)
        if answer < 0 and answer != -errno.ENOENT:
            raise failure(-answer, f"Looking up a key in {self.descriptor.what}", reasons=LOOKUP_REASONS)
        return value if answer == 0 else None

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        """Write an entry. `flags`: 0 either way, BPF_NOEXIST (1) only a new one, BPF_EXIST (2) only one that is there.

        Raises KernelError, with EEXIST or ENOENT by those flags and E2BIG when the map is full.
        """
        if len(value) != self.value_bytes:
            self._check("value", value, self.value_bytes)
        slot = self._with_key(key)
        slot.value.raw = value
        slot.flags.value = flags
        answer = told_call(slot.update)
        self._spare.append(slot)
        if answer < 0:
            reasons = {number: text.format(entries=self.spec.max_entries) for number, text in UPDATE_REASONS.items()}
            raise failure(
                -answer, f"Updating {self.descriptor.what}", reasons=reasons | UPDATE_REASONS_OF.get(self.spec.type, {})
            )

    def delete(self, key: bytes) -> bool:
        """True if there was such a key. Raises KernelError, with EINVAL for an array."""
        slot = self._with_key(key)
        answer = told_call(slot.delete)
        self._spare.append(slot)
        if answer == 0 or answer == -errno.ENOENT:
            return answer == 0
        raise failure(-answer, f"Deleting a key from {self.descriptor.what}", reasons=DELETE_REASONS)

    def take(self, key: bytes) -> bytes | None:
        """The value of an entry, which is removed with the same call (Linux 5.14; queues and stacks 4.20), or None. Before that
        by a lookup and a deletion, between which a program may write the entry; `mechanism` says which."""
        slot = self._with_key(key)
        answer = told_call(slot.take)
        value = slot.value.raw if answer == 0 else None
        self._spare.append(slot)
        self.mechanism = "lookup and delete"
        if answer == 0 or answer == -errno.ENOENT:
            return value
        if answer not in (-errno.EINVAL, -errno.EOPNOTSUPP, -ENOTSUPP) or not self.spec.key_size:
            raise failure(-answer, f"Taking an entry out of {self.descriptor.what}", reasons=DELETE_REASONS)
        self.mechanism = "lookup, then delete"
        value = self.lookup(key)
        return value if value is not None and self.delete(key) else None

    def ask(self, value: bytes) -> bool:
        """Whether a value is probably in a Bloom filter, which takes it where other maps put theirs."""
        self._check("value", value, self.value_bytes)
        slot = self._slot()
        slot.value.raw = value
        answer = told_call(slot.lookup)
        self._spare.append(slot)
        if answer == 0 or answer == -errno.ENOENT:
            return answer == 0
        raise failure(-answer, f"Asking {self.descriptor.what}", reasons=LOOKUP_REASONS)

    def next_key(self, key: bytes | None) -> bytes | None:
        """The key after `key` (the first for None), None at the end. If `key` is gone, a hash starts again from the first."""
        slot = self._slot() if key is None else self._with_key(key)
        answer = told_call(slot.first if key is None else slot.next)
        found = slot.next_key.raw[: self.spec.key_size] if answer == 0 else None
        self._spare.append(slot)
        if answer == 0 or answer == -errno.ENOENT:
            return found
        raise failure(-answer, f"Walking the keys of {self.descriptor.what}", reasons=WALK_REASONS)

    def read_into(self, keys: Buffer, values: Buffer, room: int, take: bool = False) -> int:
        """Read entries, joined, into memory for `room` of them, with `take` removing them; how many there were."""
        from purebpf.kernel import batch

        done, self.mechanism = batch.read(self, keys, values, room, take)
        return done

    def update_batch(self, keys: bytes | Buffer, values: bytes | Buffer, count: int, flags: int = 0) -> None:
        """Write `count` entries, joined."""
        self._check("batch of keys", keys, count * self.spec.key_size)
        self._check("batch of values", values, count * self.value_bytes)
        from purebpf.kernel import batch

        self.mechanism = batch.update(self, keys, values, count, flags)

    def delete_batch(self, keys: bytes | Buffer, count: int) -> int:
        """Delete the entries of `count` keys, joined; how many there were."""
        self._check("batch of keys", keys, count * self.spec.key_size)
        from purebpf.kernel import batch

        found, self.mechanism = batch.delete(self, keys, count)
        return found

    def keys(self) -> Iterator[bytes]:
        """All keys; ends after max_entries even if programs keep adding."""
        key = None
        for _ in range(self.spec.max_entries):
            key = self.next_key(key)
            if key is None:
                return
            yield key

    @property
    def handle(self) -> int:
        """What a map of maps takes for this one: its descriptor."""
        return self.descriptor.number

    @property
    def identity(self) -> int:
        """What a map of maps gives for this one: its id."""
        return self.info.id

    @property
    def info(self) -> MapInfo:
        return map_info(self.descriptor)

    def memory(self) -> memoryview:
        """An array's values as memory that programs see too (Linux 5.5), each at a multiple of 8 bytes; read-only if the map is
        frozen. Release it before closing the map.

        The map must have been created with BPF_F_MMAPABLE. Raises KernelError.
        """
        used = (
            self.spec.value_size if self.spec.max_entries == 1 else (self.spec.value_size + 7) // 8 * 8 * self.spec.max_entries
        )
        if self.shared is not None:
            return self.shared
        if self._mapped is None:
            self._mapped = map_memory(self.descriptor, -(-used // mmap.PAGESIZE) * mmap.PAGESIZE, self.spec.flags)
        return memoryview(self._mapped)[:used]

    def freeze(self) -> None:
        """From now on the map cannot be written from user space. Linux 5.2. Raises KernelError, with EBUSY while its memory is
        shared."""
        freeze(self)

    def pin(self, path: str) -> None:
        """Keep the map under a path of a BPF file system (Linux 4.4) when no process has it. Raises KernelError and Error."""
        from purebpf.kernel.pins import pin

        pin(self.descriptor, path)

    def unpin(self, path: str) -> None:
        """Take that name away. Raises Error where there is none."""
        from purebpf.kernel.pins import unpin

        unpin(path)

    def move_pin(self, old: str, new: str) -> None:
        """Rename a pin, in one step, if the new name is free. Raises KernelError."""
        from purebpf.kernel.pins import move

        move(old, new)

    def close(self) -> None:
        """Give up this process's reference; the map lives on while a program uses it."""
        self._spare = _Closed()
        self.shared = None
        self.types.close()
        self.descriptor.close()
        if self._mapped is not None:
            mapped, self._mapped = self._mapped, None
            mapped.close()

    def __enter__(self) -> KernelMap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Closed(list[Slot]):
    """Instead of the spare slots of a map that is closed: keeps none."""

    def append(self, slot: Slot) -> None:
        pass


def map_memory(descriptor: Descriptor, size: int, flags: int) -> mmap.mmap:
    """Memory of a map in this process. Of a frozen one it can only be read."""
    try:
        try:
            return mmap.mmap(descriptor.number, size)
        except PermissionError:
            return mmap.mmap(descriptor.number, size, prot=mmap.PROT_READ)
    except OSError as error:
        what = f"Mapping {descriptor.what} into memory"
        reasons = {} if flags & BPF_F_MMAPABLE else {errno.EINVAL: "It was not created for that (BPF_F_MMAPABLE).", 524: ""}
        raise failure(error.errno or 0, what, first=(5, 5), reasons=reasons) from None


def adjusted(spec: MapSpec) -> MapSpec:
    """With the sizes and flags of which only one value is possible, or that only this machine knows: an entry for each CPU at
    most (in perf event arrays by descriptors), rings of a power of two of whole pages."""
    if spec.type is MapType.PERF_EVENT_ARRAY and not spec.key_size and not spec.value_size:
        spec = replace(spec, key_size=4, value_size=4)
    if spec.type in BY_CPU and (not spec.max_entries or spec.max_entries > cpus.identifiers()):
        return replace(spec, max_entries=cpus.identifiers())
    if spec.type in RINGS:
        pages = max(-(-spec.max_entries // mmap.PAGESIZE), 1)
        return replace(spec, max_entries=mmap.PAGESIZE << (pages - 1).bit_length())
    return settled(spec)


def create_map(spec: MapSpec) -> KernelMap:
    """Create the map, write its contents, freeze it if it is to be frozen. Raises KernelError and Unsupported.

    A perf event array or CPU map with 0 entries gets one for every CPU.
    """
    spec = adjusted(spec)
    if spec.type is MapType.ARENA:
        return _arena(spec)
    return _created(spec)


def _created(spec: MapSpec) -> KernelMap:
    """The map, whose sizes and flags are those that this machine wants."""
    what = f"the map {spec.name!r} ({spec.type.name.lower()})"
    fields: dict[str, int | bytes] = {
        "map_type": int(spec.type),
        "key_size": spec.key_size,
        "value_size": spec.value_size,
        "max_entries": spec.max_entries,
        "map_flags": spec.flags,
        "map_extra": spec.extra,
        "map_ifindex": spec.device,
        "numa_node": spec.numa_node,
    }

    def attempt(name: bytes) -> int:
        return with_token(
            Command.MAP_CREATE, fields, lambda: with_memlock(lambda: bpf(Command.MAP_CREATE, {**fields, "map_name": name}))
        )

    answer, types = -1, _types(spec, what, fields)
    template = create_map(spec.inner) if spec.inner is not None else None
    if template is not None:
        fields["inner_map_fd"] = template.handle
    try:
        answer = with_name(spec.name, attempt)
        if answer < 0 and "btf_fd" in fields and spec.types is not None and not spec.types.required:
            fields |= {"btf_fd": 0, "btf_key_type_id": 0, "btf_value_type_id": 0}
            answer = with_name(spec.name, attempt)
    finally:
        if answer < 0 or spec.types is None or not spec.types.function:
            types.close()
        if template is not None:
            template.close()
    if answer < 0:
        first, feature = _newest(spec)
        raise failure(
            -answer,
            f"Creating {what} with keys of {spec.key_size} and values of {spec.value_size} bytes, {spec.max_entries} entries",
            needs=privileges.for_map(spec.type),
            first=first,
            feature=feature,
            reasons=CREATE_REASONS,
        )
    made = KernelMap(spec, Descriptor(answer, what))
    made.types = types
    try:
        for key, value in spec.contents if spec.type is not MapType.ARENA else ():
            made.update(key, value)
        if spec.frozen:
            freeze(made)
    except BaseException:
        made.close()
        raise
    return made


def _arena(spec: MapSpec) -> KernelMap:
    """An arena, at an address of its own in this process (or the one that it wants), where programs of it expect it when they
    are loaded. Its memory begins with its contents."""
    from purebpf.kernel import arena

    for _ in range(1 if spec.extra else arena.ATTEMPTS):
        made = _created(spec if spec.extra else arena.placed(spec))
        try:
            made.shared = arena.shared(made.spec, made.descriptor)
        except BaseException:
            made.close()
            raise
        if made.shared is not None:
            for _, content in spec.contents:
                made.shared[: len(content)] = content
            return made
        made.close()
    where = f"The address {spec.extra:#x} is not free" if spec.extra else "There is no free address"
    raise Error(f"{where} for the arena {spec.name!r}.")


def _types(spec: MapSpec, what: str, fields: dict[str, int | bytes]) -> Descriptor:
    """Have the fields tell what is inside (Linux 4.18), as long as the result is open. A kernel that does not take the types
    gets none, unless it must know them: `KernelMap.info.btf_id` is 0 then."""
    if spec.types is None or spec.type in UNTYPED:
        return Descriptor.none()
    from purebpf.kernel.btf import load_btf
    from purebpf.kernel.current import types_of_map

    try:
        common = types_of_map(spec.types)
        btf = Descriptor.none() if common else load_btf(spec.types.btf, what, exactly=not spec.types.required)
    except KernelError:
        if spec.types.required:
            raise
        return Descriptor.none()
    fields |= {"btf_fd": (common or btf).number, "btf_key_type_id": spec.types.key, "btf_value_type_id": spec.types.value}
    return btf


def _newest(spec: MapSpec) -> tuple[tuple[int, int] | None, str]:
    """What the map has that came last: its first kernel and its name."""
    if spec.flags & BPF_F_MMAPABLE:
        return (5, 5), "an array that is mapped into memory (BPF_F_MMAPABLE), as globals are"
    if spec.flags & BPF_F_RDONLY_PROG:
        return (5, 2), "maps that programs only read (BPF_F_RDONLY_PROG), as constants and settings are"
    return minimum(spec.type), f"maps of type {spec.type.name.lower()}"


def freeze(map: KernelMap) -> None:
    """From now on the map cannot be written from user space. Linux 5.2."""
    answer = bpf(Command.MAP_FREEZE, {"map_fd": map.descriptor.number})
    if answer < 0:
        reasons = {errno.EBUSY: "A process shares its memory and may write there."}
        what = f"Freezing {map.descriptor.what}"
        raise failure(-answer, what, first=(5, 2), feature="BPF_MAP_FREEZE", reasons=reasons)


def handle_bytes(descriptor: int) -> bytes:
    """A descriptor as the value of a program array or a perf event array."""
    return descriptor.to_bytes(4, sys.byteorder)
