"""Specs: programs and maps as plain, deterministic data.

This is the narrow waist of purebpf. Whatever makes bytecode (the compiler, the assembler) makes a `CollectionSpec`; whatever
uses bytecode (the kernel, the virtual machine, the disassembler) takes one. No descriptor, no system call, no engine here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from purebpf.data import data, made, replace, shortly
from purebpf.isa.instruction import Instruction
from purebpf.tables.enums import AttachType, MapType, ProgramType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.btf.relocation import CoreRelocation
    from purebpf.btf.types import Type


@data
class MapTypes:
    """What a map holds: BTF as it is loaded, and the numbers of the key's and the value's type in it; the key is 0 for a data
    section. `required`: the kernel must know, as for locks and timers; else the map is created without where it will not.
    `function` is the number of a function there, for programs that share the types (see `ProgramSpec.types_of`); else 0.
    `record` is the type of what is sent through a ring, for who reads it: the kernel is not told."""

    btf: bytes
    key: int
    value: int
    required: bool = False
    function: int = 0
    record: int = 0

    __repr__ = shortly


@data
class MapSpec:
    """A map to be created. Sizes are bytes. `contents` are (key, value) pairs written before the first program is loaded;
    a map that is `frozen` can afterwards not be written from user space. `types` tells what is inside.
    `extra` is what some types want beside the flags: a Bloom filter its number of hashes, an arena its address. A
    map with a `pin`, a path in a BPF file system, is the one that is there, or a new one that is from then on. A map of
    maps holds maps as `inner`. `entries` are (key, name): what the map holds is a program or a map of the same collection; in
    operations of the kernel the key is the byte of the value where the program belongs. `numa_node` is where its memory is to
    be, if the flags ask for one (BPF_F_NUMA_NODE). The contents of an arena have no key: they are what its memory begins
    with. An `optional` map is made only where it is asked for. `device` is the index of the network interface whose device
    has the map; 0 for one of the kernel's own."""

    name: str
    type: MapType
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0
    contents: tuple[tuple[bytes, bytes], ...] = ()
    frozen: bool = False
    types: MapTypes | None = None
    extra: int = 0
    pin: str = ""
    inner: MapSpec | None = None
    entries: tuple[tuple[bytes, str], ...] = ()
    numa_node: int = 0
    optional: bool = False
    device: int = 0

    __repr__ = shortly

    @property
    def per_cpu(self) -> bool:
        return self.type in PER_CPU_MAPS


def settled(spec: MapSpec) -> MapSpec:
    """With the sizes and flags of which only one value is possible: maps of maps have values of 4 bytes; tries and values at
    objects, whose number nobody knows, make no entries before they are wanted."""
    if spec.inner is not None:
        return replace(spec, value_size=4)
    if spec.type in AT_OBJECTS:
        return replace(spec, max_entries=0, flags=spec.flags | BPF_F_NO_PREALLOC)
    if spec.type is MapType.LPM_TRIE:
        return replace(spec, flags=spec.flags | BPF_F_NO_PREALLOC)
    return spec


BPF_F_NO_PREALLOC = 1
AT_OBJECTS = frozenset({MapType.SK_STORAGE, MapType.TASK_STORAGE, MapType.INODE_STORAGE, MapType.CGRP_STORAGE})
PER_CPU_MAPS = frozenset({MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH, MapType.PERCPU_CGROUP_STORAGE})


@data
class FunctionSpec:
    """A function inside a program: its name and the slot its first instruction is at. The first one is the program itself.
    `type` is the number of its BTF among the program's types, 0 where nothing but its name is known, and for the program itself
    `context`: the struct that its parameter points to."""

    name: str
    slot: int
    type: int = 0
    context: str = ""


class ExternKind(IntEnum):
    """What a program may want by name: of the kernel a function to call (kfunc), a variable with its type, a mere address; of
    another object file, to be linked with this one, a function, a variable, a map."""

    FUNCTION = 0
    VARIABLE = 1
    ADDRESS = 2
    OTHER_FUNCTION = 3
    OTHER_VARIABLE = 4
    OTHER_MAP = 5


@data
class ExternSpec:
    """Something of the kernel's, or of another object file, that instructions name in `symbol`. One that is `weak` may be
    missing: its address is 0 then, and its calls are poisoned. `type` is the number of its BTF among the program's types, 0
    where nothing is known. `index` is its place among all that the object wants."""

    name: str
    kind: ExternKind
    weak: bool = False
    type: int = 0
    index: int = 0


@data
class ProgramSpec:
    """A program: the main function's instructions, followed by those of its subprograms.

    Local calls are resolved (`imm` is the distance in slots); wide loads of maps carry the map's name in `symbol`.
    `attach_to` is the hook that the section names (`syscalls/sys_enter_openat`), `stack` the bytes of stack that the deepest
    chain of calls needs, `requires` features beyond the instruction set (such as "may_goto"), `types` BTF that its functions
    and relocations refer to, by number from 1 on. `relocations` are what the instructions want to know of the kernel they will
    run on; until then they hold the answers of the kernel that the program was compiled for. `types_of` names a map whose types
    the kernel takes for the program's own, since its instructions name objects by numbers there. `externs` tells more of kernel
    symbols where more is known than the name. An `optional` program is loaded only where it is asked for. `device` is
    the index of the network interface whose device it belongs to; 0 for one that belongs to none.
    """

    name: str
    type: ProgramType
    instructions: tuple[Instruction, ...]
    license: str = "GPL"
    section: str = ""
    attach_type: AttachType | None = None
    attach_to: str = ""
    flags: int = 0
    functions: tuple[FunctionSpec, ...] = ()
    stack: int = 0
    requires: tuple[str, ...] = ()
    types: tuple[Type, ...] = ()
    relocations: tuple[CoreRelocation, ...] = ()
    types_of: str = ""
    externs: tuple[ExternSpec, ...] = ()
    optional: bool = False
    device: int = 0

    @property
    def slots(self) -> int:
        """The program's size in 8-byte instruction slots."""
        return sum(instruction.slots for instruction in self.instructions)

    @property
    def maps(self) -> tuple[str, ...]:
        """Names of the maps the program refers to, in order of first use."""
        names = (i.symbol for i in self.instructions if i.slots == 2 and i.src in MAP_SOURCES and i.symbol)
        return tuple(dict.fromkeys(names))

    def __repr__(self) -> str:
        hook = f" at {self.attach_to}" if self.attach_to else ""
        return f"ProgramSpec({self.name!r}: {self.type.name.lower()}{hook}, {self.slots} slots)"


MAP_SOURCES = frozenset({1, 2, 5, 6})  # BPF_PSEUDO_MAP_FD, _MAP_VALUE, _MAP_IDX, _MAP_IDX_VALUE


@data
class VariableSpec:
    """A named variable inside a data-section map; `offset` and `size` are bytes, `type` the number of its BTF among the
    collection's types, 0 where that is not known. A `weak` one of the kernel's settings (`.kconfig`) is zero where the kernel
    has no such setting."""

    name: str
    map: str
    offset: int
    size: int
    type: int = 0
    weak: bool = False


@data
class CollectionSpec:
    """Programs and maps that belong together. `types` is the BTF of the object file they are from, by number, `name` the file's
    name without what is behind the first dot, `byte_order` that of its machine ("" where every machine will do)."""

    programs: Mapping[str, ProgramSpec] = made(dict)
    maps: Mapping[str, MapSpec] = made(dict)
    variables: Mapping[str, VariableSpec] = made(dict)
    types: tuple[Type, ...] = ()
    name: str = ""
    byte_order: str = ""

    def __repr__(self) -> str:
        told = [_named("program", self.programs), _named("map", self.maps), _named("variable", self.variables)]
        return f"CollectionSpec({f'{self.name!r}: ' if self.name else ''}{'; '.join(filter(None, told)) or 'empty'})"


MOST_NAMES = 8


def _named(kind: str, things: Mapping[str, object]) -> str:
    """How many there are, and the names of the first; "" for none."""
    if not things:
        return ""
    names = ", ".join([*things][:MOST_NAMES]) + (", ..." if len(things) > MOST_NAMES else "")
    return f"{len(things)} {kind}{'s' * (len(things) != 1)} ({names})"
