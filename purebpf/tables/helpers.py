"""The kernel's helper functions: number, signature, licence, minimum kernel, and which program types may call each.

The rows are in `helper_rows.py`, generated from `include/uapi/linux/bpf.h`, from what the verifier of a running kernel accepts
and refuses, and from the list of minimum versions; this module gives them a shape. A row becomes an object when it is asked
for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from purebpf.tables.enums import AttachType, MapType, ProgramType
from purebpf.tables.helper_rows import ROWS, Row

TYPE_CHECKING = False  # importing typing would take longer than this module
if TYPE_CHECKING:
    from enum import IntEnum
    from typing import Any, TypeVar

    Member = TypeVar("Member", bound=IntEnum)


class ArgKind(StrEnum):
    """What the verifier wants in an argument's register, and so what a compiler passes and a virtual machine checks."""

    SCALAR = "scalar"
    """An integer of `width` bits."""
    SIZE = "size"
    """The number of bytes behind the pointer in argument `pair`. A compiler derives it from the buffer."""
    ADDRESS = "address"
    """A user or kernel address as a plain 64-bit number: the helper copes with faults, nothing is checked."""
    MAP = "map"
    """A map, by its wide load; `Helper.maps` are the types it may have."""
    MAP_KEY = "map_key"
    """Pointer to `key_size` bytes of the helper's map."""
    MAP_VALUE = "map_value"
    """Pointer to `value_size` bytes of the helper's map."""
    MEM = "mem"
    """Pointer to memory: as many bytes as argument `pair` says, or exactly `size` where `pair` is None."""
    CONTEXT = "context"
    """The program's own context, unchanged."""
    SOCKET = "socket"
    """Pointer to a socket: from the context, or from a helper that looks one up."""
    BTF = "btf"
    """Pointer to the kernel structure `pointee`, from a traced argument, a field of one, or a helper's result."""
    CALLBACK = "callback"
    """A subprogram of this program."""
    CALLBACK_CONTEXT = "callback_context"
    """Pointer into the stack that the callback gets, or 0."""
    DYNPTR = "dynptr"
    """Pointer to a `struct bpf_dynptr` on the stack (16 bytes): the helper initialises it if `writes`, else it is already."""
    STRING = "string"
    """A constant text with its NUL in a frozen read-only array map."""
    SPIN_LOCK = "spin_lock"
    """Pointer to the `struct bpf_spin_lock` in a map value."""
    TIMER = "timer"
    """Pointer to the `struct bpf_timer` in a map value."""
    KPTR_SLOT = "kptr_slot"
    """Pointer to a kptr field in a map value."""
    KPTR = "kptr"
    """An owned kernel pointer, or 0; the helper takes it over."""
    RECORD = "record"
    """What `ringbuf_reserve` gave; the helper takes it back."""
    PERCPU = "percpu"
    """Address of a per-CPU kernel variable."""


class ResultKind(StrEnum):
    """What is in R0 after the call."""

    VOID = "void"
    """Nothing; R0 may not be read."""
    SCALAR = "scalar"
    """An integer of `width` bits. A signed one is usually 0 or a length on success and -errno on failure."""
    MAP_VALUE = "map_value"
    """Pointer to a value of the helper's map."""
    MEM = "mem"
    """Pointer to as many bytes as argument `pair`, a constant, says."""
    SOCKET = "socket"
    """Pointer to the socket structure `pointee`."""
    BTF = "btf"
    """Pointer to the kernel structure `pointee`."""
    PERCPU = "percpu"
    """Pointer to this or another CPU's copy of a per-CPU kernel variable, typed by BTF."""
    KPTR = "kptr"
    """The kernel pointer that was in the slot."""
    NEVER = "never"
    """The call does not return when it succeeds (`tail_call`); afterwards R0 may not be read."""


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument. `width` is 8..64 bits as the C type says (registers are 64 wide); `signed` is the C type's.

    `pair` links memory and size: for MEM the index of its SIZE argument, for SIZE the index of its MEM argument.
    `size` is the exact number of bytes of a MEM without `pair`.
    `reads` and `writes` tell what the helper does to the memory; memory that is only written need not be initialised, and
    memory that is written may not be read-only. `nullable`: a constant 0 is accepted (for MEM with `pair`, with size 0).
    `zero`: for SIZE, 0 is accepted. `constant`: the value must be known when the program is loaded.
    `releases`: the reference is given back and must not be used again.
    `elsewhere`: in TRACING, LSM and STRUCT_OPS programs, which have no such context, the argument is of this kind instead.
    """

    name: str
    c_type: str
    kind: ArgKind
    width: int = 64
    signed: bool = False
    pair: int | None = None
    size: int | None = None
    pointee: str = ""
    reads: bool = False
    writes: bool = False
    nullable: bool = False
    zero: bool = False
    constant: bool = False
    releases: bool = False
    elsewhere: ArgKind | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a call gives. `nullable`: a pointer that must be tested; `acquires`: a reference that must be given back."""

    kind: ResultKind
    c_type: str
    width: int = 64
    signed: bool = False
    pair: int | None = None
    pointee: str = ""
    nullable: bool = False
    acquires: bool = False


@dataclass(frozen=True, slots=True)
class Helper:
    """A helper function; `name` is without the prefix `bpf_`.

    `variadic`: after the listed arguments up to `5 - len(args)` more integers may follow (`trace_printk`).
    `programs` may call it; `assumed` is the part of them that was taken from the kernel's source because no kernel at hand
    could be asked. `attach_types` has an entry for each program type where only programs for some attach types may. `sleeps`:
    only from sleepable programs (BPF_F_SLEEPABLE). `hooks`: only at some functions (an allow list decides at load).
    `maps` are the types its map may have (empty: it takes no map). `invalidates_packet`: pointers into the packet are void
    after the call. `since` is the first mainline kernel that has it, in any program type; others may have got it later.
    An EXT program may call what the program it replaces a part of may call; EXT itself is never in `programs`.
    """

    id: int
    name: str
    result: Result
    args: tuple[Arg, ...]
    variadic: bool
    gpl_only: bool
    sleeps: bool
    hooks: bool
    invalidates_packet: bool
    since: str
    programs: frozenset[ProgramType]
    assumed: frozenset[ProgramType]
    attach_types: dict[ProgramType, frozenset[AttachType]]
    maps: frozenset[MapType]
    about: str


HELPER_NAMES: tuple[str, ...] = tuple(row[1] for row in ROWS)
"""All names without `bpf_`, in order of number: helper number n is `HELPER_NAMES[n - 1]`."""


def helper(name: str) -> Helper | None:
    """The helper of that name, with or without the prefix `bpf_`; None if the kernel has none."""
    number = _numbers().get(name.removeprefix("bpf_"))
    return None if number is None else helper_by_id(number)


@cache
def helper_by_id(id: int) -> Helper | None:
    """The helper that `call id` calls; None if there is none."""
    return _build(ROWS[id - 1]) if 1 <= id <= len(ROWS) else None


@cache
def _numbers() -> dict[str, int]:
    return {name: number for number, name in enumerate(HELPER_NAMES, 1)}


def _members(of: type[Member], mask: int) -> frozenset[Member]:
    """The members of an enum whose bits are set."""
    return frozenset(of(bit) for bit in range(mask.bit_length()) if mask >> bit & 1)


def _details(words: str) -> dict[str, Any]:
    """The keyword arguments that a row's words stand for: "32 signed pair=1 reads"."""
    found: dict[str, Any] = {}
    for word in words.split():
        name, _, value = word.partition("=")
        if not value:
            found.update({"width": int(name)} if name.isdigit() else {name: True})
        elif name == "elsewhere":
            found[name] = ArgKind(value)
        else:
            found[name] = int(value) if value.isdigit() else value
    return found


def _build(row: Row) -> Helper:
    id, name, result, args, letters, since, programs, assumed, attach, maps, about = row
    return Helper(
        id=id,
        name=name,
        result=Result(ResultKind(result[0]), result[1], **_details(result[2])),
        args=tuple(Arg(arg, c_type, ArgKind(kind), **_details(words)) for arg, c_type, kind, words in args),
        variadic="v" in letters,
        gpl_only="g" in letters,
        sleeps="s" in letters,
        hooks="h" in letters,
        invalidates_packet="i" in letters,
        since=since,
        programs=_members(ProgramType, programs),
        assumed=_members(ProgramType, assumed),
        attach_types={ProgramType(type): frozenset(AttachType(each) for each in some) for type, some in attach},
        maps=_members(MapType, maps),
        about=about,
    )
