"""Records of rings as one NumPy array."""

from __future__ import annotations

import pytest

import purebpf as bpf
from purebpf import u16, u64

numpy = pytest.importorskip("numpy", reason="NumPy is an optional extra")


@bpf.struct
class Seen:
    length: u64 = 0
    port: u16 = 0


ring = bpf.RingBuf[Seen](size=4096)
events = bpf.PerfEventArray[Seen]()


@bpf.xdp
def sends(ctx: bpf.XdpContext) -> bpf.XdpAction:
    ring.emit(Seen(length=len(ctx.packet), port=80))
    events.output(Seen(length=len(ctx.packet), port=443))
    return bpf.XDP_PASS


@pytest.mark.parametrize("engine", ["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
def test_records_come_as_one_array(engine: str) -> None:
    with sends.load(engine):
        for length in (60, 61, 62):
            sends.run(bytes(length))
        found = ring.read_batch(5)
        assert found.dtype == numpy.dtype(Seen) and found["length"].tolist() == [60, 61, 62] and set(found["port"]) == {80}
        total: list[int] = []
        while len(total) < 3:  # the kernel's runs may have been on several CPUs
            total += events.read_batch(5)["length"].tolist()
        assert sorted(total) == [60, 61, 62]
        assert len(ring.read_batch(0)) == 0
