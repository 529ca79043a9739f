"""Folded stacks, tables and flame graphs."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from purebpf.errors import Error
from purebpf.symbols import Folded, Frame, Row
from purebpf.symbols.flamegraph import Box, boxes, colour, tree

SVG = "{http://www.w3.org/2000/svg}"


def some() -> Folded:
    made = Folded()
    made.add(["main", "work", "read"], 3)
    made.add(["main", "work"], 2)
    made.add(["main", "idle"])
    made.add(["main", "work", "work", "read"], 4)
    return made


def test_folded_text_goes_both_ways() -> None:
    made = some()
    text = "main;idle 1\nmain;work 2\nmain;work;read 3\nmain;work;work;read 4\n"
    assert str(made) == text and made.total == 10
    assert Folded.parse(text).counts == made.counts
    assert Folded.parse("a b;c d 2\r\n\n").counts == {("a b", "c d"): 2}


def test_frames_are_written_by_their_labels() -> None:
    made = Folded()
    kernel, jit = Frame(1 << 63, "vfs_read", "[kernel]"), Frame(8, "py::f", "[jit]")
    made.add([jit, Frame(4, "", "/usr/lib/libc.so.6", 16), kernel, Frame(1), "a;b\nc", ""])
    assert str(made) == "py::f_[j];[libc.so.6+0x10];vfs_read_[k];[unknown];a:b c;[unknown] 1\n"


@pytest.mark.parametrize("line", ["main", "main x", "main 0", "main -1", " 5", "main 1.5"])
def test_what_is_no_folded_text_is_an_error(line: str) -> None:
    with pytest.raises(Error, match="line 2 is no folded stack"):
        Folded.parse(f"main 1\n{line}\n")


def test_counts_are_positive() -> None:
    for count in (0, -1, True, 1.5):
        with pytest.raises(Error, match="positive number of times"):
            Folded().add(["main"], count)  # type: ignore[arg-type]


def test_the_top_counts_a_function_once_a_sample() -> None:
    assert some().top(3) == [Row("read", 7, 7), Row("work", 2, 9), Row("idle", 1, 1)]
    assert some().top()[-1] == Row("main", 0, 10)


def test_boxes_lie_on_their_callers() -> None:
    found = {(box.name, box.depth): box for box in boxes(tree(some().counts), 0)}
    assert found["all", 0] == Box("all", 0, 10, 0) and found["main", 1] == Box("main", 0, 10, 1)
    assert found["idle", 2] == Box("idle", 0, 1, 2) and found["work", 2] == Box("work", 1, 9, 2)
    assert found["read", 3] == Box("read", 1, 3, 3) and found["work", 3] == Box("work", 4, 4, 3)
    assert found["read", 4] == Box("read", 4, 4, 4) and len(found) == 7


def test_a_flame_graph_is_a_document_with_a_box_and_a_tooltip_for_each_frame() -> None:
    root = ElementTree.fromstring(some().svg("CPU <all> & more", "samples"))
    assert root.tag == f"{SVG}svg"
    frames = [group for group in root.iter(f"{SVG}g") if group.get("class") == "f"]
    titles = [group.findtext(f"{SVG}title") for group in frames]
    assert len(frames) == 7 and "work (9 samples, 90.00%)" in titles and "idle (1 samples, 10.00%)" in titles
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert "CPU <all> & more" in texts and "10 samples" in texts
    width = {group.get("data-n"): float(group[1].get("width") or 0) for group in frames}
    assert width["idle"] == pytest.approx(0.1 * width["all"], rel=0.01)
    for group in frames:
        x, wide = float(group[1].get("x") or 0), float(group[1].get("width") or 0)
        assert x >= 10 and x + wide <= 1190.1


def test_a_flame_graph_of_hostile_names_is_still_a_document() -> None:
    made = Folded()
    made.add(["]]><script>alert(1)</script>", 'a"b<T&>', "x" * 500], 1)
    text = made.svg("</svg><script>")
    names = [group.get("data-n") for group in ElementTree.fromstring(text).iter(f"{SVG}g") if group.get("class")]
    assert names == ["all", "]]><script>alert(1)</script>", 'a"b<T&>', "x" * 500] and text.count("<script>") == 1


def test_a_flame_graph_of_nothing_says_so() -> None:
    assert "no samples: nothing was sampled" in Folded().svg()


def test_frames_too_narrow_to_be_seen_are_left_out() -> None:
    made = Folded()
    made.add(["wide"], 1_000_000)
    made.add(["narrow", "inner"], 1)
    assert 'data-n="narrow"' not in made.svg() and 'data-n="wide"' in made.svg()


def test_colours_tell_where_a_frame_runs() -> None:
    hues = [int(colour(name).partition("(")[2].partition(",")[0]) for name in ("main", "read_[k]", "py::f_[j]")]
    assert 14 <= hues[0] < 48 and 205 <= hues[1] < 227 and 120 <= hues[2] < 150
    assert colour("main") == colour("main") and colour("[libc+0x1]").startswith("hsl(220")
