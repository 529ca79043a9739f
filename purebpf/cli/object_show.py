"""What `purebpf object show` tells of an object file: as plain data, and in words.

Types are C's. Values are Python data, in words C's; what has no types is a number or, in hexadecimal, bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from purebpf.btf.errors import BtfError
from purebpf.btf.types import Kind
from purebpf.elf.externs import KCONFIG
from purebpf.elf.names import map_name
from purebpf.objects.changes import order_of, types_of
from purebpf.objects.maps import Codec

if TYPE_CHECKING:
    from purebpf.btf.c_declare import Declarations
    from purebpf.btf.reader import Btf
    from purebpf.spec import CollectionSpec, MapSpec, ProgramSpec, VariableSpec

Row = dict[str, Any]
LONGEST_TYPE, LONGEST_VALUE = 80, 100


def shown(spec: CollectionSpec, in_c: bool = False) -> dict[str, list[Row]]:
    """What is in a collection, as plain data; values of variables as C's text if `in_c`. Sizes and offsets are bytes; slots,
    of 8 bytes each, are those of a program and of the functions that it calls. Maps of data sections are called as `map_name`
    has it."""
    types = Types(spec, in_c)
    names = {name: map_name(spec.name, name) for name in spec.maps}
    return {
        "programs": [_program(each, names) for each in spec.programs.values()],
        "maps": [{"name": names[name], **_map(each, types)} for name, each in spec.maps.items()],
        "variables": [
            {"name": name, "map": names[each.map], "offset": each.offset, "size": each.size, **types.of_variable(each)}
            for name, each in spec.variables.items()
        ],
    }


class Types:
    """The types of an object, as C writes them in one line, and what variables of them hold."""

    def __init__(self, spec: CollectionSpec, in_c: bool) -> None:
        self.spec, self.in_c = spec, in_c

    @cached_property
    def btf(self) -> Btf | None:
        return types_of(self.spec)

    @cached_property
    def _declarations(self) -> Declarations:
        from purebpf.btf.c_declare import Declarations
        from purebpf.btf.c_names import Names

        assert self.btf is not None
        return Declarations(self.btf, Names(self.btf))

    def name(self, number: int) -> str:
        """ "" where nothing is known."""
        try:
            text = self._declarations.of(number) if number and self.btf is not None else ""
        except BtfError:
            return ""
        return "" if text == "void" else " ".join(text.split()).replace(" [", "[")

    def of_map(self, spec: MapSpec) -> Row:
        """The types of keys and values, and of the records of a ring; a data section has variables instead."""
        if spec.types is None or self.btf is None:
            return {}
        section = spec.types.value and self.btf.kind(spec.types.value) is Kind.DATASEC
        numbers = {"key": spec.types.key, "value": 0 if section else spec.types.value, "record": spec.types.record}
        sides = {f"{side}_type": self.name(number) for side, number in numbers.items()}
        return {side: name for side, name in sides.items() if name}

    def of_variable(self, spec: VariableSpec) -> Row:
        """The type, "" where it is not known, and the initial value: null for settings, which the kernel tells."""
        return {"type": self.name(spec.type), "value": self._value(spec)}

    def _value(self, spec: VariableSpec) -> object:
        if spec.map == KCONFIG:
            return None
        contents = self.spec.maps[spec.map].contents
        raw = contents[0][1][spec.offset : spec.offset + spec.size] if contents else b""
        raw = raw.ljust(spec.size, b"\0")
        try:
            if self.in_c and self.btf is not None and spec.type:
                return in_a_line(self.btf.format(spec.type, raw, zeros=False))
            value = Codec(self.btf, spec.type, spec.size, order_of(self.spec)).decode(raw)
        except BtfError:
            return None
        return value.hex() if isinstance(value, bytes) else value


def in_a_line(text: str) -> str:
    """A value that C writes on several lines."""
    return re.sub(r"\n\t*", " ", re.sub(r",\n\t*}", "}", re.sub(r"{\n\t*", "{", text)))


def _program(spec: ProgramSpec, names: dict[str, str]) -> Row:
    return {
        "name": spec.name,
        "section": spec.section,
        "type": spec.type.name.lower(),
        "attach_type": spec.attach_type.name.lower() if spec.attach_type is not None else None,
        "attach_to": spec.attach_to,
        "slots": spec.slots,
        "license": spec.license,
        "optional": spec.optional,
        "maps": [names[name] for name in spec.maps],
        "functions": [{"name": each.name, "slot": each.slot} for each in spec.functions],
        "externs": [each.name for each in spec.externs],
    }


def _map(spec: MapSpec, types: Types) -> Row:
    row: Row = {
        "type": spec.type.name.lower(),
        "key_size": spec.key_size,
        "value_size": spec.value_size,
        "max_entries": spec.max_entries,
        "flags": spec.flags,
        **types.of_map(spec),
    }
    if spec.extra:
        row["extra"] = spec.extra
    if spec.pin:
        row["pin"] = spec.pin
    if spec.inner is not None:
        row["inner"] = _map(spec.inner, types)
    if spec.entries:
        row["entries"] = [{"key": key.hex(), "holds": name} for key, name in spec.entries]
    return row


def lines(rows: dict[str, list[Row]]) -> Iterator[str]:
    """The same in words."""
    for each in rows["programs"]:
        more = "  optional" if each["optional"] else ""
        hook = f" {each['attach_type']}" if each["attach_type"] not in (None, each["type"]) else ""
        yield f"program {each['name']}  section {each['section']}  {each['type']}{hook}  {each['slots']} slots{more}"
        if len(each["functions"]) > 1:
            yield "\tfunctions " + ", ".join(function["name"] for function in each["functions"][1:])
        for what in ("maps", "externs"):
            if each[what]:
                yield f"\t{what} " + ", ".join(each[what])
    for each in rows["maps"]:
        yield f"map {each['name']}  {_of_map(each)}"
        yield from _types_of(each)
        if "inner" in each:
            yield f"\tholds maps: {_of_map(each['inner'])}"
            yield from _types_of(each["inner"])
        for entry in each.get("entries", ()):
            yield f"\t{entry['key']}: {entry['holds']}"
    for each in rows["variables"]:
        yield f"variable {each['name']}  {each['map']} + {each['offset']}  {each['size']} bytes{_told(each)}"


def _of_map(row: Row) -> str:
    more = f"  extra {row['extra']:#x}" if "extra" in row else ""
    pin = f"  pinned {row['pin']}" if "pin" in row else ""
    sizes = f"key {row['key_size']}  value {row['value_size']}  entries {row['max_entries']}"
    return f"{row['type']}  {sizes}  flags {row['flags']:#x}{more}{pin}"


def _types_of(row: Row) -> Iterator[str]:
    """What keys, values and records of a map are."""
    sides = [f"{side} {cut(row[f'{side}_type'], LONGEST_TYPE)}" for side in ("key", "value", "record") if f"{side}_type" in row]
    if sides:
        yield "\t" + "  ".join(sides)


def _told(row: Row) -> str:
    """The type and value of a variable, as far as they are known."""
    type = f"  {cut(row['type'], LONGEST_TYPE)}" if row.get("type") else ""
    return f"{type} = {cut(str(row['value']), LONGEST_VALUE)}" if row.get("value") is not None else type


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 4].rstrip()} ..."
