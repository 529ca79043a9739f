"""What a file's debugging information says about a function: the names and types of its parameters, and of its result.

DWARF 2 to 5 (dwarfstd.org), read by pyelftools: the function's unit is found by its address (.debug_aranges, else the units'
ranges), so that a large file need not be read whole. A stripped file's information is looked for in its debug file: by build
id (/usr/lib/debug/.build-id) or by .gnu_debuglink, as debuggers do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

from purebpf.binaries.files import opened
from purebpf.data import data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEBUG_FOLDER = "/usr/lib/debug"
ORIGINS = ("DW_AT_abstract_origin", "DW_AT_specification")
MODIFIERS = frozenset(
    f"DW_TAG_{word}_type" for word in ("const", "volatile", "restrict", "atomic", "packed", "shared", "immutable")
) | {"DW_TAG_typedef"}
POINTERS = frozenset(f"DW_TAG_{word}_type" for word in ("pointer", "reference", "rvalue_reference", "ptr_to_member"))
SCOPES = frozenset(f"DW_TAG_{word}" for word in ("namespace", "class_type", "structure_type", "module"))
BOOLEAN, FLOATS, SIGNED = 0x02, (0x03, 0x04, 0x0F), (0x05, 0x06, 0x0D)  # DW_ATE_*
POINTER_SIZE = 8


@data
class CType:
    """A C type as a register holds it. `kind`: "int", "bool", "pointer", "float", "struct" (by value) or "void"; `size` is
    bytes, `name` is for messages."""

    kind: str
    size: int = 0
    signed: bool = False
    name: str = ""


VOID = CType("void", name="void")


@data
class Prototype:
    """A function's parameters in order, by name ("" for one without), and its result."""

    parameters: tuple[tuple[str, CType], ...]
    result: CType


def prototype(path: str, address: int) -> Prototype | None:
    """Of the function that begins at an address of the file; None where nothing is known about it. Raises Error for a file that
    is no ELF file."""
    with ExitStack() as stack:
        elf, _ = stack.enter_context(opened(path))
        if not elf.has_dwarf_info(strict=True):
            other = _debug_file(elf, path)
            if other is None:
                return None
            elf, _ = stack.enter_context(opened(other))
            if not elf.has_dwarf_info(strict=True):
                return None
        found = _function(elf.get_dwarf_info(follow_links=False), address)
        return None if found is None else Prototype(tuple(_parameters(found)), _type(_reference(found, "DW_AT_type")))


def _debug_file(elf: Any, path: str) -> str | None:
    """The file with the debugging information of a stripped one."""
    note = elf.get_section_by_name(".note.gnu.build-id")
    link = elf.get_section_by_name(".gnu_debuglink")
    places = []
    if note is not None:
        for each in note.iter_notes():
            if each["n_type"] == "NT_GNU_BUILD_ID":
                places.append(f"{DEBUG_FOLDER}/.build-id/{each['n_desc'][:2]}/{each['n_desc'][2:]}.debug")
    if link is not None:
        name = link.data().split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
        folder = os.path.dirname(path)
        places += [f"{folder}/{name}", f"{folder}/.debug/{name}", f"{DEBUG_FOLDER}{folder}/{name}"]
    return next((place for place in places if os.path.isfile(place) and place != path), None)


def _function(dwarf: Any, address: int) -> Any:
    """The entry of the function at an address; None if there is none."""
    for unit in _units(dwarf, address):
        if (found := _inside(unit.get_top_DIE(), address)) is not None:
            return found
    return None


def _units(dwarf: Any, address: int) -> Iterator[Any]:
    """The units that may have it."""
    ranges = dwarf.get_aranges()
    at = ranges.cu_offset_at_addr(address) if ranges is not None else None
    if at is not None:
        yield dwarf.get_CU_at(at)
        return
    for unit in dwarf.iter_CUs():
        top = unit.get_top_DIE()
        low, high = _number(top, "DW_AT_low_pc"), _end(top)
        if low is None or "DW_AT_ranges" in top.attributes or (high is not None and low <= address < high):
            yield unit


def _inside(parent: Any, address: int) -> Any:
    for entry in parent.iter_children():
        if entry.tag == "DW_TAG_subprogram" and address in _starts(entry):
            return entry
        if entry.tag in SCOPES and (found := _inside(entry, address)) is not None:
            return found
    return None


def _starts(function: Any) -> list[int]:
    """Where a function's code begins; of one that was split into hot and cold parts, where each part does."""
    low, ranges = _number(function, "DW_AT_low_pc"), _number(function, "DW_AT_ranges")
    if ranges is None:
        return [] if low is None else [low]
    base = _number(function.cu.get_top_DIE(), "DW_AT_low_pc") or 0
    entries = function.dwarfinfo.range_lists().get_range_list_at_offset(ranges, function.cu)
    return [e.begin_offset + (0 if e.is_absolute else base) for e in entries if hasattr(e, "begin_offset")]


def _number(entry: Any, name: str) -> int | None:
    found = entry.attributes.get(name)
    return found.value if found is not None and isinstance(found.value, int) else None


def _end(entry: Any) -> int | None:
    """Where its code ends: an address, or a length (DWARF 4)."""
    low, high = _number(entry, "DW_AT_low_pc"), _number(entry, "DW_AT_high_pc")
    if low is None or high is None:
        return None
    return high if entry.attributes["DW_AT_high_pc"].form == "DW_FORM_addr" else low + high


def _parameters(function: Any) -> Iterator[tuple[str, CType]]:
    for entry in function.iter_children():
        if entry.tag == "DW_TAG_formal_parameter":
            yield _name(entry), _type(_reference(entry, "DW_AT_type"))


def _origins(entry: Any) -> Iterator[Any]:
    """An entry, and those that it completes: a function's declaration, the parameters of its inlined form."""
    while entry is not None:
        yield entry
        name = next((name for name in ORIGINS if name in entry.attributes), None)
        entry = None if name is None else entry.get_DIE_from_attribute(name)


def _name(entry: Any) -> str:
    for each in _origins(entry):
        if "DW_AT_name" in each.attributes:
            return str(each.attributes["DW_AT_name"].value.decode("utf-8", "replace"))
    return ""


def _reference(entry: Any, name: str) -> Any:
    """The entry that an attribute refers to."""
    return next((each.get_DIE_from_attribute(name) for each in _origins(entry) if name in each.attributes), None)


def _type(entry: Any) -> CType:
    name = ""
    while entry is not None and entry.tag in MODIFIERS:
        name = name or _name(entry)
        entry = _reference(entry, "DW_AT_type")
    if entry is None:
        return VOID
    size = _number(entry, "DW_AT_byte_size") or 0
    name = name or _name(entry)
    if entry.tag in POINTERS:
        return CType("pointer", POINTER_SIZE, name=f"{_type(_reference(entry, 'DW_AT_type')).name} *")
    if entry.tag == "DW_TAG_base_type":
        encoding = _number(entry, "DW_AT_encoding")
        kind = "bool" if encoding == BOOLEAN else "float" if encoding in FLOATS else "int"
        return CType(kind, size, encoding in SIGNED, name)
    if entry.tag == "DW_TAG_enumeration_type":
        under = _reference(entry, "DW_AT_type")
        signed = _type(under).signed if under is not None else _has_negative(entry)
        return CType("int", size or 4, signed, f"enum {name}")
    if entry.tag in ("DW_TAG_unspecified_type", "DW_TAG_subroutine_type"):
        return VOID
    return CType("struct", size, name=name)


def _has_negative(entry: Any) -> bool:
    """Whether an enumeration has a value below 0: C compilers take a signed type then."""
    return any((_number(each, "DW_AT_const_value") or 0) < 0 for each in entry.iter_children())
