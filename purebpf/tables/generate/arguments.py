"""Measures what the prototypes do not say: which memory a helper reads or writes, which pointer may be 0, which size may be 0,
which map types it takes, and whether packet pointers survive the call.

A valid call is built from the argument kinds; then one argument is replaced at a time. The verifier's answer either stays as
it was or it does not. Calls whose arguments such a program cannot have (kernel structures, callbacks, timers) are not measured.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from purebpf.tables.enums import Command, MapType
from purebpf.tables.generate.kernel import EXIT, Kernel, Target, Verdict, call, copy, instruction, load_map, move
from purebpf.tables.generate.kernelbtf import KernelBtf
from purebpf.tables.generate.signatures import Draft

BUFFER = 128  # bytes of zeroed stack that stand for any memory, fp-128
BLOCK = 64  # bytes of the map values that stand for read-only and write-only memory
RDONLY_PROG, WRONLY_PROG, NO_PREALLOC = 1 << 7, 1 << 8, 1
MEASURABLE = {"scalar", "size", "address", "map", "map_key", "map_value", "mem", "context", "string"}

# map type -> key size, value size, entries, flags. Not here: types that need BTF, and the arena, which no helper takes.
MAPS: dict[MapType, tuple[int, int, int, int]] = {
    **dict.fromkeys((MapType.HASH, MapType.ARRAY, MapType.PERCPU_HASH, MapType.PERCPU_ARRAY), (4, BLOCK, 4, 0)),
    **dict.fromkeys((MapType.LRU_HASH, MapType.LRU_PERCPU_HASH), (4, BLOCK, 64, 0)),
    **dict.fromkeys((MapType.PROG_ARRAY, MapType.PERF_EVENT_ARRAY, MapType.CGROUP_ARRAY), (4, 4, 4, 0)),
    **dict.fromkeys((MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS), (4, 4, 4, 0)),
    **dict.fromkeys((MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.XSKMAP), (4, 4, 4, 0)),
    **dict.fromkeys((MapType.SOCKMAP, MapType.SOCKHASH, MapType.REUSEPORT_SOCKARRAY), (4, 4, 4, 0)),
    **dict.fromkeys((MapType.CGROUP_STORAGE, MapType.PERCPU_CGROUP_STORAGE), (16, BLOCK, 0, 0)),
    **dict.fromkeys((MapType.QUEUE, MapType.STACK, MapType.BLOOM_FILTER), (0, BLOCK, 4, 0)),
    **dict.fromkeys((MapType.RINGBUF, MapType.USER_RINGBUF), (0, 0, 4096, 0)),
    MapType.CPUMAP: (4, 4, 1, 0),
    MapType.LPM_TRIE: (8, BLOCK, 4, NO_PREALLOC),
    MapType.STACK_TRACE: (4, 8 * 16, 4, 0),
}
# the first program that uses one of these becomes its owner; programs of another kind are then refused
OWNED = (MapType.PROG_ARRAY, MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.CPUMAP)
OF_MAPS = {MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS}

# target -> context struct and its members with the packet's start and end
PACKETS: dict[str, tuple[str, str, str]] = {
    "XDP/XDP": ("xdp_md", "data", "data_end"),
    "SCHED_CLS": ("__sk_buff", "data", "data_end"),
    "LWT_XMIT": ("__sk_buff", "data", "data_end"),
    "LWT_IN": ("__sk_buff", "data", "data_end"),
    "LWT_SEG6LOCAL": ("__sk_buff", "data", "data_end"),
    "SK_SKB": ("__sk_buff", "data", "data_end"),
    "SK_MSG": ("sk_msg_md", "data", "data_end"),
    "SOCK_OPS": ("bpf_sock_ops", "skb_data", "skb_data_end"),
}

# what the verifier says to a good call: the complaint is about what comes after it
AFTERWARDS = ("At program exit", "Unreleased reference", "BPF_EXIT instruction")


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one helper: for each argument a set of "reads", "writes", "nullable", "zero" (None: not measured), and the rest."""

    flags: tuple[frozenset[str] | None, ...]
    maps: frozenset[MapType] = frozenset()
    invalidates: bool | None = None


@dataclass(slots=True)
class Bench:
    """The kernel with the maps that stand for memory; use it as a context manager, which closes them."""

    kernel: Kernel
    btf: KernelBtf
    maps: dict[MapType, int] = field(default_factory=dict)
    plain: int = -1
    read_only: int = -1
    write_only: int = -1
    text: int = -1

    def __enter__(self) -> Bench:
        create = self.kernel.create_map
        self.plain = create(MapType.ARRAY, 4, BLOCK, 1)
        self.read_only = create(MapType.ARRAY, 4, BLOCK, 1, RDONLY_PROG)
        self.write_only = create(MapType.ARRAY, 4, BLOCK, 1, WRONLY_PROG)
        self.text = create(MapType.ARRAY, 4, BLOCK, 1, RDONLY_PROG)
        self.kernel.map_command(Command.MAP_UPDATE_ELEM, self.text, bytes(4), b"x".ljust(BLOCK, b"\0"))
        self.kernel.map_command(Command.MAP_FREEZE, self.text)
        for type in MAPS:
            try:
                self.maps[type] = self._create(type)
            except OSError:
                continue  # a kernel built without this type; its helpers are then not measured with it
        return self

    def _create(self, type: MapType) -> int:
        key, value, entries, flags = MAPS[type]
        return self.kernel.create_map(type, key, value, entries, flags, self.plain if type in OF_MAPS else 0)

    def renew(self) -> None:
        """Give up the maps that belong to the programs that used them first, for new ones."""
        for type in OWNED:
            if type in self.maps:
                os.close(self.maps[type])
                self.maps[type] = self._create(type)

    def __exit__(self, *_: object) -> None:
        for fd in (self.plain, self.read_only, self.write_only, self.text, *self.maps.values()):
            os.close(fd)

    def value(self, register: int, fd: int) -> bytes:
        """Load the address of the first value of an array map."""
        return instruction(0x18, register, 2, imm=fd) + instruction(0)

    def standard(self, arg: Draft, register: int, map: int) -> bytes:
        """A value that fits the argument's kind."""
        if arg.kind in ("mem", "map_key", "map_value"):
            return copy(register, 10) + instruction(0x07, register, imm=-BUFFER)
        return {
            "scalar": move(register, 8 if arg.constant else 0),
            "size": move(register, 8),
            "address": move(register, 0),
            "map": load_map(register, map),
            "context": copy(register, 6),
            "string": self.value(register, self.text),
        }[arg.kind]

    def registers(self, args: tuple[Draft, ...], map: int) -> list[bytes]:
        """Code for a valid value in each argument register."""
        return [self.standard(arg, number, map) for number, arg in enumerate(args, 1)]


PROLOGUE = b"".join(instruction(0x7A, 10, offset=-offset) for offset in range(8, BUFFER + 1, 8)) + copy(6, 1)
EPILOGUE = move(0, 0) + EXIT


def valid(verdict: Verdict) -> bool:
    """Whether the call itself was accepted."""
    return verdict.errno == 0 or verdict.reason.startswith(AFTERWARDS)


class Trial:
    """A call, valid or not, and variations of it."""

    def __init__(self, bench: Bench, target: Target, id: int, registers: list[bytes]) -> None:
        self.bench, self.target, self.id, self.registers = bench, target, id, registers
        self.baseline = self._load(registers)
        self.valid = valid(self.baseline)

    def _load(self, registers: Sequence[bytes]) -> Verdict:
        return self.bench.kernel.load(self.target, PROLOGUE + b"".join(registers) + call(self.id) + EPILOGUE)

    def accepts(self, changes: dict[int, bytes]) -> bool:
        """Whether the verifier's answer stays the same with other code for some registers."""
        verdict = self._load([changes.get(position, code) for position, code in enumerate(self.registers)])
        return (verdict.errno, verdict.reason) == (self.baseline.errno, self.baseline.reason)


def measure(bench: Bench, id: int, args: tuple[Draft, ...], ways: dict[str, list[Target]]) -> Measured:
    """Try the helper in all of `ways`, which are those that may call it. Program types may have their own variant of a helper:
    memory is read or written if it is in one of them, 0 is fine if it is in all."""
    found: list[tuple[frozenset[str], ...]] = []
    maps: set[MapType] = set()
    if all(arg.kind in MEASURABLE for arg in args):
        for target in (way for same in ways.values() for way in same):
            bench.renew()
            taken = _maps(bench, id, args, target)
            maps |= taken
            trial = Trial(bench, target, id, bench.registers(args, bench.maps[min(taken)] if taken else bench.plain))
            if trial.valid:
                found.append(tuple(_flags(trial, args, position) for position in range(len(args))))
    if not found:
        return Measured((None,) * len(args))
    flags = tuple(_merge(each) for each in zip(*found, strict=True))
    bench.renew()
    map = bench.maps[min(maps)] if maps else bench.plain
    return Measured(flags, frozenset(maps), _invalidates(bench, id, args, ways, map))


def _merge(each: Sequence[frozenset[str]]) -> frozenset[str]:
    return (frozenset.union(*each) & {"reads", "writes"}) | (frozenset.intersection(*each) & {"nullable", "zero"})


def _maps(bench: Bench, id: int, args: tuple[Draft, ...], target: Target) -> frozenset[MapType]:
    if not any(arg.kind == "map" for arg in args):
        return frozenset()
    return frozenset(type for type, fd in bench.maps.items() if Trial(bench, target, id, bench.registers(args, fd)).valid)


def _flags(trial: Trial, args: tuple[Draft, ...], position: int) -> frozenset[str]:
    arg, register, found = args[position], position + 1, set()
    bench, accepts = trial.bench, trial.accepts
    if arg.kind in ("mem", "map_value", "map_key"):
        if accepts({position: bench.value(register, bench.plain)}):
            if not accepts({position: bench.value(register, bench.read_only)}):
                found.add("writes")
            if not accepts({position: bench.value(register, bench.write_only)}):
                found.add("reads")
        null = {position: move(register, 0)}
        if arg.pair is not None:
            null[arg.pair] = move(arg.pair + 1, 0)
        if accepts(null):
            found.add("nullable")
    if arg.kind == "context" and accepts({position: move(register, 0)}):
        found.add("nullable")
    if arg.kind == "size":
        if accepts({position: move(register, 0)}):
            found.add("zero")
        if accepts({position: move(register, 4 * BUFFER)}):
            raise ValueError(f"argument {arg.name} is taken for a size, but the verifier lets it be larger than the memory")
    return frozenset(found)


def _invalidates(bench: Bench, id: int, args: tuple[Draft, ...], ways: dict[str, list[Target]], map: int) -> bool | None:
    """Read the packet, call, read it again by the same pointer; None where no program type has both packet and helper."""
    answers = []
    again = instruction(0x71, 0, 7)
    for name, (struct, first, last) in PACKETS.items():
        members = {member.name: member for member in bench.btf.members(bench.btf.struct_number(struct))}
        code = PROLOGUE
        for register, member in ((7, members[first]), (8, members[last])):
            code += instruction(0x79 if member.size == 8 else 0x61, register, 1, member.offset)
        code += copy(0, 7) + instruction(0x07, 0, imm=14) + instruction(0x3D, 8, 0, 2) + EPILOGUE
        code += again + b"".join(bench.registers(args, map)) + call(id)
        for target in ways.get(name, []):
            if valid(bench.kernel.load(target, code + EPILOGUE)):
                reason = bench.kernel.load(target, code + again + EPILOGUE).reason
                answers.append(reason.startswith("R7 invalid mem access"))
    return any(answers) if answers else None
