"""Linked objects do in the kernel what their parts say: calls, variables, maps and callbacks across objects."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from purebpf.objects.loading import load
from tests.elf.linking.kit import BPFTOOL, LICENSE, linked, needs_bpftool, needs_clang
from tests.kernel.bpffs import bpf_file_system

pytestmark = needs_clang

MAP = "struct { __uint(type, ARRAY); __uint(max_entries, 4); __type(key, int); __type(value, long); } counts SEC('.maps');\n"
FIRST = """
static volatile int unused = 100, steps = 3;
extern int limit;
int table[4] = { 5, 6, 7, 8 };
int shared(struct __sk_buff *ctx, int x);
static __noinline int more(int x) { return x + steps; }
__weak __noinline int chosen(int x) { return x + 1000; }

SEC("tc") int prog(struct __sk_buff *ctx)
{
    int key = 2;
    long *value = bpf_map_lookup_elem(&counts, &key);
    if (value)
        *value += limit;
    return more(ctx->len) * 10000 + shared(ctx, 2) + chosen(1);
}
"""
SECOND = """
static volatile int steps = 20, others = 7;
int limit = 12;
extern int table[];
static __noinline int more(int x) { return x * steps; }
static long add(void *map, const void *key, void *value, void *ctx)
{
    *(long *)ctx += *(long *)value + others;
    return 0;
}
__noinline int chosen(int x) { return x + 3; }
__noinline int shared(struct __sk_buff *ctx, int x)
{
    long sum = 0;
    bpf_for_each_map_elem(&counts, add, &sum, 0);
    return more(x) + table[x & 3] + sum;
}
"""
LENGTH = 64
RESULT = (LENGTH + 3) * 10000 + (2 * 20 + 7 + (12 + 4 * 7)) + (1 + 3)


in_both_orders = pytest.mark.parametrize("turned", [False, True], ids=["in order", "turned"])


def both(folder: Path, turned: bool) -> Path:
    texts = [MAP.replace("'", '"') + FIRST + LICENSE, "extern " + MAP.replace("'", '"') + SECOND + LICENSE]
    return linked(folder, *(texts[::-1] if turned else texts))


@needs_bpftool
@pytest.mark.kernel
@in_both_orders
def test_the_result_is_that_of_all_parts(tmp_path: Path, turned: bool) -> None:
    path = both(tmp_path, turned)
    (tmp_path / "pins").mkdir()
    (tmp_path / "packet").write_bytes(bytes(LENGTH))
    with bpf_file_system(tmp_path / "pins") as pins:
        done = subprocess.run([BPFTOOL, "prog", "loadall", str(path), str(pins / "all")], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        command = [BPFTOOL, "-j", "prog", "run", "pinned", str(pins / "all" / "prog"), "data_in", str(tmp_path / "packet")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["retval"] == RESULT


@pytest.mark.kernel
@in_both_orders
def test_ours_loads_them(tmp_path: Path, turned: bool) -> None:
    results_and_variables(both(tmp_path, turned), "kernel")


@in_both_orders
def test_the_virtual_machine_runs_them(tmp_path: Path, turned: bool) -> None:
    results_and_variables(both(tmp_path, turned), "vm")


def results_and_variables(path: Path, engine: str) -> None:
    with load(path, engine=engine, variables={"limit": 13}) as objects:
        program = objects.programs.prog
        assert program.run(packet=bytes(LENGTH)).value == RESULT + 1
        assert program.run(packet=bytes(LENGTH)).value == RESULT + 1 + 13
        assert objects.maps["counts"][2] == 26 and objects.variables.table[3] == 8
