"""Objects that purebpf wrote, linked with those of clang: maps and variables are shared, both sides' programs load and run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.program import spec_of
from tests.elf.linking.kit import BPFTOOL, LICENSE, Seen, compiled, needs_bpftool, needs_clang
from tests.kernel.bpffs import bpf_file_system

pytestmark = needs_clang
HERE = Path(__file__).parent


@bpf.struct
class Row:
    small: u32
    large: u64


counts = bpf.Array[u64](max_entries=4)
rows = bpf.Hash[u32, Row](max_entries=8)


@bpf.globals
class state:
    steps: u64 = 5


@bpf.tc
def in_python(ctx: bpf.TcContext) -> bpf.TcAction:
    counts[2] += state.steps
    state.steps += 1
    rows[1] = Row(small=3, large=counts[2])
    return bpf.TC_ACT_SHOT


IN_C = """
struct Row { unsigned int small; unsigned long long large; };
extern struct { __uint(type, ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); } counts SEC(".maps");
extern struct { __uint(type, HASH); __uint(max_entries, 8); __type(key, __u32); __type(value, struct Row); } rows SEC(".maps");
extern __u64 steps;

SEC("tc") int in_c(struct __sk_buff *ctx)
{
    __u32 second = 2, first = 1;
    __u64 *count = bpf_map_lookup_elem(&counts, &second);
    struct Row *row = bpf_map_lookup_elem(&rows, &first);
    return count && row ? *count * 10000 + row->large * 100 + row->small * 10 + steps : 1;
}
"""
RESULT = 5 * 10000 + 5 * 100 + 3 * 10 + 6


def both(folder: Path, turned: bool = False, c: str = IN_C) -> Path:
    written = folder / "python.o"
    bpf.write_object(spec_of(in_python), written)
    parts = [written, compiled(c + LICENSE, folder, "c")]
    path = folder / "linked.o"
    path.write_bytes(bpf.link_objects(parts[::-1] if turned else parts))
    return path


def test_what_is_written_is_linked_with_nothing_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "python.o"
    bpf.write_object(spec_of(in_python), path)
    alone, again = bpf.load_object(path.read_bytes()), bpf.load_object(bpf.link_objects([path]))
    assert again.programs["in_python"].instructions == alone.programs["in_python"].instructions
    assert again.variables == alone.variables and list(again.maps) == list(alone.maps)


@pytest.mark.parametrize("turned", [False, True], ids=["ours first", "clang's first"])
def test_maps_and_variables_are_one(tmp_path: Path, turned: bool) -> None:
    path = both(tmp_path, turned)
    spec = bpf.load_object(path)
    assert set(spec.programs) == {"in_python", "in_c"} and {"counts", "rows"} <= set(spec.maps)
    assert [name for name, _, _ in Seen(path).variables(".maps")] == ["counts", "rows"]
    assert len(Seen(path).named("Row")) == 1


def test_a_map_that_c_sees_otherwise_is_told(tmp_path: Path) -> None:
    with pytest.raises(bpf.Error, match=r"'rows' means different things: value: member 'small' of struct Row: .*4 bytes.*8"):
        both(tmp_path, c=IN_C.replace("unsigned int small", "long small"))


@needs_bpftool
@pytest.mark.kernel
@pytest.mark.parametrize("turned", [False, True], ids=["ours first", "clang's first"])
def test_they_run(tmp_path: Path, turned: bool) -> None:
    path = both(tmp_path, turned)
    (tmp_path / "pins").mkdir()
    (tmp_path / "packet").write_bytes(bytes(64))
    with bpf_file_system(tmp_path / "pins") as pins:
        done = subprocess.run([BPFTOOL, "prog", "loadall", str(path), str(pins / "all")], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        results = []
        for name in ("in_python", "in_c"):
            command = [BPFTOOL, "-j", "prog", "run", "pinned", str(pins / "all" / name), "data_in", str(tmp_path / "packet")]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            results.append(json.loads(done.stdout)["retval"])
    assert results == [bpf.TC_ACT_SHOT, RESULT]
