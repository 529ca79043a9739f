"""Flame graphs as SVG: a box for each frame, as wide as the samples it was in, on the box of its caller.

The document is whole in itself. Without scripts it shows every name as a tooltip; with them a click zooms, a search marks.
Boxes too narrow to be seen are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from zlib import crc32

from purebpf.data import data

WIDTH, ROW, MARGIN, HEAD, FOOT = 1200.0, 17, 10, 58, 26
NARROWEST = 0.2  # pixels
CHARACTER = 6.6  # of a 11-pixel monospaced font


class Node:
    """A frame in one place of the tree: how many samples go through it, and its callees."""

    __slots__ = ("callees", "name", "samples")

    def __init__(self, name: str) -> None:
        self.name = name
        self.samples = 0
        self.callees: dict[str, Node] = {}


@data
class Box:
    """A frame to be drawn: x and width in samples, depth from the bottom."""

    name: str
    start: int
    samples: int
    depth: int


def tree(counts: Mapping[tuple[str, ...], int]) -> Node:
    root = Node("all")
    for frames, count in counts.items():
        node = root
        node.samples += count
        for name in frames:
            node = node.callees.setdefault(name, Node(name))
            node.samples += count
    return root


def boxes(root: Node, narrowest: float) -> list[Box]:
    """All frames of at least so many samples, callees sorted by name, each above its caller."""
    found: list[Box] = []
    work = [(root, 0, 0)]
    while work:
        node, start, depth = work.pop()
        found.append(Box(node.name, start, node.samples, depth))
        for name in sorted(node.callees):
            callee = node.callees[name]
            if callee.samples >= narrowest:
                work.append((callee, start, depth + 1))
            start += callee.samples
    return found


def colour(name: str) -> str:
    """Warm for programs and libraries, blue for the kernel, green for a JIT compiler's, grey where there is no name. A name
    has the same one each time."""
    shade = crc32(name.encode()) & 0xFFFF
    if name == "all" or name.startswith("["):
        return f"hsl(220,8%,{74 + shade % 8}%)"
    hue, spread = (205, 22) if name.endswith("_[k]") else (120, 30) if name.endswith("_[j]") else (14, 34)
    return f"hsl({hue + shade % spread},{70 + (shade >> 5) % 16}%,{66 + (shade >> 9) % 8}%)"


def _share(samples: int, total: int) -> str:
    return f"{100 * samples / total:.2f}%" if total else "0%"


def _box(box: Box, scale: float, height: float, total: int, unit: str) -> str:
    x, width = MARGIN + box.start * scale, box.samples * scale
    y = height - FOOT - (box.depth + 1) * ROW
    fits = int((width - 6) / CHARACTER)
    text = box.name if len(box.name) <= fits else f"{box.name[: fits - 1]}…" if fits >= 3 else ""
    name, fill = escape(box.name), colour(box.name)
    told = f"{box.samples:,} {escape(unit)}, {_share(box.samples, total)}"
    return (
        f'<g class="f" data-n="{name}" data-x="{box.start}" data-w="{box.samples}">'
        f"<title>{name} ({told})</title>"
        f'<rect x="{x:.1f}" y="{y:g}" width="{max(width - 0.4, 0.1):.1f}" height="{ROW - 1}" rx="1.5" fill="{fill}"/>'
        f'<text x="{x + 3:.1f}" y="{y + 12:g}">{escape(text)}</text></g>'
    )


def draw(counts: Mapping[tuple[str, ...], int], title: str, unit: str) -> str:
    """The document as text. Without samples it says so."""
    root = tree(counts)
    total = root.samples
    scale = (WIDTH - 2 * MARGIN) / max(total, 1)
    drawn = boxes(root, NARROWEST / scale)
    height = HEAD + FOOT + ROW * (max(box.depth for box in drawn) + 1)
    body = "\n".join(_box(box, scale, height, total, unit) for box in drawn)
    room = files("purebpf.symbols")
    style, script = ((room / name).read_text("utf-8").strip() for name in ("flamegraph.css", "flamegraph.js"))
    told = f"{total:,} {unit}" if total else f"no {unit}: nothing was sampled"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height}" width="{WIDTH:g}" height="{height}" role="img" \
data-total="{total}" data-width="{WIDTH - 2 * MARGIN:g}" data-margin="{MARGIN}" data-character="{CHARACTER}">
<title>{escape(title)}</title>
<style>{style}</style>
<rect class="paper" width="100%" height="100%"/>
<text class="head" x="{WIDTH / 2:g}" y="26">{escape(title)}</text>
<text class="sub" x="{WIDTH / 2:g}" y="44">{escape(told)}</text>
<text class="button" id="reset" x="{MARGIN}" y="26">⟲ whole graph</text>
<text class="button on" id="search" x="{WIDTH - MARGIN:g}" y="26" text-anchor="end">search</text>
<g id="frames">
{body}
</g>
<text class="foot" id="told" x="{MARGIN}" y="{height - 9}"></text>
<text class="foot" id="found" x="{WIDTH - MARGIN:g}" y="{height - 9}" text-anchor="end"></text>
<script><![CDATA[
{script}
]]></script>
</svg>
"""
