"""A generated package at work: opened, configured, loaded into either engine, attached, closed."""

from __future__ import annotations

from typing import Any

import pytest

from purebpf.errors import Error, NotLoaded
from tests.kernel.netns import eventually, frame, send, veth_pair
from tests.packaging.generated import generate, imported, source

PROGRAM = """
import purebpf as bpf
from purebpf import s16, u8, u32, u64


@bpf.struct
class Seen:
    packets: u64 = 0
    last: u32 = 0
    name: str = bpf.chars(8)
    low: u8 = bpf.bits(4)
    high: u8 = bpf.bits(4)


@bpf.config
class settings:
    limit: u32
    step: u32 = 2


@bpf.globals
class state:
    total: u64 = 40
    signed: s16 = -3
    marks: list[u32] = bpf.array(u32, 3)


seen = bpf.Hash[u32, Seen](max_entries=16)
per_cpu = bpf.PerCpuArray[u64](max_entries=2)
lengths = bpf.RingBuf[u32](size=4096)
others = bpf.ProgArray(max_entries=2)


@bpf.xdp
def count(ctx: bpf.XdpContext) -> bpf.XdpAction:
    state.total += settings.step
    state.marks[1] = len(ctx.packet)
    per_cpu[1] += 1
    seen[7] = Seen(packets=state.total, last=len(ctx.packet), high=5)
    lengths.emit(len(ctx.packet))
    if len(ctx.packet) > settings.limit:
        others.tail_call(ctx, 1)
        return bpf.XDP_DROP
    return bpf.XDP_PASS


@bpf.xdp
def other(ctx: bpf.XdpContext) -> bpf.XdpAction:
    return bpf.XDP_TX


others[1] = other
"""
ENGINES = ["vm", pytest.param("kernel", marks=pytest.mark.kernel)]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("skeleton")
    with imported(generate(folder, source(folder, PROGRAM, "traffic.py"))) as module:
        yield module


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_maps_variables_and_programs_are_at_hand_by_name(package: Any, engine: str) -> None:
    with package.Traffic() as traffic:
        traffic.variables.settings.limit = 100
        traffic.load(engine)
        assert traffic.programs.count.run(packet=bytes(64)).value == 2
        assert traffic.programs.count.run(packet=bytes(128)).value == 3  # by the program in the table
        assert traffic.maps.seen[7] == package.Seen(packets=44, last=128, high=5)
        assert traffic.variables.state.total == 44
        assert list(traffic.variables.state.marks) == [0, 128, 0]
        assert traffic.maps.per_cpu.sums() == {1: 2}
        assert traffic.maps.lengths.read(0.1) == [64, 128]
        assert traffic.maps.lengths.dropped == 0
        traffic.variables.state.signed = -7
        traffic.variables.state.marks[2] = 9
        assert (traffic.variables.state.signed, traffic.variables.state.marks[2]) == (-7, 9)


def test_settings_of_maps_are_checked(package: Any, engine: str) -> None:
    with package.Traffic() as traffic:
        with pytest.raises(AttributeError, match="map `seen` has no `max_entry`; did you mean max_entries"):
            traffic.maps.seen.max_entry = 7
        with pytest.raises(AttributeError, match="did you mean pin_path"):
            traffic.maps.seen.pinpath = "/sys/fs/bpf/seen"
        for wrong in (-4, 0, "x", 1 << 40, True):
            with pytest.raises(Error, match="map `seen`: max_entries is a positive 32-bit integer"):
                traffic.maps.seen.max_entries = wrong
        traffic.maps.seen.max_entries = 5
        traffic.variables.settings.limit = 100
        traffic.load(engine)
        with pytest.raises(Error, match="map `seen` is loaded; its max_entries is told before"):
            traffic.maps.seen.max_entries = 7
        assert traffic.maps.seen.max_entries == 5


def test_constants_are_told_before_loading_only(package: Any, engine: str) -> None:
    with package.Traffic() as traffic:
        with pytest.raises(Error, match=r"`variables\.settings\.limit` has no value"):
            traffic.load(engine)
        traffic.variables.settings.limit = 10
        traffic.variables.settings.step = 5
        traffic.load(engine)
        traffic.programs.count.run(packet=bytes(64))
        assert traffic.variables.state.total == 45
        assert traffic.variables.settings.step == 5
        with pytest.raises(Error, match=r"`variables\.settings\.step` is a constant"):
            traffic.variables.settings.step = 6


def test_variables_have_values_before_loading(package: Any, engine: str) -> None:
    with package.Traffic() as traffic:
        assert (traffic.variables.state.total, traffic.variables.state.signed) == (40, -3)
        traffic.variables.state.total = 1000
        traffic.variables.settings.limit = 100
        traffic.load(engine)
        traffic.programs.count.run(packet=bytes(64))
        assert traffic.variables.state.total == 1002


def test_sizes_of_maps_can_be_told(package: Any, engine: str) -> None:
    with package.Traffic() as traffic:
        traffic.variables.settings.limit = 1
        traffic.maps.seen.max_entries = 3
        traffic.load(engine)
        for key in range(3):
            traffic.maps.seen[key] = package.Seen()
        with pytest.raises(Error):
            traffic.maps.seen[99] = package.Seen()
        assert len(traffic.maps.seen) == 3


def test_what_is_not_loaded_says_so(package: Any) -> None:
    traffic = package.Traffic()
    with pytest.raises(NotLoaded, match="seen"):
        traffic.maps.seen[1]
    with pytest.raises(NotLoaded, match="Traffic"):
        traffic.programs.count.loaded  # noqa: B018
    assert repr(traffic) == "<Traffic: count, other; open>"
    traffic.close()
    with pytest.raises(Error, match="closed"):
        traffic.load("vm")


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda t: t.maps.nothing, "no map `nothing`; there are: per_cpu, seen, lengths, others"),
        (lambda t: t.programs.nothing, "no program `nothing`; there are: count, other"),
        (lambda t: t.links.count, "no link `count`; there are: none"),
        (lambda t: t.variables.nothing, "no variable `nothing`; there are: state, settings"),
        (lambda t: t.variables.state.nothing, "`state` has no field `nothing`"),
        (lambda t: setattr(t.variables, "state", 1), "`state` is a group of variables"),
    ],
)
def test_names_that_are_not_there_are_told_with_those_that_are(package: Any, use: Any, message: str) -> None:
    with pytest.raises(AttributeError) as caught:
        use(package.Traffic())
    assert message in str(caught.value)


@pytest.mark.kernel
def test_a_program_that_needs_a_place_is_not_attached_without(package: Any) -> None:
    with package.Traffic() as traffic:
        traffic.variables.settings.limit = 1
        with pytest.raises(Error, match=r"`count`, a program of type xdp, .*attach\(count=INTERFACE\)"):
            traffic.attach()
        with pytest.raises(Error, match="no program `nothing`; its programs: count, other"):
            traffic.attach(nothing="lo")
        assert len(traffic.links) == 0
        traffic.attach(count=None)
        assert len(traffic.links) == 0


@pytest.mark.kernel
def test_attached_programs_have_links_until_it_is_closed(package: Any) -> None:
    with veth_pair() as (first, second), package.Traffic() as traffic:
        traffic.variables.settings.limit = 2000
        traffic.attach(count={"interface": second, "mode": "generic"})
        assert "generic" in traffic.links.count.mechanism
        assert list(traffic.links) == ["count"]  # the other one is called by it
        send(first, frame(), frame())
        assert eventually(lambda: traffic.maps.per_cpu.sums().get(1, 0) >= 2)


@pytest.mark.kernel
def test_nothing_stays_open(package: Any) -> None:
    """The marker's plugin counts descriptors."""
    for _ in range(3):
        with package.Traffic() as traffic:
            traffic.variables.settings.limit = 1
            traffic.load("kernel")
        with pytest.raises(Error), package.Traffic() as traffic:
            traffic.load("kernel")
