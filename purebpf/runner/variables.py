"""Globals and settings as a program sees them: references into the virtual machine's maps that hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from purebpf.lang.data import ArrayView, DataMap, Globals, RecordView
from purebpf.runner.names import stands_for_kind
from purebpf.runner.views import Block, view
from purebpf.vm.maps import VmMap
from purebpf.vm.memory import OFFSET_MASK, SHIFT

if TYPE_CHECKING:
    from purebpf.runner.session import Runner


@stands_for_kind(RecordView, ArrayView)
def data(runner: Runner, seen: RecordView | ArrayView) -> object:
    declaration, offset, layout, _ = seen.__bpf_place__
    if (
        isinstance(declaration, DataMap) and not declaration.bound
    ):  # the program has no map for it: it stands where no run comes
        return seen
    assert isinstance(declaration, DataMap) and isinstance(declaration.live, VmMap)
    address = declaration.live.direct(0)
    memory = runner.machine.memory.readable[address >> SHIFT]
    changing = isinstance(declaration, Globals)
    start = address & OFFSET_MASK
    return view(Block(memory, runner.function, address - start, changing, changing), start + offset, layout)
