"""What the programs and maps of one collection have in common, told to the kernel once: types, and the lines they are from.

A collection that was read from an object file has types of its own, to which its programs and maps refer by number. The kernel
wants them in one BTF: locks, lists and objects in a map's value are known to a program only if both came with the same.
Linux 5.0; what a kernel does not know of the types, it gets in a simpler form.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from struct import pack

from purebpf.btf.builder import encoded
from purebpf.btf.core import Resolver
from purebpf.btf.encode import blob, words_of
from purebpf.btf.loadable import loadable
from purebpf.btf.reader import Btf
from purebpf.btf.running import targets
from purebpf.btf.types import Func, FuncProto, Int, Linkage, Type
from purebpf.errors import KernelError
from purebpf.isa.instruction import WIDE_LOAD
from purebpf.isa.opcodes import PSEUDO_FUNC
from purebpf.kernel.btf import load_btf
from purebpf.kernel.current import CURRENT
from purebpf.kernel.debug_info import FUNC_INFO_BYTES, LINE_INFO_BYTES, SINCE, Strings, c_name, lines_of
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.syscall import Pinned, address, pin
from purebpf.relocate import local_types
from purebpf.spec import CollectionSpec, MapTypes, ProgramSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.kernel.verifier import Fields


class Together:
    """The common types of a collection, loaded when the first program or map wants them."""

    def __init__(self, collection: CollectionSpec) -> None:
        self.types = collection.types
        self.what = f"the object {collection.name!r}" if collection.name else "the object"
        self.programs = [spec for spec in collection.programs.values() if of_an_object(spec) and spec.types is self.types]
        self._known = {id(spec) for spec in self.programs}
        self._records: dict[int, tuple[bytes, bytes]] = {}  # functions and lines, by the identity of a program's spec
        self._plain: bytes | None = None
        self._loaded: Descriptor | None = None
        self._failed: KernelError | None = None
        self._resolver: Resolver | None = None

    @property
    def plain(self) -> bytes:
        """The types alone, as maps have them."""
        if self._plain is None:
            self._plain = encoded(loadable(self.types), sys.byteorder)
        return self._plain

    def are(self, types: MapTypes) -> bool:
        """Whether a map's types are these."""
        return bool(self.types) and types.btf == self.plain

    def resolver(self) -> Resolver:
        """Answers CO-RE questions of all programs: one kind of type is looked for once."""
        if self._resolver is None:
            same = tuple(loadable(self.types)) == self.types
            local = Btf(self.plain, origin=self.what) if same else local_types(self.programs[0])
            self._resolver = Resolver(local, targets())
        return self._resolver

    def knows(self, spec: ProgramSpec) -> bool:
        return id(spec) in self._known

    def btf(self) -> Descriptor:
        """The types in the kernel. Raises KernelError, each time."""
        if self._failed is not None:
            raise self._failed
        if self._loaded is None:
            try:
                self._loaded = load_btf(self._encoded(), self.what)
            except KernelError as error:
                self._failed = error
                raise
        return self._loaded

    def records(self, spec: ProgramSpec) -> tuple[bytes, bytes]:
        """What the kernel takes of a program's functions and of its lines, once the types are loaded."""
        return self._records[id(spec)]

    def _encoded(self) -> bytes:
        strings, types = Strings(), loadable(self.types)
        numbers = _without_types(self.programs, types)
        words = [word for type in types for word in words_of(type, strings.place)]
        for spec in self.programs:
            functions = (pack("=II", each.slot, each.type or numbers[each.name]) for each in spec.functions)
            self._records[id(spec)] = b"".join(functions), lines_of(spec, strings)
        return blob(words, bytes(strings.data), sys.byteorder)

    def close(self) -> None:
        if self._loaded is not None:
            self._loaded.close()
            self._loaded = None


def _without_types(programs: list[ProgramSpec], types: list[Type]) -> dict[str, int]:
    """Add types for functions that have none, such as those in assembly: by name, static and without parameters."""
    names = dict.fromkeys(each.name for spec in programs for each in spec.functions if not each.type)
    if not names:
        return {}
    integer = len(types) + 1
    types += [Int("int", 4, 32, signed=True), FuncProto(integer, ())]
    numbers = {}
    for name in names:
        types.append(Func(c_name(name), integer + 1, Linkage.STATIC))
        numbers[name] = len(types)
    return numbers


def of_an_object(spec: ProgramSpec) -> bool:
    """Whether a program has its types from an object file: its main function, too, has one."""
    return bool(spec.types and spec.functions and spec.functions[0].type)


@contextmanager
def together(collection: CollectionSpec) -> Iterator[Together]:
    """Within the block, what these programs and maps have in common is loaded once."""
    common = Together(collection)
    token = CURRENT.set(common)
    try:
        yield common
    finally:
        CURRENT.reset(token)
        common.close()


@contextmanager
def common_to(spec: ProgramSpec) -> Iterator[Together]:
    """That of the collection being loaded; for a program that is loaded alone, its own."""
    common = CURRENT.get()
    if common is not None and common.knows(spec):
        yield common
    else:
        with together(CollectionSpec({spec.name: spec}, types=spec.types)) as own:
            yield own


def tell(common: Together, spec: ProgramSpec, fields: Fields) -> list[Pinned]:
    """Have the fields of BPF_PROG_LOAD tell a program's functions and lines, as long as the result is kept. A kernel that does
    not take the types gets none of it, unless the program has callbacks. Raises KernelError."""
    needed = any(i.opcode == WIDE_LOAD and i.src == PSEUDO_FUNC for i in spec.instructions)
    if not needed and kernel_version() < SINCE:
        return []
    try:
        fields["prog_btf_fd"] = common.btf().number
    except KernelError:
        if needed:
            raise
        return []
    functions, lines = common.records(spec)
    held = [pin(functions), pin(lines)]
    for name, records, size, count in (
        ("func_info", held[0], FUNC_INFO_BYTES, len(functions) // FUNC_INFO_BYTES),
        ("line_info", held[1], LINE_INFO_BYTES, len(lines) // LINE_INFO_BYTES),
    ):
        fields |= {name: address(records), f"{name}_rec_size": size, f"{name}_cnt": count}
    return held


def local_btf(spec: ProgramSpec) -> Btf:
    """The program's own types, as they were before they were made loadable."""
    common = CURRENT.get()
    return common.resolver().local if common is not None and common.knows(spec) else local_types(spec)
