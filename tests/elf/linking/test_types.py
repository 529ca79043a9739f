"""Types of several objects: each is there once, and says of a name what its definition says."""

from __future__ import annotations

from pathlib import Path

from purebpf.btf.relocation import CoreKind
from purebpf.btf.types import DeclTag, Func, FuncProto, Fwd, Ptr, Struct, Var
from tests.elf.linking.kit import LICENSE, Seen, linked, needs_clang

pytestmark = needs_clang

USES = 'SEC("tc") int %s(struct __sk_buff *ctx) { return %s; }\n'


def test_equal_types_are_there_once(tmp_path: Path) -> None:
    text = "struct pair { int left; struct pair *next; };\nstruct pair %s = { 1, 0 };\n" + USES
    seen = Seen(linked(tmp_path, text % ("a", "one", "a.left"), text % ("b", "two", "b.left") + LICENSE))
    assert len(seen.named("pair")) == len(seen.named("__sk_buff")) == len(seen.named("int")) == 1
    assert seen.variables(".data") == [("a", 0, 16), ("b", 16, 16)]


def test_other_types_of_one_name_stay_apart(tmp_path: Path) -> None:
    text = "struct pair { int %s; };\nstatic struct pair of_mine = { 1 };\n" + USES
    texts = [text % (each, each, f"of_mine.{each}++") for each in ("left", "right")]
    seen = Seen(linked(tmp_path, *texts, LICENSE))
    assert [type.members[0].name for type in seen.named("pair") if isinstance(type, Struct)] == ["left", "right"]


def test_a_struct_that_one_only_declares_is_the_other_s(tmp_path: Path) -> None:
    declares = "struct node;\nstruct list { struct node *first; };\nstruct list %s = {};\n" + USES
    defines = "struct node { int value; };\nstruct node last = { 1 };\n"
    uses = declares % ("b", "two", "b.first ? last.value : 0")
    seen = Seen(linked(tmp_path, declares % ("a", "one", "a.first != 0"), defines + uses + LICENSE))
    assert len(seen.named("list")) == 1 and [type.kind.name for type in seen.named("node")] == ["STRUCT"]
    (whole,) = seen.named("list")
    assert isinstance(whole, Struct)
    pointer = seen.btf.type(whole.members[0].type)
    assert isinstance(pointer, Ptr) and seen.btf.name(pointer.type) == "node"


def test_what_is_only_declared_stays_so_where_two_define_it(tmp_path: Path) -> None:
    declares = "struct node;\nstruct node *first = 0;\n" + USES % ("one", "first != 0")
    defines = "struct node { int %s; };\nstatic struct node mine = { 1 };\n" + USES
    texts = [defines % (each, each, f"mine.{each}++") for each in ("left", "right")]
    seen = Seen(linked(tmp_path, declares, *texts, LICENSE))
    assert sorted(type.kind.name for type in seen.named("node")) == ["FWD", "STRUCT", "STRUCT"]
    assert any(isinstance(type, Fwd) for type in seen.named("node"))


def test_a_function_has_the_prototype_of_its_definition(tmp_path: Path) -> None:
    declares = "int shared(struct __sk_buff *, int);\n" + USES % ("one", "shared(ctx, 3)")
    defines = "__noinline int shared(struct __sk_buff *ctx, int weight) { return ctx->len * weight; }\n"
    seen = Seen(linked(tmp_path, declares, defines + LICENSE))
    (function,) = seen.typed("shared")
    assert isinstance(function, Func)
    prototype = seen.btf.type(function.type)
    assert isinstance(prototype, FuncProto)
    assert [parameter.name for parameter in prototype.parameters] == ["ctx", "weight"]
    assert sum(isinstance(type, FuncProto) and len(type.parameters) == 2 for _, type in seen.btf) == 1


def test_an_array_has_the_length_of_its_definition(tmp_path: Path) -> None:
    declares = "extern int table[];\n" + USES % ("one", "table[ctx->len & 3]")
    seen = Seen(linked(tmp_path, declares, "int table[4] = { 1, 2, 3, 4 };\n" + LICENSE))
    (table,) = seen.typed("table")
    assert isinstance(table, Var) and seen.btf.size_of(table.type) == 16
    assert seen.variables(".data") == [("table", 0, 16)]


def test_tags_stay_on_what_they_were_on(tmp_path: Path) -> None:
    tagged = 'static int level __tag("mine") = 1;\nstruct __tag("of_struct") pair { int left; };\nstruct pair a = { 1 };\n'
    plain = "static int level = 1;\nstruct pair { int left; };\nstruct pair b = { 1 };\n"
    seen = Seen(
        linked(
            tmp_path,
            tagged + USES % ("one", "level++ + a.left"),
            plain + USES % ("two", "level++ + b.left"),
            tagged.replace("pair a", "pair c") + USES % ("three", "level++ + c.left") + LICENSE,
        )
    )
    tags = [type for _, type in seen.btf if isinstance(type, DeclTag)]
    assert sorted(tag.name for tag in tags) == ["mine", "of_struct"]
    assert len(seen.typed("level")) == len(seen.named("pair")) == 2
    assert sorted(name for name, _, _ in seen.variables(".data")) == ["a", "b", "c", "level", "level", "level"]


def test_tags_of_a_declaration_are_on_the_definition(tmp_path: Path) -> None:
    declares = 'int shared(int x) __tag("told");\n' + USES % ("one", "shared(1)")
    seen = Seen(linked(tmp_path, declares, "__noinline int shared(int x) { return x * 3; }\n" + LICENSE))
    (tag,) = [type for _, type in seen.btf if isinstance(type, DeclTag)]
    found = seen.btf.type(tag.type)
    assert isinstance(found, Func) and found.name == "shared" and found.linkage == 1


def test_core_relocations_of_both_name_the_merged_types(tmp_path: Path) -> None:
    struct = "struct task_struct { int pid; int tgid; } __core;\n"
    text = struct + 'SEC("raw_tp/sys_enter") int %s(struct task_struct **ctx) { return ctx[0]->%s; }\n'
    seen = Seen(linked(tmp_path, text % ("one", "pid"), text % ("two", "tgid") + LICENSE))
    assert len(seen.named("task_struct")) == 1
    asked = seen.ext.relocations["raw_tp/sys_enter"]
    assert [each.access for each in asked] == ["0:0", "0:1"]
    assert all(seen.btf.name(each.type) == "task_struct" and each.kind is CoreKind.FIELD_BYTE_OFFSET for each in asked)
    assert asked[1].offset - asked[0].offset == seen.symbol("two").value - seen.symbol("one").value


def test_functions_and_lines_are_told_at_their_new_places(tmp_path: Path) -> None:
    text = "static __noinline int %s(int x) { return x * 7; }\n" + USES
    seen = Seen(linked(tmp_path, text % ("f", "one", "f(ctx->len)"), text % ("g", "two", "g(ctx->len)") + LICENSE))
    told = {record.offset: seen.btf.name(record.type) for record in seen.ext.functions[".text"]}
    assert told == {seen.symbol(name).value: name for name in ("f", "g")}
    files = {record.offset: record.file for record in seen.ext.lines["tc"]}
    assert {seen.symbol("one").value: "a.c", seen.symbol("two").value: "b.c"}.items() <= {
        at: file.rsplit("/")[-1] for at, file in files.items()
    }.items()


def test_the_kernel_s_settings_are_asked_for_once(tmp_path: Path) -> None:
    text = "extern int LINUX_KERNEL_VERSION __kconfig;\n" + USES
    texts = [text % (name, "LINUX_KERNEL_VERSION") for name in ("one", "two")]
    seen = Seen(linked(tmp_path, *texts, LICENSE))
    assert seen.variables(".kconfig") == [("LINUX_KERNEL_VERSION", 0, 4)]
    assert len([symbol for symbol in seen.elf.symbols if symbol.name == "LINUX_KERNEL_VERSION"]) == 1
