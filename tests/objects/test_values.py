"""Values of an object file's own types: as `load` gives them, and as a package of the same object does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import u16
from purebpf.cli.object_show import shown
from purebpf.errors import Error, NotLoaded
from purebpf.objects import Objects, load, with_variables
from tests.elf import corpus
from tests.packaging.generated import generate, imported

SOURCE = Path(__file__).with_name("c") / "typed.c"
ENGINES = [pytest.param("kernel", marks=pytest.mark.kernel), "vm"]


def typed() -> Path:
    try:
        return corpus.built(corpus.Build(SOURCE))
    except corpus.Missing as missing:
        pytest.skip(f"objects are compiled by clang: {missing}")


@pytest.fixture(params=ENGINES)
def objects(request: pytest.FixtureRequest) -> Iterator[Objects]:
    with load(typed(), engine=request.param, variables={"first": 0x0A000001}) as loaded:
        yield loaded


@bpf.struct
class Flow:
    address: bpf.be32
    port: bpf.be16
    zone: u16


def test_numbers_in_network_order_are_numbers(objects: Objects) -> None:
    v = objects.variables
    v.port, v.limits = 443, {"low": 1, "high": 9, "ports": [80, 8080]}
    assert (v.port, v.first, v.limits["ports"]) == (443, 0x0A000001, [80, 8080])
    objects.programs.measure.run(packet=bytes(64))
    assert dict(objects.maps.by_port) == {443: 0x0A000001}
    assert objects.maps.by_port.raw.lookup(b"\x01\xbb") == b"\x0a\x00\x00\x01"
    objects.maps.by_port[80] = 0x7F000001
    assert objects.maps.by_port.raw.lookup(b"\x00\x50") == b"\x7f\x00\x00\x01"


def test_the_same_values_are_in_a_package(tmp_path: Path) -> None:
    with imported(generate(tmp_path, typed())) as module, module.Typed() as package:
        package.variables.first, package.variables.port = 0x0A000001, 443
        package.variables.limits = {"low": 1, "high": 9, "ports": [80, 8080]}
        package.load("vm")
        package.programs.measure.run(packet=bytes(64))
        assert dict(package.maps.by_port) == {443: 0x0A000001}
        assert package.variables.limits == module.limits(low=1, high=9, ports=[80, 8080])
        package.variables.limits = {"high": 100}
        assert package.variables.limits == module.limits(high=100)
        package.maps.flows[{"port": 5}] = {"low": 7}
        assert package.maps.flows[module.flow(port=5)] == module.limits(low=7)
        with pytest.raises(TypeError, match=r"variables\.limits: limits has no field `hi`; its fields are low, high, ports"):
            package.variables.limits = {"hi": 1}
        with pytest.raises(TypeError, match=r"variables\.limits: a limits is wanted, not int: give one, or a dictionary"):
            package.variables.limits = 3


def test_keys_that_are_structs_can_be_keys_of_dictionaries(objects: Objects) -> None:
    objects.variables.port = 443
    objects.programs.measure.run(packet=bytes(64))
    assert dict(objects.maps.flows) == {k: objects.maps.flows[k] for k in objects.maps.flows}
    (key,) = objects.maps.flows
    assert key == {"address": 0x0A000001, "port": 443, "zone": 7}


def test_records_are_taken_as_keys_and_values(objects: Objects) -> None:
    objects.maps.flows[Flow(address=1, port=2, zone=3)] = {"low": 5}
    assert objects.maps.flows[{"address": 1, "port": 2, "zone": 3}]["low"] == 5
    with pytest.raises(Error, match="A value of the map 'flows': a `Flow` has 8 bytes, and 12 belong there"):
        objects.maps.flows[{"port": 1}] = Flow(address=1, port=2, zone=3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"packet": "x"}, "`packet` is bytes, not 'x'"),
        ({"ctx": 5}, r"`ctx` is bytes, not 5: .*, or its fields: ctx="),
        ({"repeat": "x"}, "`repeat` says how often it runs, 1 or more times, not 'x'"),
        ({"ctx": {"nothing": 1}}, "has no field `nothing`"),
    ],
)
def test_what_a_run_cannot_be_given(objects: Objects, given: dict[str, object], message: str) -> None:
    with pytest.raises(Error, match=message):
        objects.programs.measure.run(**given)  # type: ignore[arg-type]


def test_a_context_is_given_by_its_fields(objects: Objects) -> None:
    assert objects.programs.measure.run(packet=bytes(64), ctx={"rx_queue_index": 0}).value == bpf.XDP_DROP


def test_what_a_reader_cannot_wait_for(objects: Objects) -> None:
    reader = objects.maps.plain.events()
    for wrong in ("x", float("nan"), True):
        with pytest.raises(Error, match=r"a timeout is seconds .*, or None to wait without end"):
            reader.read(wrong)  # type: ignore[arg-type]
    objects.programs.measure.run(packet=bytes(64))
    assert len(reader.read(float("inf"))) == 1  # there is one
    reader.close()


def test_what_is_in_a_package_is_told_to_be_closed(tmp_path: Path) -> None:
    with imported(generate(tmp_path, typed())) as module:
        package = module.Typed()
        assert package.programs.measure.run(packet=bytes(64)).value == bpf.XDP_DROP  # which loads it
        package.close()
        again = "`Typed` is closed, its programs with it: make another one"
        uses = {
            again: [
                lambda: package.programs.measure.run(),
                lambda: package.attach(),
                lambda: package.load(),
                lambda: package.engine,
            ],
            "map `by_port` is not loaded any more, .*: load them anew": [lambda: package.maps.by_port[1]],
            r"`variables\.port` was in the programs' memory, which is closed": [lambda: package.variables.port],
        }
        for message, each in uses.items():
            for use in each:
                with pytest.raises(NotLoaded, match=message):
                    use()
        assert package.variables.first == 0  # a constant


def test_an_object_is_shown_shortly() -> None:
    spec = bpf.load_object(typed())
    assert repr(spec).startswith("CollectionSpec('typed': 1 program (measure); 12 maps (by_port, flows, ")
    assert repr(spec.programs["measure"]) == f"ProgramSpec('measure': xdp, {spec.programs['measure'].slots} slots)"
    assert len(repr(spec.maps["flows"])) < 300


def test_values_of_an_object_are_shown_in_network_order(tmp_path: Path) -> None:
    spec = with_variables(bpf.load_object(typed()), {"port": 443, "limits": {"ports": [80]}})
    for in_c, values in ((False, (443, {"low": 0, "high": 0, "ports": [80, 0]})), (True, ("443", "{.ports = {80, 0}}"))):
        shown_values = {row["name"]: row["value"] for row in shown(spec, in_c)["variables"]}
        assert (shown_values["port"], shown_values["limits"]) == values


def test_types_of_maps_are_shown() -> None:
    rows = {row["name"]: row for row in shown(bpf.load_object(typed()))["maps"]}
    assert (rows["by_port"]["key_type"], rows["by_port"]["value_type"]) == ("__be16", "__be32")
    assert rows["tagged"]["record_type"] == "struct event" and "record_type" not in rows["plain"]
