"""The table of processes is that of procfs, for all that are there before and after it is read."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from purebpf.kernel.engine import KernelEngine
from tests.examples.skips import where_permitted
from tests.examples.test_examples import load
from tests.examples.test_tracing import NEEDS_TYPES

pytestmark = NEEDS_TYPES
Row = dict[str, int | str]


def of_procfs() -> dict[int, Row]:
    return {int(row["pid"]): row for row in rows()}


def rows() -> Iterator[Row]:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            name, numbers = (folder / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
            (folder / "ns/pid").readlink()
            uid = (folder / "status").read_text().split("\nUid:", 1)[1].split()[0]
        except (OSError, IndexError):
            continue  # it has ended, or a policy hides it even from root
        fields = numbers.split()  # from the third of proc_pid_stat(5) on
        row: Row = {"pid": int(folder.name), "parent": int(fields[1]), "uid": int(uid), "threads": int(fields[17])}
        row |= {"started": int(fields[19]), "octets": int(fields[20])}
        yield row | {"comm": name} if row["octets"] else row  # procfs tells more of the kernel's own than their name


@contextmanager
def attached(example: ModuleType) -> Iterator[Iterable[Any]]:
    with ExitStack() as stack:
        with where_permitted():
            table = stack.enter_context(example.process.attach())
        yield table


def shown(table: Iterable[Any]) -> dict[int, Row]:
    """What the program tells, in the units of procfs."""
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGESIZE")
    found: dict[int, Row] = {}
    for one in table:
        row: Row = {"pid": one.pid, "parent": one.parent, "uid": one.uid, "threads": one.threads}
        row |= {"started": one.started * ticks // 10**9, "octets": one.pages * page}
        found[one.pid] = row | {"comm": one.comm} if one.pages else row
    return found


def test_the_table_is_that_of_procfs(kernel: KernelEngine) -> None:
    with attached(load("processes")) as table:
        for _ in range(50):  # until no process changes, and changes back, while the table is read
            before, told, after = of_procfs(), shown(table), of_procfs()
            steady = {pid: row for pid, row in before.items() if after.get(pid) == row}
            if os.getpid() in steady and {pid: told.get(pid) for pid in steady} == steady:
                break
    assert {pid: told.get(pid) for pid in steady} == steady
    assert os.getpid() in steady and len(steady) > 10


def test_the_table_of_one_user(kernel: KernelEngine) -> None:
    example, other = load("processes"), os.getuid() + 4711
    example.settings.only_uid = other
    with subprocess.Popen(["sleep", "60"], user=other) as child:
        try:
            with attached(example) as table:
                told = shown(table)
        finally:
            child.kill()
    assert list(told) == [child.pid]
    assert told[child.pid] | {"parent": os.getpid(), "uid": other, "comm": "sleep"} == told[child.pid]
