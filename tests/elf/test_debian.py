"""The objects of cilium/ebpf's tests in Debian's package: what those tests say is in them (elf_reader_test.go there).

What libbpf says of them, and of libxdp's programs, is in test_like_libbpf.py.
"""

from __future__ import annotations

import pytest

import purebpf as bpf
from purebpf.errors import Error
from purebpf.spec import CollectionSpec
from tests.elf import corpus, ours
from tests.elf.libbpf import Map

ORDERS = ("el", "eb")
LOADERS = ("loader", "loader-clang-14", "loader-clang-9", "loader-clang-7")
INNER = (1, 4, 4, 1, 0)
MAPS = {
    "hash_map": Map(1, 4, 8, 1, 1),
    "hash_map2": Map(1, 4, 8, 2, 0),
    "array_of_hash_map": Map(12, 4, 0, 2, 0),
    "perf_event_array": Map(4, 0, 0, 4096, 0),  # cilium/ebpf makes it as many as there are processors
}
BTF_MAPS = {
    "btf_pin": Map(1, 4, 8, 1, 0),
    "btf_outer_map": Map(12, 4, 4, 1, 0, inner=INNER),
    "btf_outer_map_anon": Map(12, 4, 4, 1, 0, inner=INNER),
}
SOCKET, XDP = 1, 6
PROGRAMS = {  # section and type
    "xdp_prog": ("xdp", XDP),
    "no_relocation": ("socket", SOCKET),
    "asm_relocation": ("socket/2", SOCKET),
    "data_sections": ("socket/3", SOCKET),
    "global_fn3": ("other", 0),
    "static_fn": ("static", 0),
    "anon_const": ("socket/4", SOCKET),
}


def spec(name: str) -> CollectionSpec:
    """An object of the package. Raises Error as reading it does."""
    try:
        there = corpus.debian()
    except corpus.Missing as missing:
        pytest.skip(str(missing))
    return bpf.load_object(there[f"testdata-{name}.elf"])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("loader", LOADERS)
def test_maps_and_programs(loader: str, order: str) -> None:
    found = spec(f"{loader}-{order}")
    maps = {name: ours.as_map(each) for name, each in found.maps.items() if not name.startswith(".")}
    assert maps == MAPS | (BTF_MAPS if found.types and loader != "loader-clang-7" else {})
    assert {name: (each.section, int(each.type)) for name, each in found.programs.items()} == PROGRAMS
    assert {each.license for each in found.programs.values()} == {"MIT"}
    assert not {"arg", "arg2"} - found.variables.keys() or loader == "loader-clang-7"


@pytest.mark.parametrize("order", ORDERS)
def test_maps_with_values(order: str) -> None:
    maps, byte_order = spec(f"btf_map_init-{order}").maps, "little" if order == "el" else "big"
    for name, holds in (("prog_array_init", "tail_1"), ("outer_map_init", "inner_map")):
        ((key, value),) = maps[name].entries
        assert (int.from_bytes(key, byte_order), value) == (1, holds)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ORDERS)
def test_what_is_invalid(order: str) -> None:
    with pytest.raises(Error, match="only `values` may have some"):
        spec(f"invalid_btf_map_init-{order}")
    with pytest.raises(Error, match="is static"):
        spec(f"invalid_map_static-{order}")
    assert spec(f"invalid_map-{order}").maps["invalid_map"].extra  # which no map of this type takes


@pytest.mark.parametrize("order", ORDERS)
def test_the_rest(order: str) -> None:
    assert {name: each.pin for name, each in spec(f"iproute2_map_compat-{order}").maps.items()}.keys() == {"hash_map"}
    (program,) = spec(f"raw_tracepoint-{order}").programs.values()
    assert (program.type.name, program.attach_to) == ("RAW_TRACEPOINT", "sched_process_exec")
    replacing = spec(f"freplace-{order}").programs["replacement"]
    assert (replacing.type.name, replacing.attach_to) == ("EXT", "subprog")
    assert [each.name for each in spec(f"subprog_reloc-{order}").programs["fp_relocation"].functions][1:] == ["sub_prog"]
    assert spec(f"map_spin_lock-{order}").maps["spin_lock_map"].types is not None
    relocs = spec(f"relocs-{order}")
    assert set(relocs.programs) == {"type_ids", "types", "enums", "fields", "err_ambiguous", "err_ambiguous_flavour"}
    assert all(each.relocations for each in relocs.programs.values())
