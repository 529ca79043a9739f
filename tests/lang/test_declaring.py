"""Wrong declarations at module level: our own errors, with the line that makes the mistake."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.errors import Error

MAPS = {
    "bpf.Hash[u32, u64]()": ("missing a required argument: 'max_entries'", "bpf.Hash[K, V](max_entries=...)"),
    "bpf.Hash(u32, u64)": ("too many positional arguments", "bpf.Hash[K, V](max_entries=...)"),
    "bpf.Hash[u32](max_entries=4)": ("takes two types, of keys and of values", "bpf.Hash[K, V](max_entries=...)"),
    "bpf.Array[u32, u64](max_entries=4)": ("takes one type", "bpf.Array[V](max_entries=...)"),
    "bpf.DevMap[u32](max_entries=4)": ("takes no types", "bpf.DevMap(max_entries=...)"),
    "bpf.Hash[u32, u64](max_entries='4')": ("positive 32-bit integer, not '4'", "bpf.Hash[K, V](max_entries=...)"),
    "bpf.Hash[u32, u64](max_entrys=4)": ("there is no `max_entrys`; did you mean `max_entries`?", "(max_entries=...)"),
    "bpf.LpmTrie[ipaddress.IPv4Address, u64](max_entries=4)": ("`IPv4Address` has no layout", "`ipaddress.IPv4Network`"),
    "bpf.Array[u64](max_entries=4, size=3)": ("unexpected keyword argument 'size'", "bpf.Array[V](max_entries=...)"),
    "bpf.ProgArray()": ("missing a required argument: 'max_entries'", "bpf.ProgArray(max_entries=...)"),
    "bpf.Hash[int, u64](max_entries=4)": ("`bpf.Hash[...]`: `int` has no layout", "say how wide: u8 to u64"),
    "bpf.Array[str](max_entries=4)": ("`str` has no layout", "`name: str = bpf.chars(16)`"),
    "bpf.Hash[u32, list[u32]](max_entries=4)": ("`list[purebpf.u32]` has no layout", "bpf.array(u32, 4)"),
    "bpf.RingBuf[u64](size=5000)": ("a power of two from 4096 bytes on, not 5000", "size=8192"),
    "bpf.RingBuf[u64](max_entries=4096)": ("missing a required argument: 'size'", "bpf.RingBuf[V](size=...)"),
    "bpf.StackTrace(max_entries=4, depth=200)": ("1 to 127, not 200", ""),
    "bpf.struct(pack=True)": ("there is no `pack`; did you mean `packed`?", "@bpf.struct(packed=True)"),
    "bpf.globals(3)": ("@bpf.globals decorates a class, not 3", ""),
}
CLASSES = {
    "struct": {
        "a: int": ("R.a: `int` has no layout", "say how wide"),
        "a = 5": ("R.a: a field has an annotation", "`a: u32 = 5`"),
        "a = bpf.chars(16)": ("R.a: a field has an annotation", "`a: str = bpf.chars(16)`"),
        "a: list[u32]": ("R.a: `list[purebpf.u32]` has no layout", "bpf.array(u32, 4)"),
        "a: u32 | None = None": ("`purebpf.u32 | None` has no layout", "a field is always there"),
        "a: u32 = 1 << 40": ("the default 1099511627776 does not fit", ""),
        "a: u32 = 'x'": ("the default 'x' does not fit: an integer is wanted, not 'x'", ""),
        "to_bytes: u32": ("R.to_bytes: this name is the record's own", "rename the field"),
        "a: u8 = bpf.bits(9)": ("bpf.bits(9) does not fit `u8`", "part of a u8 to u64"),
        "a: bytes = bpf.chars(4)": ("annotated `bytes`, but `bpf.chars(4)` makes a text", "annotate `str`"),
        "b: u32; a: u32\n    def a(self): pass": ("R.a: a method of the record has the same name", "rename one of them"),
    },
    "union": {"a: u32 = 5": ("R.a: a field of a union has no default but 0", "")},
    "globals": {
        "a = 0": ("R.a: a class for @bpf.globals has annotated fields only", "`a: u32 = ...`"),
        "a: bpf.SpinLock": ("R.a: a lock or a timer cannot be here", "keep it in the value of a map"),
    },
    "config": {"a: float = 0": ("R.a: `float` has no layout", "there are no floats in the kernel")},
}
DECORATORS = {
    "bpf.xdp('eth0')": ("takes no argument", "what to attach to is said in `attach`"),
    "bpf.xdp()": ("missing a required argument", "@bpf.xdp alone"),
    "bpf.tc(direction='ingress')": ("missing a required argument", "`attach`"),
    "bpf.tracepoint(lambda ctx: None)": ("takes its hook: category/name", '@bpf.tracepoint("...")'),
    "bpf.tracepoint()": ("missing a required argument: 'hook'", "its argument is category/name"),
    "bpf.xdp(3)": ("decorates a function, not 3", ""),
}
FIELDS = {
    "bpf.chars()": ("missing a required argument", "bpf.chars(16)"),
    "bpf.array(u32)": ("missing a required argument", "bpf.array(u32, 4)"),
    "bpf.bytes(0)": ("positive integer, not 0", ""),
}


@pytest.mark.parametrize(
    ("source", "words"), {**MAPS, **DECORATORS, **FIELDS}.items(), ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_wrong_declaration_is_told_with_its_line(source: str, words: tuple[str, str]) -> None:
    code = compile(f"\n\n{source}", "authors_file.py", "exec")
    with pytest.raises(Error) as caught:
        exec(code, {"bpf": bpf, "ipaddress": ipaddress, "u32": u32, "u64": u64, "__name__": "authors"})
    text = str(caught.value)
    assert words[0] in text and words[1] in text
    assert "--> authors_file.py:3" in text


@pytest.mark.parametrize(
    ("decorator", "body", "words"), [(name, body, words) for name, rows in CLASSES.items() for body, words in rows.items()]
)
def test_a_wrong_field_is_told_with_its_line(decorator: str, body: str, words: tuple[str, str], tmp_path: Path) -> None:
    source = f"import purebpf as bpf\nfrom purebpf import u8, u32\n\n\n@bpf.{decorator}\nclass R:\n    # here\n    {body}\n"
    file = tmp_path / "author.py"
    file.write_text(source)
    with pytest.raises(Error) as caught:
        exec(compile(source, str(file), "exec"), {"__name__": "author"})
    text = str(caught.value)
    assert words[0] in text and words[1] in text
    assert f"--> {file}:{9 if 'def' in body else 8}:5" in text or f"--> {file}:8:" in text
    assert "^^^" in text


def test_a_class_without_fields_is_told_with_its_line(tmp_path: Path) -> None:
    source = "import purebpf as bpf\n@bpf.struct\nclass Empty:\n    pass\n"
    file = tmp_path / "author.py"
    file.write_text(source)
    with pytest.raises(Error, match=r"Empty: a struct needs at least one field(?s:.*)author\.py:3:1(?s:.*)\^{11}"):
        exec(compile(source, str(file), "exec"), {"__name__": "author"})


def test_constants_in_capitals_and_methods_are_no_fields() -> None:
    @bpf.struct
    class Header:
        LENGTH = 4
        size: u32 = 0

        def double(self) -> int:
            return self.size * 2

    assert Header.LENGTH == 4 and Header(size=2).double() == 4


def test_a_map_that_does_not_say_what_it_holds_is_told_with_its_line() -> None:
    from tests.lang import untyped_maps

    with pytest.raises(bpf.CompileError, match=r"does not say what it holds(?s:.*)it is declared at .*untyped_maps\.py:8"):
        untyped_maps.program.spec()
    with pytest.raises(Error, match=r"does not say what it holds\n +--> .*untyped_maps\.py:8"):
        untyped_maps.counts.types  # noqa: B018


def test_a_record_that_never_fits_its_ring_is_told_with_the_rings_line() -> None:
    from tests.lang import untyped_maps

    with pytest.raises(Error, match=r"never fits the ring `small`(?s:.*)untyped_maps\.py:16(?s:.*)help: size=8192"):
        untyped_maps.sends.spec()


def test_names_that_are_nearly_right_are_told() -> None:
    with pytest.raises(AttributeError, match="did you mean 'Hash'"):
        bpf.Hashh  # noqa: B018
    with pytest.raises(TypeError, match=r"Header takes its fields by keyword: Header\(size=\.\.\.\)"):
        bpf.struct(type("Header", (), {"__annotations__": {"size": u32}}))(5)  # type: ignore[call-arg]


def test_the_source_line_is_shown() -> None:
    with pytest.raises(Error, match=r"\d+ \|         bpf\.Hash\[u32, u64\]\(\)  # type: ignore"):
        bpf.Hash[u32, u64]()  # type: ignore[call-arg]


def test_a_mistake_inside_is_not_taken_for_a_wrong_call() -> None:
    from purebpf.lang.declaring import explained

    @explained("f", "f(1)")
    def f(n: int) -> int:
        return n + "1"  # type: ignore[operator, no-any-return]

    with pytest.raises(TypeError, match="unsupported operand"):
        f(1)
