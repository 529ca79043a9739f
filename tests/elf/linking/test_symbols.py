"""Names of several objects: what is one, what stays apart, what replaces what."""

from __future__ import annotations

from pathlib import Path

import pytest

from purebpf import load_object
from purebpf.btf.types import Func, Linkage, Var
from purebpf.elf.container import GLOBAL, HIDDEN, LOCAL, UNDEFINED, WEAK
from tests.elf.linking.kit import LICENSE, Seen, linked, needs_clang

pytestmark = needs_clang

TWICE = "static __noinline int twice(int x) { return x * %d + hidden++; }\nstatic int hidden = %d;\n"
FIRST = f"""
static int hidden;
static __noinline int twice(int x);
extern int limit;
int shared(struct __sk_buff *ctx, int x);
SEC("tc") int prog(struct __sk_buff *ctx) {{ return twice(ctx->len) + limit + shared(ctx, 2); }}
{TWICE % (2, 7)}{LICENSE}"""
SECOND = f"""
static int hidden;
static __noinline int twice(int x);
int limit = 12;
__noinline int shared(struct __sk_buff *ctx, int x) {{ return twice(x) + ctx->mark; }}
{TWICE % (5, 8)}{LICENSE}"""


def test_declarations_find_their_definitions(tmp_path: Path) -> None:
    seen = Seen(linked(tmp_path, FIRST, SECOND))
    assert seen.place("limit")[0] == ".data" and seen.place("shared")[0] == ".text"
    assert [type.linkage for type in seen.typed("shared") if isinstance(type, Func)] == [Linkage.GLOBAL]
    assert [type.linkage for type in seen.typed("limit") if isinstance(type, Var)] == [Linkage.GLOBAL]


def test_the_order_of_objects_does_not_matter_to_names(tmp_path: Path) -> None:
    seen = Seen(linked(tmp_path, SECOND, FIRST))
    assert seen.place("limit")[0] == ".data" and seen.place("shared")[0] == ".text"
    assert [type.linkage for type in seen.typed("limit") if isinstance(type, Var)] == [Linkage.GLOBAL]
    assert seen.variables(".data") == [("limit", 0, 4), ("hidden", 4, 4), ("hidden", 8, 4)]


def test_static_functions_and_variables_stay_apart(tmp_path: Path) -> None:
    seen = Seen(linked(tmp_path, FIRST, SECOND))
    for name in ("twice", "hidden"):
        both = [symbol for symbol in seen.elf.symbols if symbol.name == name]
        assert len(both) == 2 and all(symbol.binding == LOCAL for symbol in both) and both[0].value != both[1].value
    assert seen.variables(".data") == [("hidden", 0, 4), ("limit", 4, 4), ("hidden", 8, 4)]
    assert [int.from_bytes(seen.content(".data")[at : at + 4], "little") for at in (0, 4, 8)] == [7, 12, 8]


def test_there_is_one_license(tmp_path: Path) -> None:
    seen = Seen(linked(tmp_path, FIRST, SECOND))
    assert seen.content("license") == b"GPL\0" and seen.variables("license") == [("_license", 0, 4)]
    assert len(seen.typed("_license")) == 1


WEAKER = "__weak __noinline int chosen(int x) { return x + 1; }\n__weak int level = 1;\n"
USER = '__noinline int chosen(int x);\nSEC("tc") int prog(struct __sk_buff *ctx) { return chosen(ctx->len); }\n'
STRONGER = "__noinline int chosen(int x) { return x * 3; }\nint level = 2;\n"


@pytest.mark.parametrize("texts", [(WEAKER, STRONGER), (STRONGER, WEAKER), (WEAKER, WEAKER, STRONGER)])
def test_a_strong_definition_goes_before_weak_ones(tmp_path: Path, texts: tuple[str, ...]) -> None:
    seen = Seen(linked(tmp_path, *texts, USER + LICENSE))
    section, at = seen.place("level")
    assert seen.content(section)[at] == 2 and seen.symbol("level").binding == GLOBAL
    assert seen.variables(".data") == [("level", at, 4)]
    assert [record.offset for record in seen.ext.functions[".text"]] == [seen.place("chosen")[1]]
    inside = range(seen.place("chosen")[1], seen.place("chosen")[1] + seen.symbol("chosen").size)
    assert seen.ext.lines[".text"] and all(record.offset in inside for record in seen.ext.lines[".text"])
    assert any("x * 3" in record.text for record in seen.ext.lines[".text"])


def test_of_weak_definitions_it_is_the_first(tmp_path: Path) -> None:
    seen = Seen(linked(tmp_path, WEAKER, WEAKER.replace("level = 1", "level = 5"), USER + LICENSE))
    section, at = seen.place("level")
    assert seen.content(section)[at] == 1 and seen.symbol("level").binding == seen.symbol("chosen").binding == WEAK


def test_a_weak_definition_may_be_in_another_section_than_the_strong_one(tmp_path: Path) -> None:
    seen = Seen(linked(tmp_path, "__weak int level;\n" + USER + LICENSE, STRONGER))
    assert seen.place("level")[0] == ".data" and seen.variables(".bss") == []


def test_another_name_for_a_replaced_function_keeps_its_lines(tmp_path: Path) -> None:
    aliased = "__noinline int really(int x) { return x + 7; }\n"
    aliased += '__attribute__((weak, alias("really"))) int chosen(int x);\n'
    seen = Seen(linked(tmp_path, aliased, STRONGER + USER + LICENSE))
    assert any("x + 7" in record.text for record in seen.ext.lines[".text"])


def test_one_hidden_declaration_hides(tmp_path: Path) -> None:
    hidden = '__hidden int limit = 3;\n__attribute__((visibility("hidden"))) extern int shared;\n'
    user = "extern int limit;\nint shared = 1;\n"
    use = 'SEC("tc") int %s(struct __sk_buff *ctx) { return limit + shared; }\n'
    seen = Seen(linked(tmp_path, user + use % "one", hidden + use % "two" + LICENSE))
    assert seen.symbol("limit").visibility == seen.symbol("shared").visibility == HIDDEN
    assert seen.symbol("one").visibility == 0


def test_what_nobody_defines_stays_and_is_found_by_the_next_link(tmp_path: Path) -> None:
    first = linked(tmp_path, FIRST)
    assert Seen(first).symbol("limit").section == UNDEFINED
    library = tmp_path / "library.o"
    first.rename(library)
    from purebpf import link_objects

    seen_at_once = linked(tmp_path, FIRST, SECOND).read_bytes()
    assert link_objects([library, tmp_path / "b.o"]) == seen_at_once


def test_weak_declarations_are_strong_where_one_is(tmp_path: Path) -> None:
    use = 'SEC("tc") int %s(struct __sk_buff *ctx) { return (int)(long)&bpf_prog_active; }\n'
    weak, strong = (f"extern const int bpf_prog_active __ksym{each};\n" for each in (" __weak", ""))
    alone = Seen(linked(tmp_path, weak + use % "one", weak + use % "two" + LICENSE))
    assert alone.symbol("bpf_prog_active").binding == WEAK and alone.variables(".ksyms") == [("bpf_prog_active", 0, 4)]
    both = Seen(linked(tmp_path, weak + use % "one", strong + use % "two" + LICENSE))
    assert both.symbol("bpf_prog_active").binding == GLOBAL and both.variables(".ksyms") == [("bpf_prog_active", 0, 4)]


@pytest.mark.parametrize("turned", [False, True])
def test_what_one_wants_of_the_kernel_all_do(tmp_path: Path, turned: bool) -> None:
    use = 'SEC("tc") int %s(struct __sk_buff *ctx) { wanted(); return 0; }\n'
    texts = [f"extern void wanted(void){ksym};\n{use % name}" for ksym, name in (("", "one"), (" __ksym", "two"))]
    seen = Seen(linked(tmp_path, *(texts[::-1] if turned else texts), LICENSE))
    assert [name for name, _, _ in seen.variables(".ksyms")] == ["wanted"] and len(seen.typed("wanted")) == 1


def test_a_static_function_and_a_global_one_of_its_name_stay_apart(tmp_path: Path) -> None:
    static = "static __noinline int chosen(int x) { return x + 5; }\n" + USER.replace("__noinline int chosen(int x);", "")
    seen = Seen(linked(tmp_path, static, STRONGER + LICENSE))
    assert sorted(symbol.binding for symbol in seen.elf.symbols if symbol.name == "chosen") == [LOCAL, GLOBAL]
    assert sorted(type.linkage for type in seen.typed("chosen") if isinstance(type, Func)) == [Linkage.STATIC, Linkage.GLOBAL]


def test_a_weak_map_gives_way(tmp_path: Path) -> None:
    definition = "struct { __uint(type, ARRAY); __uint(max_entries, 4); __type(key, int); __type(value, int); } counts"
    use = 'SEC("tc") int %s(struct __sk_buff *ctx) { return bpf_map_lookup_elem(&counts, &(int){0}) != 0; }\n'
    texts = (f'{definition}{weak} SEC(".maps");\n{use % name}' for weak, name in ((" __weak", "one"), ("", "two")))
    path = linked(tmp_path, *texts, LICENSE)
    seen = Seen(path)
    assert seen.variables(".maps") == [("counts", 32, 32)] and seen.place("counts") == (".maps", 32)
    assert all(program.maps == ("counts",) for program in load_object(path).programs.values())
