"""Names as C may have them: one name for one thing in each of C's two namespaces, and none that is a word of the language."""

from __future__ import annotations

import re

from purebpf.btf.reader import Btf
from purebpf.btf.types import Fwd, Int, Kind, Type

WORDS = """
    alignas alignof asm auto break case char const constexpr continue default do double else enum extern float for goto if
    inline int long nullptr register restrict return short signed sizeof static static_assert struct switch thread_local
    typedef typeof union unsigned void volatile while _Bool _Complex _Imaginary"""
KEYWORDS = frozenset(WORDS.split())
NO_C_NAME = re.compile(r"\W", re.ASCII)
# The words that names of the compiler's own arithmetic types are made of.
ARITHMETIC = frozenset(
    (
        "char",
        "short",
        "int",
        "long",
        "signed",
        "unsigned",
        "_Bool",
        "__int128",
        "float",
        "double",
        "_Float16",
        "__bf16",
        "_Float128",
    )
)
BUILT_IN = frozenset({"__builtin_va_list"})
BY_SIZE = {1: "char", 2: "short", 4: "int", 8: "long long", 16: "__int128"}
FLOATS = {2: "_Float16", 4: "float", 8: "double", 12: "long double", 16: "long double"}


def identifier(name: str) -> str:
    """The name, or one like it that C takes: Rust's `Option<u8>` becomes `Option_u8_`. "" stays nothing."""
    cleaned = NO_C_NAME.sub("_", name)
    if cleaned[:1].isdigit():
        cleaned = f"_{cleaned}"
    return f"{cleaned}_" if cleaned in KEYWORDS else cleaned


def is_arithmetic(name: str) -> bool:
    """Whether a compiler knows a type by this name: `long unsigned int`, `_Bool`."""
    return bool(name) and all(word in ARITHMETIC for word in name.split(" "))


def integer(type: Int) -> str:
    """The compiler's own type with the size and sign of one that it does not know by name."""
    return "_Bool" if type.bool and type.size == 1 else f"{'' if type.signed else 'unsigned '}{BY_SIZE[type.size]}"


class Names:
    """What types are called in C. Of several with the same name the second is called `name___2`, and so on, as others do."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self._given: dict[int, str] = {}
        self._counts: dict[tuple[bool, str], int] = {}
        self._taken: set[tuple[bool, str]] = set()
        self._fwds: dict[tuple[str, bool], int] = {}

    def of(self, number: int, type: Type) -> str:
        """The name of a type that has one; structs, unions and enums have a namespace of their own."""
        owner = self._owner(number, type)
        if owner not in self._given:
            tag = type.kind in (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FWD)
            self._given[owner] = self.fresh(self.btf.name(owner), tag)
        return self._given[owner]

    def _owner(self, number: int, type: Type) -> int:
        """A declared struct has its name from the first defined one, or else from the first declared one."""
        if not isinstance(type, Fwd):
            return number
        key = (type.name, type.union)
        if key not in self._fwds:
            found = self.btf.types_named(type.name, Kind.UNION if type.union else Kind.STRUCT)
            self._fwds[key] = found[0] if found else number
        return self._fwds[key]

    def fresh(self, name: str, tag: bool = False) -> str:
        """A name that nothing else has."""
        name = made = identifier(name) or "_"
        count = self._counts.get((tag, name), 1)
        while (tag, made) in self._taken:
            count += 1
            made = f"{name}___{count}"
        self._counts[tag, name] = count
        self._taken.add((tag, made))
        return made
