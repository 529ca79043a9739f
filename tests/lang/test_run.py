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


def test_what_is_loaded_says_what_it_is() -> None:
    with length.load("vm") as loaded:
        assert repr(loaded) == "<bpf.Collection of length, engine vm>"
    assert repr(loaded) == "<bpf.Collection of length, closed>"


@bpf.xdp
def unreached(ctx):  # type: ignore[no-untyped-def]
    return 2
    return 1


def test_a_warning_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    unreached.compiled()
    unreached.spec()
    for engine in ("vm", "auto"):
        unreached.load(engine).close()
        unreached.run(packet=bytes(64), engine=engine)
        unreached.close()
    unreached.python(packet=bytes(64))
    unreached.close()
    assert capsys.readouterr().err.count("warning: this is never reached") == 1
