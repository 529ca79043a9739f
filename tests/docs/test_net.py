"""The page of packet headers says what `purebpf.net` has. `python -m tests.docs.test_net` writes its tables anew."""

from __future__ import annotations

from pathlib import Path

from purebpf import net
from purebpf.lang.types import Field, StructType

PAGE = Path(__file__).parents[2] / "docs" / "net.md"
START, END = "<!-- headers: written by python -m tests.docs.test_net -->\n", "<!-- end of headers -->\n"


def headers() -> list[type]:
    """The records of the module, in its order."""
    return [value for value in vars(net).values() if isinstance(getattr(value, "__bpf_type__", None), StructType)]


def written(field: Field) -> str:
    """A field's type as an author writes it."""
    if field.bits:
        return f"{field.bits} bit{'s' if field.bits > 1 else ''} of a `{field.type}`"
    return f"`bpf.{field.type}`" if str(field.type).startswith(("bytes", "chars", "array")) else f"`{field.type}`"


def table(header: type) -> str:
    layout: StructType = header.__bpf_type__  # type: ignore[attr-defined]
    about = " ".join((header.__doc__ or "").split())
    rows = "".join(f"| `{field.name}` | {written(field)} | {field.offset} |\n" for field in layout.fields)
    return f"### {layout.name}: {layout.size} bytes\n\n{about}\n\n| field | type | at byte |\n|---|---|---|\n{rows}\n"


def tables() -> str:
    return "\n" + "".join(map(table, headers()))


def test_the_page_has_the_headers_as_they_are() -> None:
    page = PAGE.read_text()
    assert page[page.index(START) + len(START) : page.index(END)] == tables()


def test_all_headers_have_a_docstring_and_zero_defaults() -> None:
    for header in headers():
        assert header.__doc__
        assert header().to_bytes() == bytes(header.__bpf_type__.size)  # type: ignore[attr-defined]


def test_the_constants_on_the_page_are_there() -> None:
    page = PAGE.read_text()
    names = [
        word.strip("`, .")
        for word in page[: page.index(START)].split()
        if word.startswith("`") and word.strip("`, .").isupper()
    ]
    assert len(names) > 10
    for name in names:
        assert isinstance(getattr(net, name), int), name


if __name__ == "__main__":
    text = PAGE.read_text()
    PAGE.write_text(text[: text.index(START) + len(START)] + tables() + text[text.index(END) :])
