"""The corpus of object files, and libbpf as its judge: that both are there, and tell what the sources say."""

from __future__ import annotations

import pytest

from tests.elf import corpus, libbpf


@pytest.fixture(scope="module")
def judged() -> dict[str, libbpf.Judged]:
    builds = [build for build in corpus.own() if build.level == 3]
    try:
        found = corpus.compiled(builds)
        told = libbpf.judged(found.values())
    except corpus.Missing as missing:
        pytest.skip(str(missing))
    return {name.removesuffix("-bpf-v3"): told[path] for name, path in found.items()}


@pytest.mark.kernel
def test_libbpf_tells_maps_and_programs(judged: dict[str, libbpf.Judged]) -> None:
    found = judged["several_in_a_section"]
    assert found.maps == {"counts": libbpf.Map(1, 4, 8, 4, 0)}
    assert {name: each.section for name, each in found.programs.items()} == {
        "a": "xdp",
        "b": "xdp",
        "c": "xdp.frags",
        "d": "xdp",
    }
    assert judged["map_of_maps"].maps["table"].inner == (1, 8, 16, 8, 0)


@pytest.mark.kernel
def test_libbpf_tells_instructions(judged: dict[str, libbpf.Judged]) -> None:
    third = judged["subprograms"].programs["third"]
    assert not third.error and len(third.code) > 16 * third.slots  # functions are behind it
    assert judged["unknown_section"].programs["custom"].error and not judged["unknown_section"].programs["known"].error
    assert judged["legacy_maps"].refused and "legacy map definitions" in judged["legacy_maps"].said
