"""The object's `.BTF`: one for what the programs and maps of a spec have each for themselves.

First all of it is collected, then equal types become one (`settle`); only then does a type have its number in the object, and
types that the object itself needs are added. At the end what nothing refers to is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.dedup import deduplicate
from purebpf.btf.graph import reachable, renumbered
from purebpf.btf.reader import Btf
from purebpf.btf.types import Array, Composite, DataSec, DeclTag, Func, Int, Linkage, Ptr, Type, Typedef, Var
from purebpf.data import replace
from purebpf.elf import ext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.isa.codec import ByteOrder

INT = Int("int", 4, 32, signed=True)
INDEX = Int("unsigned int", 4, 32)
CONTAINS = "contains:"  # the tag of a list or tree, which names the struct that it holds
Numbers = Callable[[int], int]


class Types:
    """Types being collected, then settled."""

    def __init__(self, order: ByteOrder) -> None:
        self.order = order
        self._collected: list[Type] = []
        self._known: dict[object, Numbers] = {}
        self._read: dict[bytes, Btf] = {}
        self._final: dict[int, int] = {0: 0}
        self._builder = BtfBuilder(order)
        self._kept: list[Type] = []  # as they were then
        self._wanted: set[int] = set()
        self._written: dict[int, int] = {}

    def btf(self, raw: bytes) -> Btf:
        """Encoded BTF, read once."""
        if raw not in self._read:
            self._read[raw] = Btf(raw)
        return self._read[raw]

    def merge(self, types: Sequence[Type], whole: bool = False) -> Numbers:
        """Take types, numbered from 1. The result gives each one's number in the object, once they are settled.

        Data sections and their variables, and what is the kernel's, are left out: the object has its own. With `whole` the
        others stay even where nothing refers to them.
        """
        key = tuple(types)
        if key not in self._known:
            places: dict[int, int] = {}
            kept = []
            for old, type in enumerate(types, 1):
                if not _left_out(type, types):
                    kept.append(type)
                    places[old] = len(self._collected) + len(kept)
            if whole:
                self._wanted |= {places[old] for old in places if not _of_others(types[old - 1])}
            self._collected += [renumbered(type, lambda old: places.get(old, 0)) for type in kept]
            self._known[key] = lambda old: self._final[places.get(old, 0)]
        return self._known[key]

    def merge_btf(self, raw: bytes) -> Numbers:
        """The same for encoded BTF."""
        if raw not in self._known:
            self._known[raw] = self.merge([type for _, type in self.btf(raw)])
        return self._known[raw]

    def settle(self) -> None:
        """Nothing more is collected."""
        self._kept, final = deduplicate(self._collected)
        self._final |= final
        self._wanted = {final[number] for number in self._wanted}
        for type in self._kept:
            self._builder.define(self._builder.reserve(), type)

    def collected(self, number: int) -> Type:
        """A type that was collected, by its number in the object."""
        return self._kept[number - 1]

    def add(self, type: Type) -> int:
        """The number of a type of the object's own; there is only one of equal ones."""
        number = self._builder.add(type)
        self._wanted.add(number)
        return number

    def name_for(self, number: int, owner: str) -> str:
        """A name that this type alone has, which stays: its own, or that of a typedef for the records of `owner`."""
        own = str(getattr(self.collected(number), "name", ""))
        if not own or sum(getattr(type, "name", "") == own for type in self._kept) != 1:
            own = f"{owner}_record"
            number = self.add(Typedef(own, number))
        self._wanted.add(number)
        return own

    def pointer(self, number: int) -> int:
        return self.add(Ptr(number))

    def array(self, element: int, length: int) -> int:
        return self.add(Array(element, self.add(INDEX), length))

    def encode(self, records: ext.Ext) -> tuple[bytes, bytes]:
        """`.BTF` and `.BTF.ext`, with the types that something refers to."""
        types = self._builder.types()
        asked = {each.type for functions in records.functions.values() for each in functions}
        asked |= {each.type for relocations in records.relocations.values() for each in relocations}
        kept = sorted(_needed(types, self._wanted | asked))
        self._written = moved = {old: new for new, old in enumerate(kept, 1)} | {0: 0}
        builder = BtfBuilder(self.order)
        for old in kept:
            builder.define(builder.reserve(), renumbered(types[old - 1], moved.__getitem__))
        told = ext.Ext(
            {name: [replace(each, type=moved[each.type]) for each in some] for name, some in records.functions.items()},
            records.lines,
            {name: [replace(each, type=moved[each.type]) for each in some] for name, some in records.relocations.items()},
        )
        written = ext.written(told, self.order, builder.string)
        return builder.encode(), written

    def written(self, number: int) -> int:
        """The number that a type has in the file, once it is encoded."""
        return self._written[number]


def _left_out(type: Type, types: Sequence[Type]) -> bool:
    if isinstance(type, DeclTag):
        return _left_out(types[type.type - 1], types)
    return isinstance(type, Var | DataSec)


def _of_others(type: Type) -> bool:
    return isinstance(type, Func) and type.linkage is Linkage.EXTERN


def _needed(types: Sequence[Type], roots: Iterable[int]) -> set[int]:
    """What these refer to, with the tags on it and what those name."""
    tags = [(number, type) for number, type in enumerate(types, 1) if isinstance(type, DeclTag)]
    kept: set[int] = set()
    new = set(roots) - {0}
    while new:
        kept |= set(reachable(lambda number: types[number - 1], new))
        said = {number: type for number, type in tags if type.type in kept and number not in kept}
        names = {type.name.split(":")[1] for type in said.values() if type.name.startswith(CONTAINS)}
        new = set(said) | {
            number
            for number, type in enumerate(types, 1)
            if isinstance(type, Composite) and type.name in names and number not in kept
        }
    return kept
