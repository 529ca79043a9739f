"""BTF as lines, one a type and one a member, in the format of bpftool's `btf dump`; and as data for JSON with the same keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from purebpf.btf.reader import Btf
from purebpf.btf.types import (
    Array,
    Composite,
    DataSec,
    DeclTag,
    Enum,
    Enum64,
    Float,
    Func,
    FuncProto,
    Fwd,
    Int,
    Kind,
    Struct,
    Type,
    Typedef,
    TypeTag,
    Union,
    Var,
)

Item = dict[str, "int | str | list[Item]"]
ANONYMOUS = "(anon)"
LISTS = ("members", "values", "params", "vars")


def rows(btf: Btf, numbers: Iterable[int] | None = None) -> Iterator[Item]:
    """A dictionary for each type of the BTF itself, or for these."""
    for number in range(btf.first, len(btf)) if numbers is None else numbers:
        yield row(btf, number)


def row(btf: Btf, number: int) -> Item:
    """What there is to say about a type; members and the like are in a list."""
    type = btf.type(number)
    head: Item = {"id": number, "kind": type.kind.name, "name": getattr(type, "name", "") or ANONYMOUS}
    return head | _details(type)


def _details(type: Type) -> Item:
    match type:
        case Int():
            encoding = "BOOL" if type.bool else "CHAR" if type.char else "SIGNED" if type.signed else "(none)"
            return {"size": type.size, "bits_offset": type.offset, "nr_bits": type.bits, "encoding": encoding}
        case Array():
            return {"type_id": type.type, "index_type_id": type.index, "nr_elems": type.length}
        case Struct() | Union():
            return {"size": type.size, "vlen": len(type.members), "members": _members(type)}
        case Enum() | Enum64():
            values: list[Item] = [{"name": name, "val": value} for name, value in type.values]
            sign = "SIGNED" if type.signed else "UNSIGNED"
            return {"encoding": sign, "size": type.size, "vlen": len(type.values), "values": values}
        case Fwd():
            return {"fwd_kind": "union" if type.union else "struct"}
        case FuncProto():
            params: list[Item] = [{"name": p.name or ANONYMOUS, "type_id": p.type} for p in type.parameters]
            return {"ret_type_id": type.returns, "vlen": len(params), "params": params}
        case Func() | Var():
            return {"type_id": type.type, "linkage": type.linkage.name.lower()}
        case DataSec():
            variables: list[Item] = [{"type_id": v.type, "offset": v.offset, "size": v.size} for v in type.variables]
            return {"size": type.size, "vlen": len(variables), "vars": variables}
        case Float():
            return {"size": type.size}
        case DeclTag():
            return {"type_id": type.type, "component_idx": type.component}
        case Typedef() | TypeTag():
            return {"type_id": type.type}
    return {"type_id": type.type} if hasattr(type, "type") else {}


def _members(type: Composite) -> list[Item]:
    found: list[Item] = []
    for member in type.members:
        item: Item = {"name": member.name or ANONYMOUS, "type_id": member.type, "bits_offset": member.bit_offset}
        found.append(item | ({"bitfield_size": member.bit_size} if member.bit_size else {}))
    return found


def lines(btf: Btf, numbers: Iterable[int] | None = None) -> Iterator[str]:
    """The lines of each type of the BTF itself, or of these."""
    for item in rows(btf, numbers):
        number, kind, name = item.pop("id"), str(item.pop("kind")), item.pop("name")
        parts = next((item.pop(key) for key in LISTS if key in item), [])
        comma = "," if kind == Kind.VAR.name else ""
        yield " ".join([f"[{number}] {kind} '{name}'", f"{comma} ".join(_pairs(item))])
        assert isinstance(parts, list)
        for part in parts:
            yield "\t" + _part(btf, kind, item, part)


def _pairs(item: Item) -> list[str]:
    return [f"{key}={value}" for key, value in item.items()]


def _part(btf: Btf, kind: str, whole: Item, part: Item) -> str:
    """A line of a member, value, parameter or variable."""
    if kind == Kind.DATASEC.name:
        number = part["type_id"]
        assert isinstance(number, int)
        return f"{' '.join(_pairs(part))} ({btf.kind(number).name} '{btf.name(number)}')"
    if kind == Kind.ENUM64.name:
        return f"'{part['name']}' val={part['val']}{'LL' if whole['encoding'] == 'SIGNED' else 'ULL'}"
    rest = {key: value for key, value in part.items() if key != "name"}
    return " ".join([f"'{part['name']}'", *_pairs(rest)])
