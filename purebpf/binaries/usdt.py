"""The probes that a program or library has itself (USDT): where they are and what their arguments are, from .note.stapsdt.

The format is SystemTap's, version 3 (sys/sdt.h): three addresses (of the probe, of the section .stapsdt.base, of a counter that
says whether anyone listens), the provider, the name, and the arguments in the assembler's syntax, `-4@%edi 8@16(%rsp) 1@$5`.
"""

from __future__ import annotations

import re
import struct

from purebpf.binaries.files import in_file, opened
from purebpf.data import data
from purebpf.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

NOTE, OWNER = 3, b"stapsdt\0"
SECTION, BASE = ".note.stapsdt", ".stapsdt.base"
SIZES = (1, 2, 4, 8)
# Byte offsets in struct pt_regs, by all names that a register has (arch/*/include/asm/ptrace.h).
_AMD = {"ax": 80, "bx": 40, "cx": 88, "dx": 96, "si": 104, "di": 112, "bp": 32, "sp": 152}
_NAMES = {
    "x86_64": {
        **{f"{prefix}{name}": at for name, at in _AMD.items() for prefix in ("r", "e", "")},
        **{f"{name}l": at for name, at in _AMD.items() if name[1] in "ip"},
        **{f"{name[0]}l": at for name, at in _AMD.items() if name[1] == "x"},
        **{
            f"r{n}{suffix}": at
            for n, at in zip(range(8, 16), range(72, -1, -8), strict=False)
            for suffix in ("", "d", "w", "b")
        },
        "rip": 128,
    },
    "aarch64": {
        **{f"{prefix}{n}": 8 * n for n in range(31) for prefix in "xw"},
        "fp": 232,
        "lr": 240,
        "sp": 248,
        "pc": 256,
    },
}
HIGH = {f"{name[0]}h": at for name, at in _AMD.items() if name[1] == "x"}  # bits 8 to 15
PC = {"x86_64": 128, "aarch64": 256}


@data
class Argument:
    """Where an argument of a probe is. `kind`: "constant" (`value`), "register" (`base`, shifted right by `value`), or "memory"
    at the sum of `base`, `index` times `scale`, and `value`; registers are byte offsets in struct pt_regs. With the
    instruction's own address as `base`, `value` is the distance from the probe."""

    size: int
    signed: bool
    kind: str
    value: int = 0
    base: int = 0
    index: int | None = None
    scale: int = 1


@data
class Site:
    """One place of a probe: offsets in the file of its instruction and of its counter (0: it has none), its arguments as
    written, and its address."""

    offset: int
    semaphore: int
    arguments: str
    address: int


def probe_sites(path: str, provider: str, name: str) -> tuple[Site, ...]:
    """All places of a probe, in order. Raises Error, with the probes that there are, when there is none of the name."""
    with opened(path) as (elf, _):
        found = [(site, kind) for site, kind in _sites(elf) if kind == (provider, name)]
        if not found:
            raise Error(f"{path} has no probe {provider}:{name}{_known(elf, provider, name)}")
        return tuple(sorted({site for site, _ in found}, key=lambda site: (site.offset, site.arguments)))


def probes(path: str) -> dict[tuple[str, str], int]:
    """All probes of a file by provider and name, with the number of their places."""
    found: dict[tuple[str, str], int] = {}
    with opened(path) as (elf, _):
        for _site, kind in _sites(elf):
            found[kind] = found.get(kind, 0) + 1
    return found


def specifications(sites: tuple[Site, ...]) -> tuple[str, ...]:
    """The different ways in which the places have their arguments: a probe's program is told which one by its cookie."""
    return tuple(dict.fromkeys(_identity(site) for site in sites))


def specification(site: Site, all: tuple[str, ...]) -> int:
    """The number of a place's way."""
    return all.index(_identity(site))


def _identity(site: Site) -> str:
    """Arguments that are found by the instruction's address differ from place to place."""
    return f"{site.arguments} @{site.address}" if "rip" in site.arguments else site.arguments


def _known(elf: Any, provider: str, name: str) -> str:
    import difflib

    there = sorted({f"{p}:{n}" for _, (p, n) in _sites(elf)})
    if not there:
        return ": it has no probes at all"
    near = difflib.get_close_matches(f"{provider}:{name}", there, 3, 0.6)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; it has {', '.join(there[:10])}{' ...' if len(there) > 10 else ''}"


def _sites(elf: Any) -> Iterator[tuple[Site, tuple[str, str]]]:
    section, base = elf.get_section_by_name(SECTION), elf.get_section_by_name(BASE)
    if section is None or elf.elfclass != 64:
        return
    order = "<" if elf.little_endian else ">"
    for body in _notes(section.data(), order):
        address, at, counter = struct.unpack_from(f"{order}QQQ", body)
        moved = base["sh_addr"] - at if base is not None and at else 0  # the file was changed after it was linked
        texts = [text.decode("utf-8", "replace") for text in body[24:].split(b"\0")[:3]]
        offset = in_file(elf, address + moved)
        if offset is not None and len(texts) == 3:
            semaphore = _data_offset(elf, counter + moved) if counter else 0
            yield Site(offset, semaphore, texts[2], address + moved), (texts[0], texts[1])


def _notes(raw: bytes, order: str) -> Iterator[bytes]:
    at = 0
    while at + 12 <= len(raw):
        name, size, kind = struct.unpack_from(f"{order}III", raw, at)
        start = at + 12 + -(-name // 4) * 4
        if kind == NOTE and raw[at + 12 : at + 12 + name] == OWNER:
            yield raw[start : start + size]
        at = start + -(-size // 4) * 4


def _data_offset(elf: Any, address: int) -> int:
    """Where in the file a variable is; 0 for one that is in no segment."""
    for segment in elf.iter_segments("PT_LOAD"):
        if 0 <= address - segment["p_vaddr"] < segment["p_filesz"]:
            return int(address - segment["p_vaddr"] + segment["p_offset"])
    return 0


# -- arguments


def arguments(path: str, site: Site, machine: str) -> list[Argument | str]:
    """The arguments of a place in order; a text that says why for one that cannot be read."""
    return [_argument(path, site, each, machine) for each in _split(site.arguments)]


def _split(text: str) -> list[str]:
    """The arguments as written; blanks also stand within brackets."""
    return re.findall(r"\S+@(?:\[[^\]]*\]|\S*\([^)]*\)|\S+)", text)


def _argument(path: str, site: Site, text: str, machine: str) -> Argument | str:
    width, _, place = text.partition("@")
    try:
        size = int(width)
    except ValueError:
        return f"`{text}` is no integer"
    if abs(size) not in SIZES or machine not in _NAMES:
        return f"`{text}` is of a size that no integer has"
    found = (_amd if machine == "x86_64" else _arm)(path, site, place)
    return f"`{text}` is a place that is not known" if found is None else Argument(abs(size), size < 0, *found)


Place = tuple[str, int, int, "int | None", int]


def _amd(path: str, site: Site, place: str) -> Place | None:
    names = _NAMES["x86_64"]
    if match := re.fullmatch(r"\$(-?\w+)", place):
        return "constant", int(match[1], 0), 0, None, 1
    if match := re.fullmatch(r"%(\w+)", place):
        name = match[1]
        return ("register", 8, HIGH[name], None, 1) if name in HIGH else _register(names, name)
    if match := re.fullmatch(r"(.*)\(%rip\)", place):
        address = _symbol(path, match[1])
        return None if address is None else ("memory", address - site.address, PC["x86_64"], None, 1)
    match = re.fullmatch(r"(-?\w*)\((?:%(\w+))?(?:,%(\w+)(?:,(\d))?)?\)", place)
    if match is None or match[2] not in names or (match[3] and match[3] not in names):
        return None
    distance = int(match[1], 0) if match[1] else 0
    return "memory", distance, names[match[2]], names[match[3]] if match[3] else None, int(match[4] or 1)


def _arm(path: str, site: Site, place: str) -> Place | None:
    names = _NAMES["aarch64"]
    if re.fullmatch(r"#?-?\d\w*", place):
        return "constant", int(place.lstrip("#"), 0), 0, None, 1
    if place in names:
        return _register(names, place)
    match = re.fullmatch(r"\[(\w+)(?:, *#?(-?\d\w*))?\]", place)
    if match and match[1] in names:
        return "memory", int(match[2] or "0", 0), names[match[1]], None, 1
    match = re.fullmatch(r"\[(\w+), *(x\d+)(?:, *lsl #?(\d))?\]", place)
    if match and match[1] in names and match[2] in names:
        return "memory", 0, names[match[1]], names[match[2]], 1 << int(match[3] or 0)
    return None


def _register(names: dict[str, int], name: str) -> Place | None:
    return ("register", 0, names[name], None, 1) if name in names else None


def _symbol(path: str, text: str) -> int | None:
    """The address of `symbol`, `symbol+8` or `8+symbol`: a variable."""
    match = re.fullmatch(r"(?:(-?\d+)\+)?([A-Za-z_.$][\w.$]*)([+-]\d+)?", text)
    if match is None:
        return None
    with opened(path) as (_, tables):
        for table in tables:
            for symbol in table.get_symbol_by_name(match[2]) or []:
                if symbol["st_value"] and symbol["st_shndx"] != "SHN_UNDEF":
                    return int(symbol["st_value"]) + int(match[1] or 0) + int(match[3] or 0)
    return None
