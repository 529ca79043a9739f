"""Rings of loaded objects: read as those of Python's programs, with the types that the object or the reader says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.elf.writing.write import object_bytes
from purebpf.errors import Error, NotLoaded
from purebpf.objects import Objects, load
from purebpf.program import spec_of
from tests.elf.writing.libbpf import bpftool
from tests.kernel.bpffs import bpf_file_system
from tests.objects.test_values import ENGINES, typed
from tests.packaging.generated import generate, imported


@pytest.fixture(params=ENGINES)
def objects(request: pytest.FixtureRequest) -> Iterator[Objects]:
    with load(typed(), engine=request.param) as loaded:
        loaded.variables.port = 443
        for ring in ("perf", "plain_perf"):  # which have records only while somebody reads them
            loaded.maps[ring].of()
        yield loaded


@bpf.struct
class Event:
    size: u32
    port: bpf.be16
    what: str = bpf.chars(6)


@bpf.struct
class Sent:
    size: u32
    port: bpf.be16


class Other:
    @bpf.struct
    class Sent:
        number: u64


sent = bpf.RingBuf[Sent](size=1 << 12)
numbers = bpf.RingBuf[u32](size=1 << 12)
kept = bpf.Queue[Sent](max_entries=4)
others = bpf.RingBuf[Other.Sent](size=1 << 12)
everywhere = bpf.PerfEventArray[Sent]()


@bpf.xdp
def send(ctx: bpf.XdpContext) -> bpf.XdpAction:
    sent.emit(Sent(size=len(ctx.packet), port=80))
    numbers.emit(u32(len(ctx.packet)))
    others.emit(Other.Sent(number=5))
    kept.push(Sent(size=1, port=80))
    everywhere.output(Sent(size=len(ctx.packet), port=80))
    return bpf.XDP_PASS


def run(objects: Objects, *sizes: int) -> None:
    for size in sizes:
        objects.programs.measure.run(packet=bytes(size))


def test_records_are_of_the_type_that_is_said(objects: Objects) -> None:
    run(objects, 60, 61)
    ring = objects.maps.plain.of(Event)
    assert ring.read(0) == [Event(size=60, port=443, what="hello"), Event(size=61, port=443, what="hello")]
    assert objects.maps.plain.of(Event) is ring and objects.maps.plain.of() is ring
    run(objects, 62)
    assert [event.size for event in ring.records(0)] == [62]
    with pytest.raises(Error, match=r"The ring 'plain' is read as `Event` already.*Event\.from_bytes"):
        objects.maps.plain.of(Sent)


def test_a_type_of_the_object_is_said_by_its_name(objects: Objects) -> None:
    run(objects, 60)
    (event,) = objects.maps.plain.of("struct event").read(0)
    assert (event.size, event.port, event.what) == (60, 443, "hello")
    assert type(event).__name__ == "event" and len(event.to_bytes()) == 12


@pytest.mark.parametrize("ring", ["tagged", "valued", "sized", "perf"])
def test_the_object_says_what_the_records_are(objects: Objects, ring: str) -> None:
    run(objects, 60)
    (event,) = objects.maps[ring].of().read(0)
    assert (event.size, event.port, event.what) == (60, 443, "hello")


@pytest.mark.parametrize("ring", ["plain", "plain_perf"])
def test_records_of_no_type_are_bytes(objects: Objects, ring: str) -> None:
    run(objects, 60)
    (record,) = objects.maps[ring].of().read(0)
    assert record[:12] == b"\x3c\0\0\0\x01\xbbhello\0"


def test_records_are_one_array(objects: Objects) -> None:
    pytest.importorskip("numpy")
    run(objects, 60, 61)
    assert objects.maps.tagged.of().read_batch(0)["size"].tolist() == [60, 61]


def test_several_rings_are_one_stream(objects: Objects) -> None:
    maps = objects.maps
    maps.valued.of(Event)
    run(objects, 60)
    found = {ring.name: record for ring, record in bpf.events(maps.plain, maps.valued, maps.perf, maps.plain_perf).records(0)}
    assert found["plain"] == b"\x3c\0\0\0\x01\xbbhello\0" and found["plain_perf"][:12] == found["plain"]
    assert found["valued"] == Event(size=60, port=443, what="hello")
    assert found["perf"].size == 60
    run(objects, 61)
    got: list[Any] = []
    assert (
        bpf.events(maps.plain, maps.valued.of(Event)).dispatch({maps.plain: got.append, maps.valued.of(): got.append}, 0) == 2
    )
    assert got == [b"\x3d\0\0\0\x01\xbbhello\0", Event(size=61, port=443, what="hello")]


def test_an_event_loop_waits_for_them(objects: Objects) -> None:
    async def first() -> Any:
        async for ring, record in bpf.events(objects.maps.tagged, objects.maps.plain):
            return ring, record

    run(objects, 60)
    ring, record = asyncio.run(first())
    assert ring is objects.maps.tagged and record.size == 60


def test_reading_ends_with_the_object() -> None:
    with load(typed(), engine="vm") as objects:
        ring, reader = objects.maps.plain.of(Event), objects.maps.tagged.events()
    assert list(ring) == []
    with pytest.raises(NotLoaded, match="map `plain` is not loaded any more"):
        ring.read(0)
    with pytest.raises(NotLoaded, match="closed"):
        reader.read(0)


def test_what_is_no_ring_or_no_type_is_told() -> None:
    with load(typed(), engine="vm") as objects:
        maps: Any = objects.maps
        wrong = {
            r"The map 'flows' \(hash\) has no records": lambda: maps.flows.of(),
            "The object has no type 'evnt'; did you mean event": lambda: maps.plain.of("evnt"),
            r"The records of 'plain' cannot be read as `dict`: give a class with `@bpf\.struct`": lambda: maps.plain.of(dict),
            r"The map 'plain' \(ringbuf\) has records, no entries": lambda: list(maps.plain),
            "bpf.events\\(\\): 5 is no RingBuf or PerfEventArray": lambda: bpf.events(5),  # type: ignore[call-overload]
        }
        for message, use in wrong.items():
            with pytest.raises(Error, match=message):
                use()
        with pytest.raises(Error, match="has records, no entries"):
            maps.plain[0]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_object_of_ours_says_what_its_rings_send(engine: str) -> None:
    for source in (send.spec(), object_bytes(spec_of(send))):
        with load(source, engine=engine) as objects:
            maps = objects.maps
            maps.everywhere.of()
            objects.programs.send.run(packet=bytes(60))
            found = dict(bpf.events(maps.sent, maps.numbers, maps.others, maps.everywhere).records(0))
            assert (found[maps.sent].size, found[maps.sent].port) == (60, 80)
            assert found[maps.numbers] == 60 and found[maps.others].number == 5
            assert found[maps.everywhere].port == 80
            assert maps.kept.take() == {"size": 1, "port": 80}


def test_a_package_of_such_an_object_has_the_types(tmp_path: Path) -> None:
    bpf.write_object(send.spec(), tmp_path / "sender.o")
    with imported(generate(tmp_path, tmp_path / "sender.o")) as module, module.Sender() as package:
        package.load("vm").programs.send.run(packet=bytes(60))
        assert [(each.size, each.port) for each in package.maps.sent.read(0)] == [(60, 80)]
        assert package.maps.numbers.read(0) == [60]


@pytest.mark.kernel
def test_bpftool_takes_the_tag_of_a_ring(tmp_path: Path) -> None:
    bpf.write_object(send.spec(), tmp_path / "send.o")
    (tmp_path / "pins").mkdir()
    with bpf_file_system(tmp_path / "pins") as folder:
        done = bpftool("prog", "loadall", tmp_path / "send.o", folder / "send")
        assert done.returncode == 0 and "Retrying without BTF" not in done.stderr, done.stderr


def test_a_tag_that_names_no_type_is_told(tmp_path: Path) -> None:
    raw = object_bytes(spec_of(send)).replace(b"record:unsigned int\0", b"record:unsigned inn\0")
    with pytest.raises(Error, match="the map numbers: its tag says that records are `unsigned inn`, and there is no such type"):
        bpf.load_object(raw)
