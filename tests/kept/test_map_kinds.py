"""Programs with maps of maps, tries and the like are kept, and compiled again when a map in a map is another."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kept.test_start import imported

SCRIPT = """
import ipaddress
import os
import sys
import purebpf as bpf
from purebpf import u32, u64

inner = bpf.Array[u64](max_entries=int(os.environ["ENTRIES"]))
outer = bpf.ArrayOfMaps(inner, max_entries=2)
routes = bpf.LpmTrie[ipaddress.IPv4Network, u32](max_entries=16)
waiting = bpf.Queue[u64](max_entries=4)

@bpf.tc
def program(ctx: bpf.TcContext) -> int:
    table = outer.get(0)
    if table is not None:
        table[7] += 5
    waiting.push(9)
    return int(routes.get(0x0A000001, 0))

with program.load("kernel"):
    outer.create(0)
    routes["10.0.0.0/8"] = 6
    assert program.run(bytes(64)).value == 6 and outer[0][7] == 5 and waiting.pop() == 9
    print(*sorted(sys.modules))
"""


def test_they_are_kept_until_an_inner_map_changes(kernel: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTRIES", "8")
    script = tmp_path / "tables.py"
    script.write_text(SCRIPT)
    assert "purebpf.compiler.pipeline" in imported(script)
    assert "purebpf.compiler.pipeline" not in imported(script)
    monkeypatch.setenv("ENTRIES", "9")
    assert "purebpf.compiler.pipeline" in imported(script)
