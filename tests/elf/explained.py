"""Where purebpf and libbpf (1.1, Debian's) differ over an object file, one by one, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """`object` is a source's name (at all levels of the instruction set) or that of a file; `what` a map, a program or a field
    of it, or who refuses the object."""

    object: str
    aspect: str
    what: str


EXPLAINED: dict[Difference, str] = {}


def explain(object: str, aspect: str, *what: str, because: str) -> None:
    EXPLAINED.update({Difference(object, aspect, each): because for each in what})


LEGACY = "since 1.0 libbpf takes no maps of before BTF; cilium/ebpf and iproute2 do, and so do we"
for name in ("legacy_maps", "iproute2_maps", "testdata-iproute2_map_compat-el.elf", "testdata-loader-clang-7-el.elf"):
    explain(name, "refused by", "libbpf", because=LEGACY)
for name in ("testdata-subprog_reloc-el.elf", "testdata-invalid_map-el.elf"):
    explain(name, "refused by", "libbpf", because=LEGACY)
explain(
    "testdata-invalid_btf_map_init-el.elf",
    "refused by",
    "purebpf",
    because="libbpf ignores what a map's definition holds beside its values; cilium/ebpf refuses it, and so do we",
)
explain(
    "testdata-fwd_decl-el.elf",
    "refused by",
    "libbpf",
    because="a call of a function that is nowhere: cilium/ebpf and we refuse it when the program is loaded",
)

STATIC = (
    "libbpf takes no static function in a section of programs; cilium/ebpf does, and here it is a program that nobody asks for"
)
for name in ("testdata-loader-clang-9-el.elf", "testdata-loader-clang-14-el.elf", "testdata-loader-el.elf"):
    explain(name, "refused by", "libbpf", because=STATIC)

explain("arena", "refused by", "libbpf", because="libbpf knows arenas since 1.4")
explain(
    "functions_in_sections",
    "refused by",
    "libbpf",
    because="libbpf calls functions of .text only; cilium/ebpf those of any section",
)

NEWER = "sections that libbpf knows since 1.2 to 1.7"
explain("new_sections", "program", *(f"p{number}.type" for number in range(19)), because=NEWER)
explain("new_sections", "program", *(f"p{number}.attach_type" for number in range(18)), because=NEWER)

SLASHES = "since 1.0 libbpf takes no suffix that means nothing, older ones and cilium/ebpf do; so do we"
RELOCS = ("type_ids", "types", "enums", "fields", "err_ambiguous", "err_ambiguous_flavour")
explain("testdata-relocs-el.elf", "program", *(f"{name}.type" for name in RELOCS), because=SLASHES)
explain("testdata-btf_map_init-el.elf", "program", "tail_1.type", "tail_main.type", because=SLASHES)

explain(
    "struct_ops",
    "program",
    "avoid.attach_type",
    "undo.attach_type",
    because="libbpf tells the member's number in this kernel when it opens the object, we when we load it",
)
explain("struct_ops_link", "map", "pb_linked", because="libbpf knows .struct_ops.link since 1.2")
explain(
    "map_kinds",
    "map",
    "ring_of_odd_size",
    because="libbpf rounds up to what this machine's pages want when it opens the object, we when we create the map",
)
MISSING = "libbpf since 1.2 and we call a helper that no kernel has in place of what is missing; 1.1 calls function 0"
explain("kfuncs", "code", "tasks", because=MISSING)
for name in ("linked-kernel", "linked-by-us-kernel"):
    explain(name, "code", "switches", because=MISSING)
