"""Whatever has a short name in a program has a meaning in Python, and names are as the program has them."""

from __future__ import annotations

import pytest

import purebpf as bpf
import purebpf.compiler.pipeline
from purebpf import u32
from purebpf.compiler.frontend.intrinsics import INTRINSICS
from purebpf.runner.names import OBJECTS
from purebpf.runner.session import runner_of


class Settings:
    limit = 7
    counts = bpf.Hash[u32, u32](max_entries=4)


tables = [Settings.counts, Settings.counts]


@bpf.xdp
def program(ctx: bpf.XdpContext) -> bpf.XdpAction:
    Settings.counts[1] += Settings.limit
    tables[1][2] += 1
    return bpf.XDP_PASS


def test_every_short_name_has_a_meaning_in_python() -> None:
    missing = [function.__qualname__ for function in INTRINSICS if id(function) not in OBJECTS]
    assert not missing, "register them with @stands_for, in purebpf/runner/idioms.py"


def test_classes_and_lists_are_looked_through_and_not_written() -> None:
    program.python(packet=bytes(64))
    assert program.collection is not None
    scope = runner_of(program.collection, program).function(program.function).__globals__
    assert dict(Settings.counts.items()) == {1: 7, 2: 1}
    assert scope["Settings"].limit == 7
    assert scope["tables"][0] is scope["Settings"].counts
    with pytest.raises(bpf.Error, match="`Settings` cannot be assigned"):
        scope["Settings"].limit = 8
    program.close()


get = lambda m: m  # noqa: E731  a name that only looks like the method's


@bpf.xdp
def looks_up(ctx: bpf.XdpContext) -> bpf.XdpAction:
    return Settings.counts.get(1, 4)


def test_attributes_are_not_taken_for_names_of_the_module() -> None:
    assert looks_up.python(packet=bytes(64)).value == 4
    looks_up.close()
    assert get(1) == 1


def test_names_of_the_enclosing_function_are_seen() -> None:
    limit, m = 9, bpf.Array[u32](max_entries=2)

    def plus(x):  # type: ignore[no-untyped-def]
        return x + limit

    @bpf.xdp
    def inside(ctx: bpf.XdpContext) -> bpf.XdpAction:
        m[1] += plus(limit)
        return m[1]

    assert inside.python(packet=bytes(64)).value == 18
    assert inside.python(packet=bytes(64)).value == 36
    inside.close()


STEP = 3


@bpf.xdp
def steps(ctx: bpf.XdpContext) -> bpf.XdpAction:
    return STEP * 2


def test_constants_are_those_of_the_first_use_as_in_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    steps.compiled()
    monkeypatch.setitem(globals(), "STEP", 5)
    assert steps.python(packet=bytes(64)).value == steps.run(packet=bytes(64)).value == 6
    steps.close()
