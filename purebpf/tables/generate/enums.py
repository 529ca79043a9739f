"""Writes `enums.py`: the kernel's enums of commands and of program, map, attach and link types, out of its BTF."""

from __future__ import annotations

from purebpf.tables.generate.kernelbtf import KernelBtf
from purebpf.tables.generate.text import header

# our class, the kernel's enum, the prefix its names carry, a line about it
CLASSES = (
    ("ProgramType", "bpf_prog_type", "BPF_PROG_TYPE_", "What kind of program it is: decides context, helpers and hooks."),
    ("MapType", "bpf_map_type", "BPF_MAP_TYPE_", "What kind of map it is."),
    ("AttachType", "bpf_attach_type", "BPF_", "The hook a program is written for (`expected_attach_type`) or attached to."),
    ("LinkType", "bpf_link_type", "BPF_LINK_TYPE_", "What kind of link holds a program at its hook."),
    ("Command", "bpf_cmd", "BPF_", "The first argument of bpf(2)."),
)


def members(btf: KernelBtf, enum: str, prefix: str) -> list[tuple[str, int]]:
    """(short name, value) in order of value; of two names with one value the one not called deprecated comes first."""
    pairs = [(name.removeprefix(prefix), value) for name, value in btf.enums[enum] if not name.startswith("__MAX")]
    return sorted(pairs, key=lambda pair: (pair[1], pair[0].endswith("_DEPRECATED")))


def render(btf: KernelBtf) -> str:
    """The whole text of `enums.py`."""
    lines = header(
        "enums",
        "The kernel's enums of commands and of program, map, attach and link types, without their prefixes.",
        "the kernel's BTF (bpf_prog_type, bpf_map_type, bpf_attach_type, bpf_link_type, bpf_cmd)",
    )
    lines += ["from __future__ import annotations", "", "from enum import IntEnum"]
    for name, enum, prefix, about in CLASSES:
        lines += ["", "", f"class {name}(IntEnum):", f'    """{about} The kernel\'s `enum {enum}`."""', ""]
        seen: dict[int, str] = {}
        for short, value in members(btf, enum, prefix):
            alias = f"  # another name of {seen[value]}" if value in seen else ""
            seen.setdefault(value, short)
            lines.append(f"    {short} = {value}{alias}")
    lines += ["", ""]
    lines.append("PREFIXES: dict[type[IntEnum], str] = {")
    lines += [f'    {name}: "{prefix}",' for name, _enum, prefix, _about in CLASSES]
    lines += [
        "}",
        "",
        "",
        "def kernel_name(member: IntEnum) -> str:",
        '    """The kernel\'s own spelling: `kernel_name(ProgramType.XDP)` is "BPF_PROG_TYPE_XDP"."""',
        "    return PREFIXES[type(member)] + member.name",
    ]
    return "\n".join(lines) + "\n"
