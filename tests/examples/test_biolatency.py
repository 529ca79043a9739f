"""biolatency on a disk of the test's own: it counts what the kernel's own counters of that disk do."""

from __future__ import annotations

import os
import time
from pathlib import Path

from purebpf import load as load_programs
from purebpf.kernel.engine import KernelEngine
from tests.examples.disk import BLOCK, direct, done, loop_device
from tests.examples.test_examples import load

READS, WRITES = 40, 25


def test_biolatency_counts_what_the_disk_did(kernel: KernelEngine, tmp_path: Path) -> None:
    example = load("biolatency")
    with loop_device(tmp_path / "disk", READS) as name, direct(name) as (disk, memory):
        example.settings.only_device = example.number(name)
        with load_programs(example.issued, example.completed), example.issued.attach(), example.completed.attach():
            before, began = done(name), time.monotonic()
            for block in range(WRITES):
                assert os.pwritev(disk, [memory], block * BLOCK) == BLOCK
            for block in range(READS):
                assert os.preadv(disk, [memory], block * BLOCK) == BLOCK
            took, after = time.monotonic() - began, done(name)
            rows = example.rows()
    found = sum(reads for _, _, reads, _ in rows), sum(writes for _, _, _, writes in rows)
    assert found == (after[0] - before[0], after[1] - before[1])
    assert found[0] >= READS and found[1] >= WRITES
    assert sum(low * (reads + writes) for low, _, reads, writes in rows) <= took * 1e6  # one after the other
