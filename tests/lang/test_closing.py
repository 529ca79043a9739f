"""Closing collections: by several threads at once, and of those that nobody holds any more."""

from __future__ import annotations

import gc
import threading

import pytest

import purebpf as bpf
from purebpf import u64

sizes = bpf.Array[u64](max_entries=1)


@bpf.xdp
def length(ctx: bpf.XdpContext) -> bpf.XdpAction:
    return bpf.XDP_PASS if len(ctx.packet) > 60 else bpf.XDP_DROP


class Slow:
    """A link that takes as long to be closed as it is told."""

    mechanism = "slow"

    def __init__(self, done: list[str]) -> None:
        self.entered, self.go, self.done = threading.Event(), threading.Event(), done

    def close(self) -> None:
        self.entered.set()
        self.go.wait(10)
        self.done.append("closed")


def test_who_closes_what_another_thread_is_closing_waits_for_it() -> None:
    done: list[str] = []
    slow, loaded = Slow(done), length.load("vm")
    loaded.links.append(slow)

    def again() -> None:
        loaded.close()
        done.append("closed again")

    first, second = threading.Thread(target=loaded.close), threading.Thread(target=again)
    first.start()
    assert slow.entered.wait(10)
    second.start()
    with length.load("vm"):  # the program is free already
        assert length.run(bytes(64)).value == bpf.XDP_PASS
    second.join(0.05)
    slow.go.set()
    first.join(10)
    second.join(10)
    assert done == ["closed", "closed again"]


def test_what_is_closed_while_it_is_closed_by_the_same_thread_is_closed_once() -> None:
    """As by the handler of a signal."""
    loaded, closed = length.load("vm"), []

    class Reentering:
        mechanism = "again"

        def close(self) -> None:
            loaded.close()
            closed.append(self)

    loaded.links.append(Reentering())
    loaded.close()
    assert len(closed) == 1 and length.collection is None


def test_what_a_map_is_loaded_in_lives_as_long_as_the_map_and_is_told() -> None:
    def forgetful() -> None:
        @bpf.xdp
        def forgotten(ctx: bpf.XdpContext) -> bpf.XdpAction:
            sizes[0] += len(ctx.packet)
            return bpf.XDP_PASS

        forgotten.load("vm")

    forgetful()
    gc.collect()
    assert sizes.holder is not None and sizes[0] == 0
    with pytest.raises(
        bpf.Error, match="map `sizes` is in use by another loaded collection, that of forgotten: close that one"
    ):
        bpf.load(sizes, engine="vm")
    sizes.holder.close()
    assert sizes.holder is None
    with bpf.load(sizes, engine="vm"):
        assert sizes[0] == 0
