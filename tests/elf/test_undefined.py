"""Objects that declare what another object defines: whoever loads them is told what is lacking, and to link."""

from __future__ import annotations

from pathlib import Path

import pytest

import purebpf as bpf
from purebpf.data import replace
from tests.elf import corpus

SOURCE = """
#define SEC(name) __attribute__((section(name)))
static void *(*lookup)(void *map, const void *key) = (void *) 1;
extern struct { int (*type)[1]; int *key; int *value; int (*max_entries)[8]; } ports SEC(".maps");
extern int limit;
extern int perhaps __attribute__((weak));
extern int judged(int size);
SEC("xdp") int uses_map(void *ctx) { int key = 1; return lookup(&ports, &key) ? 1 : 2; }
SEC("xdp") int uses_variable(void *ctx) { return limit; }
SEC("xdp") int uses_function(void *ctx) { return judged(3); }
SEC("xdp") int may_lack(void *ctx) { return &perhaps ? perhaps : 2; }
char _license[] SEC("license") = "GPL";
"""
WANTED = {
    "uses_map": "refers to the map 'ports', which is declared extern and not defined here",
    "uses_variable": "refers to the variable 'limit', which is declared extern and not defined here",
    "uses_function": "calls the function 'judged', which is not defined here",
}


@pytest.fixture(scope="module")
def object(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        corpus.tool()
    except corpus.Missing as missing:
        pytest.skip(str(missing))
    source = tmp_path_factory.mktemp("undefined") / "half.c"
    source.write_text(SOURCE)
    return corpus.built(corpus.Build(source))


@pytest.mark.parametrize("name", WANTED)
@pytest.mark.parametrize("engine", ["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
def test_engines_say_what_is_lacking(object: Path, engine: str, name: str) -> None:
    with pytest.raises(bpf.Error, match=f"{WANTED[name]}: link the object that defines it .purebpf link a.o b.o -o c.o."):
        bpf.load(object, engine=engine, programs=[name])


@pytest.mark.parametrize("name", WANTED)
def test_it_is_not_written_as_something_of_the_kernel(object: Path, name: str, tmp_path: Path) -> None:
    whole = bpf.load_object(object)
    with pytest.raises(bpf.Error, match=f"{WANTED[name]}: link"):
        bpf.write_object(replace(whole, programs={name: whole.programs[name]}), tmp_path / "again.o")


@pytest.mark.parametrize("engine", ["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
def test_what_is_weak_is_zero(object: Path, engine: str) -> None:
    with bpf.load(object, engine=engine, programs=["may_lack"]) as objects:
        assert objects.programs.may_lack.run(packet=bytes(64)).value == bpf.XDP_PASS


@pytest.mark.kernel
def test_linked_with_its_other_half_it_loads(object: Path, tmp_path: Path) -> None:
    source = tmp_path / "other.c"
    source.write_text(
        "#define SEC(name) __attribute__((section(name)))\n"
        'struct { int (*type)[1]; int *key; int *value; int (*max_entries)[8]; } ports SEC(".maps");\n'
        "int limit = 1;\nint judged(int size) { return size - 1; }\n"
    )
    with bpf.load(bpf.link_objects([object, corpus.built(corpus.Build(source))]), engine="kernel") as objects:
        assert objects.programs.uses_variable.run(packet=bytes(64)).value == bpf.XDP_DROP
        assert objects.programs.uses_function.run(packet=bytes(64)).value == bpf.XDP_PASS
