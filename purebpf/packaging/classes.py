"""Layouts as classes in the text of a package: each struct, union and enum once, those that others hold before them."""

from __future__ import annotations

from purebpf.errors import Error
from purebpf.lang.types import (
    ArrayType,
    BoolType,
    BytesType,
    CharsType,
    EnumType,
    Field,
    IntType,
    KernelType,
    StructType,
    Type,
)
from purebpf.objects.naming import identifier
from purebpf.objects.records import field_names, member_names

NETWORKS = "purebpf.lang.maps.lpm"  # whose records user space may give as networks of `ipaddress`
TOP = frozenset({"IntEnum", "annotations"})


class Classes:
    """The classes of one package. `code` has them as `__init__.py` makes them, `stubs` as a type checker sees them."""

    def __init__(self, taken: set[str]) -> None:
        self.taken = set(TOP) | taken
        self.code: list[str] = []
        self.stubs: list[str] = []
        self.names: list[str] = []
        self._by_type: dict[int, str] = {}
        self._kept: list[object] = []  # whose ids are keys
        self._by_text: dict[tuple[str, str], str] = {}

    def expression(self, layout: Type) -> str:
        """A layout, as code."""
        match layout:
            case EnumType(bits=bits, signed=signed, names=names):
                sign = ", True" if signed else ""
                return f"_s.enum({self._enum(names)}, {bits // 8}{sign})"
            case IntType() | BoolType():
                return f"_s.{layout}"
            case CharsType(size=size, full=full):
                return f"_s.{'text' if full else 'chars'}({size})"
            case BytesType(size=size):
                return f"_s.bytes({size})"
            case ArrayType(element=element, count=count):
                return f"_s.array({self.expression(element)}, {count})"
            case KernelType(name=name, size=size, align=align):
                return f"_s.kernel({quoted(name)}, {size}, {align})"
            case StructType():
                return self._record(layout)
        raise Error(f"`{layout}` cannot be in a package")

    def annotation(self, layout: Type) -> str:
        """A layout, as a type checker sees its values."""
        match layout:
            case EnumType(names=names):
                return f"_{self._enum(names)} | _b.int"
            case IntType():
                return "_b.int"
            case BoolType():
                return "_b.bool"
            case CharsType():
                return "_b.str"
            case BytesType():
                return "_b.bytes"
            case ArrayType(element=element):
                return f"_b.list[{self.annotation(element)}]"
            case StructType():
                name = self._record(layout)
                return name if name.startswith("_s.") else f"_{name}"
        return "None"

    def aliases(self) -> list[str]:
        """The classes by names that no field has, since fields have the names of classes."""
        return [f"_{name} = {name}" for name in self.names]

    def _named(self, key: object, wanted: str, text: str) -> tuple[str, bool]:
        """The name for a class of this text, and whether it has to be written: equal ones are one class."""
        name = self._by_text.get((wanted, text))
        new = name is None
        if name is None:
            name = identifier((wanted or "unnamed").lstrip("_"), self.taken)
            self._by_text[wanted, text] = name
            self.taken |= {name, f"_{name}"}
            self.names.append(name)
        self._by_type[id(key)] = name
        self._kept.append(key)
        return name, new

    def _enum(self, names: object) -> str:
        if id(names) in self._by_type:
            return self._by_type[id(names)]
        wanted, values = names.__name__, names.values  # type: ignore[attr-defined]
        text = "\n".join(f"    {member} = {value}" for member, value in member_names(values).items())
        name, new = self._named(names, wanted, text)
        if new:
            for place in (self.code, self.stubs):
                place.append(f"class {name}(IntEnum):\n{text}\n")
        return name

    def _record(self, layout: StructType) -> str:
        if getattr(layout.record, "__module__", "") == NETWORKS:
            return f"_s.{layout.name}"
        if id(layout) in self._by_type:
            return self._by_type[id(layout)]
        fields = field_names(layout)
        rows = [self._row(name, field) for name, field in fields.items()]
        text = f"{layout.size}, {layout.align}, [{', '.join(rows)}]"
        name, new = self._named(layout, layout.name, text)
        if new:
            body = "".join(f"\n    {row}," for row in rows)
            self.code.append(f"{name} = _s.record(__name__, {quoted(name)}, {layout.size}, {layout.align}, [{body}\n])\n")
            self.stubs.append(self._stub(name, fields))
        return name

    def _row(self, name: str, field: Field) -> str:
        bits = f", {field.bits}, {field.shift}{', True' if field.signed else ''}" if field.bits else ""
        return f"({quoted(name)}, {self.expression(field.type)}, {field.offset}{bits})"

    def rows(self, layout: StructType) -> str:
        """The fields of a record that needs no class, as code."""
        return f"[{', '.join(self._row(name, field) for name, field in field_names(layout).items())}]"

    def _stub(self, name: str, fields: dict[str, Field]) -> str:
        known = {field: self.annotation(each.type) for field, each in fields.items() if not isinstance(each.type, KernelType)}
        lines = [f"class {name}(_s.Record):", *(f"    {field}: {type}" for field, type in known.items())]
        given = ", ".join(f"{field}: {type} = ..." for field, type in known.items())
        return "\n".join([*lines, f"    def __init__(self, {'*, ' if given else ''}{given}) -> None: ...", ""])


def quoted(text: str) -> str:
    """A text as Python code, in the quotes that formatters want."""
    shown = repr(text)
    return shown if '"' in text or shown[0] == '"' else f'"{shown[1:-1]}"'
