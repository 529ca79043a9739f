"""Programs: the functions in sections whose names say what they are for (see `purebpf/tables/sections.py`).

Functions in `.text` are parts of programs only. A function of any other section is a program; one that is static, and one that
others call from a section of an unknown name, is loaded only where it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from purebpf.elf.container import ElfError
from purebpf.elf.externs import Externs
from purebpf.elf.functions import Function
from purebpf.elf.opened import Opened
from purebpf.elf.whole import Whole
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import AttachType, ProgramType
from purebpf.tables.sections import Section, find_section, sections

TEXT = ".text"
LICENSE = "license"
LARGEST = 10_000_000  # slots of all programs together; a small file could have any number of large ones
LOOSE = {"seccomp": "socket", "xdp_devmap": "xdp/devmap", "xdp_cpumap": "xdp/cpumap"}  # older names
Handlers = Mapping[str, Section | tuple[ProgramType, AttachType | None]]


def license_of(file: Opened) -> str:
    """What the section `license` says; "" without one."""
    place = file.elf.section(LICENSE)
    if place is None:
        return ""
    text = file.sections[place].data.split(b"\0")[0]
    try:
        return text.decode("ascii")
    except UnicodeDecodeError:
        raise file.wrong("the license is no ASCII text", place) from None


def meaning(name: str, handlers: Handlers) -> tuple[Section, str] | None:
    """What a section's name stands for, and the hook that follows. `handlers` are meanings of names beside those known.

    Where no name fits as a whole, what is behind its last slashes or underscores does not count (`socket/2`, `xdp_prog`), as
    older loaders have it.
    """
    plain = name.removeprefix("?")
    known = {key: _handler(key, handler) for key, handler in handlers.items()}
    for key in sorted(known, key=len, reverse=True):
        if plain == key or (plain.startswith(key + "/") and known[key].suffix):
            return known[key], plain[len(key) + 1 :]
    if found := find_section(plain):
        return found
    cut = plain
    while cut := cut[: max(cut.rfind("/"), cut.rfind("_"), 0)]:
        section = sections().get(LOOSE.get(cut, cut))
        if section is not None:
            return section, ""
    section = sections().get(LOOSE.get(plain, ""))
    return (section, "") if section is not None else None


def _handler(name: str, handler: Section | tuple[ProgramType, AttachType | None]) -> Section:
    return handler if isinstance(handler, Section) else Section(name, handler[0], handler[1], True, 0)


def programs(
    file: Opened, functions: list[Function], externs: Externs, operations: Mapping[str, str], handlers: Handlers
) -> dict[str, ProgramSpec]:
    """All programs by name. `operations` tells what programs implement, as "struct.member". Raises ElfError."""
    by_place = {function.place: function for function in functions}
    called = {target for function in functions for target in function.targets.values()}
    license, size, found = license_of(file), 0, dict[str, ProgramSpec]()
    meanings: dict[str, tuple[Section, str] | None] = {}
    for function in functions:
        section = file.sections[function.section].name
        if section == TEXT:
            continue
        if function.name in found:
            raise file.wrong(f"there are two programs {function.name}", function.section, 8 * function.start)
        if section not in meanings:
            meanings[section] = meaning(section, handlers)
        whole, known = Whole(file, function, by_place), meanings[section]
        size += whole.size
        if size > LARGEST:
            raise ElfError(f"{file.origin}: its programs have more than {LARGEST} slots with the functions they call")
        instructions = whole.instructions()
        type, hook = (known[0].type, known[1]) if known else (ProgramType.UNSPEC, "")
        found[function.name] = ProgramSpec(
            function.name,
            type,
            instructions,
            license,
            section.removeprefix("?"),
            known[0].attach if known else None,
            operations.get(function.name, "") if type is ProgramType.STRUCT_OPS else hook,
            known[0].flags if known else 0,
            whole.functions(),
            types=file.types,
            relocations=whole.relocations(),
            externs=tuple(externs.symbols[name] for name in _symbols(instructions, externs)),
            optional=section.startswith("?") or function.local or (known is None and function.place in called),
        )
    return found


def _symbols(instructions: Iterable[object], externs: Externs) -> list[str]:
    """The externs that instructions name, in the order of their first use."""
    if not externs.symbols:
        return []
    names = dict.fromkeys(getattr(each, "symbol", None) for each in instructions)
    return [name for name in names if name in externs.symbols]
