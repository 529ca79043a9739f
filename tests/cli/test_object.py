"""`purebpf object`: what is in an object file, what becomes of it for this kernel, whether it loads."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from purebpf.isa import decode
from tests.cli.test_cli import purebpf
from tests.elf import corpus


def built(name: str, target: str = "bpf") -> Path:
    """A source of the corpus, compiled."""
    try:
        corpus.tool()
    except corpus.Missing as missing:
        pytest.skip(str(missing))
    return corpus.built(corpus.Build(corpus.SOURCES / f"{name}.c", target=target))


def test_show_lists_programs_maps_and_variables() -> None:
    done = purebpf("object", "show", str(built("subprograms")))
    assert done.returncode == 0, done.stderr
    assert "program first  section xdp  xdp  35 slots\n\tfunctions middle, leaf, shared\n\tmaps subprogr.bss\n" in done.stdout
    assert "map subprogr.bss  array  key 4  value 32  entries 1  flags 0x400\n" in done.stdout
    assert "variable trace  subprogr.bss + 0  32 bytes  u32[8] = {0, 0, 0, 0, 0, 0, 0, 0}\n" in done.stdout


def test_show_has_types_and_initial_values() -> None:
    done = purebpf("object", "show", str(built("data_sections")))
    assert done.returncode == 0, done.stderr
    found = {line.split()[1]: line.split(" bytes", 1)[1] for line in done.stdout.splitlines() if line.startswith("variable ")}
    told = '{.limit = 3, .ports = {80, 443, 0, 0, 0}, .enabled = true, .name = "abc"}'
    assert found["settings"] == f"  struct settings = {told}"
    assert found["mode"] == "  volatile const enum mode = AUTO"
    done = purebpf("object", "show", str(built("data_sections")), "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)["variables"]}
    assert rows["settings"]["value"] == {"limit": 3, "ports": [80, 443, 0, 0, 0], "enabled": True, "name": "abc"}
    assert (rows["aligned"]["type"], rows["aligned"]["value"]) == ("s64", -4)


def test_show_tells_settings_without_values_and_cuts_what_is_long(tmp_path: Path) -> None:
    done = purebpf("object", "show", str(built("kconfig")))
    assert "variable CONFIG_HZ  kconfig.kconfig + 12  4 bytes  int\n" in done.stdout
    source = tmp_path / "long.c"
    source.write_text("int many[300] = {1000};\nstruct { int a; struct { long b, c; } inner[3]; } nameless = {5};\n")
    done = purebpf("object", "show", str(corpus.built(corpus.Build(source))))
    many, nameless = (line for line in done.stdout.splitlines() if line.startswith("variable "))
    assert many.startswith("variable many  long.data + 0  1200 bytes  int[300] = {1000, 0, 0") and many.endswith(" ...")
    assert len(many) < 160 and "struct { int a; struct { " in nameless and nameless.endswith(" = {.a = 5}")


def test_show_without_types_has_numbers_and_bytes(tmp_path: Path) -> None:
    built("optional")  # whether there is a compiler
    source = tmp_path / "plain.c"
    source.write_text("int number = 258;\nchar text[3] = {1, 2, 3};\n")
    done = purebpf("object", "show", str(corpus.built(corpus.Build(source, debug=False))))
    assert [line.rsplit("bytes", 1)[1] for line in done.stdout.splitlines() if "variable" in line] == [" = 258", " = 010203"]


@pytest.mark.parametrize("target", ["bpf", "bpfeb"])
def test_show_as_json(target: str) -> None:
    done = purebpf("object", "show", str(built("map_of_maps", target)), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (program,) = found["programs"]
    assert (program["name"], program["section"], program["type"], program["slots"]) == ("nested", "xdp", "xdp", 57)
    assert program["maps"] == ["filled", "table", "rings", "empty"]
    maps = {each["name"]: each for each in found["maps"]}
    inner = {"type": "hash", "key_size": 8, "value_size": 16, "max_entries": 8, "flags": 0}
    assert (maps["first"]["key_type"], maps["first"]["value_type"]) == ("u32", "u64")
    assert maps["third"] == {"name": "third", **inner}
    assert maps["table"]["inner"] == inner and maps["table"]["type"] == "hash_of_maps"
    assert [entry["holds"] for entry in maps["filled"]["entries"]] == ["first", "second", "first"]


def test_show_tells_what_is_optional_and_what_the_kernel_must_have() -> None:
    done = purebpf("object", "show", str(built("optional")))
    assert "program asked_for  section xdp  xdp  2 slots  optional\n" in done.stdout
    done = purebpf("object", "show", str(built("kfuncs")))
    assert "\texterns bpf_rcu_read_lock, bpf_rcu_read_unlock\n" in done.stdout


def test_what_is_no_object_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.o").write_text("no object")
    done = purebpf("object", "show", str(tmp_path / "x.o"))
    assert done.returncode == 1 and "is no ELF file" in done.stderr and not done.stdout


@pytest.mark.kernel
def test_relocate_prints_programs_as_this_kernel_gets_them() -> None:
    done = purebpf("object", "relocate", str(built("core_many")))
    assert done.returncode == 0, done.stderr
    found = {name: bytes.fromhex(code) for word, name, code in map(str.split, done.stdout.splitlines()) if word == "PROG"}
    assert list(found) == ["one", "two", "three"]
    assert all(decode(code, sys.byteorder)[-1].opcode == 0x95 for code in found.values())
    assert len(found["two"]) > len(found["one"])


@pytest.mark.kernel
def test_relocate_as_text() -> None:
    done = purebpf("object", "relocate", "--disasm", str(built("subprograms")))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("; first: xdp, 35 slots\nfirst:\n; ") and "\nleaf:\n" in done.stdout
    assert "   0: (" in done.stdout and "PROG" not in done.stdout


def test_relocate_wants_this_machines_byte_order() -> None:
    done = purebpf("object", "relocate", str(built("packets", "bpfeb" if sys.byteorder == "little" else "bpfel")))
    assert done.returncode == 1 and "-endian machines" in done.stderr and not done.stdout


@pytest.mark.kernel
def test_load_tells_programs_that_load() -> None:
    done = purebpf("object", "load", str(built("several_in_a_section")))
    assert (done.returncode, done.stdout.splitlines()) == (0, ["a xdp ok", "b xdp ok", "d xdp ok", "c xdp ok"]), done.stderr


@pytest.mark.kernel
def test_load_tells_each_error_in_a_line() -> None:
    done = purebpf("object", "load", str(built("unknown_section")))
    custom, known = done.stdout.splitlines()
    assert done.returncode == 1 and known == "known xdp ok"
    assert custom.startswith("custom unspec The program 'custom' is in the section 'of_our_own/thing'")


@pytest.mark.kernel
def test_load_tells_rejections_with_their_lines(tmp_path: Path) -> None:
    source = tmp_path / "rejected.c"
    source.write_text(
        "#define SEC(name) __attribute__((section(name), used))\nstruct xdp_md { int data, data_end; };\n"
        'SEC("xdp") int bad(struct xdp_md *ctx)\n{\n    return *(char *)(long)ctx->data;\n}\n'
        'SEC("xdp") int good(struct xdp_md *ctx) { return 2; }\n'
    )
    built("optional")  # whether there is a compiler
    done = purebpf("object", "load", str(corpus.built(corpus.Build(source))))
    bad, good = done.stdout.splitlines()
    assert done.returncode == 1 and good == "good xdp ok"
    assert bad.startswith("bad xdp ") and "rejected.c:5: the kernel's verifier rejected it: " in bad


@pytest.mark.kernel
def test_load_leaves_out_what_is_optional_and_pins_nothing() -> None:
    before = set(os.listdir("/sys/fs/bpf")) if os.path.isdir("/sys/fs/bpf") else set()
    done = purebpf("object", "load", str(built("optional")))
    assert done.stdout.splitlines() == ["missing raw_tracepoint optional", "asked_for xdp optional", "always raw_tracepoint ok"]
    assert done.returncode == 0
    assert purebpf("object", "load", str(built("map_pins"))).returncode == 0
    assert (set(os.listdir("/sys/fs/bpf")) if before else set()) == before


@pytest.mark.kernel
def test_load_of_all_takes_what_is_optional() -> None:
    done = purebpf("object", "load", "--all", str(built("optional")))
    assert "asked_for xdp ok" in done.stdout.splitlines()


@pytest.mark.kernel
def test_load_tells_a_map_that_no_program_uses(tmp_path: Path) -> None:
    source = tmp_path / "large.c"
    source.write_text(
        "#define SEC(name) __attribute__((section(name), used))\n"
        'struct { int (*type)[2]; int *key; char (*value)[4096]; int (*max_entries)[0x7fffffff]; } large SEC(".maps");\n'
        'SEC("xdp") int first(void *ctx) { return 2; }\nSEC("xdp") int second(void *ctx) { return 2; }\n'
    )
    built("optional")  # whether there is a compiler
    done = purebpf("object", "load", str(corpus.built(corpus.Build(source))))
    assert done.returncode == 1 and "Creating the map 'large'" in done.stderr
