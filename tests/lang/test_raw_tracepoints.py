"""Names of raw tracepoints, from a list of the kernel's functions."""

from __future__ import annotations

from pathlib import Path

import pytest

import purebpf as bpf
from purebpf.compiler.diagnostics import ProgramError
from purebpf.lang import raw_tracepoints

SYMBOLS = """\
ffffffff81248000 T __pfx___traceiter_sys_enter
ffffffff81248010 T __traceiter_sys_enter
0000000000000000 T __traceiter_sched_switch
ffffffffc0000010 t __traceiter_kvm_exit\t[kvm]
"""


@pytest.fixture
def symbols(tmp_path: Path) -> str:
    file = tmp_path / "kallsyms"
    file.write_text(SYMBOLS)
    return str(file)


@pytest.mark.parametrize("name", ["sys_enter", "sched_switch", "kvm_exit"])
def test_known_events_pass(symbols: str, name: str) -> None:
    assert raw_tracepoints.unknown(name, symbols) is None


def test_a_misspelt_event_is_told(symbols: str) -> None:
    assert raw_tracepoints.unknown("sys_entr", symbols) == (
        "the kernel has no raw tracepoint `sys_entr`; did you mean sys_enter?"
    )


def test_a_category_is_told(symbols: str) -> None:
    assert raw_tracepoints.unknown("sched/sched_switch", symbols) == (
        "a raw tracepoint has no category: write 'sched_switch', not 'sched/sched_switch'"
    )


def test_nothing_is_refused_where_nothing_is_known(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("ffffffff81248010 T printk\n")
    assert raw_tracepoints.unknown("anything", str(empty)) is None
    assert raw_tracepoints.unknown("anything", str(tmp_path / "missing")) is None


def test_the_error_is_at_the_decorator(symbols: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_tracepoints, "unknown", lambda name: f"no {name}")

    @bpf.raw_tracepoint("sys_entr")
    def program(ctx):  # type: ignore[no-untyped-def]
        return

    with pytest.raises(ProgramError) as caught:
        program.compiled()
    assert caught.value.message == "no sys_entr"
    assert caught.value.place is not None and "@bpf.raw_tracepoint" in caught.value.place.text
