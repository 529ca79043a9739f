"""Wrong declarations at module level: our own errors, with the line that makes the mistake."""

from __future__ import annotations

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
    "bpf.Array[u64](max_entries=4, size=3)": ("unexpected keyword argument 'size'", "bpf.Array[V](max_entries=...)"),
    "bpf.ProgArray()": ("missing a required argument: 'max_entries'", "bpf.ProgArray(max_entries=...)"),
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
        exec(code, {"bpf": bpf, "u32": u32, "u64": u64, "__name__": "authors"})
    text = str(caught.value)
    assert words[0] in text and words[1] in text
    assert "--> authors_file.py:3" in text


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
