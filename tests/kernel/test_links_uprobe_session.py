"""Programs at both ends of functions of processes (Linux 6.13). Each counts only calls of the test's own process."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import s64, u64
from purebpf.errors import Error, Unsupported
from purebpf.kernel.errors import kernel_version
from purebpf.tables.enums import AttachType, LinkType

LIBRARY = str(Path(__file__).parent / "probed" / f"probed-{os.uname().machine}.so")
pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(not Path(LIBRARY).exists(), reason=f"the tests have no library to probe on {os.uname().machine}"),
]
seen = bpf.Array[s64](max_entries=8)


@bpf.globals
class only:
    pid: u64 = 0


@bpf.uprobe_session(LIBRARY, "add")
def both_ends(arg0: int, ret: int) -> int:
    if bpf.current.tgid != only.pid:
        return 1
    if bpf.returning():
        seen[0] += 1
        seen[1] = bpf.s32(ret)
        return 0
    seen[2] += 1
    return bpf.s32(arg0) < 0


def add(number: int) -> int:
    """Calls the library's function, which adds to the first argument."""
    function = ctypes.CDLL(LIBRARY).add
    function.argtypes = (ctypes.c_longlong, ctypes.c_int, ctypes.c_int, ctypes.c_int)
    return int(function(number, 0, 0, 0))


@pytest.mark.skipif(kernel_version() < (6, 13), reason="programs at both ends of functions of processes came with Linux 6.13")
def test_both_ends_are_seen_and_the_return_is_left_out_where_the_call_says_so(kernel: object) -> None:
    with both_ends.load("kernel"):
        only.pid = os.getpid()
        with both_ends.attach() as held:
            result = add(7)
            assert (seen[0], seen[2]) == (1, 1)
            assert seen[1] == ctypes.c_int(result).value
            add(-1)
            assert (seen[0], seen[2]) == (1, 2)
            assert held.mechanism == "uprobe session link, 1 functions"
            assert held.info.type == LinkType.UPROBE_MULTI
        add(7)
        assert seen[2] == 2


@pytest.mark.skipif(kernel_version() >= (6, 13), reason="this kernel has programs at both ends of functions of processes")
def test_an_older_kernel_is_told_what_it_lacks(kernel: object) -> None:
    with pytest.raises(Unsupported, match=r"Linux 6\.13"):
        both_ends.attach(engine="kernel")


def test_the_spec_names_section_and_hook() -> None:
    (spec,) = both_ends.spec().programs.values()
    assert spec.section == f"uprobe.session/{LIBRARY}:add"
    assert spec.attach_type == AttachType.TRACE_UPROBE_SESSION


@pytest.mark.parametrize("symbol", ["add+4", "0x12", ""])
def test_it_runs_at_both_ends_of_whole_functions(symbol: str) -> None:
    with pytest.raises(Error, match="a function's name or a pattern"):
        bpf.uprobe_session(LIBRARY, symbol)
