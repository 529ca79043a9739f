"""Call stacks: a map that keeps each once, `bpf.stack` that gives the number of the current one, `bpf.get_stack` that copies
it."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct, unpack

from purebpf.data import data
from purebpf.lang import declaring
from purebpf.lang.idioms import _only_in_a_program
from purebpf.lang.maps import KEY32, MapDeclaration
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

ADDRESS = 8
IN_FILE = Struct("=i20sQ")  # struct bpf_stack_build_id
WITH_BUILD_ID = 1  # its status: else the last number is an address
BY_BUILD_ID = 1 << 5  # BPF_F_STACK_BUILD_ID
DEEPEST = 127  # PERF_MAX_STACK_DEPTH, what the kernel allows unless told (sysctl kernel.perf_event_max_stack)


@data
class InFile:
    """An address as a place in a file: the file's build id in hex and the offset. Where the kernel did not find the build id,
    that is "", and there is only the address."""

    build_id: str
    offset: int
    address: int


class StackTrace(MapDeclaration):
    """Call stacks by number (BPF_MAP_TYPE_STACK_TRACE, Linux 4.6), each of at most `depth` addresses, innermost first.

    In user space `stacks[number]` is a list of addresses; `in`, `get`, `del`, iteration over the numbers, `clear`.
    """

    kind = MapType.STACK_TRACE

    def __init__(self, max_entries: int, *, depth: int = DEEPEST, name: str | None = None) -> None:
        super().__init__(max_entries, name=name)
        if isinstance(depth, bool) or not isinstance(depth, int) or not 1 <= depth <= DEEPEST:
            raise declaring.error(f"the depth of a stack trace map is 1 to {DEEPEST}, not {depth!r}")
        self.depth = depth

    def describe(self, name: str) -> MapSpec:
        return MapSpec(name, self.kind, 4, ADDRESS * self.depth, self.max_entries, self.flags)

    def get(self, number: int) -> list[int] | None:
        """The addresses of a stack; None when there is none of that number."""
        data = self._bytes(number)
        if data is None:
            return None
        found = list(unpack(f"={self.depth}Q", data))
        return found[: found.index(0)] if 0 in found else found

    def _bytes(self, number: int) -> bytes | None:
        return self.live.lookup(KEY32.encode(number)) if number >= 0 else None

    def __getitem__(self, number: int) -> list[int]:
        found = self.get(number)
        if found is None:
            raise KeyError(number)
        return found

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self._bytes(number) is not None

    def __delitem__(self, number: int) -> None:
        if not self.live.delete(KEY32.encode(number)):
            raise KeyError(number)

    def __iter__(self) -> Iterator[int]:
        """The numbers of the stacks that are there."""
        position = self.live.next_key(None)
        while position is not None:
            yield KEY32.decode(position)
            position = self.live.next_key(position)

    def clear(self) -> None:
        for number in list(self):
            self.live.delete(KEY32.encode(number))


class BuildIdStackTrace(StackTrace):
    """Call stacks of processes as places in files (Linux 4.17): they have a meaning after the process, and on another
    machine, to who has the files. `in_files(number)` gives them; `purebpf.symbols.BuildIdSymbols` their names."""

    def __init__(self, max_entries: int, *, depth: int = DEEPEST, name: str | None = None) -> None:
        super().__init__(max_entries, depth=depth, name=name)
        self.flags |= BY_BUILD_ID

    def describe(self, name: str) -> MapSpec:
        return MapSpec(name, self.kind, 4, IN_FILE.size * self.depth, self.max_entries, self.flags)

    def get(self, number: int) -> list[int] | None:
        """The addresses of a stack, as far as they are known: 0 for a place in a file. None when there is none of that
        number."""
        found = self.in_files(number)
        return None if found is None else [place.address for place in found]

    def in_files(self, number: int) -> list[InFile] | None:
        """The places of a stack, innermost first; None when there is none of that number."""
        data = self._bytes(number)
        if data is None:
            return None
        found = []
        for status, build_id, where in IN_FILE.iter_unpack(data):
            if status == WITH_BUILD_ID:
                found.append(InFile(build_id.hex(), where, 0))
            elif status:
                found.append(InFile("", 0, where))
        return found


def stack(stacks: StackTrace, user: bool = False, skip: int = 0) -> int:
    """The number of the current call stack in a `bpf.StackTrace`, or a negative errno: -14 (EFAULT) without such a stack, -17
    (EEXIST) when another has taken its place. The kernel's, or with `user` the process's; without the `skip` innermost frames.
    (helper get_stackid, Linux 4.6, GPL)"""
    _only_in_a_program("stack()")


def get_stack(addresses: list[int], user: bool = False, skip: int = 0) -> int:
    """Copy the current call stack, innermost first, into an array of u64, the rest of which becomes zero: how many addresses,
    or a negative errno: -14 (EFAULT) without such a stack. The kernel's, or with `user` the process's; without the `skip`
    innermost frames. What does not fit is left out. (helper get_stack, Linux 4.18, GPL)"""
    _only_in_a_program("get_stack()")
