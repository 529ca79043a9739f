"""Types as C text: declarations, and the bodies of structs and enums.

C writes a declaration from the inside out: around the name come the stars, lengths and parameters, and the type's word goes in
front. Structs without a name are written out where they are used.
"""

from __future__ import annotations

import re

from purebpf.btf.c_layout import Place, places
from purebpf.btf.c_names import Names, identifier, integer, is_arithmetic
from purebpf.btf.errors import BtfError
from purebpf.btf.layout import DEEPEST
from purebpf.btf.reader import LONGEST_CHAIN, Btf
from purebpf.btf.types import (
    AnyEnum,
    Array,
    Composite,
    Const,
    Enum,
    Enum64,
    Float,
    Func,
    FuncProto,
    Fwd,
    Int,
    Ptr,
    Restrict,
    Struct,
    Type,
    Typedef,
    TypeTag,
    Union,
    Var,
    Void,
    Volatile,
)

MODES = {1: "QI", 2: "HI", 4: "SI", 8: "DI"}
TEXT_FOR_A_BYTE = 200  # a type can be used often, but text beyond all measure comes only from BTF that was made for that
FREE_TEXT = 1 << 18
WITH_NUMBER = re.compile(r"(\w+)\((\d+)\)")  # an attribute: `address_space(1)`


class Declarations:
    """Writes declarations of a BTF's types; `names` are those that types have in C."""

    def __init__(self, btf: Btf, names: Names) -> None:
        self.btf, self.names = btf, names
        self._left = FREE_TEXT + TEXT_FOR_A_BYTE * (len(btf.raw) + (len(btf.base.raw) if btf.base else 0))

    def of(self, number: int, name: str = "", indent: int = 0) -> str:
        """The declaration of `name` with a type; without a name, the type as in a cast."""
        qualifiers: list[str] = []
        inner = name
        for _ in range(LONGEST_CHAIN):
            type = self.btf.type(number)
            match type:
                case Const() | Volatile() | Restrict():
                    qualifiers.append(type.kind.name.lower())
                    number = type.type
                case TypeTag():
                    qualifiers.append(_attribute(type))
                    number = type.type
                case Ptr():
                    # A star takes the qualifiers that were met on the way to it.
                    inner = _joined("*" + " ".join(reversed(qualifiers)), inner) if qualifiers else f"*{inner}"
                    qualifiers, number = [], type.type
                case Array():
                    inner = f"{_grouped(inner)}[{type.length}]"
                    number = type.type
                case FuncProto():
                    inner = f"{_grouped(inner)}({self.parameters(type, indent)})"
                    qualifiers, number = [], type.returns
                case _:
                    words = [*dict.fromkeys(reversed(qualifiers)), self._word(number, type, indent)]
                    return self._paid(_joined(" ".join(words), inner))
            self._paid(inner)
        raise BtfError(f"{self.btf.origin}: the declaration of {name!r} has more than {LONGEST_CHAIN} parts")

    def _paid(self, text: str) -> str:
        self._left -= len(text)
        if self._left < 0:
            raise BtfError(f"{self.btf.origin}: its types make more C than BTF of this size should; it was made for that")
        return text

    def parameters(self, prototype: FuncProto, indent: int = 0) -> str:
        if indent > DEEPEST:
            raise BtfError(f"{self.btf.origin}: functions take functions more than {DEEPEST} deep; one takes itself")
        last = len(prototype.parameters) - 1
        texts = [
            "..." if index == last and not parameter.type else self.of(parameter.type, identifier(parameter.name), indent + 1)
            for index, parameter in enumerate(prototype.parameters)
        ]
        return ", ".join(texts) or "void"

    def _word(self, number: int, type: Type, indent: int) -> str:
        """What stands in front of a declaration."""
        match type:
            case Void():
                return "void"
            case Int() | Float():
                return type.name if is_arithmetic(type.name) else self.names.of(number, type)
            case Typedef():
                return self.names.of(number, type)
            case Fwd():
                return f"{'union' if type.union else 'struct'} {self.names.of(number, type)}"
            case Struct() | Union():
                head = f"{type.kind.name.lower()} {self.names.of(number, type)}" if type.name else ""
                return head or self.composite(number, type, indent)
            case Enum() | Enum64():
                return f"enum {self.names.of(number, type)}" if type.name else self.enum(type, "", indent)
        raise BtfError(f"{self.btf.origin}: type {number}, a {type.kind.name.lower()}, cannot be a part of a declaration")

    def composite(self, number: int, type: Composite, indent: int = 0, tag: bool = True) -> str:
        """A struct or union with its members, without the semicolon behind; with its name unless `tag` is false."""
        if indent > DEEPEST:
            raise BtfError(f"{self.btf.origin}: structs are inside of each other more than {DEEPEST} deep; one contains itself")
        head = f"{type.kind.name.lower()} {self.names.of(number, type) if type.name and tag else ''}".rstrip()
        tabs = "\t" * (indent + 1)
        lines = [f"{tabs}{self._line(place, indent + 1)};\n" for place in places(self.btf, number, type)]
        packed = " __attribute__((packed))" if self.btf.is_packed(number) else ""
        end = "\t" * indent + "}"
        return self._paid(f"{head} {{\n{''.join(lines)}{end}{packed}" if lines else f"{head} {{}}{packed}")

    def _line(self, place: Place, indent: int) -> str:
        if place.member is None:
            return self._paid(place.padding)
        inner = self.btf.resolve(place.member.type)
        type = self.btf.type(inner)
        if not place.member.name and isinstance(type, Composite):
            # A struct with a name but as a member without: compilers want -fms-extensions for that, so it is written out.
            return _joined(self._qualifiers(place.member.type), self.composite(inner, type, indent, tag=False))
        text = self.of(place.member.type, identifier(place.member.name), indent)
        return f"{text}: {place.bits}" if place.bits else text

    def _qualifiers(self, number: int) -> str:
        """The words before a member without a name."""
        words: list[str] = []
        while isinstance(type := self.btf.type(number), Const | Volatile | Restrict | TypeTag | Typedef):
            if isinstance(type, Const | Volatile):
                words.append(type.kind.name.lower())
            number = type.type
        return " ".join(dict.fromkeys(words))

    def enum(self, type: AnyEnum, name: str, indent: int = 0) -> str:
        """An enum with its values; of a size other than the compiler would give it, with the mode that does."""
        tabs = "\t" * (indent + 1)
        rows = [(self.names.fresh(each), value) for each, value in type.values]
        rows = rows or [(self.names.fresh(f"{type.name}___none"), 0)]  # C has no empty enum
        lines = [f"{tabs}{each} = {_value(value)},\n" for each, value in rows]
        values = [value for _, value in rows]
        fits = (min(values) >= 0 and max(values) < 1 << 32) or (min(values) >= -(1 << 31) and max(values) < 1 << 31)
        mode = "" if type.size == (4 if fits else 8) else f" __attribute__((mode({MODES[type.size]})))"
        end = "\t" * indent + "}"
        return self._paid(f"{f'enum {name}'.rstrip()} {{\n{''.join(lines)}{end}{mode}")

    def defined(self, number: int, type: Type) -> str:
        """The line that makes a named type known, without the semicolon. "" for one that the compiler knows."""
        match type:
            case Typedef():
                return f"typedef {self.of(type.type, self.names.of(number, type))}"
            case Struct() | Union():
                return self.composite(number, type)
            case Enum() | Enum64():
                return self.enum(type, self.names.of(number, type))
            case Int():
                return f"typedef {integer(type)} {self.names.of(number, type)}"
            case Func() | Var():
                return f"extern {self.of(type.type, self.names.of(number, type))}"
        return ""


def _attribute(tag: TypeTag) -> str:
    """A type tag, or an attribute as it was written: `address_space(1)` of what lies in an arena."""
    if not tag.attribute:
        text = tag.name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'__attribute__((btf_type_tag("{text}")))'
    if known := WITH_NUMBER.fullmatch(tag.name):
        return f"__attribute__(({identifier(known[1])}({known[2]})))"
    return f"__attribute__(({identifier(tag.name)}))"


def _joined(left: str, right: str) -> str:
    return f"{left} {right}" if left and right else left or right


def _grouped(inner: str) -> str:
    return f"({inner})" if inner.startswith("*") else inner


def _value(value: int) -> str:
    if -(1 << 31) < value < 1 << 32:
        return str(value)
    if value == -(1 << 63):
        return f"{value + 1}LL - 1"
    return f"{value}LL" if value < 1 << 63 else f"{value}ULL"
