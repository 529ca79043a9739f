"""Globals and settings: one object for both sides, in the virtual machine and in the kernel."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest

import purebpf as bpf
from purebpf import s32, u8, u16, u32, u64

ENGINES = ("vm", pytest.param("kernel", marks=pytest.mark.kernel))
FRAME = bytes(64)


@bpf.struct
class Point:
    x: u32 = 0
    y: u16 = 0


@bpf.globals
class state:
    seen: u64 = 0
    n: u32 = 7
    small: u8 = 3
    d: s32 = -5
    on: bool
    bits: u8 = bpf.bits(3)
    name: str = bpf.chars(16)
    mac: bytes = bpf.bytes(6)
    counts: list[u32] = bpf.array(u32, 4)
    point: Point = Point(x=1, y=2)
    points: list[Point] = bpf.array(Point, 3)


@bpf.config
class settings:
    limit: u32
    step: u32 = 2
    name: str = bpf.chars(8)
    ports: list[u16] = bpf.array(u16, 4)
    origin: Point = Point()


@bpf.xdp
def program(ctx: bpf.XdpContext) -> int:
    if settings.step == 0 or settings.name == "off":
        return 77
    state.seen += settings.step
    state.n -= 1
    state.small += 250
    state.d ^= 1
    state.on = not state.on
    state.bits += 1
    state.name = "in the kernel"
    state.mac = b"abcdef"
    for i in range(4):
        state.counts[i] += settings.ports[i]
    place = state.points[len(ctx.packet) & 1]
    place.x += settings.origin.x
    state.point.y = place.y + settings.limit
    state.points[2] = state.point
    return 1


@pytest.fixture
def limited() -> Iterator[None]:
    settings.limit = 8
    yield
    program.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_program_and_this_process_see_the_same_globals(engine: str, limited: None) -> None:
    settings.ports[1] = 40
    settings.origin.x = 6
    program.load(engine)
    assert (state.seen, state.n, state.small, state.d, state.on, state.point) == (0, 7, 3, -5, False, Point(x=1, y=2))
    state.name = "before"
    state.counts[3] = 9
    state.points[0].x = 100
    assert program.run(packet=FRAME, engine=engine).value == 1
    assert (state.seen, state.n, state.small, state.d, state.on) == (2, 6, 253, -6, True)
    assert (state.bits, state.name, state.mac) == (1, "in the kernel", b"abcdef")
    assert state.counts == [0, 40, 0, 9]
    assert state.points[0] == Point(x=106)
    assert state.point == Point(x=1, y=8) == state.points[2]
    state.seen += 1000
    state.points[1] = Point(x=5, y=6)
    state.counts[1:3] = (1, 2)
    state.point = state.points[1]
    state.bits = 7
    program.run(packet=bytes(65), engine=engine)
    assert (state.seen, state.bits, list(state.counts)) == (1004, 0, [0, 41, 2, 9])
    assert copy.copy(state.points[1]) == Point(x=11, y=6)
    assert repr(state.point) == "Point(x=5, y=14)"


@pytest.mark.parametrize("engine", ENGINES)
def test_settings_are_those_at_the_time_of_loading(engine: str, limited: None) -> None:
    for name, step, expected in (("", 2, 1), ("off", 2, 77), ("on", 0, 77), ("on", 1, 1)):
        settings.name, settings.step = name, step
        with program.load(engine):
            assert program.run(packet=FRAME, engine=engine).value == expected
    settings.step = 2


@pytest.mark.parametrize("engine", ENGINES)
def test_settings_are_constant_while_loaded(engine: str, limited: None) -> None:
    with program.load(engine):
        with pytest.raises(bpf.Error, match=r"`settings\.limit` cannot be assigned while a program that uses it is loaded"):
            settings.limit = 9
        with pytest.raises(bpf.Error, match="cannot be assigned while"):
            settings.ports[0] = 9
        with pytest.raises(bpf.Error, match="cannot be assigned while"):
            settings.origin.x = 9
        assert settings.limit == 8
    settings.limit = 9
    assert settings.limit == 9


def test_a_setting_without_default_must_be_assigned() -> None:
    @bpf.config
    class options:
        needed: u32
        other: u32 = 1

    @bpf.xdp
    def uses(ctx: bpf.XdpContext) -> int:
        return options.needed

    with pytest.raises(bpf.Error, match=r"`options\.needed` has no value: assign it before"):
        uses.load("vm")
    with pytest.raises(bpf.Error, match=r"`options\.needed` has no value yet"):
        _ = options.needed
    assert repr(options) == "options(other=1)"
    options.needed = 5
    with uses.load("vm"):
        assert uses.run(packet=FRAME).value == 5


def test_globals_live_while_they_are_loaded(limited: None) -> None:
    for act in (lambda: state.seen, lambda: setattr(state, "seen", 1), lambda: state.counts[0]):
        with pytest.raises(bpf.NotLoaded, match="lives in the program"):
            act()
    assert repr(state) == "<bpf.globals state, not loaded>"
    with program.load("vm"):
        state.seen = 5
    with program.load("vm"):
        assert state.seen == 0


def test_what_does_not_fit_is_an_error(limited: None) -> None:
    with program.load("vm"):
        with pytest.raises(ValueError, match=r"state\.small: 300 does not fit u8"):
            state.small = 300
        with pytest.raises(ValueError, match=r"state\.counts\[1\]: -1 does not fit u32"):
            state.counts[1] = -1
        with pytest.raises(IndexError):
            state.counts[4] = 1
        with pytest.raises(ValueError, match="3 values do not fit 4 places"):
            state.counts[:] = (1, 2, 3)
        with pytest.raises(AttributeError, match=r"`state` has no field `sene`; its fields are seen, n"):
            state.sene = 1  # type: ignore[attr-defined]
        with pytest.raises(AttributeError, match=r"`state\.point` has no field `z`"):
            _ = state.point.z  # type: ignore[attr-defined]
        with pytest.raises(TypeError, match=r"state\.name: a text is wanted"):
            state.name = 5  # type: ignore[assignment]
        assert state.counts == [0, 0, 0, 0]


@pytest.mark.parametrize("engine", ENGINES)
def test_programs_loaded_together_share_globals(engine: str) -> None:
    @bpf.globals
    class shared:
        n: u64 = 40

    @bpf.xdp
    def first(ctx: bpf.XdpContext) -> int:
        shared.n += 1
        return 1

    @bpf.xdp
    def second(ctx: bpf.XdpContext) -> int:
        return u32(shared.n)

    with bpf.load(first, second, engine=engine) as loaded:
        first.run(packet=FRAME, engine=engine)
        assert second.run(packet=FRAME, engine=engine).value == 41 == shared.n
        assert list(loaded.maps) == ["shared"]
        other = bpf.xdp(first.function)
        with pytest.raises(bpf.Error, match="`shared` is in use by another loaded collection"):
            other.load(engine)
        assert shared.n == 41


def test_the_spec_names_the_variables() -> None:
    spec = program.spec()
    found = spec.variables["state.n"]
    assert (found.name, found.map, found.offset, found.size) == ("n", "state", 8, 4)
    assert spec.maps["state"].contents[0][1][8:12] == (7).to_bytes(4, "little")
    assert not spec.maps["state"].frozen and spec.maps["settings"].frozen


def test_what_is_no_field_is_refused() -> None:
    with pytest.raises(bpf.Error, match=r"a\.LIMIT: (?s:.*)say how wide it is: `LIMIT: u32 = \.\.\.`"):

        @bpf.globals
        class a:
            LIMIT = 5

    with pytest.raises(bpf.Error, match=r"b\.f: (?s:.*)make it a plain function"):

        @bpf.config
        class b:
            n: u32 = 0

            def f(self) -> int:
                return self.n

    with pytest.raises(bpf.Error, match="needs at least one field"):

        @bpf.globals
        class c:
            pass

    with pytest.raises(bpf.Error, match=r"d\.n: `int` has no layout(?s:.*)say how wide"):

        @bpf.globals
        class d:
            n: int = 0

    with pytest.raises(bpf.Error, match=r"e\.n: the default 300 does not fit"):

        @bpf.config
        class e:
            n: u8 = 300
