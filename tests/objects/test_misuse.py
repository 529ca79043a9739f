"""What users get wrong with loaded objects is told in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import purebpf as bpf
from purebpf.errors import Error, NotLoaded
from purebpf.objects import Objects, load
from tests.objects.kit import spec
from tests.objects.test_values import ENGINES, typed


@pytest.fixture
def objects() -> Iterator[Objects]:
    with load(typed(), engine="vm") as loaded:
        yield loaded


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variables": ["x"]}, "`variables` is a dictionary by name"),
        ({"maps": {"flows": 5.5}}, "5.5 is no map that could be 'flows': give a loaded map, the path of a pin, or an id"),
        ({"maps": {"flows": {}}}, "{} is no map that could be 'flows'"),
        ({"programs": 5}, "`programs` is a list of names"),
        ({"pin_path": 5}, "`pin_path` is a folder"),
        ({"targets": {"measure": 5}}, "5 is no program that could be the target of 'measure'"),
        ({"btf": "/nothing/here"}, "'/nothing/here', the file with the kernel's types .* is not there"),
    ],
)
def test_options_of_load(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Error, match=message):
        load(typed(), engine="vm", **options)


def test_what_is_no_object() -> None:
    with pytest.raises(Error, match="An object file is given by its path or its bytes, not by 5"):
        bpf.load_object(5)  # type: ignore[arg-type]
    for wrong in (5, None):
        with pytest.raises(Error, match="`load` takes programs and maps, or an object file by its path or bytes, not"):
            bpf.load(wrong)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda maps: maps.flows.push({}), r"`push` is for queues, stacks and Bloom filters; 'flows' \(hash\) has keys"),
        (lambda maps: maps.flows.take(), r"`take` of 'flows' \(hash\) wants the key of the entry to take"),
        (lambda maps: maps.flows.put({}, {}, "x"), "Flags of `put` are a number, .*, not 'x'"),
    ],
)
def test_uses_of_maps(objects: Objects, use: Callable[[Any], object], message: str) -> None:
    with pytest.raises(Error, match=message):
        use(objects.maps)


@pytest.mark.parametrize("engine", ENGINES)
def test_maps_are_put_into_maps(engine: str) -> None:
    with load(spec("map_of_maps"), engine=engine) as objects:
        name, outer = next((name, each) for name, each in objects.maps.items() if each.spec.inner is not None)
        held = next(each for each in objects.maps.values() if each.name in dict(objects.spec.maps[name].entries).values())
        key = outer.keys_as.decode(objects.spec.maps[name].entries[0][0])
        outer[key] = held
        assert outer.raw.lookup(outer.keys_as.encode(key))


@pytest.mark.kernel
def test_a_program_is_left_out_of_attaching(kernel: object) -> None:
    with load(spec("rings"), engine="kernel") as objects:
        assert objects.attach(emit=None) == {}


def test_a_closed_object_says_so() -> None:
    with load(typed(), engine="vm") as objects:
        pass
    assert repr(objects) == "<objects typed: measure; closed>"
    with pytest.raises(NotLoaded, match="The object 'typed' is closed, its programs with it: load it again"):
        objects.attach()
