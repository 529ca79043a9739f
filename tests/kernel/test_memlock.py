"""RLIMIT_MEMLOCK, which counts maps and programs before Linux 5.11: raised by itself where that is needed, and only there."""

from __future__ import annotations

import pytest

from purebpf.kernel.errors import kernel_version
from tests.kernel.test_unprivileged import CAP_BPF, child, has_new_capabilities

pytestmark = pytest.mark.kernel
COUNTED = kernel_version() < (5, 11)
LIMIT = """
import resource
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
"""
CREATE = """
said(lambda: kernel.create_map(MapSpec("large", MapType.ARRAY, 4, 4096, 256)).close())
print(resource.getrlimit(resource.RLIMIT_MEMLOCK)[0])
"""


def test_a_limit_of_nothing_keeps_nobody_from_creating_maps_who_may_raise_it() -> None:
    assert child(CREATE, before=LIMIT).splitlines() == ["allowed", "-1" if COUNTED else "0"]


def test_who_may_not_raise_it_is_told_that_it_is_the_limit() -> None:
    if not has_new_capabilities():
        pytest.skip("CAP_BPF came with Linux 5.8")
    told = child(CREATE, before=f"{LIMIT}keep_only({CAP_BPF})").splitlines()
    if not COUNTED:
        assert told == ["allowed", "0"]
        return
    assert told[0].startswith("1 Creating the map 'large' (array)")
    assert "Before Linux 5.11 maps and programs count against RLIMIT_MEMLOCK, which is 0 KiB here." in told[0]
    assert told[1] == "0"


def test_programs_count_too() -> None:
    code = """
large = ProgramSpec("large", ProgramType.SOCKET_FILTER, (*(Mov.imm(R0, 0) for _ in range(4000)), Exit()))
said(lambda: kernel.load_program(large, {}).close())
"""
    assert child(code, before=LIMIT) == "allowed\n"
