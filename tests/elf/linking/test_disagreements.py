"""Objects that contradict each other are not linked: the error names both, and what is different."""

from __future__ import annotations

from pathlib import Path

import pytest

from purebpf import Error
from tests.elf.linking.kit import LICENSE, Seen, compiled, linked, needs_clang

pytestmark = needs_clang

USES = 'SEC("tc") int %s(struct __sk_buff *ctx) { return %s; }\n'
MAP = (
    "%s struct { __uint(type, %s); __uint(max_entries, %s); __type(key, %s); __type(value, struct counts { %s a; %s b; }); %s }"
    " counters SEC('.maps');\n"
)
LOOKUP = USES % ("one", "bpf_map_lookup_elem(&counters, &(int){0}) != 0")


def definition(
    extern: str = "", type: str = "HASH", entries: str = "16", key: str = "int", value: str = "long", more: str = ""
) -> str:
    return (MAP % (extern, type, entries, key, value, value, more)).replace("'", '"')


def refused(folder: Path, *texts: str) -> str:
    with pytest.raises(Error) as refusal:
        linked(folder, *texts)
    return str(refusal.value).replace(f"{folder}/", "")


def test_two_definitions(tmp_path: Path) -> None:
    told = refused(tmp_path, "int limit = 1;\n", "int limit = 2;\n" + LICENSE)
    assert told.startswith("'limit' is defined in a.o and again in b.o; rename one or make it static")


def test_two_programs_of_one_name(tmp_path: Path) -> None:
    program = USES % ("one", "1") + LICENSE
    assert refused(tmp_path, program, program).startswith("'one' is defined in a.o and again in b.o")


@pytest.mark.parametrize(
    ("declared", "defined", "words"),
    [
        ("extern int limit;", "long limit = 1;", "`long limit` in b.o, `int limit` in a.o (long of 8 bytes in b.o, int of 4"),
        ("extern int limit;", "int *limit = 0;", "`int *limit` in b.o, `int limit` in a.o (a pointer in b.o, int of 4 bytes"),
        ("extern int limit[4];", "int limit[8];", "(8 elements in b.o, 4 elements in a.o)"),
        ("extern struct a { int x; } limit;", "struct b { int x; } limit;", "(struct b of 4 bytes in b.o, struct a of 4 bytes"),
        (
            "extern struct a { int x, y; } limit;",
            "struct a { int x, z; } limit;",
            "(struct a: member 'z' in b.o, member 'y' in a.o)",
        ),
        (
            "extern struct a { int x; char y; } limit;",
            "struct a { int x; short y; } limit;",
            "(member 'y' of struct a: short of 2 bytes in b.o, char of 1 bytes in a.o)",
        ),
        (
            "extern struct a { int x:4, y:4; } limit;",
            "struct a { int x:5, y:3; } limit;",
            "(member 'x' of struct a: at bit 0, 5 wide in b.o, at bit 0, 4 wide in a.o)",
        ),
        ("extern enum e { A } limit;", "enum f { B } limit;", "(enum f in b.o, enum e in a.o)"),
        ("extern int (*limit)(int);", "int (*limit)(char *);", "(parameter 1: a pointer in b.o, int of 4 bytes in a.o)"),
        ("extern struct a *limit;", "union a *limit;", "(union a in b.o, struct a in a.o)"),
    ],
)
def test_variables_of_other_types(tmp_path: Path, declared: str, defined: str, words: str) -> None:
    told = refused(tmp_path, f"{declared}\n" + USES % ("one", "(long)&limit"), f"{defined}\n" + LICENSE)
    assert told.startswith("The name 'limit' means different things: ") and words in told


@pytest.mark.parametrize(
    ("declared", "defined"),
    [
        ("extern unsigned int limit;", "int limit = 1;"),
        ("typedef int number; extern const number limit;", "volatile int limit = 1;"),
        ("extern int limit[];", "int limit[8];"),
        ("struct a; extern struct a *limit;", "struct a { struct a *next; int x; }; struct a *limit; struct a used;"),
        ("extern struct a { struct a *next; } limit;", "struct a { struct a *next; } limit;"),
        ("extern int (*limit)(int wide);", "int (*limit)(int);"),
        ("extern union u { int a; char b; } limit;", "union u { int a; char b; } limit;"),
    ],
)
def test_what_c_takes_for_one_type(tmp_path: Path, declared: str, defined: str) -> None:
    texts = (f"{declared}\n" + USES % ("one", "(long)&limit"), f"{defined}\n" + LICENSE)
    assert len(Seen(linked(tmp_path, *texts)).typed("limit")) == 1


@pytest.mark.parametrize(
    ("declared", "call", "words"),
    [
        ("int shared(struct __sk_buff *ctx);", "shared(ctx)", "2 parameters in b.o, 1 parameter in a.o"),
        ("int shared(int ctx, int x);", "shared(1, 1)", "parameter 1: a pointer in b.o, int of 4 bytes in a.o"),
        ("int shared(struct m *ctx, int x);", "shared(0, 1)", "parameter 1: struct __sk_buff in b.o, struct m in a.o"),
        ("long shared(struct __sk_buff *c, int x);", "shared(ctx, 1)", "what it returns: int of 4 bytes in b.o, long of 8"),
        ("void shared(struct __sk_buff *c, int x);", "(shared(ctx, 1), 0)", "what it returns: int of 4 bytes in b.o, void"),
    ],
)
def test_functions_with_other_prototypes(tmp_path: Path, declared: str, call: str, words: str) -> None:
    defined = "__noinline int shared(struct __sk_buff *ctx, int x) { return ctx->len * x; }\n"
    told = refused(tmp_path, f"{declared}\n" + USES % ("one", call), defined + LICENSE)
    assert "`int shared(struct __sk_buff *ctx, int x)` in b.o" in told and words in told


def test_a_function_and_a_variable(tmp_path: Path) -> None:
    told = refused(tmp_path, "extern int shared;\n" + USES % ("one", "shared"), "__noinline int shared(int x) { return x; }\n")
    assert "a function in b.o, a variable in a.o" in told
    weak = "__weak int shared = 3;\n" + USES % ("one", "shared")
    told = refused(tmp_path, weak, "__noinline int shared(int x) { return x; }\n")
    assert told == "'shared' is a function in b.o, a variable in a.o; what replaces another must be of its kind"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"type": "ARRAY"}, "type is 1 in b.o, 2 in a.o"),
        ({"entries": "8"}, "max_entries is 16 in b.o, 8 in a.o"),
        ({"key": "long"}, "key: int of 4 bytes in b.o, long of 8 bytes in a.o"),
        ({"value": "int"}, "value: struct counts of 16 bytes in b.o, struct counts of 8 bytes in a.o"),
        ({"more": "__uint(map_flags, 1);"}, "map_flags is 0 in b.o, 1 in a.o"),
        ({"more": "__uint(pinning, 1);"}, "pinning is 0 in b.o, 1 in a.o"),
        ({"more": "__uint(mine, 1);"}, "mine is told only in a.o"),
    ],
)
def test_maps_with_other_definitions(tmp_path: Path, other: dict[str, str], words: str) -> None:
    told = refused(tmp_path, definition("extern", **other) + LOOKUP, definition() + LICENSE)
    assert told.startswith("The map 'counters' means different things: ") and words in told


def test_the_order_of_attributes_does_not_matter(tmp_path: Path) -> None:
    turned = (
        "extern struct { __type(value, struct counts { long a; long b; }); __uint(max_entries, 16); __uint(map_flags, 0);"
        ' __type(key, int); __uint(type, HASH); } counters SEC(".maps");\n'
    )
    seen = Seen(linked(tmp_path, turned + LOOKUP, definition() + LICENSE))
    assert [name for name, _, _ in seen.variables(".maps")] == ["counters"]


INNER = "struct { __uint(type, ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, int); __array(values, struct %s); } outer"


@pytest.mark.parametrize(
    ("entries", "words"), [("4", ""), ("5", "the inner map's max_entries is 4 in b.o, 5 in a.o")], ids=["same", "other"]
)
def test_maps_of_maps(tmp_path: Path, entries: str, words: str) -> None:
    inner = "inner_of_%s { __uint(type, ARRAY); __uint(max_entries, %s); __type(key, int); __type(value, int); }"
    lookup = USES % ("one", "bpf_map_lookup_elem(&outer, &(int){0}) != 0")
    texts = (
        f"extern {INNER % (inner % ('a', entries))} SEC('.maps');\n{lookup}".replace("'", '"'),
        f"{INNER % (inner % ('b', '4'))} SEC('.maps');\n{LICENSE}".replace("'", '"'),
    )
    if words:
        assert words in refused(tmp_path, *texts)
    else:
        assert [name for name, _, _ in Seen(linked(tmp_path, *texts)).variables(".maps")] == ["outer"]


def test_what_the_kernel_has_is_not_defined_by_an_object(tmp_path: Path) -> None:
    wanted = "extern int limit __ksym;\n" + USES % ("one", "(long)&limit")
    told = refused(tmp_path, wanted, "int limit = 1;\n" + LICENSE)
    assert told == "'limit' is defined in the section '.data' in b.o, but declared to be in '.ksyms' in a.o"


def test_two_licenses(tmp_path: Path) -> None:
    told = refused(tmp_path, LICENSE, LICENSE.replace("GPL", "Dual BSD/GPL"))
    assert told == "The license is 'GPL' in a.o and 'Dual BSD/GPL' in b.o; an object has one license"


def test_two_versions(tmp_path: Path) -> None:
    version = 'int _version SEC("version") = %d;\n'
    told = refused(tmp_path, version % 3, version % 4)
    assert told == "The version is '03000000' in a.o and '04000000' in b.o; an object has one version"
    assert Seen(linked(tmp_path, version % 3, version % 3 + LICENSE)).content("version") == b"\3\0\0\0"


def test_two_byte_orders(tmp_path: Path) -> None:
    paths = [compiled("int a = 1;\n", tmp_path, "a"), compiled("int b = 1;\n", tmp_path, "b", target="bpfeb")]
    from purebpf import link_objects

    with pytest.raises(Error, match=r"a\.o is little-endian, .*b\.o is big-endian; compile both for one byte order"):
        link_objects(paths)


def test_sizes_are_compared_where_there_is_no_btf(tmp_path: Path) -> None:
    from purebpf import link_objects

    texts = ("__weak long limit = 1;\n" + USES % ("one", "limit"), "int limit = 1;\n")
    paths = [compiled(text, tmp_path, name, debug=False) for text, name in zip(texts, "ab", strict=True)]
    with pytest.raises(Error, match=r"'limit' has 4 bytes in .*b\.o, 8 in .*a\.o"):
        link_objects(paths)
