"""Operations of the kernel that programs of the file implement: variables in `.struct_ops` and `.struct_ops.link`.

Each variable is a struct of the kernel's, as this file knows it; where a member is a function, a relocation names a program. It
becomes a map whose value are the bytes of the variable, with the programs as entries.
"""

from __future__ import annotations

from purebpf.btf.names import essential_name
from purebpf.btf.types import Composite, Ptr, Var
from purebpf.elf.container import FUNCTION, R_BPF_64_ABS64
from purebpf.elf.opened import Opened
from purebpf.spec import MapSpec, MapTypes
from purebpf.tables.enums import MapType

SECTION, WITH_LINK = ".struct_ops", ".struct_ops.link"
LINK = 1 << 13  # BPF_F_LINK


def operations(file: Opened, btf: bytes) -> tuple[dict[str, MapSpec], dict[str, str]]:
    """(the maps by name, what each program implements as "struct.member"). Raises ElfError."""
    maps: dict[str, MapSpec] = {}
    members: dict[str, str] = {}
    for place, section in enumerate(file.sections):
        plain = section.name.removeprefix("?")
        if plain not in (SECTION, WITH_LINK) or not section.data:
            continue
        if section.name not in file.datasecs or file.btf is None:
            raise file.wrong("there are no types (.BTF) of the operations; compile with -g", place)
        for variable, _, at in file.variables(section.name):
            if not isinstance(variable, Var):
                raise file.wrong(f"{variable.name} is no variable", place)
            spec = _map(file, place, variable, at.offset, btf, members)
            if spec.name in maps:
                raise file.wrong(f"there are two operations {spec.name}", place, at.offset)
            maps[spec.name] = spec
    return maps, members


def _map(file: Opened, place: int, variable: Var, offset: int, btf: bytes, members: dict[str, str]) -> MapSpec:
    assert file.btf is not None
    section, number = file.sections[place], file.btf.resolve(variable.type)
    struct = file.btf.type(number)
    if not isinstance(struct, Composite) or not struct.name:
        raise file.wrong(f"the variable {variable.name} is no struct with a name", place, offset)
    if offset + struct.size > len(section.data):
        raise file.wrong(f"the variable {variable.name} of {struct.size} bytes lies outside of it", place, offset)
    entries = []
    for relocation in file.relocations(place):
        within = relocation.offset - offset
        if not 0 <= within < struct.size:
            continue
        symbol = file.elf.symbols[relocation.symbol]
        member = next((each for each in struct.members if each.bit_offset == 8 * within), None)
        pointer = member is not None and isinstance(file.btf.type(file.btf.resolve(member.type)), Ptr)
        if relocation.type != R_BPF_64_ABS64 or symbol.kind != FUNCTION or member is None or not pointer:
            what = f"the operations {variable.name} refer to {symbol.name!r} where no function is expected"
            raise file.wrong(what, place, relocation.offset)
        implemented = f"{essential_name(struct.name)}.{member.name}"
        if members.setdefault(symbol.name, implemented) != implemented:
            what = f"the program {symbol.name} implements {members[symbol.name]} and {implemented}; it can be only one of them"
            raise file.wrong(what, place, relocation.offset)
        entries.append((file.bytes_of(within), symbol.name))
    content = section.data[offset : offset + struct.size]
    return MapSpec(
        variable.name,
        MapType.STRUCT_OPS,
        4,
        struct.size,
        1,
        LINK if section.name.removeprefix("?") == WITH_LINK else 0,
        ((bytes(4), content),),
        types=MapTypes(btf, 0, number, required=True),
        entries=tuple(entries),
        optional=section.name.startswith("?"),
    )
