"""The C header: its text, and what a C compiler makes of it (a compiler is needed for that alone: skipped without one)."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.c_header import c_header, c_type, named
from purebpf.btf.layout import bits_of
from purebpf.btf.reader import Btf, BtfError
from purebpf.btf.running import kernel_btf
from purebpf.btf.types import (
    Array,
    Composite,
    Const,
    DeclTag,
    Enum,
    Enum64,
    Float,
    Func,
    FuncProto,
    Fwd,
    Int,
    Linkage,
    Member,
    Parameter,
    Ptr,
    Restrict,
    Struct,
    Type,
    Typedef,
    TypeTag,
    Union,
    Volatile,
)
from purebpf.errors import Unsupported
from tests.btf.graphs import BOOL, CHAR, INT, U8, U32, U64, task_btf

COMPILER = next((found for name in ("gcc", "clang", "cc") if (found := shutil.which(name))), None)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler (gcc, clang or cc) to check with")
FIRST = 8  # the number of the first type after SCALARS
SCALARS = (CHAR, INT, U8, U32, U64, BOOL, Ptr(0))


def made(*types: Type) -> Btf:
    """BTF with char, int, unsigned char, unsigned int, unsigned long long, _Bool and void * as 1 to 7, these from 8 on."""
    builder = BtfBuilder("little")
    for type in (*SCALARS, *types):
        builder.define(builder.reserve(), type)
    return Btf(builder.encode())


def body(text: str) -> str:
    """The header without what is around its definitions."""
    return text.partition("__attribute__((weak))\n#endif\n")[2].partition("\n#ifndef BPF_NO")[0].strip()


@cache
def whole_header() -> str:
    """The kernel's types, with assertions."""
    return c_header(kernel_btf(), assertions=True)


def run(source: str, folder: Path, *options: str, execute: bool = False) -> str:
    assert COMPILER is not None
    path = folder / "test.c"
    path.write_text(source)
    command = [COMPILER, "-std=gnu11", "-w", *options, str(path), *(["-o", str(folder / "a")] if execute else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[:3000]
    return subprocess.run([folder / "a"], capture_output=True, text=True, check=True).stdout if execute else ""


@pytest.mark.parametrize(
    ("type", "text"),
    [
        (Ptr(2), "int *x"),
        (Const(7), "void *const x"),
        (Ptr(FIRST + 1), "const int *x"),
        (Array(FIRST + 2, 4, 3), "int (*x[3])[2]"),
        (Ptr(FIRST + 4), "int (*x)(const char *, ...)"),
    ],
)
def test_declarations_are_written_from_inside_out(type: Type, text: str) -> None:
    extra: dict[str, tuple[Type, ...]] = {
        "const int *x": (Const(2),),
        "int (*x[3])[2]": (Array(2, 4, 2), Ptr(FIRST + 1)),
        "int (*x)(const char *, ...)": (
            Const(1),
            Ptr(FIRST + 1),
            Ptr(0),
            FuncProto(2, (Parameter("", FIRST + 2), Parameter("", 0))),
        ),
    }
    assert c_type(made(type, *extra.get(text, ())), FIRST, "x") == text


def test_function_that_returns_a_function() -> None:
    inner = FuncProto(0, (Parameter("", 2),))
    btf = made(inner, Ptr(FIRST), FuncProto(FIRST + 1, (Parameter("signal", 2), Parameter("handler", FIRST + 1))))
    assert c_type(btf, FIRST + 2, "signal") == "void (*signal(int signal, void (*handler)(int)))(int)"


def test_qualifiers_and_tags() -> None:
    btf = made(Volatile(FIRST + 1), Const(2), Restrict(FIRST + 3), Ptr(FIRST + 4), TypeTag("user", FIRST), Const(FIRST + 1))
    assert c_type(btf, FIRST + 2, "x") == 'const volatile __attribute__((btf_type_tag("user"))) int *restrict x'
    assert c_type(btf, FIRST + 5, "x") == "const int x"


def test_attributes_are_written_as_they_were() -> None:
    btf = made(TypeTag("address_space(1)", 0, attribute=True), Ptr(FIRST), TypeTag("odd (", 0, attribute=True), Ptr(FIRST + 2))
    assert c_type(btf, FIRST + 1, "x") == "__attribute__((address_space(1))) void *x"
    assert c_type(btf, FIRST + 3, "x") == "__attribute__((odd__)) void *x"


def test_a_name_that_is_not_there_is_told_with_its_like() -> None:
    with pytest.raises(BtfError, match=r"no struct named 'tsk'; similar: task$"):
        named(task_btf()[0], "struct tsk")
    with pytest.raises(BtfError, match=r"no type named 'zzz'$"):
        named(task_btf()[0], "zzz")


def test_everything_is_defined_before_it_is_used() -> None:
    btf, number = task_btf()
    assert body(c_header(btf, [number])) == TASK


TASK = """\
typedef int pid_t;

enum state {
	RUNNING = 0,
	SLEEPING = 1,
	DEAD = 16,
};

struct task;

struct task {
	pid_t pid;
	enum state state;
	unsigned int low: 3;
	unsigned int high: 29;
	_Bool flag;
	union {
		long long unsigned int number;
		unsigned int parts[2];
	};
	char comm[16];
	struct task *next;
	int (*run)(struct task *self, const unsigned int how);
};"""


def test_whole_header_has_the_functions_that_programs_may_call() -> None:
    btf, _ = task_btf()
    assert "extern void kick(struct task *of) __weak __ksym;" in c_header(btf)


def test_two_structs_of_a_name_have_two_names() -> None:
    btf = made(Struct("s", 4, (Member("a", 2, 0),)), Struct("s", 1, (Member("a", 1, 0),)), Typedef("s", FIRST + 1))
    assert body(c_header(btf)).split("\n\n") == [
        "struct s {\n\tint a;\n};",
        "struct s___2 {\n\tchar a;\n};",
        "typedef struct s___2 s;",
    ]


def test_name_that_looks_like_a_second_one_is_kept_apart() -> None:
    btf = made(Struct("s", 4, (Member("a", 2, 0),)), Struct("s", 1, (Member("a", 1, 0),)), Struct("s___2", 0, ()))
    assert re.findall(r"struct (\w+) {", c_header(btf)) == ["s", "s___2", "s___2___2"]


def test_constants_of_enums_without_a_name_are_there() -> None:
    """Once: where a member or a typedef has the enum, it is written out there."""
    loose, used = Enum("", 4, False, (("ALONE", 1),)), Enum("", 4, False, (("INSIDE", 2),))
    typed = Struct("s", 4, (Member("mode", FIRST + 1, 0),)), Enum("", 4, True, (("A", -1),)), Typedef("t", FIRST + 3)
    btf = made(loose, used, *typed)
    text = c_header(btf)
    assert "\nenum {\n\tALONE = 1,\n};\n" in text
    assert text.count("INSIDE") == 1 and "\n\tenum {\n\t\tINSIDE = 2,\n\t} mode;\n" in text
    assert text.count("A = -1") == 1 and "\ntypedef enum {\n\tA = -1,\n} t;\n" in text


def test_members_without_a_name_keep_their_qualifiers() -> None:
    btf = made(Struct("", 4, (Member("a", 2, 0),)), Const(FIRST), Struct("s", 4, (Member("", FIRST + 1, 0),)))
    assert body(c_header(btf)).endswith("struct s {\n\tconst struct {\n\t\tint a;\n\t};\n};")


def test_enumerators_of_one_name_have_two_names() -> None:
    text = body(c_header(made(Enum("a", 4, False, (("X", 1),)), Enum("b", 4, False, (("X", 2),)))))
    assert "X = 1" in text and "X___2 = 2" in text


def test_named_struct_as_a_member_without_name_is_written_out() -> None:
    btf = made(Struct("inner", 4, (Member("a", 2, 0),)), Struct("outer", 8, (Member("", FIRST, 0), Member("b", 2, 32))))
    text = body(c_header(btf))
    assert text.endswith("struct outer {\n\tstruct {\n\t\tint a;\n\t};\n\tint b;\n};")


def test_names_that_are_none_in_c_are_changed() -> None:
    btf = made(Struct("Option<u8>", 8, (Member("for", 2, 0), Member("0", 2, 32))), Int("u8", 1, 8), Typedef("byte", FIRST + 1))
    text = body(c_header(btf))
    assert "struct Option_u8_ {\n\tint for_;\n\tint _0;\n}" in text
    assert "typedef unsigned char u8;\n\ntypedef u8 byte;" in text


def test_name_cannot_break_out_of_its_line() -> None:
    text = body(c_header(made(Struct('x {};\n#include "/etc/passwd"', 4, (Member("a; int b", 2, 0),)))))
    assert text == "struct x______include___etc_passwd_ {\n\tint a__int_b;\n};"


LAYOUTS = [
    Struct("holes", 24, (Member("a", 1, 0), Member("b", 2, 96), Member("c", 1, 128))),
    Struct("packed", 7, (Member("a", 1, 0), Member("b", 4, 8), Member("c", 1, 48))),
    Struct("tail", 64, (Member("a", 5, 0),)),
    Struct("fields", 8, (Member("a", 4, 0, 3), Member("b", 4, 5, 20), Member("c", 3, 32, 5), Member("d", 1, 40))),
    Struct("crossing", 5, (Member("a", 4, 0, 30), Member("b", 4, 30, 6), Member("c", 1, 36, 4))),
    Struct("far", 5000, (Member("a", 3, 4, 1), Member("b", 5, 8000))),
    Struct("empty", 0, ()),
    Struct("blank", 16, ()),
    Struct("flexible", 8, (Member("n", 4, 0), Member("rest", FIRST, 64))),
    Struct("reordered", 8, (Member("b", 2, 32), Member("a", 1, 0))),
    Union("either", 8, (Member("a", 1, 0), Member("b", 4, 0, 7), Member("c", 4, 0))),
    Union("odd", 9, (Member("a", 5, 0), Member("b", 1, 0))),
]  # fmt: skip


def asked(btf: Btf, number: int, type: Composite) -> tuple[list[str], list[str]]:
    """C that tells the size and, by setting all its bits, the place of every member; and the right answers."""
    name = f"{type.kind.name.lower()} {type.name}"
    code, answers = [f'printf("{name} %zu\\n", sizeof({name}));'], [f"{name} {type.size}"]
    for member in type.members:
        if not member.name or btf.size_of(member.type) == 0:
            continue
        start, bits = bits_of(btf, member)
        path = f"{name}.{member.name}"
        code.append(f'{{ {name} x; memset(&x, 0, sizeof x); SET(x.{member.name}, {bits}); show("{path}", &x, sizeof x); }}')
        answers.append(f"{name}.{member.name} {start} {bits or 8 * btf.size_of(member.type)}")
    return code, answers


PROGRAM = """
int printf(const char *, ...);
void *memset(void *, int, __SIZE_TYPE__);
#define SET(m, bits) SET_##bits(m)
static void show(const char *what, void *data, __SIZE_TYPE__ size)
{
	long first = -1, count = 0;
	for (__SIZE_TYPE__ i = 0; i < size * 8; i++)
		if (((unsigned char *)data)[i / 8] >> i %% 8 & 1) {
			if (first < 0) first = i;
			count++;
		}
	printf("%%s %%ld %%ld\\n", what, first, count);
}
int main(void) {
%s
	return 0;
}
"""


def program(header: str, code: list[str]) -> str:
    lines = [re.sub(r"SET\((.*), 0\)", r"memset(&\1, 255, sizeof \1)", line) for line in code]
    lines = [re.sub(r"SET\((.*), \d+\)", r"\1 = -1", line) for line in lines]
    return header + PROGRAM % "\n".join(lines)


@needs_compiler
def test_compiler_puts_members_where_btf_has_them(tmp_path: Path) -> None:
    btf = made(Array(1, 4, 0), *LAYOUTS)
    code, answers = [], []
    for number in range(FIRST + 1, len(btf)):
        type = btf.type(number)
        assert isinstance(type, Composite)
        lines, right = asked(btf, number, type)
        code += lines
        answers += right
    said = run(program(c_header(btf, assertions=True), code), tmp_path, execute=True)
    assert said.splitlines() == answers


@needs_compiler
def test_compiler_sees_a_wrong_assertion(tmp_path: Path) -> None:
    text = c_header(made(LAYOUTS[1]), assertions=True)
    with pytest.raises(AssertionError, match="static assertion failed"):
        run(text.replace("packed, c) == 6", "packed, c) == 5"), tmp_path, "-fsyntax-only")


ENUMS = [
    Enum("plain", 4, False, (("A", 0), ("B", 0xFFFF_FFFF))),
    Enum("negative", 4, True, (("C", -(1 << 31)), ("D", 5))),
    Enum("small", 1, False, (("E", 200),)),
    Enum("short_", 2, True, (("F", -300),)),
    Enum("large", 8, False, (("G", 1),)),
    Enum("none", 4, False, ()),
    Enum64("wide", 8, False, (("H", (1 << 64) - 1), ("I", 1 << 40))),
    Enum64("low", 8, True, (("J", -(1 << 63)), ("K", (1 << 63) - 1))),
]


@needs_compiler
def test_compiler_gives_enums_their_sizes_and_values(tmp_path: Path) -> None:
    checks = []
    for type in ENUMS:
        assert isinstance(type, Enum | Enum64)
        checks.append(f'_Static_assert(sizeof(enum {type.name}) == {type.size}, "{type.name}");')
        for name, value in type.values:
            text = f"{value}ULL" if value > 0 else f"({value + 1}LL - 1)"
            checks.append(f'_Static_assert({name} == {text}, "{name}");')
    run(c_header(made(*ENUMS)) + "\n".join(checks), tmp_path, "-fsyntax-only")


@needs_compiler
def test_compiler_takes_floats_and_tags_of_all_kinds(tmp_path: Path) -> None:
    types = (Float("float", 4), Float("double", 8), Float("long double", 16), Float("f32", 4), TypeTag("u", 2), Ptr(FIRST + 4),
             Struct("s", 48, (Member("a", FIRST, 0), Member("b", FIRST + 1, 64), Member("c", FIRST + 2, 128),
                              Member("d", FIRST + 3, 256), Member("p", FIRST + 5, 320))),
             Fwd("u", union=True), Ptr(FIRST + 7), Typedef("up", FIRST + 8), DeclTag("t", FIRST + 6, 0))  # fmt: skip
    run(c_header(made(*types), assertions=True), tmp_path, "-fsyntax-only")


@pytest.mark.parametrize(
    ("types", "said"),
    [
        ((Struct("s", 8, (Member("a", FIRST, 0),)),), "needs itself to be complete|contains itself"),
        ((Ptr(FIRST),), "needs itself to be complete"),
        ((Typedef("t", FIRST),), "needs itself to be complete"),
        ((Array(FIRST, 2, 1),), "needs itself to be complete"),
        ((FuncProto(0, (Parameter("f", FIRST + 1),)), Ptr(FIRST)), "needs itself to be complete"),
        ((Struct("s", 8, (Member("a", 2, 0), Member("b", 2, 16))),), "members that overlap"),
        ((Struct("s", 8, (Member("a", 5, 32),)),), "take 12 bytes, but it has 8"),
        ((Struct("s", 4, (Member("a", 0, 0),)),), "no alignment: it is a void"),
        ((Func("f", 2, Linkage.STATIC), Struct("s", 4, (Member("a", FIRST, 0),))), "no alignment: it is a func"),
    ],
)
def test_what_c_does_not_have_is_told(types: tuple[Type, ...], said: str) -> None:
    with pytest.raises(BtfError, match=said):
        c_header(made(*types))


def test_text_beyond_all_measure_is_refused() -> None:
    nested = [Union("", 4, tuple(Member("m" * 50 + str(i), FIRST + depth + 1, 0) for i in range(6))) for depth in range(12)]
    with pytest.raises(BtfError, match="more C than BTF of this size should"):
        c_header(made(*nested, Union("", 4, (Member("x", 2, 0),)), Struct("top", 4, (Member("m", FIRST, 0),))))


def test_types_as_a_person_names_them() -> None:
    btf, number = task_btf()
    assert named(btf, "task") == named(btf, "struct task") == [number]
    with pytest.raises(BtfError, match="no union named 'task'"):
        named(btf, "union task")


@needs_compiler
def test_compiler_agrees_with_the_whole_kernel(tmp_path: Path) -> None:
    try:
        text = whole_header()
    except Unsupported as error:
        pytest.skip(str(error))
    assert text.count("_Static_assert") > 10_000
    run(text, tmp_path, "-fsyntax-only")


@needs_compiler
def test_compiler_agrees_with_the_bit_fields_of_the_kernel(tmp_path: Path) -> None:
    try:
        btf = kernel_btf()
    except Unsupported as error:
        pytest.skip(str(error))
    code, answers, wanted = [], [], []
    for name in ("iphdr", "tcphdr", "sk_buff", "sock", "task_struct", "page", "bpf_prog", "perf_event_attr", "desc_struct"):
        for number in named(btf, f"struct {name}") if btf.types_named(name) else []:
            type = btf.type(number)
            assert isinstance(type, Composite)
            fields = tuple(member for member in type.members if member.bit_size)
            lines, right = asked(btf, number, type.__class__(type.name, type.size, fields))
            wanted.append(number)
            code += lines
            answers += right
    said = run(program(c_header(btf, wanted), code), tmp_path, execute=True)
    assert said.splitlines() == answers and len(answers) > 50
