"""`purebpf prog`, `map`, `link` and `btf list`: as bpftool does it, where it is installed; on objects of the tests' own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.kernel.engine import KernelEngine
from tests.cli.test_cli import purebpf
from tests.kernel.netns import veth_pair
from tests.kernel.programs import needs

pytestmark = pytest.mark.kernel
BPFTOOL = shutil.which("bpftool") or next((path for path in ("/usr/sbin/bpftool",) if os.path.exists(path)), None)
PATIENCE = 300.0  # seconds, of emulated processors
PER_CPU_ADDRESS = re.compile(r"&\(void __percpu \*\)\((r\d)\)")  # which only newer ones tell from a plain move


@bpf.struct
class Row:
    small: u32
    large: u64


rows = bpf.Hash[u32, Row](max_entries=8)
each_cpu = bpf.PerCpuArray[u64](max_entries=2)
wide = bpf.Array[Row](max_entries=20)
still, still_each_cpu = bpf.Hash[u32, u64](max_entries=8), bpf.PerCpuArray[Row](max_entries=2)


@bpf.globals
class state:
    seen: u64 = 0


@bpf.raw_tracepoint("sys_enter")
def counted(ctx: bpf.RawTracepointContext) -> None:
    state.seen += 1
    row = rows.get(u32(state.seen & 7))
    if row is not None:
        row.large += bpf.ktime()
    each_cpu[1] += 1


@bpf.xdp
def resting(ctx: bpf.XdpContext) -> bpf.XdpAction:
    still_each_cpu[0].small += 1
    still[1] += 1
    wide[0].large += 1
    return bpf.XDP_PASS


@pytest.fixture(scope="module")
def attached() -> Iterator[bpf.Attachment]:
    with counted.attach(engine="kernel") as made:
        rows[7] = Row(small=1, large=0x0203)
        yield made


def ours(*arguments: object) -> str:
    done = purebpf(*map(str, arguments), timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def theirs(*arguments: object) -> str:
    assert BPFTOOL is not None
    done = subprocess.run([BPFTOOL, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ids() -> dict[str, list[str]]:
    number = str(counted.info.id)
    map_id = str(rows.live.info.id)  # type: ignore[attr-defined]
    return {"prog": ["id", number], "map": ["id", map_id]}


@pytest.mark.skipif(BPFTOOL is None, reason="bpftool is not installed")
@pytest.mark.parametrize("what", ["prog", "map", "link", "btf"])
def test_shown_as_bpftool_shows_it(attached: bpf.Attachment, what: str) -> None:
    """Each key of bpftool is there, in the same order and with the same value; a newer one may tell more, as ours does."""
    which = {**ids(), "link": ["id", attached.info.id], "btf": ["id", counted.info.btf_id]}[what]
    wanted, found = json.loads(theirs("-j", what, "show", *which)), json.loads(ours(what, "show", "--json", *which))
    assert {key: found.get(key) for key in wanted} == wanted
    assert [key for key in found if key in wanted] == list(wanted)
    if what != "btf":
        assert {holder["pid"] for holder in found["pids"]} == {os.getpid()}


@pytest.mark.skipif(BPFTOOL is None, reason="bpftool is not installed")
@pytest.mark.parametrize("what", ["prog", "map"])
def test_shown_in_words_as_bpftool_does(attached: bpf.Attachment, what: str) -> None:
    which = ids()[what]
    assert ours(what, "show", "--no-pids", *which).split() == [
        word for line in theirs(what, "show", *which).splitlines() if "pids " not in line for word in line.split()
    ]


@pytest.mark.skipif(BPFTOOL is None, reason="bpftool is not installed")
@pytest.mark.parametrize("words", [(), ("linum",), ("opcodes",)], ids=str)
def test_dumped_as_bpftool_dumps_it(attached: bpf.Attachment, words: tuple[str, ...]) -> None:
    which = ids()["prog"]
    wanted, found = theirs("prog", "dump", "xlated", *which, *words), ours("prog", "dump", "xlated", *which, *words)
    assert PER_CPU_ADDRESS.sub(r"\1", found) == PER_CPU_ADDRESS.sub(r"\1", wanted)
    rows_wanted: list[dict[str, Any]] = json.loads(theirs("-j", "prog", "dump", "xlated", *which, *words))
    rows_found: list[dict[str, Any]] = json.loads(ours("prog", "dump", "xlated", "-j", *which, *words))
    for row in rows_wanted + rows_found:
        row["disasm"] = PER_CPU_ADDRESS.sub(r"\1", row["disasm"])
    assert rows_found == rows_wanted


@pytest.mark.skipif(BPFTOOL is None, reason="bpftool is not installed")
@pytest.mark.parametrize("which", ["still", "still_each_cpu", "wide"])
def test_entries_as_bpftool_has_them(kernel: KernelEngine, which: str) -> None:
    with resting.load("kernel"):
        resting.run(packet=bytes(64))
        number = globals()[which].live.info.id
        wanted, found = theirs("-j", "map", "dump", "id", number), ours("map", "dump", "-j", "id", number)
        assert json.loads(found) == json.loads(wanted) != []
        if "formatted" not in wanted:
            assert ours("map", "dump", "id", number) == theirs("map", "dump", "id", number)


switches, seen_frames = bpf.PerCpuArray[u64](max_entries=2), bpf.PerCpuArray[u64](max_entries=1)


@bpf.tp_btf("sched_switch")
def switching(preempt: bool) -> None:
    switches[0] += 1


@bpf.iter("task")
def tasks(ctx: bpf.IterContext) -> None:
    switches[1] += 1


@bpf.tc
def frames(ctx: bpf.TcContext) -> bpf.TcAction:
    seen_frames[0] += 1
    return bpf.TC_ACT_OK


@contextmanager
def linked(kind: str) -> Iterator[bpf.Attachment]:
    """A program attached by a link of a kind."""
    if kind in ("raw_tracepoint", "iter"):
        with bpf.load(switching, tasks), (switching if kind == "raw_tracepoint" else tasks).attach() as made:
            yield made
        return
    with veth_pair() as (name, _), resting.attach(name, mode="generic") if kind == "xdp" else frames.attach(name) as made:
        yield made


@pytest.mark.skipif(BPFTOOL is None, reason="bpftool is not installed")
@pytest.mark.parametrize("kind", ["raw_tracepoint", "iter", "xdp", pytest.param("tcx", marks=needs((6, 6), "TCX"))])
def test_links_as_bpftool_has_them(kernel: KernelEngine, kind: str) -> None:
    """What ours has more are keys of newer versions. Older ones do not know the names of newer types."""
    with linked(kind) as made:
        number = made.info.id
        wanted, found = (
            json.loads(theirs("-j", "link", "show", "id", number)),
            json.loads(ours("link", "show", "-j", "id", number)),
        )
        assert found["type"] == kind and {key: found.get(key) for key in wanted} == {**wanted, "type": kind}
        assert f"{number}: {kind}  prog {found['prog_id']}\n" in ours("link", "show", "id", number)


def test_lists_have_what_is_shown(attached: bpf.Attachment) -> None:
    number = counted.info.id
    (one,) = [row for row in json.loads(ours("prog", "list", "-j", "-n")) if row["id"] == number]
    assert one == json.loads(ours("prog", "show", "-j", "-n", "id", number)) and "pids" not in one
    assert number in {row["id"] for row in json.loads(ours("prog", "show", "-j", "-n", "name", "counted"))}
    assert number in {row["id"] for row in json.loads(ours("prog", "show", "--pretty", "-n", "tag", one["tag"]))}
    (link,) = [row for row in json.loads(ours("link", "list", "-j")) if row["prog_id"] == number]
    assert link["tp_name"] == "sys_enter" and link["pids"][0]["pid"] == os.getpid()
    assert f"{link['id']}: raw_tracepoint  prog {number}" in ours("link", "list")
    assert one["btf_id"] in {row["id"] for row in json.loads(ours("btf", "list", "-j", "-n"))}


def test_machine_code_and_files(attached: bpf.Attachment, tmp_path: Path) -> None:
    number, size = counted.info.id, counted.info.jited_size
    ours("prog", "dump", "xlated", "id", number, "--file", tmp_path / "code")
    assert "each_cpu[1] += 1" in ours("prog", "dump", "xlated", "id", number, "linum")
    assert len((tmp_path / "code").read_bytes()) == counted.info.xlated_size
    if not size:
        pytest.skip("this kernel interprets its programs")
    (part,) = json.loads(ours("prog", "dump", "jited", "-j", "id", number, "linum"))
    code = bytes.fromhex("".join(piece["code"] for piece in part["insns"]))
    ours("prog", "dump", "jited", "id", number, "--file", tmp_path / "code")
    assert (tmp_path / "code").read_bytes() == code and len(code) == size
    assert {piece["file"] for piece in part["insns"] if "src" in piece} == {__file__}
    assert "; each_cpu[1] += 1\n" in ours("prog", "dump", "jited", "id", number)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("prog", "show", "id", "4294967295"), "There is no program with the id 4294967295"),
        (("prog", "show", "name", "no_such_program"), "There is no program with the name no_such_program"),
        (("prog", "show", "number", "5"), "say which program: id ID, name NAME, tag TAG, pinned PATH"),
        (("prog", "dump", "xlated"), "say which program"),
        (("prog", "dump", "xlated", "id", "1", "fast"), "'fast' is none of the words linum, opcodes"),
        (("map", "dump", "id", "x"), "'x' is no id of a map"),
        (("map", "show", "pinned", "/no/such/pin"), "Opening the map that is pinned as /no/such/pin failed"),
        (("link", "show", "id", "4294967295"), "There is no link with the id 4294967295"),
    ],
)
def test_what_is_not_there_is_told(kernel: KernelEngine, arguments: tuple[str, ...], said: str) -> None:
    done = purebpf(*arguments, timeout=PATIENCE)
    assert done.returncode in (1, 2) and said in done.stderr and "Traceback" not in done.stderr
