"""`Program.run`: where it runs, and that it stays there."""

from __future__ import annotations

import pytest

import purebpf as bpf


@bpf.xdp
def length(ctx):  # type: ignore[no-untyped-def]
    return len(ctx.packet)


def test_a_loaded_program_refuses_another_engine() -> None:
    try:
        assert length.run(packet=bytes(64), engine="vm").value == 64
        assert length.run(packet=bytes(65)).value == 65
        assert length.run(packet=bytes(66), engine="vm").value == 66
        for other in ("kernel", "nonsense"):
            with pytest.raises(bpf.Error, match=f"loaded already, with its maps, in the engine 'vm', not in '{other}'"):
                length.run(packet=bytes(64), engine=other)
    finally:
        length.close()
